//! `wardian repl`: a session, input by input.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Editor, Helper};
use tokio::signal::unix::{SignalKind, signal};
use wardian::event::RunEvent;
use wardian::outcome::{SourceRule, Stream, Value};
use wardian::policy::{Limit, Profile};
use wardian::session::{Session, SessionOptions};
use wardian::{Outcome, Policy, Runtime, Sandbox, Script, Verdict};

use crate::approve::WaitingTime;
use crate::args::ReplArgs;
use crate::display::Escaper;
use crate::exit::{self, Exit, Usage};
use crate::output::{columns, print, remark};
use crate::prepare::{self, Prepared};
use crate::run::{self, print_refusals};
use crate::session::{self, SessionFile, size};

/// The most inputs that `:undo` steps back over.
const UNDO_DEPTH: usize = 20;

/// The commands: their names, and what they do.
const COMMANDS: [(&str, &str); 8] = [
    (":globals", "list the variables: names, types, sizes"),
    (":limits", "list the limits, and what the session has used"),
    (":save [FILE]", "save the session"),
    (
        ":fork FILE",
        "save the state as another session, with random numbers of its own",
    ),
    (
        ":undo",
        "step back over the last input that has changed something",
    ),
    (":help", "list these"),
    (":quit", "end, as Ctrl-D does"),
    ("Ctrl-C", "stop an input: the session is as before it"),
];

/// Words that can follow what was typed.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

pub(crate) fn run(args: &ReplArgs) -> Result<Exit> {
    let prepared = Prepared::read(&args.sandbox, false)?;
    let sandbox = prepared.sandbox(&Runtime::new()?, WaitingTime::default())?;
    if args.sandbox.policy.is_none() {
        prepare::print_grants(sandbox.policy());
    }
    let mut options = SessionOptions::default();
    options.allow_wider_policy = args.allow_wider_policy;
    options.undo_depth = UNDO_DEPTH;
    let (session, file) = match &args.session {
        Some(path) => {
            let file = SessionFile::open(path, &sandbox, options)?;
            (file.session.clone(), Some(file))
        }
        None => (sandbox.session(options), None),
    };
    let config = Config::builder().auto_add_history(true).build();
    let mut editor = Editor::<Prompt, DefaultHistory>::with_config(config)?;
    editor.set_helper(Some(Prompt::new(&sandbox)?));
    if let Some(history) = &args.history {
        // It is not there the first time.
        let _ = editor.load_history(history);
    }
    if io::stdin().is_terminal() {
        let version = Runtime::versions().wardian;
        remark(&format!(
            "a session of wardian {version}; `:help` lists the commands, Ctrl-D ends"
        ));
    }
    let mut repl = Repl { session, file };
    let ended = repl.go_on(&mut editor);
    if let Some(history) = &args.history {
        let kept = editor.save_history(history);
        kept.with_context(|| format!("cannot write {}", history.display()))?;
    }
    ended?;
    if let Some(file) = &repl.file {
        file.save()?;
    }
    Ok(Exit::SUCCESS)
}

/// A session, and the file that it is in.
struct Repl {
    session: Session,
    file: Option<SessionFile>,
}

impl Repl {
    /// Takes inputs until there are no more.
    fn go_on(&mut self, editor: &mut Editor<Prompt, DefaultHistory>) -> Result<()> {
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        loop {
            let input = match editor.readline(">>> ") {
                Ok(input) => input,
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => {
                    // What comes next begins a line.
                    return if io::stdin().is_terminal() {
                        print("\n")
                    } else {
                        Ok(())
                    };
                }
                Err(error) => return Err(error.into()),
            };
            match input.trim() {
                "" => {}
                ":quit" => return Ok(()),
                command if command.starts_with(':') => {
                    // What goes wrong with a command ends nothing.
                    if let Err(error) = self.command(command) {
                        exit::say(&format!("{error:#}"));
                    }
                }
                _ => {
                    executor.block_on(self.call(&input))?;
                }
            }
            if let Some(prompt) = editor.helper_mut() {
                prompt.names = self.names();
            }
        }
    }

    /// Runs an input as a call, until it ends or somebody stops it.
    async fn call(&self, input: &str) -> Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let script = Script::new(input).interactive();
        let events = self.session.start(script);
        let outcome = tokio::select! {
            outcome = run::follow(events, output()) => outcome,
            _ = interrupt.recv() => {
                remark("stopped; the session is as before this input");
                return Ok(());
            }
        };
        match outcome {
            Ok(outcome) => show(&outcome),
            Err(error) => {
                exit::say(&error.to_string());
                Ok(())
            }
        }
    }

    fn command(&self, command: &str) -> Result<()> {
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let path = (!rest.trim().is_empty()).then(|| PathBuf::from(rest.trim()));
        match (name, path) {
            (":globals", None) => {
                let table = session::table(&self.session.globals().wait()?);
                print(&format!("{}\n", table.trim_fmt()))
            }
            (":limits", None) => self.limits(),
            (":save", None) => match &self.file {
                Some(file) => {
                    file.save()?;
                    remark("saved");
                    Ok(())
                }
                None => Err(Usage("name a file: `:save FILE`".to_owned()).into()),
            },
            (":save", Some(path)) => self.save(&path, false),
            (":fork", Some(path)) => self.save(&path, true),
            (":undo", None) => {
                let done = self.session.undo().wait()?;
                remark(if done {
                    "undone"
                } else {
                    "there is nothing to undo"
                });
                Ok(())
            }
            (":help", None) => {
                let mut text = String::new();
                for (name, what) in COMMANDS {
                    text.push_str(&format!("{name:<13} {what}\n"));
                }
                print(&text)
            }
            _ => Err(Usage(format!(
                "there is no command `{command}`; `:help` lists them"
            ))
            .into()),
        }
    }

    /// Saves the session, or a fork of it, in a file that is not there yet.
    fn save(&self, path: &Path, forks: bool) -> Result<()> {
        session::check_is_new(path)?;
        let snapshot = self.session.snapshot().wait()?;
        let snapshot = if forks { snapshot.fork() } else { snapshot };
        snapshot.save(path)?;
        remark(&format!("saved in {}", path.display()));
        Ok(())
    }

    fn limits(&self) -> Result<()> {
        let usage = self.session.usage();
        let limits = self.session.sandbox().policy().limits();
        let mut table = columns(&["limit", "at most", "used"]);
        for limit in Limit::ALL {
            let used = match limit {
                Limit::SessionCalls => usage.calls.to_string(),
                Limit::SessionFuel => usage.fuel.to_string(),
                Limit::SessionTime => humantime::format_duration(usage.wall).to_string(),
                Limit::SessionBytesWritten => size(usage.bytes_written),
                _ => String::new(),
            };
            table.add_row([limit.key().to_owned(), limit.show(limits.get(limit)), used]);
        }
        print(&format!("{}\n", table.trim_fmt()))
    }

    /// The names that an input can complete.
    fn names(&self) -> Vec<String> {
        let listed = self.session.globals().wait().unwrap_or_default();
        listed
            .globals
            .into_iter()
            .map(|global| global.name)
            .collect()
    }
}

