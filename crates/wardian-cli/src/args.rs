//! Arguments: everything that can be typed, and its meaning.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use wardian::policy::{Allowance, Limit, LimitError, Profile};

use crate::exit;

/// Sandbox for untrusted Python.
#[derive(Debug, Parser)]
#[command(name = "wardian", version, after_long_help = exit::help())]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<RunArgs>),
    #[command(alias = "check")]
    Screen(ScreenArgs),
    Repl(ReplArgs),
    /// Look at the files of sessions, and fork them. `wardian run --session FILE` makes them.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Check, show and compare policies: what scripts may do.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Add packages to a policy, and see whether they can be imported.
    #[command(subcommand)]
    Packages(PackagesCommand),
    /// Build the state that runs start from: packages imported, a setup run.
    #[command(subcommand)]
    Image(ImageCommand),
    /// Say what a policy lets scripts call.
    #[command(subcommand)]
    Tools(ToolsCommand),
    /// Read audit logs: what was allowed and refused, and whether the record is whole.
    #[command(subcommand)]
    Audit(AuditCommand),
    #[cfg(feature = "attack")]
    Attack(AttackArgs),
    Test(TestArgs),
    Bench(BenchArgs),
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
    /// Print a manual page: that of `wardian`, or of a command: `wardian man policy check`.
    Man {
        /// The command.
        command: Vec<String>,
        /// Write every page to this directory instead: wardian.1, wardian-run.1 and so on.
        #[arg(
        long,
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        conflicts_with = "command",
    )]
        out: Option<PathBuf>,
    },
}

impl Command {
    /// Returns whether it prints JSON, of errors too.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Run(args) => args.json,
            Self::Screen(args) => args.json,
            Self::Session(
                SessionCommand::Show { json, .. }
                | SessionCommand::List { json, .. }
                | SessionCommand::Diff { json, .. },
            ) => *json,
            Self::Packages(PackagesCommand::Check { json, .. })
            | Self::Image(ImageCommand::Build { json, .. } | ImageCommand::Show { json, .. }) => {
                *json
            }
            Self::Session(SessionCommand::Fork { .. })
            | Self::Packages(PackagesCommand::Add { .. })
            | Self::Repl(_) => false,
            Self::Policy(
                PolicyCommand::Check { json, .. }
                | PolicyCommand::Show { json, .. }
                | PolicyCommand::Explain { json, .. }
                | PolicyCommand::Diff { json, .. }
                | PolicyCommand::Suggest {
                    records: AuditRecords { json, .. },
                },
            )
            | Self::Tools(ToolsCommand::List { json, .. })
            | Self::Audit(AuditCommand::Verify { json, .. })
            | Self::Version { json } => *json,
            Self::Audit(AuditCommand::Show { records, .. } | AuditCommand::Summary(records)) => {
                records.json
            }
            #[cfg(feature = "attack")]
            Self::Attack(args) => args.json,
            Self::Test(args) => args.json,
            Self::Bench(args) => args.json,
            Self::Policy(PolicyCommand::Init(_) | PolicyCommand::Schema)
            | Self::Completions { .. }
            | Self::Man { .. } => false,
        }
    }
}

/// Talk to a session: each input is a call, which finds what the calls before it have left.
///
/// The value of the last expression is shown, and is `_` in the next input. Ctrl-C stops an input,
/// and the session is as before it. `:help` lists the commands. Ctrl-D ends.
#[derive(Debug, ClapArgs)]
pub(crate) struct ReplArgs {
    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,

    /// Go on with the session in this file, if it is there, and save it there at the end.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) session: Option<PathBuf>,

    /// Go on with a session under a policy that grants more than the one that it was saved under.
    #[arg(long, requires = "session")]
    pub(crate) allow_wider_policy: bool,

    /// Keep the history of inputs in this file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) history: Option<PathBuf>,
}

