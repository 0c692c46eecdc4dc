//! `send_email` by a real server: aiosmtpd, which the tests start.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use wardian::{Gate, Sandbox, load_policy, tool::CallError};

use crate::runtime;

/// Prints its port, then every mail that it gets as one line of JSON.
const SERVER: &str = r#"
import asyncio, json, sys
from aiosmtpd.smtp import SMTP

class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "text": envelope.content.decode()}
        print(json.dumps(mail), flush=True)
        return "250 OK" if "refuse me" not in mail["text"] else "554 No, says mail.internal.example"

async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler(), loop=loop), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"#;

struct Server {
    child: Child,
    port: u16,
    mails: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn start() -> Self {
        // Debian's Python has Debian's aiosmtpd; another may have another.
        let python = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
            let asked = Command::new(python)
                .args(["-c", "import aiosmtpd"])
                .stderr(Stdio::null())
                .status();
            asked.is_ok_and(|asked| asked.success())
        });
        let python = python.unwrap_or_else(|| {
            panic!("these tests need aiosmtpd: apt-get install python3-aiosmtpd")
        });
        let mut child = Command::new(python)
            .args(["-c", SERVER])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let got = mails.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                got.lock()
                    .unwrap()
                    .push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, port, mails }
    }

    fn mails(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.mails.lock().unwrap().len() < count && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.mails.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn gate(dir: &TempDir, permission: &str, config: &str) -> Gate {
    let file = dir.path().join("policy.toml");
    let text = format!(
        "version = 1\npermissions = [\"EXECUTE_CODE\", \"{permission}\"]\n[tools.send_email.config]\n{config}"
    );
    fs::write(&file, text).unwrap();
    let policy = load_policy(&file).unwrap();
    let tools = wardian_tools::ready(&policy).unwrap();
    Gate::new(policy).unwrap().with_tools(tools).unwrap()
}

fn config(port: u16) -> String {
    format!(
        "server = \"127.0.0.1\"\nport = {port}\nencryption = \"none\"\nfrom = \"The Shop <shop@example.com>\"\n\
         recipients = [\"ada@example.com\", \"*@team.example.com\"]\nmax_bytes = 1000"
    )
}

fn send(gate: &Gate, to: &[&str], subject: &str, body: &str) -> Result<Value, CallError> {
    let args = json!({"to": to, "subject": subject, "body": body});
    gate.tool("send_email").unwrap().call_blocking(&args)
}

#[test]
fn mail_with_and_without_permission() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let code = "from wardian import tools\ntools.send_email(['ada@example.com', 'bob@team.example.com'], \
                'Größe', 'Hello\\nAda ö')";
    let with =
        Sandbox::with_gate(runtime(), gate(&dir, "SEND_EMAIL", &config(server.port))).unwrap();
    let outcome = with.run_blocking(code).unwrap();
    assert!(outcome.success(), "{}", outcome.stderr.text());
    let [mail] = &server.mails(1)[..] else {
        panic!()
    };
    assert_eq!(
        (&mail["from"], &mail["to"]),
        (
            &json!("shop@example.com"),
            &json!(["ada@example.com", "bob@team.example.com"])
        )
    );
    let text = mail["text"].as_str().unwrap();
    assert!(
        text.contains("From: \"The Shop\" <shop@example.com>")
            && text.contains("Subject: =?utf-8?b?"),
        "{text}"
    );

    let without =
        Sandbox::with_gate(runtime(), gate(&dir, "READ_FILE", &config(server.port))).unwrap();
    let outcome = without.run_blocking(code).unwrap();
    assert!(
        outcome.stderr.text().contains("AttributeError"),
        "{}",
        outcome.stderr.text()
    );
    assert_eq!(server.mails(1).len(), 1);
}

#[test]
fn mail_goes_to_those_who_are_listed() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let gate = gate(&dir, "SEND_EMAIL", &config(server.port));
    for to in [
        &["eve@example.com"][..],
        &["ada@example.com", "eve@evil.com"],
        &["ada@example.com.evil.com"],
        &["x@sub.team.example.com"],
        &["x@evilteam.example.com"],
        &["ada+x@example.com"],
    ] {
        let ended = send(&gate, to, "s", "b");
        assert!(
            matches!(ended, Err(CallError::Denied { .. })),
            "{to:?} {ended:?}"
        );
    }
    for to in [
        &[][..],
        &["ada"],
        &["ada@example.com, eve@evil.com"],
        &["Ada <ada@example.com>"],
        &["ada@example.com\r\nBcc: eve@evil.com"],
        &["ada@example.com\n"],
        &["ada@example.com\0"],
        &["ada@example.com>\r\nRCPT TO:<eve@evil.com"],
        &["ada@example.com"; 51],
    ] {
        let ended = send(&gate, to, "s", "b");
        assert!(
            matches!(ended, Err(CallError::Value(_))),
            "{to:?} {ended:?}"
        );
    }
    send(&gate, &["ADA@EXAMPLE.COM"], "s", "b").unwrap();
    assert_eq!(server.mails(1).len(), 1);
}

