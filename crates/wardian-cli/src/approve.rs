//! Asks whoever sits at the terminal to approve of a call.
//!
//! What decides comes first and whole: the tool, what it acts on, every short argument. Long
//! arguments are cut each by itself and can be opened. What was typed before the question is thrown
//! away, and the answer is a word that is drawn for this question: neither keys that somebody has
//! typed nor a question that a script has printed can answer it.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::termios::{QueueSelector, tcflush};
use serde_json::Value;
use tokio::sync::oneshot;
use wardian::tool::exact;
use wardian::tool::{Approval, ApprovalRequest, Approver};

use crate::display::Escaper;

/// The name of whoever answers.
const TERMINAL: &str = "the terminal";

/// The longest argument that is shown whole, in characters.
const SHORT: usize = 200;

/// The parts of a longer argument that are shown: its start and its end.
const PART: usize = 80;

/// The letters of the word that approves: none that looks like another, and no vowels, so that it
/// is no word.
const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxz";

/// The length of the word.
const LENGTH: usize = 4;

/// The key that shows long arguments whole.
const VIEW: &str = "v";

/// The time that people took to answer, which does not count as the run's.
#[derive(Clone, Default)]
pub(crate) struct WaitingTime(Arc<Mutex<(Duration, Option<Instant>)>>);

impl WaitingTime {
    fn with<T>(&self, work: impl FnOnce(&mut (Duration, Option<Instant>)) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns how long that was so far, an open question included.
    pub(crate) fn total(&self) -> Duration {
        self.with(|(before, since)| *before + since.map_or(Duration::ZERO, |since| since.elapsed()))
    }

    fn starts(&self) {
        self.with(|(_, since)| *since = Some(Instant::now()));
    }

    fn ends(&self) {
        self.with(|(before, since)| {
            *before += since.take().map_or(Duration::ZERO, |since| since.elapsed());
        });
    }
}

/// Asks on the terminal, one question at a time. Without one, the answer is no.
pub(crate) fn on_the_terminal(asked: WaitingTime) -> Arc<dyn Approver> {
    let terminal = Arc::new(tokio::sync::Mutex::new(()));
    Arc::new(move |request: ApprovalRequest| {
        let (asked, terminal) = (asked.clone(), terminal.clone());
        async move {
            let _terminal = terminal.lock().await;
            asked.starts();
            let (answer, answered) = oneshot::channel();
            let asking = thread::Builder::new().name("wardian-asks".to_owned());
            // The receiver is gone when nobody waits any more.
            let started = asking.spawn(move || drop(answer.send(ask(&request))));
            let answer = match started {
                Ok(_) => answered
                    .await
                    .unwrap_or_else(|error| Err(io::Error::other(error))),
                Err(error) => Err(error),
            };
            asked.ends();
            match answer {
                Ok(true) => Approval::Approved {
                    by: TERMINAL.to_owned(),
                },
                Ok(false) => Approval::Denied {
                    reason: format!("{TERMINAL} said no"),
                },
                Err(_) => Approval::Denied {
                    reason: "there is no terminal to ask at".to_owned(),
                },
            }
        }
    })
}

fn ask(request: &ApprovalRequest) -> io::Result<bool> {
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open("/dev/tty")?;
    let deadline = Instant::now() + request.wait;
    let word: String = rand::random::<[u8; LENGTH]>()
        .into_iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte) % LETTERS.len()))
        .map(|byte| char::from(*byte))
        .collect();
    let long = long(&request.args);
    write(&terminal, &question(request, &long))?;
    loop {
        tcflush(&terminal, QueueSelector::IFlush)?;
        let Some(answer) = read_line(&terminal, &word, deadline)? else {
            write(&terminal, "\nnobody answered in time: refused\n")?;
            return Ok(false);
        };
        match answer.trim() {
            VIEW if !long.is_empty() => {
                for (name, text) in &long {
                    write(&terminal, &format!("--- {name}\n{text}\n"))?;
                }
                write(&terminal, "---\n")?;
            }
            answer => return Ok(answer == word),
        }
    }
}