/// Commands for files of sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Show what is in a session: its calls, its size, its open files, its variables.
    Show {
        /// The session's file.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// List the sessions among these files, and in these directories.
    List {
        /// Files and directories.
        #[arg(required = true, value_hint = ValueHint::AnyPath)]
        paths: Vec<PathBuf>,
        /// Print a JSON object for each, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Make another session of the state of one: with an id and random numbers of its own.
    Fork {
        /// The session's file.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The file of the other, which is not there yet.
        #[arg(value_hint = ValueHint::FilePath)]
        to: PathBuf,
    },
    /// Say in which variables and pages of memory two sessions differ. Exits with 1 if they do.
    Diff {
        /// One file.
        #[arg(value_hint = ValueHint::FilePath)]
        one: PathBuf,
        /// The other.
        #[arg(value_hint = ValueHint::FilePath)]
        other: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Commands for packages.
#[derive(Debug, Subcommand)]
pub(crate) enum PackagesCommand {
    /// Add wheels and directories to a policy file: the wheels with their hashes. What the file
    /// says besides stays as it is. `pip download --only-binary :all: NAME` gets wheels.
    Add {
        /// Wheels in pure Python, and directories of Python code.
        #[arg(required = true, value_hint = ValueHint::AnyPath)]
        files: Vec<PathBuf>,
        /// The policy file.
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        policy: PathBuf,
    },
    /// Import each module of a policy's packages, in a sandbox.
    Check {
        /// The policy file.
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        policy: PathBuf,
        /// Print a JSON object for each module, a line each.
        #[arg(long)]
        json: bool,
    },
}

/// Commands for images.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Build the image that runs and sessions under a policy start from: import its packages, run
    /// the setup, and keep the state.
    Build {
        /// The policy file. Its `image` says where the image goes and which setup it has, unless
        /// the flags do.
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        policy: PathBuf,
        /// A script to run after the imports. Its variables are there in every run.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        setup: Option<PathBuf>,
        /// The image's file, which is replaced.
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Show what an image was built with, and what is in it.
    Show {
        /// The image's file.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Doubles of tools.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct DoublesArg {
    /// Tools that answer as this file says, in TOML, as the tools.toml of a scenario: in place of
    /// the ready ones, and for those of a host's own. See `wardian test --help`.
    #[arg(id = "doubles", long = "doubles", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
}

/// The sandbox that a script runs in: a policy and what narrows it, or directories that are
/// granted by hand.
#[derive(Debug, ClapArgs)]
pub(crate) struct SandboxArgs {
    /// Policy file: what the script may do. Other flags can only narrow it.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) policy: Option<PathBuf>,

    /// Let the script read the files in this directory. It finds them under the same path, one
    /// that is relative under `/`; `/in=DIR` names another. Can be given several times.
    #[arg(
        long,
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        value_parser = parse_directory,
        conflicts_with = "policy",
    )]
    pub(crate) read: Vec<Directory>,

    /// Let the script create, change and remove files in this directory, as for `--read`. Give
    /// both for both.
    #[arg(
        long,
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        value_parser = parse_directory,
        conflicts_with = "policy",
    )]
    pub(crate) write: Vec<Directory>,

    /// Screen the source by this profile: `strict`, `standard`, `open` for not at all.
    /// [default: the policy's, or standard]
    #[arg(long, value_name = "PROFILE", value_parser = profile())]
    pub(crate) profile: Option<Profile>,

    /// Stop after this time, sleeps included: `500ms`, `10s`, `2m`, `unlimited`. [default: 10s]
    #[arg(
        long,
        value_name = "TIME",
        allow_negative_numbers = true,
        value_parser = |text: &str| parse_amount(Limit::Timeout, text),
    )]
    pub(crate) timeout: Option<Allowance<u64>>,

    /// Allow this much memory, the interpreter's own included: `256MiB`. [default: 256MiB]
    #[arg(
        long,
        value_name = "SIZE",
        allow_negative_numbers = true,
        value_parser = |text: &str| parse_amount(Limit::Memory, text),
    )]
    pub(crate) memory: Option<Allowance<u64>>,

    /// Stop after this many WebAssembly instructions: `5e9`, `unlimited`. [default: 100e9]
    #[arg(
        long,
        value_name = "COUNT",
        allow_negative_numbers = true,
        value_parser = |text: &str| parse_amount(Limit::Fuel, text),
    )]
    pub(crate) fuel: Option<Allowance<u64>>,

    #[command(flatten)]
    pub(crate) doubles: DoublesArg,

    /// Record in this file what the script is allowed and refused, and what its tools do. The file
    /// is created, or gone on with; `wardian audit` reads it. `-` is standard error. If it can't be
    /// written, the run ends.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) audit: Option<PathBuf>,
}