#[test]
fn nothing_gets_into_the_headers() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let gate = gate(&dir, "SEND_EMAIL", &config(server.port));
    let to = &["ada@example.com"];
    for subject in [
        "a\r\nBcc: eve@evil.com",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\u{85}b",
        &"s".repeat(501),
    ] {
        let ended = send(&gate, to, subject, "b");
        assert!(
            matches!(ended, Err(CallError::Value(_))),
            "{subject:?} {ended:?}"
        );
    }
    assert!(matches!(
        send(&gate, to, "s", &"b".repeat(1001)),
        Err(CallError::Value(_))
    ));
    // A body is a body, also where it looks like the end of one.
    send(
        &gate,
        to,
        &"s".repeat(500),
        "\r\n.\r\nMAIL FROM:<x@evil.com>\r\nRCPT TO:<eve@evil.com>\r\nDATA\r\nx\r\n.\r\n",
    )
    .unwrap();
    send(&gate, to, "s", &"b".repeat(1000)).unwrap();
    let mails = server.mails(2);
    assert_eq!(mails.len(), 2);
    assert!(
        mails
            .iter()
            .all(|mail| mail["to"] == json!(["ada@example.com"])),
        "{mails:?}"
    );
}

#[test]
fn a_server_that_says_no_or_nothing() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let ended = send(
        &gate(&dir, "SEND_EMAIL", &config(server.port)),
        &["ada@example.com"],
        "s",
        "refuse me",
    );
    assert_eq!(
        ended,
        Err(CallError::Failed(
            "the server refused the mail: 554".to_owned()
        ))
    );
    let ended = send(
        &gate(&dir, "SEND_EMAIL", &config(1)),
        &["ada@example.com"],
        "s",
        "b",
    );
    assert_eq!(
        ended,
        Err(CallError::Failed(
            "the mail server can't be reached".to_owned()
        ))
    );
}

#[test]
fn what_a_policy_can_not_say() {
    let dir = tempfile::tempdir().unwrap();
    for (change, key) in [
        ("from = \"nobody\"", "config.from"),
        ("recipients = [\"*\"]", "config.recipients[0]"),
        (
            "recipients = [\"ada@example.com\", \"x\"]",
            "config.recipients[1]",
        ),
        ("username = \"x\"", "tools.send_email.config"),
        (
            "username = \"x\"\npassword = { env = \"PATH\" }",
            "config.encryption",
        ),
        ("bcc = \"x\"", "unknown field `bcc`"),
    ] {
        let name = change.split(' ').next().unwrap();
        let config: String = config(25)
            .lines()
            .filter(|line| !line.starts_with(name))
            .map(|line| format!("{line}\n"))
            .collect();
        let file = dir.path().join("policy.toml");
        fs::write(
            &file,
            format!(
                "version = 1\npermissions = [\"SEND_EMAIL\"]\n[tools.send_email.config]\n\
                                  {config}{change}"
            ),
        )
        .unwrap();
        let error = wardian_tools::ready(&load_policy(&file).unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(key) && error.contains("policy.toml:"),
            "{change}: {error}"
        );
    }
}

/// REVIEW A 5: bodies are sent as clean lines, and nobody is sent on to elsewhere.
#[test]
fn a_5_bodies_are_clean_lines_and_addresses_are_not_sent_on() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let gate = gate(&dir, "SEND_EMAIL", &config(server.port));
    let body = "one\rtwo\nthree\r\n.\r\nRCPT TO:<x@evil.com>\n\u{e4}";
    send(&gate, &["ada@example.com"], "s", body).unwrap();
    let mail = &server.mails(1)[0];
    assert_eq!(mail["to"], json!(["ada@example.com"]));
    let text = mail["text"].as_str().unwrap();
    let text = text.replace("\r\n", "\n");
    assert!(!text.contains('\r'), "{text:?}");
    assert!(text.contains("one\ntwo\nthree\n"), "{text:?}");
    for body in ["a\0b", "a\x1bb", "a\u{85}b"] {
        let ended = send(&gate, &["ada@example.com"], "s", body);
        assert!(matches!(ended, Err(CallError::Value(_))), "{body:?}");
    }
    for to in [
        "x%evil.com@team.example.com",
        "evil.com!x@team.example.com",
        "\"x@evil.com\"@team.example.com",
        "|cat@team.example.com",
    ] {
        let ended = send(&gate, &[to], "s", "b");
        assert!(matches!(ended, Err(CallError::Value(_))), "{to} {ended:?}");
    }
    assert_eq!(server.mails(1).len(), 1);
}