fn write(mut terminal: &File, text: &str) -> io::Result<()> {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match terminal.write(rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(terminal, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads what is typed, with the time that is left in front of it; `None` if that runs out.
fn read_line(mut terminal: &File, word: &str, deadline: Instant) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut first = true;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let prompt = format!(
            "Type {word} to approve, Enter to refuse ({:>4} s left): ",
            left.as_secs()
        );
        // Later, the line is written over without what has been typed behind it.
        let shown = if first {
            prompt
        } else {
            format!("\x1b7\r{prompt}\x1b8")
        };
        first = false;
        write(terminal, &shown)?;
        let second = Duration::from_nanos(left.subsec_nanos().max(1).into());
        let wait = second.try_into().map_err(io::Error::other)?;
        if poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&wait))? == 0 {
            continue;
        }
        let mut buffer = [0; 256];
        match terminal.read(&mut buffer) {
            Ok(0) => return Ok(Some(String::new())),
            Ok(read) => line.extend_from_slice(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if line.contains(&b'\n') || line.len() > 1024 {
            return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
        }
    }
}

/// A text as a terminal can show it, on one line.
fn plain(text: &str) -> String {
    Escaper::default()
        .push(text.as_bytes())
        .replace('\n', "\\n")
        .replace('\t', "\\t")
}

/// An argument as it is shown: a text as it is, in quotes; what JSON lacks by its name in Python.
fn render(value: &Value) -> String {
    match (exact::tag(value), value) {
        (Some((tag, Value::String(text))), _) if tag != exact::OBJECT => {
            format!("{}({})", tag.trim_start_matches('$'), plain(text))
        }
        (_, Value::String(text)) => format!("\"{}\"", plain(text)),
        (_, value) => plain(&value.to_string()),
    }
}

/// The arguments that are not shown whole.
fn long(args: &Value) -> Vec<(String, String)> {
    let args = args.as_object().into_iter().flatten();
    let shown = args.map(|(name, value)| (name.clone(), render(value)));
    shown
        .filter(|(_, text)| text.chars().count() > SHORT)
        .collect()
}

fn question(request: &ApprovalRequest, long: &[(String, String)]) -> String {
    let mut text = format!(
        "\n--- wardian asks; the script waits and can't write here ---\n{} wants to call {} ({})\n",
        plain(&request.agent),
        request.tool,
        request.action,
    );
    for resource in request.resource.iter().filter(|one| !one.is_empty()) {
        let _ = writeln!(text, "  on {}", plain(resource));
    }
    let is_long = |name: &str| long.iter().any(|(other, _)| other == name);
    for (name, value) in request.args.as_object().into_iter().flatten() {
        if !is_long(name) {
            let _ = writeln!(text, "  {name} = {}", render(value));
        }
    }
    for (name, shown) in long {
        let start: String = shown.chars().take(PART).collect();
        let end: String = shown.chars().skip(shown.chars().count() - PART).collect();
        // Of the value itself, to compare with.
        let value = match request.args.get(name) {
            Some(Value::String(text)) => text.clone(),
            value => value.map_or_else(String::new, Value::to_string),
        };
        let chars = value.chars().count();
        let digest = wardian::audit::sha256(&value);
        let digest = digest.get(..16).unwrap_or(&digest);
        let _ = writeln!(
            text,
            "  {name} = {start} … {end}\n    ({chars} characters, sha256 {digest}; type {VIEW} to see all)"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wardian::audit::is_deceptive;

    use super::*;

    fn args() -> Value {
        json!({
            "body": "x".repeat(5_000),
            "amount": {"$decimal": "1.50"},
            "headers": {"a": "b".repeat(300)},
            "to": ["ada@example.com"],
            "subject": "one\u{202e}\n\x1b[2J",
        })
    }

    /// REVIEW A 16.
    #[test]
    fn a_16_what_decides_is_shown_whole() {
        let args = args();
        let long = long(&args);
        let names: Vec<_> = long.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["body", "headers"]);
        assert_eq!(render(&args["amount"]), "decimal(1.50)");
        assert_eq!(render(&args["to"]), r#"["ada@example.com"]"#);
        let subject = render(&args["subject"]);
        assert_eq!(subject, "\"one\\u{202e}\\n\\x1b[2J\"");
        assert!(!subject.contains(is_deceptive));
    }
}
