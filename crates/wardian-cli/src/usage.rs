//! Wrong usage of the command line: clap's errors, in our words where its own lead astray.

use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Error};

use crate::args::Args;

/// Rewrites an error of clap's, for somebody who has typed `arguments`.
pub(crate) fn explain(error: Error, arguments: &[String]) -> Error {
    let subcommand = arguments.get(1).map_or("", String::as_str);
    let message = match error.kind() {
        ErrorKind::InvalidSubcommand => unknown_command(&invalid(&error, ContextKind::InvalidSubcommand)),
        ErrorKind::UnknownArgument if subcommand == "run" => {
            let invalid = invalid(&error, ContextKind::InvalidArg);
            let similar = error.get(ContextKind::SuggestedArg);
            Some(unknown_argument(&invalid, similar))
        }
        // A flag that takes another flag is clap's to explain.
        ErrorKind::MissingRequiredArgument if subcommand == "run" && !lacks_flag(&error) => Some(
            "there is nothing to run: name a file, `-` for standard input, or give the source with -c"
                .to_owned(),
        ),
        _ => None,
    };
    match message {
        Some(message) => command_of(subcommand).error(error.kind(), message),
        None => error,
    }
}

fn lacks_flag(error: &Error) -> bool {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(names)) => names.iter().any(|name| name.starts_with("--")),
        _ => false,
    }
}

fn invalid(error: &Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    }
}

fn command_of(subcommand: &str) -> Command {
    let mut command = Args::command();
    command.build();
    let found = command.find_subcommand(subcommand).cloned();
    found.unwrap_or(command)
}

/// A name of a script where a command belongs.
fn unknown_command(typed: &str) -> Option<String> {
    let is_script = typed.ends_with(".py") || Path::new(typed).is_file();
    is_script.then(|| format!("`{typed}` is no command; to run a script: wardian run {typed}"))
}

/// An argument that `run` does not have.
fn unknown_argument(typed: &str, similar: Option<&ContextValue>) -> String {
    let flag = typed.split('=').next().unwrap_or(typed);
    let no = format!("`{typed}` is no argument of `wardian run`");
    match flag {
        // The names of other runtimes.
        "--net" | "--allow-net" | "--network" => format!(
            "{no}: a script has no network; a policy can grant tools that reach hosts which it lists"
        ),
        "--allow-read" => format!("{no}: --read DIR grants a directory"),
        "--allow-write" => format!("{no}: --write DIR grants a directory"),
        "--allow-env" | "--env" => format!("{no}: a policy sets variables, in `env`"),
        "--allow-all" | "-A" => format!("{no}: a policy grants what a script may do"),
        _ => match similar {
            Some(ContextValue::String(similar)) => format!("{no}; did you mean {similar}?"),
            _ => format!(
                "{no}; what is for the script comes after `--`: wardian run FILE -- {typed}"
            ),
        },
    }
}
