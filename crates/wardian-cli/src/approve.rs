//! Asks whoever sits at the terminal to approve of a call.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;

use wardian::{Approval, ApprovalRequest, Approver};

use crate::display::Escaper;

/// Who answers.
const TERMINAL: &str = "the terminal";

/// The longest question, in characters: what is longer scrolls the rest away.
const ARGS_CHARS: usize = 2_000;

/// Asks on the terminal. Without one, the answer is no.
pub(crate) fn on_the_terminal() -> Arc<dyn Approver> {
    <dyn Approver>::new(|request| async move {
        let asked = tokio::task::spawn_blocking(move || ask(&request)).await;
        match asked {
            Ok(Ok(true)) => Approval::Approved {
                by: TERMINAL.to_owned(),
            },
            Ok(Ok(false)) => Approval::Refused {
                why: format!("{TERMINAL} said no"),
            },
            _ => Approval::Refused {
                why: "there is no terminal to ask at".to_owned(),
            },
        }
    })
}

fn ask(request: &ApprovalRequest) -> std::io::Result<bool> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let plain = |text: &str| {
        Escaper::default()
            .push(text.as_bytes())
            .replace('\n', "\\n")
    };
    let args = request.args.to_string();
    let args = match args.char_indices().nth(ARGS_CHARS) {
        Some((end, _)) => format!(
            "{}… ({} bytes)",
            args.get(..end).unwrap_or_default(),
            args.len()
        ),
        None => args,
    };
    let question = format!(
        "\nwardian: {} wants to call {} ({})\n  {}\nApprove? [y/N] ",
        plain(&request.agent),
        request.tool,
        request.action,
        plain(&args),
    );
    terminal.write_all(question.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(&terminal).read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
