//! `wardian policy init`: writes a policy with comments, from flags or from answers on the
//! terminal.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result};
use wardian::{
    Policy,
    policy::{Limit, PolicyError, Profile, Source},
};

use crate::args::InitArgs;
use crate::exit::{Exit, Usage};
use crate::output::{print, remark, write};
use crate::run::is_dash;

pub(crate) fn run(args: InitArgs) -> Result<Exit> {
    let file = args.file.clone();
    let answers = if args.grants_nothing() && io::stdin().is_terminal() && !is_dash(&file) {
        ask(args)?
    } else {
        args
    };
    let text = render(&answers)?;
    // What is written has to be a policy, whatever somebody has typed.
    let source = Source {
        path: Some(std::path::absolute(&file)?),
        ..Source::text(&file.to_string_lossy(), &text)
    };
    Policy::parse(&source).map_err(PolicyError::from)?;
    if is_dash(&file) {
        write(text.as_bytes())?;
        return Ok(Exit::SUCCESS);
    }
    create(&file, &text, answers.force)?;
    let shown = file.display();
    print(&format!("wrote {shown}; next:\n"))?;
    print(&format!(
        "  wardian policy check {shown}\n  wardian run --policy {shown} SCRIPT\n"
    ))?;
    Ok(Exit::SUCCESS)
}

fn create(file: &Path, text: &str, force: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(!force);
    let opened = options.create(force).truncate(force).open(file);
    let mut opened = opened.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Usage(format!(
            "{} is there already; --force replaces it",
            file.display()
        )),
        _ => Usage(format!("cannot write {}: {error}", file.display())),
    })?;
    opened
        .write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Asks on the terminal for everything that flags can say.
fn ask(mut args: InitArgs) -> Result<InitArgs> {
    remark("an empty answer grants nothing; Ctrl-C writes nothing");
    let mut lines = io::stdin().lock().lines();
    let mut ask = |question: &str| -> Result<Vec<String>> {
        let mut stderr = io::stderr();
        write!(stderr, "{question}: ").and_then(|()| stderr.flush())?;
        let line = lines.next().transpose()?.unwrap_or_default();
        let answers = line
            .split(',')
            .map(str::trim)
            .filter(|answer| !answer.is_empty());
        Ok(answers.map(str::to_owned).collect())
    };
    args.agent = ask("Name of the agent, for the audit log")?.pop();
    args.read = ask("Directories that scripts may read, with commas between them")?;
    args.write = ask("Directories that scripts may write to")?;
    args.domain = ask("Hosts that they may ask over HTTP (api.example.com)")?;
    args.database = ask("SQLite databases that they may query (NAME=FILE)")?;
    Ok(args)
}

/// Renders a policy that grants what the arguments say.
fn render(args: &InitArgs) -> Result<String> {
    let mut permissions = vec!["EXECUTE_CODE"];
    let mut tools = String::new();
    let all = [
        (!args.read.is_empty(), "READ_FILE"),
        (!args.write.is_empty(), "WRITE_FILE"),
        (!args.domain.is_empty(), "NETWORK_ACCESS"),
        (!args.database.is_empty(), "DATABASE_READ"),
    ];
    permissions.extend(
        all.into_iter()
            .filter(|(is_on, _)| *is_on)
            .map(|(_, name)| name),
    );
    if !args.domain.is_empty() {
        tools += "\n# Reaches the hosts of `allowed_domains`. `args.url = { prefix = \"…\" }` narrows that.\n\
                  [tools.http_request]\nmax_calls = 20\nargs.method = { equals = \"GET\" }\n";
    }
    if !args.database.is_empty() {
        tools += "\n# Its connection is read-only.\n[tools.db_query.config]\n";
        for database in &args.database {
            let (name, file) = database
                .split_once('=')
                .ok_or_else(|| Usage(format!("--database {database}: write it as NAME=FILE")))?;
            let _ = writeln!(
                tools,
                "databases.{} = {{ sqlite = {} }}",
                quote(name),
                quote(file)
            );
        }
    }
    let mut paths = String::new();
    for directory in &args.read {
        let access = if args.write.contains(directory) {
            "read_write"
        } else {
            "read"
        };
        grant(&mut paths, directory, access);
    }
    for directory in args
        .write
        .iter()
        .filter(|directory| !args.read.contains(directory))
    {
        grant(&mut paths, directory, "write");
    }
    let mut text = format!(
        "# What scripts may do under this policy. What is not here is not granted.\n\
         # `wardian policy check FILE` says everything that would keep scripts from running.\nversion = 1\n\n\
         # The name on the audit log.\nagent = {}\n\n# Each kind of action needs its permission, and what it \
         acts on an entry below.\npermissions = [{}]\n",
        quote(args.agent.as_deref().unwrap_or("agent")),
        permissions
            .into_iter()
            .map(quote)
            .collect::<Vec<_>>()
            .join(", "),
    );
    if !paths.is_empty() {
        text += "\n# `path` is where scripts find a directory, `host` where it lies, relative to this file.\n";
        let _ = write!(text, "allowed_paths = [\n{paths}]\n");
    }
    if !args.domain.is_empty() {
        let domains: Vec<_> = args.domain.iter().map(|domain| quote(domain)).collect();
        text += "\n# A name means https on port 443; `*.example.com` its subdomains.\n";
        let _ = writeln!(text, "allowed_domains = [{}]", domains.join(", "));
    }
    text += "\n# Every limit is on; these are the ones that people change. docs/policy.md has them all.\n[limits]\n";
    for limit in [Limit::Timeout, Limit::Memory] {
        let default = wardian::Limits::default().get(limit);
        let name = limit.key().trim_start_matches("limits.");
        let _ = writeln!(
            text,
            "{name} = {}",
            quote(&limit.show(default).replace(' ', ""))
        );
    }
    let profile = args.profile.unwrap_or(Profile::Standard);
    let _ = write!(
        text,
        "\n# Source is screened before it runs. That is advice and hygiene: the boundary holds under `open` \
         too.\n[source]\nprofile = {}\n",
        quote(profile.name())
    );
    Ok(text + &tools)
}

fn grant(paths: &mut String, directory: &str, access: &str) {
    let name = Path::new(directory).file_name().unwrap_or_default();
    let path = format!("/{}", name.to_string_lossy());
    let _ = writeln!(
        paths,
        "    {{ path = {}, host = {}, access = \"{access}\" }},",
        quote(&path),
        quote(directory)
    );
}

/// A basic string of TOML, which is one of JSON.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
