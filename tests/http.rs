//! `http_request` against real servers on the loopback. The names of rows are those of the attack
//! catalogue.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use indoc::indoc;
use serde_json::{Value, json};
use tempfile::TempDir;
use wardian::{Gate, Policy, Sandbox, load_policy, tool::CallError};
use wardian_tools::{Resolver, http_request_with};

use crate::runtime;

/// A server, and the requests that it has got.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: fn(&str, &mut TcpStream) -> io::Result<()>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let got = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, got) = (stream.unwrap(), got.clone());
                std::thread::spawn(move || {
                    let mut request = Vec::new();
                    let mut buffer = [0; 4096];
                    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                        match stream.read(&mut buffer) {
                            Ok(read) if read > 0 => request.extend(&buffer[..read]),
                            _ => return,
                        }
                    }
                    // A small body comes with the head or right after it.
                    stream
                        .set_read_timeout(Some(Duration::from_millis(50)))
                        .unwrap();
                    if let Ok(read) = stream.read(&mut buffer) {
                        request.extend(&buffer[..read]);
                    }
                    let request = String::from_utf8(request).unwrap();
                    got.lock().unwrap().push(request.clone());
                    // A client that has gone away is none of a server's concern.
                    let _ = answer(&request, &mut stream);
                });
            }
        });
        Self { address, requests }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

/// Echoes the request, redirects, is slow, is endless.
fn answers(request: &str, stream: &mut TcpStream) -> io::Result<()> {
    let path = request.split(' ').nth(1).unwrap_or("/");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    match path {
        "/to" => {
            let (status, location) = query.split_once(':').unwrap_or(("302", query));
            reply(
                stream,
                &format!("{status} Moved"),
                &format!("Location: {location}\r\n"),
                b"moved",
            )
        }
        "/loop" => reply(stream, "302 Found", "Location: /loop\r\n", b""),
        "/slow" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstart")?;
            std::thread::sleep(Duration::from_secs(5));
            stream.write_all(&[b'x'; 95])
        }
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 4096])?;
            }
        }
        // As a server reads a path that decodes more than it should.
        "/v1/redir" => reply(stream, "302 Found", &format!("Location: {query}\r\n"), b""),
        "/zipped" => reply(
            stream,
            "200 OK",
            "Content-Encoding: gzip\r\n",
            b"\x1f\x8b k3y-of-the-shop",
        ),
        "/bytes" => reply(stream, "200 OK", "", b"\xff k3y-of-the-shop"),
        "/part" => reply(
            stream,
            "206 Partial Content",
            "",
            b"the key is of-the-shop, without its start",
        ),
        "/header" => reply(stream, "200 OK", "X-Echo: k3y-of-the\r\n", b""),
        "/binary" => reply(stream, "200 OK", "", &[0xff, 0, 1]),
        "/headers" => {
            let many: String = (0..90)
                .map(|i| format!("X-{i}: {}\r\n", "v".repeat(200)))
                .collect();
            reply(stream, "200 OK", &many, b"")
        }
        "/broken" => stream.write_all(b"SSH-2.0-OpenSSH\r\n"),
        "/short" => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"),
        "/missing" => reply(stream, "404 Not Found", "X-Why: gone\r\n", b"no"),
        _ => reply(
            stream,
            "200 OK",
            "Content-Type: text/plain\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n",
            request.as_bytes(),
        ),
    }
}