/// Run a script: from a file, from the command line, or from standard input.
///
/// Without a policy, the script computes and prints; it sees no file, no variable, no process
/// and no network of this machine. Every limit is on, and the source is screened by the profile
/// `standard`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = exit::help())]
pub(crate) struct RunArgs {
    /// The script, or `-` for standard input; or a directory with a `main.py`, whose other files it
    /// can import.
    #[arg(
        value_hint = ValueHint::AnyPath,
        required_unless_present = "code",
        conflicts_with = "code",
    )]
    pub(crate) file: Option<PathBuf>,

    /// Run this source instead of a file.
    #[arg(short, long, allow_hyphen_values = true)]
    pub(crate) code: Option<String>,

    /// Let the script import this file, by its name without `.py`. It is screened and counted as
    /// the script is. Can be given several times.
    #[arg(long = "module", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) modules: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,

    /// Put this file into the script's working directory, under its own name or as `NAME=FILE`
    /// says. Can be given several times. Without a policy, a script has a working directory of
    /// 64 MiB in memory, unless `--read` or `--write` stand alone; a policy gives one with
    /// `[work]`.
    #[arg(
        long = "file",
        value_name = "[NAME=]FILE",
        value_hint = ValueHint::FilePath,
        value_parser = parse_file,
    )]
    pub(crate) files: Vec<(String, PathBuf)>,

    /// Write the files that the script has created or changed in its working directory to this
    /// directory, when it has ended. Asks before it replaces one.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,

    /// Replace files in the directory of `--out` without a question.
    #[arg(long, requires = "out")]
    pub(crate) force: bool,

    /// Go on with the session in this file, if it is there, and save it there when the script has
    /// ended: variables, functions, modules, open files. A script that is stopped changes nothing
    /// of it. The file says as much as the script knows, and is for its owner only.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) session: Option<PathBuf>,

    /// Go on with a session under a policy that grants more than the one that it was saved under.
    #[arg(long, requires = "session")]
    pub(crate) allow_wider_policy: bool,

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

    /// Leave out what flags grant, and advice: say what the script says, and why it was stopped.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Arguments for `sys.argv`, after `--`. `sys` takes `--profile open`, or a policy
    /// that allows it.
    #[arg(last = true)]
    pub(crate) args: Vec<String>,
}

/// Reads an amount of a limit from a flag.
fn parse_amount(limit: Limit, text: &str) -> Result<Allowance<u64>, String> {
    let amount = limit.parse(text).map_err(str::to_owned)?;
    let bounds = |error: LimitError| format!("it can be {} to {}", error.min, error.max);
    limit.check(amount).map_err(bounds)?;
    Ok(amount)
}

/// Say which rules about source scripts break, without running them.
///
/// Each is read by the interpreter's own parser, in a guest of its own, and compiled. Exits with
/// 0 or 120.
#[derive(Debug, ClapArgs)]
pub(crate) struct ScreenArgs {
    /// Scripts; `-` for standard input; or directories, as for `run`.
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,

    /// Take the rules from this profile: `strict`, `standard`, `open` for Python's own alone.
    /// [default: the policy's, or standard]
    #[arg(long, value_name = "PROFILE", value_parser = profile())]
    pub(crate) profile: Option<Profile>,

    /// Take the rules from this policy.
    #[arg(
        short,
        long,
        value_name = "FILE",
        value_hint = ValueHint::FilePath,
        conflicts_with = "profile",
    )]
    pub(crate) policy: Option<PathBuf>,

    /// Print one JSON object for each file.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Try hostile code on a policy, and say what it got.
///
/// Each kind of attack runs in a process of its own, under the policy's rules and limits (narrower
/// where it allows much), in temporary directories and with doubles of tools: nothing that the
/// policy grants is touched. Without a policy, one that grants something of everything is attacked.
/// Takes about a minute. Exits with 0, or with 1 if hostile code got anything.
#[cfg(feature = "attack")]
#[derive(Debug, ClapArgs)]
pub(crate) struct AttackArgs {
    /// The policy.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) policy: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) doubles: DoublesArg,

    /// List the attacks instead: which there are, and which mean something under the policy.
    #[arg(long, conflicts_with_all = ["report", "jobs"])]
    pub(crate) list: bool,

    /// Show what an attack tries instead: its sources, and the endings that are expected.
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with_all = ["report", "jobs", "list", "only", "json"],
    )]
    pub(crate) show: Option<String>,

    /// Only these classes and rows: `ESC,FS-07`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,

    /// Play every script as the second call of a session.
    #[arg(long)]
    pub(crate) in_sessions: bool,

    /// Maximum of attacks at a time. [default: twice as many as there are processors]
    #[arg(long, value_name = "COUNT")]
    pub(crate) jobs: Option<usize>,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,

    /// Write a report to this file: one page of HTML that loads nothing.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) report: Option<PathBuf>,
}

