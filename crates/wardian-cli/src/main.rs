//! The command line: arguments, files, exit codes. The only crate that prints.

#![forbid(unsafe_code)]

mod approve;
mod args;
#[cfg(feature = "attack")]
mod attack;
mod audit;
mod bench;
mod display;
mod encoding;
mod exit;
mod explain;
mod image;
mod init;
mod out;
mod output;
mod packages;
mod policy;
mod preflight;
mod prepare;
mod problems;
mod repl;
mod run;
mod screen;
mod session;
mod sources;
mod suggest;
mod test;
mod tools;
mod usage;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser};

use crate::args::{Args, Command};
use crate::exit::{Exit, Usage};
use crate::output::write;

fn main() -> Exit {
    let command = match parse() {
        Ok(args) => args.command,
        Err(error) if error.use_stderr() && asks_for_json() => {
            let usage = error.render().to_string();
            return exit::report_json(&Usage(usage.trim_end().to_owned()).into());
        }
        // Help, the version, or wrong usage, with 2.
        Err(error) => error.exit(),
    };
    let json = command.json();
    match dispatch(command) {
        Ok(exit) => exit,
        Err(error) if json => exit::report_json(&error),
        Err(error) => exit::report(&error),
    }
}

fn parse() -> Result<Args, clap::Error> {
    let typed: Vec<_> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    Args::try_parse().map_err(|error| usage::explain(error, &typed))
}

/// Returns whether `--json` is among the arguments that are Wardian's, however wrong the others
/// are.
fn asks_for_json() -> bool {
    let mut own = std::env::args_os().take_while(|arg| arg != "--");
    own.any(|arg| arg == "--json")
}

fn dispatch(command: Command) -> Result<Exit> {
    match command {
        Command::Run(args) => return run::run(*args),
        Command::Screen(args) => return screen::run(args),
        Command::Repl(args) => return repl::run(&args),
        Command::Session(command) => return session::run(command),
        Command::Policy(command) => return policy::run(command),
        Command::Packages(command) => return packages::run(command),
        Command::Image(command) => return image::run(command),
        Command::Tools(command) => return tools::run(command),
        Command::Audit(command) => return audit::run(command),
        #[cfg(feature = "attack")]
        Command::Attack(args) => return attack::run(args),
        Command::Test(args) => return test::run(args),
        Command::Bench(args) => return bench::run(&args),
        Command::Version { json } => write(&version(json)?)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "wardian", &mut script);
            write(&script)?;
        }
        Command::Man {
            out: Some(directory),
            ..
        } => {
            std::fs::create_dir_all(&directory)
                .and_then(|()| clap_mangen::generate_to(Args::command(), &directory))
                .with_context(|| format!("cannot write to {}", directory.display()))?;
        }
        Command::Man { command, .. } => write(&manual(&command)?)?,
    }
    Ok(Exit::SUCCESS)
}

/// The manual page of a command.
fn manual(path: &[String]) -> Result<Vec<u8>> {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let command = path.iter().try_fold(&command, |command, name| {
        let found = command.find_subcommand(name);
        found.ok_or_else(|| Usage(format!("there is no command `{}`", path.join(" "))))
    })?;
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}

fn version(json: bool) -> Result<Vec<u8>> {
    let versions = wardian::Runtime::versions();
    if json {
        let mut line = serde_json::to_vec(&versions)?;
        line.push(b'\n');
        return Ok(line);
    }
    let rows = [
        ("wardian", versions.wardian),
        ("wasmtime", versions.wasmtime),
        ("rustpython", versions.rustpython),
        ("module", versions.module_sha256),
        ("snapshot", versions.image_sha256),
        ("machine code", versions.code_sha256),
    ];
    let rows = rows.map(|(name, value)| format!("{name:<14}{value}\n"));
    Ok(rows.concat().into_bytes())
}
