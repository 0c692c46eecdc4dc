//! What can be typed, and what it means.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use wardian::{Allowance, LimitError, Limits};

use crate::exit;

/// Runs untrusted Python behind glass.
#[derive(Debug, Parser)]
#[command(name = "wardian", version, after_long_help = exit::help())]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArgs),
    /// Print the versions and hashes of engine, interpreter and snapshot.
    Version {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script for a shell.
    Completions {
        shell: Shell,
    },
    /// Print the manual page.
    Man,
}

/// Run a script: from a file, from the command line, or from standard input.
///
/// The script computes and prints; it sees no file, no variable, no process and no network of
/// this machine. Every limit is on.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = exit::help())]
pub(crate) struct RunArgs {
    /// The script, or `-` for standard input.
    #[arg(value_hint = ValueHint::FilePath, required_unless_present = "code", conflicts_with = "code")]
    pub(crate) file: Option<PathBuf>,

    /// Run this source instead of a file.
    #[arg(short, long, allow_hyphen_values = true)]
    pub(crate) code: Option<String>,

    /// Stop after this time, sleeps included: `500ms`, `10s`, `2m`, `unlimited`. [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_timeout)]
    pub(crate) timeout: Option<Allowance<Duration>>,

    /// Allow this much memory, the interpreter's own included: `256MiB`. [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<ByteSize>,

    /// Stop after this many WebAssembly instructions: `5e9`, `unlimited`. [default: 100e9]
    #[arg(long, value_name = "COUNT", value_parser = parse_fuel)]
    pub(crate) fuel: Option<Allowance<u64>>,

    /// Set a global variable: `--input 'rows=[1, 2, 3]'`. Can be given several times.
    #[arg(long = "input", value_name = "NAME=JSON", value_parser = parse_input)]
    pub(crate) input: Vec<(String, serde_json::Value)>,

    /// Set global variables from a file that holds a JSON object.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) inputs: Option<PathBuf>,

    /// Hand this file to the script as its standard input, `-` for this process's own.
    /// Without it, standard input is at its end.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) stdin: Option<PathBuf>,

    /// Print one JSON object with everything that came of the run, instead of its output.
    #[arg(long)]
    pub(crate) json: bool,

    /// Say nothing but what the script says.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// What the script finds in `sys.argv`, after `--`.
    #[arg(last = true)]
    pub(crate) args: Vec<String>,
}

impl RunArgs {
    /// The default limits with what was typed instead.
    pub(crate) fn limits(&self) -> Result<Limits, LimitError> {
        let mut limits = Limits::default();
        if let Some(timeout) = self.timeout {
            limits = limits.with_timeout(timeout)?;
        }
        if let Some(memory) = self.memory {
            limits = limits.with_memory_bytes(memory.as_u64())?;
        }
        if let Some(fuel) = self.fuel {
            limits = limits.with_fuel(fuel)?;
        }
        Ok(limits)
    }
}

fn parse_allowance<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Allowance<T>, String> {
    match text {
        "unlimited" => Ok(Allowance::Unlimited),
        _ => parse(text).map(Allowance::AtMost),
    }
}

fn parse_timeout(text: &str) -> Result<Allowance<Duration>, String> {
    parse_allowance(text, |text| {
        humantime::parse_duration(text).map_err(|error| format!("{error}; for example 500ms, 10s"))
    })
}

/// A whole number, which may be written as `5e9` or with underscores.
fn parse_fuel(text: &str) -> Result<Allowance<u64>, String> {
    parse_allowance(text, |text| {
        let plain = text.replace('_', "");
        let (digits, exponent) = match plain.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse().ok()),
            None => (plain.as_str(), Some(0)),
        };
        let count = digits
            .parse::<u64>()
            .ok()
            .zip(exponent)
            .and_then(|(digits, exponent)| {
                10_u64
                    .checked_pow(exponent)
                    .and_then(|power| digits.checked_mul(power))
            });
        count.ok_or_else(|| "not a whole number; for example 1000000, 5e9".to_owned())
    })
}

fn parse_input(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, json) = text.split_once('=').ok_or("write it as NAME=JSON")?;
    let value = serde_json::from_str(json).map_err(|error| {
        format!(
            "what follows `{name}=` is not JSON ({error}); a string needs quotes: {name}='\"text\"'"
        )
    })?;
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn fuel() {
        for (text, fuel) in [
            ("1000000", 1_000_000),
            ("5e9", 5_000_000_000),
            ("1_000", 1_000),
        ] {
            assert_eq!(parse_fuel(text), Ok(Allowance::AtMost(fuel)), "{text}");
        }
        assert_eq!(parse_fuel("unlimited"), Ok(Allowance::Unlimited));
        for text in [
            "",
            "-1",
            "1.5",
            "5e99",
            "e9",
            "lots",
            "99999999999999999999",
        ] {
            assert!(parse_fuel(text).is_err(), "{text}");
        }
    }

    #[test]
    fn defaults_in_the_help_are_the_defaults() {
        let limits = Limits::default();
        let shown = |allowance: Allowance<Duration>| match allowance {
            Allowance::AtMost(time) => humantime::format_duration(time).to_string(),
            Allowance::Unlimited => "unlimited".to_owned(),
        };
        let help = Args::command()
            .find_subcommand_mut("run")
            .map(|run| run.render_long_help().to_string())
            .unwrap_or_default();
        assert!(
            help.contains(&format!("[default: {}]", shown(limits.timeout()))),
            "{help}"
        );
        assert!(help.contains("[default: 256MiB]") && limits.memory_bytes() == 256 << 20);
        assert!(help.contains("[default: 100e9]"));
        assert_eq!(limits.fuel(), Allowance::AtMost(100_000_000_000));
    }
}