/// Run scenarios: folders with a script, a policy and what should come of it.
///
/// Every folder beneath DIR that has a `main.py` is one. Directories are temporary and tools are
/// doubles, so nothing that a policy grants is touched. Exits with 0, or with 1 if something is not
/// as it should be.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = scenario_files())]
pub(crate) struct TestArgs {
    /// Directory of scenarios.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: PathBuf,

    /// The policy of those that have none of their own.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) policy: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) doubles: DoublesArg,

    /// Write expect.toml anew from what comes of the scripts now.
    #[arg(long)]
    pub(crate) update: bool,

    /// Write JUnit XML to this file, for continuous integration.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) junit: Option<PathBuf>,

    /// Print one JSON object for each scenario.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Measure what this machine does: how fast scripts start and compute, how many a second, how much
/// memory.
///
/// Takes a quarter of a minute. Scripts run without a policy, as `wardian run` has it: screened,
/// limited, on record.
#[derive(Debug, ClapArgs)]
pub(crate) struct BenchArgs {
    /// Only what is the same on every machine: the fuel that scripts use and the pages that they
    /// write to.
    #[arg(long)]
    pub(crate) costs: bool,

    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

fn scenario_files() -> String {
    let lines = wardian_testkit::scenario::FORMAT.lines();
    let shown: Vec<_> = lines.filter(|line| !line.starts_with("```")).collect();
    format!("The files of a scenario:\n\n{}", shown.join("\n"))
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say everything that would keep scripts from running under policies. Exits with 0 or 2.
    ///
    /// Opens the directories and reads the secrets that they name, as `run` does.
    Check {
        #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
        /// The policies are for another host: directories, variables and databases that are not
        /// here are no more than warnings.
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        doubles: DoublesArg,
        /// Print one JSON object for each file.
        #[arg(long)]
        json: bool,
    },
    /// Print what a policy grants; without a file, the one that `run` uses without one.
    Show {
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Say whether a policy allows a call, which rules were asked, and what the script would be
    /// told. Exits with 0 or 121.
    ///
    /// A call is a tool and its arguments, `http_request url=https://api.example.com/ method=GET`,
    /// or an action and what it acts on, `read_file /in/a.csv`: a path as the script sees it, a
    /// URL, a database, or a recipient. Decided as a run decides; nothing is called or opened.
    Explain {
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// A tool that the policy grants; or an action, also by its permission: `db_read`,
        /// `DATABASE_READ`.
        #[arg(value_name = "TOOL|ACTION")]
        subject: String,
        /// The resource, or the arguments of the tool as NAME=VALUE, a value as JSON or as plain
        /// text.
        #[arg(value_name = "RESOURCE|NAME=VALUE")]
        rest: Vec<String>,
        #[command(flatten)]
        doubles: DoublesArg,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print what the second policy allows that the first does not.
    Diff {
        /// Exit with 1 if the second allows anything that the first does not: for continuous
        /// integration.
        #[arg(long)]
        exit_code: bool,
        #[arg(value_name = "A", value_hint = ValueHint::FilePath)]
        a: PathBuf,
        #[arg(value_name = "B", value_hint = ValueHint::FilePath)]
        b: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print the lines of a policy that would allow what logs say was refused, each with what it
    /// grants.
    ///
    /// For reading, not for pasting: a script that was refused may have been right to be.
    Suggest {
        #[command(flatten)]
        records: AuditRecords,
    },
    Init(InitArgs),
    /// Print the JSON Schema of policy files, for editors.
    Schema,
}

/// Write a policy with comments, which grants what flags say; without any, asks on a terminal.
#[derive(Debug, ClapArgs)]
pub(crate) struct InitArgs {
    /// The file to write, `-` for standard output.
    #[arg(default_value = "policy.toml", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The name of the agent, for the audit log.
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Let scripts read the files in this directory. Can be given several times.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) read: Vec<String>,
    /// Let scripts create, change and remove files in this directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) write: Vec<String>,
    /// Let scripts ask this host over HTTP.
    #[arg(long, value_name = "HOST")]
    pub(crate) domain: Vec<String>,
    /// Let scripts query this SQLite database.
    #[arg(long, value_name = "NAME=FILE")]
    pub(crate) database: Vec<String>,
    /// Screen source by this profile. [default: standard]
    #[arg(long, value_name = "PROFILE", value_parser = profile())]
    pub(crate) profile: Option<Profile>,
    /// Replace a file that is there.
    #[arg(long)]
    pub(crate) force: bool,
}

impl InitArgs {
    /// Returns whether no flag grants anything.
    pub(crate) fn grants_nothing(&self) -> bool {
        self.agent.is_none()
            && [&self.read, &self.write, &self.domain, &self.database]
                .iter()
                .all(|list| list.is_empty())
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ToolsCommand {
    /// Print the tools that scripts can call under a policy.
    List {
        #[command(flatten)]
        doubles: DoublesArg,
        /// The policy.
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        policy: PathBuf,
        /// Print a `.pyi` file: signatures and documentation, which is what a model should be told.
        #[arg(long, conflicts_with = "json")]
        stubs: bool,
        /// Print one JSON object for each, with the JSON Schemas of its arguments and its reply.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Print a log as a timeline; with `--json`, the records themselves.
    Show {
        #[command(flatten)]
        records: AuditRecords,
        /// Go on with what is added to the log, until Ctrl-C.
        #[arg(short, long)]
        follow: bool,
    },
    /// Check that a log is as it was written. Exits with 0, or with 1 and the first line that is
    /// not.
    Verify {
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The head that somebody has kept since an earlier `verify`: that record must still be
        /// there. Without it, a cut at the very end can't be told from a log that ends there.
        #[arg(long, value_name = "HASH")]
        head: Option<String>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Count what was done, by agent, action and decision, and name what was refused most.
    Summary(AuditRecords),
}

/// Some of the records of a log.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct AuditRecords {
    /// Logs, one after the other; `-` for standard input.
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Only what was refused or stopped.
    #[arg(long, alias = "denied")]
    pub(crate) refused: bool,
    /// Only this run's: its name, or the end of it as `show` prints it.
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// Only this agent's.
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Only calls of this tool.
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Option<String>,
    /// Only since this time, `2026-11-23T12:00:00Z`, or for this long: `1h`.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
}

/// A directory of the host, and where the script finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) guest: String,
    pub(crate) host: PathBuf,
}

fn parse_directory(text: &str) -> Result<Directory, String> {
    let (guest, host) = match text.split_once('=') {
        Some((guest, host)) if guest.starts_with('/') => (guest.to_owned(), host),
        _ if text.starts_with('/') => (text.to_owned(), text),
        _ => {
            let names = text.split('/').filter(|name| !["", "."].contains(name));
            let names: Vec<_> = names.collect();
            if names.is_empty() || names.contains(&"..") {
                let why = format!("say where the script finds it: `/in={text}`");
                return Err(why);
            }
            (format!("/{}", names.join("/")), text)
        }
    };
    Ok(Directory {
        guest,
        host: host.into(),
    })
}

/// Reads a file for the working directory: its name there, and where it is.
fn parse_file(text: &str) -> Result<(String, PathBuf), String> {
    if let Some((name, path)) = text.split_once('=') {
        return Ok((name.to_owned(), path.into()));
    }
    let name = Path::new(text).file_name().and_then(OsStr::to_str);
    let name = name.ok_or_else(|| format!("say how the script finds it: `NAME={text}`"))?;
    Ok((name.to_owned(), text.into()))
}

fn profile() -> impl clap::builder::TypedValueParser<Value = Profile> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(Profile::ALL.map(Profile::name))
        .try_map(|name| Profile::named(&name).ok_or("no such profile"))
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
    fn directories() {
        for (text, guest, host) in [
            ("data", "/data", "data"),
            ("./a/b/", "/a/b", "./a/b/"),
            ("/srv/x", "/srv/x", "/srv/x"),
            ("/in=../x", "/in", "../x"),
            ("/in=.", "/in", "."),
            ("a=b", "/a=b", "a=b"),
        ] {
            let directory = parse_directory(text).unwrap();
            assert_eq!(
                (directory.guest.as_str(), directory.host),
                (guest, host.into())
            );
        }
        for text in ["", ".", "..", "../x", "a/../b"] {
            assert!(parse_directory(text).is_err(), "{text}");
        }
    }

    #[test]
    fn defaults_in_the_help_are_the_defaults() {
        let help = Args::command()
            .find_subcommand_mut("run")
            .map(|run| run.render_long_help().to_string())
            .unwrap_or_default();
        for (limit, written) in [
            (Limit::Timeout, "10s"),
            (Limit::Memory, "256MiB"),
            (Limit::Fuel, "100e9"),
        ] {
            assert!(help.contains(&format!("[default: {written}]")), "{help}");
            let default = Allowance::AtMost(limit.default_amount());
            assert_eq!(limit.parse(written), Ok(default));
        }
    }
}