/// Shows output as it comes. There is nobody to tell if that fails.
fn output() -> impl FnMut(RunEvent) + Send {
    let (mut stdout, mut stderr) = (Escaper::default(), Escaper::default());
    move |event| {
        let Some((stream, bytes)) = run::terminal_text(event) else {
            return;
        };
        let _ = match stream {
            Stream::Stdout => {
                let text = stdout.push(&bytes);
                let mut out = io::stdout();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
            Stream::Stderr => io::stderr().write_all(stderr.push(&bytes).as_bytes()),
        };
    }
}

/// Shows what came of an input, beside its output.
fn show(outcome: &Outcome) -> Result<()> {
    match (&outcome.verdict, &outcome.value) {
        (
            _,
            Some(Value::Opaque {
                repr: Some(repr), ..
            }),
        ) => print(&format!("{repr}\n"))?,
        (Verdict::Rejected { violations }, _) => {
            for violation in violations {
                remark(&format!(
                    "{}:{}: {}",
                    violation.line, violation.column, violation.message
                ));
            }
        }
        // The traceback was printed.
        (Verdict::Completed | Verdict::Raised(_) | Verdict::Exited { .. }, _) => {}
        (verdict, _) => remark(&format!("{verdict}; the session is as before this input")),
    }
    print_refusals(&outcome.refusals);
    for advice in &outcome.advice {
        remark(advice);
    }
    Ok(())
}

/// Knows when an input is whole, and what can follow what was typed.
struct Prompt {
    /// A sandbox that reads inputs without running them.
    reader: Sandbox,
    names: Vec<String>,
    is_coloured: bool,
}

impl Prompt {
    fn new(sandbox: &Sandbox) -> Result<Self> {
        let policy = Policy::computing().with_source_rules(Profile::Open);
        Ok(Self {
            reader: Sandbox::new(sandbox.runtime(), policy)?,
            names: Vec::new(),
            is_coloured: anstream::AutoStream::choice(&io::stdout())
                != anstream::ColorChoice::Never,
        })
    }

    /// Returns whether more lines have to follow.
    fn is_incomplete(&self, input: &str) -> bool {
        let last = input.lines().last().unwrap_or_default();
        let begins_block = last.trim_start().starts_with('@');
        // A block ends with an empty line.
        let in_block = input.contains('\n') && last.starts_with([' ', '\t']);
        let ends_block = last.trim().is_empty() || input.ends_with('\n');
        if !ends_block && (begins_block || in_block) {
            return true;
        }
        let read = self.reader.screen(input).wait().unwrap_or_default();
        let mut errors = read.iter().filter(|found| found.rule == SourceRule::Syntax);
        errors.any(|error| {
            let is_open = OPEN.iter().any(|part| error.message.contains(part));
            is_open || (!ends_block && error.message.contains("expected an indented block"))
        })
    }
}

/// The parts of messages that say that something has not ended.
const OPEN: [&str; 3] = [
    "was never closed",
    "unterminated triple-quoted",
    "unexpected EOF",
];

impl Validator for Prompt {
    fn validate(&self, input: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let input = input.input();
        let is_command = input.trim_start().starts_with(':') || input.trim().is_empty();
        Ok(if !is_command && self.is_incomplete(input) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl Completer for Prompt {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..position).unwrap_or_default();
        let is_part = |char: char| char.is_alphanumeric() || char == '_' || char == ':';
        let start = typed.trim_end_matches(is_part).len();
        let word = typed.get(start..).unwrap_or_default();
        let commands = COMMANDS
            .iter()
            .filter_map(|(name, _)| name.split(' ').next());
        let commands = commands.filter(|name| start == 0 && name.starts_with(':'));
        let names = self.names.iter().map(String::as_str);
        let all = names.chain(KEYWORDS).chain(commands);
        let mut fitting: Vec<_> = all
            .filter(|name| !word.is_empty() && name.starts_with(word))
            .map(str::to_owned)
            .collect();
        fitting.sort();
        Ok((start, fitting))
    }
}

impl Highlighter for Prompt {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if !self.is_coloured {
            return Cow::Borrowed(prompt);
        }
        let style = anstyle::AnsiColor::Green.on_default();
        Cow::Owned(format!("{style}{prompt}{style:#}"))
    }
}

impl Hinter for Prompt {
    type Hint = String;
}

impl Helper for Prompt {}