/// Names and their addresses, the first answer first.
struct Names {
    answers: Vec<(&'static str, Vec<Vec<IpAddr>>)>,
    asked: AtomicUsize,
}

impl Names {
    fn new(answers: &[(&'static str, &[&[&str]])]) -> Arc<Self> {
        let parse = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = answers
            .iter()
            .map(|(name, answers)| (*name, answers.iter().map(parse).collect()));
        Arc::new(Self {
            answers: answers.collect(),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolver for Names {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let known = self.answers.iter().find(|(known, _)| *known == name);
        let found = known.map(|(_, answers)| answers[asked.min(answers.len() - 1)].clone());
        Box::pin(async move { found.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

struct Setup {
    dir: TempDir,
    names: Arc<Names>,
}

impl Setup {
    fn new() -> Self {
        Self::with_names(Names::new(&[]))
    }

    fn with_names(names: Arc<Names>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key.txt"), "k3y-of-the-shop\n").unwrap();
        Self { dir, names }
    }

    fn policy(&self, domains: &[String], config: &str) -> Policy {
        let file = self.dir.path().join("policy.toml");
        let text = format!(
            "version = 1\npermissions = [\"NETWORK_ACCESS\", \"EXECUTE_CODE\"]\nallowed_domains = {domains:?}\n\
             {config}\n"
        );
        fs::write(&file, text).unwrap();
        load_policy(&file).unwrap()
    }

    fn gate(&self, domains: &[String], config: &str) -> Gate {
        let policy = self.policy(domains, config);
        let tool = http_request_with(&policy, self.names.clone()).unwrap();
        Gate::new(policy).unwrap().with_tools([tool]).unwrap()
    }
}

const PLAIN: &str = "[tools.http_request]";
const LOOPBACK: &str = "[tools.http_request.config]\nprivate_networks = [\"127.0.0.0/8\"]";

fn send(gate: &Gate, args: Value) -> Result<Value, CallError> {
    gate.tool("http_request").unwrap().call_blocking(&args)
}

fn get(gate: &Gate, url: &str) -> Result<Value, CallError> {
    send(gate, json!({"url": url}))
}

#[track_caller]
fn is_refused(ended: Result<Value, CallError>, why: &str) {
    match ended {
        Err(CallError::Denied { message, reason }) => {
            assert!(reason.contains(why), "{reason}");
            // The script has the permission: it is told what it may do instead, and nothing of the
            // host's network.
            assert!(message.starts_with("http_request"), "{message}");
            assert!(!message.contains(" is at "), "{message}");
        }
        other => panic!("not refused for {why}: {other:?}"),
    }
}

/// The permission, with and without, from Python.
#[test]
fn requests_with_and_without_permission() {
    let server = Server::start(answers);
    let setup = Setup::new();
    let domains = [server.url("")];
    let policy = setup.policy(&domains, PLAIN);
    let tools = wardian_tools::ready(&policy).unwrap();
    let code = format!(
        "from wardian import tools\nanswer = tools.http_request('{}', 'POST', {{'X-A': 'b'}}, json=[1])\n\
         def t(url):\n    try: return tools.http_request(url)\n    except PermissionError as error: return str(error)\n\
         [answer['status'], answer['body'].splitlines(), answer['headers']['set-cookie'], t('http://{}/'), \
         t('https://evil.com/')]",
        server.url("/a?b=c#d"),
        SocketAddr::new(server.address.ip(), 1),
    );
    let sandbox = Sandbox::new(runtime(), policy.clone())
        .unwrap()
        .with_tools(tools.clone())
        .unwrap();
    let outcome = sandbox.run_blocking(code.as_str()).unwrap();
    let found = outcome.json()["value"].clone();
    let head = found[1]
        .as_array()
        .unwrap_or_else(|| panic!("{}", outcome.stderr.text()));
    assert_eq!(
        (&found[0], &head[0], &found[2]),
        (
            &json!(200),
            &json!("POST /a?b=c HTTP/1.1"),
            &json!("a=1, b=2")
        )
    );
    assert!(
        head.contains(&json!("content-type: application/json"))
            && head.contains(&json!("x-a: b"))
            && head.contains(&json!("[1]"))
    );
    let allowed = &domains[0];
    let told = |url: &str| {
        let told = "http_request: no entry of allowed_domains matches";
        json!(format!("{told} {url}; allowed_domains has {allowed}"))
    };
    assert_eq!(
        (&found[3], &found[4]),
        (&told("http://127.0.0.1:1"), &told("https://evil.com"))
    );
    assert_eq!(server.requests().len(), 1);

    let without = wardian::Policy::parse(&wardian::policy::Source::text(
        "policy.toml",
        &format!(
            "version = 1\npermissions = [\"EXECUTE_CODE\"]\nallowed_domains = {domains:?}\n{PLAIN}"
        ),
    ));
    let sandbox = Sandbox::new(runtime(), without.unwrap())
        .unwrap()
        .with_tools(tools)
        .unwrap();
    let outcome = sandbox.run_blocking(code).unwrap();
    assert!(
        outcome.stderr.text().contains("AttributeError"),
        "{}",
        outcome.stderr.text()
    );
    assert_eq!(server.requests().len(), 1);
}

/// Not even a proxy that the environment names comes in between.
#[test]
fn no_proxy_of_the_environment_is_used() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "http::requests_with_and_without_permission"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"] {
        child.env(name, "http://127.0.0.1:1");
    }
    assert!(child.stdout(Stdio::null()).status().unwrap().success());
}

#[test]
fn answers_are_what_they_are() {
    let server = Server::start(answers);
    let gate = Setup::new().gate(&[server.url("")], PLAIN);
    let missing = get(&gate, &server.url("/missing")).unwrap();
    assert_eq!(
        (
            &missing["status"],
            &missing["body"],
            &missing["headers"]["x-why"]
        ),
        (&json!(404), &json!("no"), &json!("gone"))
    );
    let binary = get(&gate, &server.url("/binary")).unwrap();
    assert_eq!(
        (&binary["body"], &binary["body_base64"]),
        (&json!(null), &json!("/wAB"))
    );
    for (path, why) in [
        ("/headers", "the answer's headers are too long"),
        ("/broken", "the request can't be sent"),
        ("/short", "the answer broke off"),
    ] {
        assert_eq!(
            get(&gate, &server.url(path)),
            Err(CallError::Failed(why.to_owned())),
            "{path}"
        );
    }
    let head = send(&gate, json!({"url": server.url("/x"), "method": "HEAD"})).unwrap();
    assert_eq!((&head["status"], &head["body"]), (&json!(200), &json!("")));
    let both = send(
        &gate,
        json!({"url": server.url("/x"), "method": "POST", "body": "a", "json": 1}),
    );
    assert!(matches!(both, Err(CallError::Value(_))));
}

#[test]
fn size_and_time_are_bounded() {
    let server = Server::start(answers);
    let config = format!("limits.tool_wait = \"300ms\"\n{PLAIN}.config\nmax_bytes = 10000")
        .replace("]\n.config", ".config]")
        .replace("].config", ".config]");
    let gate = Setup::new().gate(&[server.url("")], &config);
    assert_eq!(
        get(&gate, &server.url("/endless")),
        Err(CallError::Failed(
            "the answer is longer than 10000 bytes".to_owned()
        ))
    );
    assert_eq!(
        get(&gate, &server.url("/slow")),
        Err(CallError::TimedOut(
            "http_request took longer than 300ms".to_owned()
        ))
    );
}

/// Row URL-09: a host is looked up once, all of its addresses are checked, and the connection goes
/// to one of those.
#[test]
fn url_09_names_and_their_addresses() {
    let server = Server::start(answers);
    let port = server.address.port();
    let domain = |name: &str| format!("http://{name}:{port}");
    // One that answers is enough; the first is tried first.
    let names = Names::new(&[("two.example", &[&["127.0.0.77", "127.0.0.1"]])]);
    let gate = Setup::with_names(names.clone()).gate(&[domain("two.example")], LOOPBACK);
    let answer = get(&gate, &format!("{}/x", domain("two.example"))).unwrap();
    assert!(
        answer["body"]
            .as_str()
            .unwrap()
            .contains(&format!("host: two.example:{port}")),
        "{answer}"
    );
    assert_eq!(names.asked.load(Ordering::Relaxed), 1);
    // A second answer would be another host. It is not asked for.
    let names = Names::new(&[("rebind.example", &[&["127.0.0.1"], &["127.0.0.77"]])]);
    let gate = Setup::with_names(names.clone()).gate(&[domain("rebind.example")], LOOPBACK);
    assert_eq!(
        get(&gate, &domain("rebind.example")).unwrap()["status"],
        200
    );
    assert_eq!(names.asked.load(Ordering::Relaxed), 1);
    let before = server.requests().len();
    for (name, addresses) in [
        ("localtest.me", &["127.0.0.1"][..]),
        ("mixed.example", &["93.184.216.34", "127.0.0.1"]),
        ("mixed6.example", &["2606:4700::1", "::1"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("nat64.example", &["64:ff9b::7f00:1"]),
        ("metadata.google.internal", &["169.254.169.254"]),
        ("10.example", &["10.0.0.1"]),
        ("none.example", &[]),
    ] {
        let names = Names::new(&[(name, &[addresses])]);
        let gate = Setup::with_names(names).gate(&[domain(name)], PLAIN);
        match get(&gate, &domain(name)) {
            Err(CallError::Failed(why)) if addresses.is_empty() => {
                assert_eq!(why, format!("{name} has no address"))
            }
            ended => is_refused(ended, "which is not public"),
        }
    }
    assert_eq!(server.requests().len(), before);
    let unknown = Setup::new().gate(&[domain("unknown.example")], PLAIN);
    assert!(matches!(
        get(&unknown, &domain("unknown.example")),
        Err(CallError::Failed(_))
    ));
}

/// Row URL-08: the system's own resolver, too.
#[test]
fn url_08_localhost_is_private() {
    let server = Server::start(answers);
    let domain = format!("http://localhost:{}", server.address.port());
    let setup = Setup::new();
    let ready = |config: &str| {
        let policy = setup.policy(std::slice::from_ref(&domain), config);
        let tools = wardian_tools::ready(&policy).unwrap();
        Gate::new(policy).unwrap().with_tools(tools).unwrap()
    };
    is_refused(get(&ready(PLAIN), &domain), "localhost is at ");
    let listed = "[tools.http_request.config]\nprivate_networks = [\"127.0.0.0/8\", \"::1/128\"]";
    assert_eq!(get(&ready(listed), &domain).unwrap()["status"], 200);
}

/// Row URL-10: every hop is decided on as the first is.
#[test]
fn url_10_redirects() {
    let server = Server::start(answers);
    let other = Server::start(answers);
    let forbidden = Server::start(answers);
    let gate = Setup::new().gate(&[server.url(""), other.url("")], PLAIN);
    let via = |target: &str| server.url(&format!("/to?302:{target}"));
    for target in [
        "/x",
        &server.url("/x"),
        &other.url("/x"),
        &format!("//{}/x", other.address),
    ] {
        let answer = get(&gate, &via(target)).unwrap();
        assert_eq!(answer["status"], 200, "{target}");
        assert!(answer["url"].as_str().unwrap().ends_with("/x"), "{target}");
    }
    is_refused(
        get(&gate, &via(&forbidden.url("/x"))),
        "no entry of allowed_domains",
    );
    is_refused(
        get(&gate, &via("http://169.254.169.254/latest/meta-data")),
        "no entry of allowed_domains",
    );
    is_refused(
        get(&gate, &via("//evil.com/")),
        "no entry of allowed_domains",
    );
    for target in [
        "file:///etc/passwd",
        "gopher://x/",
        "http://user:pw@127.0.0.1/",
        "http://[::1",
        "javascript:alert(1)",
    ] {
        assert!(
            matches!(get(&gate, &via(target)), Err(CallError::Failed(_))),
            "{target}"
        );
    }
    assert!(forbidden.requests().is_empty());
    let before = server.requests().len();
    assert_eq!(
        get(&gate, &server.url("/loop")),
        Err(CallError::Failed("more than 5 redirects".to_owned()))
    );
    assert_eq!(server.requests().len() - before, 6);
}

/// Row URL-10: what is sent along, and what is not.
#[test]
fn url_10_a_redirect_takes_no_secret_elsewhere() {
    let server = Server::start(answers);
    let other = Server::start(answers);
    let config = format!(
        "[[tools.http_request.config.credentials]]\ndomain = \"{}\"\nheader = \"X-Key\"\nprefix = \"\"\n\
         secret = {{ file = \"key.txt\" }}",
        server.url("")
    );
    let gate = Setup::new().gate(&[server.url(""), other.url("")], &config);
    for (status, method, kept) in [
        ("301", "GET", false),
        ("302", "GET", false),
        ("303", "GET", false),
        ("307", "POST", true),
        ("308", "POST", true),
    ] {
        let url = server.url(&format!("/to?{status}:{}", other.url("/x")));
        let headers = json!({"Authorization": "Bearer mine", "Cookie": "c=1", "X-Other": "stays"});
        let answer = send(
            &gate,
            json!({"url": url, "method": "POST", "headers": headers, "body": "payload"}),
        )
        .unwrap();
        let seen = answer["body"].as_str().unwrap();
        assert!(
            seen.starts_with(&format!("{method} /x ")),
            "{status} {seen}"
        );
        assert_eq!(seen.contains("payload"), kept, "{status}");
        assert!(
            seen.contains("x-other: stays")
                && !seen.contains("mine")
                && !seen.contains("cookie")
                && !seen.contains("x-key"),
            "{seen}"
        );
        let first = server.requests().pop().unwrap();
        assert!(
            first.contains("x-key: k3y-of-the-shop")
                && first.contains("authorization: Bearer mine"),
            "{first}"
        );
    }
}

/// A key is attached by the host. It comes back neither in an echo nor in the record.
#[test]
fn a_key_stays_on_the_host() {
    let server = Server::start(answers);
    let config = format!(
        "[[tools.http_request.config.credentials]]\ndomain = \"{}\"\nsecret = {{ file = \"key.txt\" }}",
        server.url("")
    );
    let (log, memory) = wardian::Log::memory();
    let gate = Setup::new()
        .gate(&[server.url("")], &config)
        .with_audit(log)
        .unwrap();
    let answer = send(
        &gate,
        json!({"url": server.url("/x"), "headers": {"authorization": "Bearer forged"}}),
    )
    .unwrap();
    assert!(
        answer["body"]
            .as_str()
            .unwrap()
            .contains("authorization: Bearer [redacted]"),
        "{answer}"
    );
    assert!(server.requests()[0].contains("authorization: Bearer k3y-of-the-shop"));
    assert!(!memory.text().contains("k3y-of") && !memory.text().contains("forged"));
}

/// REVIEW A 3: a rule on `url` holds on every hop, however the path is written.
#[test]
fn a_3_a_rule_on_the_url_holds_on_every_hop_and_in_every_form() {
    let server = Server::start(answers);
    let rule = format!(
        "{LOOPBACK}\n[tools.http_request.args]\nurl = {{ prefix = \"{}\" }}\n\
         method = {{ one_of = [\"GET\", \"POST\"] }}",
        server.url("/v1/")
    );
    let gate = Setup::new().gate(&[server.url("")], &rule);
    for path in [
        "/v1/x",
        "/v1/orders%2F7",
        "/v1/a%20b",
        "/v1/redir?/v1/y",
        "/v1/redir?z",
    ] {
        let answer = get(&gate, &server.url(path));
        assert!(answer.is_ok(), "{path} {answer:?}");
    }
    let before = server.requests().len();
    for path in [
        "/admin",
        "/v1/../admin",
        "/v1/..%2fadmin",
        "/v1/..%5cadmin",
        "/v1/%2e%2e/admin",
        "/v1/%2e%2e%2fadmin",
        "/v1/..%252fadmin",
        "/v1/..;/admin",
    ] {
        let ended = get(&gate, &server.url(path));
        assert!(
            matches!(&ended, Err(CallError::Denied { .. })),
            "{path} {ended:?}"
        );
    }
    assert_eq!(server.requests().len(), before);
    for location in [
        "/admin",
        "..%2fadmin",
        "/v1/..%2fadmin",
        "//127.0.0.1:1/v1/",
    ] {
        let ended = get(&gate, &server.url(&format!("/v1/redir?{location}")));
        assert!(
            matches!(&ended, Err(CallError::Denied { .. })),
            "{location} {ended:?}"
        );
    }
    assert!(
        server
            .requests()
            .iter()
            .all(|request| !request.starts_with("GET /admin"))
    );
    // A redirect that makes a GET of a POST is held to the rule on the method.
    let posts = rule.replace("\"GET\", ", "");
    let gate = Setup::new().gate(&[server.url("")], &posts);
    let post = |path: &str| send(&gate, json!({"url": server.url(path), "method": "POST"}));
    assert!(post("/v1/x").is_ok());
    assert!(matches!(
        post("/v1/redir?/v1/y"),
        Err(CallError::Denied { .. })
    ));
}

/// REVIEW A 4: what the host has attached comes back in no form.
#[test]
fn a_4_a_credential_comes_back_in_no_form() {
    let server = Server::start(answers);
    let config = format!(
        "[[tools.http_request.config.credentials]]\ndomain = \"{}\"\nsecret = {{ file = \"key.txt\" }}",
        server.url("")
    );
    let gate = Setup::new().gate(&[server.url("")], &config);
    for header in ["accept-encoding", "Range", "if-range", "TE"] {
        let args = json!({"url": server.url("/x"), "headers": {header: "gzip"}});
        assert!(
            matches!(send(&gate, args), Err(CallError::Value(_))),
            "{header}"
        );
    }
    for path in ["/zipped", "/bytes", "/part", "/header"] {
        let ended = get(&gate, &server.url(path));
        assert!(
            matches!(&ended, Err(CallError::Failed(why)) if why.contains("withheld")),
            "{path} {ended:?}"
        );
    }
    assert!(
        !server
            .requests()
            .iter()
            .any(|request| request.contains("accept-encoding"))
    );
    // The same answers, where nothing was attached.
    let gate = Setup::new().gate(&[server.url("")], PLAIN);
    for path in ["/zipped", "/bytes", "/part", "/header"] {
        assert!(get(&gate, &server.url(path)).is_ok(), "{path}");
    }
}

/// Row URL-17: the host writes the request.
#[test]
fn url_17_headers_and_verbs() {
    let server = Server::start(answers);
    let gate = Setup::new().gate(&[server.url("")], PLAIN);
    for headers in [
        json!({"Host": "evil.com"}),
        json!({"hOsT": "evil.com"}),
        json!({"X-Forwarded-Host": "evil.com"}),
        json!({"Content-Length": "0"}),
        json!({"Transfer-Encoding": "chunked"}),
        json!({"Connection": "upgrade"}),
        json!({"X-A\r\nHost": "evil.com"}),
        json!({"X-A": "b\r\nHost: evil.com"}),
        json!({"X-A": "b\n c"}),
        json!({"X A": "b"}),
        json!({"": "b"}),
        json!({"x-a": "1", "X-A": "2"}),
    ] {
        let ended = send(&gate, json!({"url": server.url("/x"), "headers": headers}));
        assert!(
            matches!(ended, Err(CallError::Value(_))),
            "{headers} {ended:?}"
        );
    }
    for method in ["GET\r\nX: y", "CONNECT", "TRACE", "get", ""] {
        let ended = send(&gate, json!({"url": server.url("/x"), "method": method}));
        assert!(
            matches!(ended, Err(CallError::Value(_) | CallError::Type(_))),
            "{method:?} {ended:?}"
        );
    }
    assert!(server.requests().is_empty());
}

/// Mistakes in a configuration are reported with their place.
#[test]
fn what_a_policy_can_not_say() {
    let setup = Setup::new();
    for (config, place, why) in [
        (
            "[tools.http_request.config]\nmax_byte = 1",
            "5",
            "unknown field `max_byte`",
        ),
        (
            "[tools.http_request.config]\nredirects = \"x\"",
            "5",
            "invalid type",
        ),
        (
            "[tools.http_request.config]\nprivate_networks = [\"10\"]",
            "5",
            "invalid IP address syntax",
        ),
        (
            indoc! {r#"
                [[tools.http_request.config.credentials]]
                domain = "a.com"
                secret = { file = "none" }"#},
            "4",
            "cannot read",
        ),
        (
            indoc! {r#"
                [[tools.http_request.config.credentials]]
                domain = "a.com"
                secret = { env = "NO_SUCH_VARIABLE" }"#},
            "4",
            "has no variable",
        ),
        (
            indoc! {r#"
                [[tools.http_request.config.credentials]]
                domain = "a.com/x"
                secret = { file = "key.txt" }"#},
            "4",
            "a domain is a host",
        ),
    ] {
        let policy = setup.policy(&[], config);
        let error = wardian_tools::ready(&policy).unwrap_err().to_string();
        assert!(
            error.contains(why) && error.contains(&format!("policy.toml:{place}")),
            "{config}: {error}"
        );
    }
}
