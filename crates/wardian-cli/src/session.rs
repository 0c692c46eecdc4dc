//! Files of sessions: `wardian session`, and `--session` of `wardian run`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use comfy_table::Table;
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use wardian::session::{Global, Globals, Session, SessionOptions, Snapshot};
use wardian::{Runtime, Sandbox};

use crate::args::SessionCommand;
use crate::exit::{Exit, Usage};
use crate::output::{columns, or_none, plain, print, print_json, remark};

/// A session that goes on in a file, which nobody else has meanwhile.
pub(crate) struct SessionFile {
    pub(crate) session: Session,
    path: PathBuf,
    /// Beside the session's file, because that is replaced when it is saved.
    _lock: File,
}

impl SessionFile {
    /// Goes on with the session in a file; with a new one if there is no such file.
    pub(crate) fn open(path: &Path, sandbox: &Sandbox, options: SessionOptions) -> Result<Self> {
        let lock = lock(path)?;
        let is_there = path.try_exists().with_context(|| cannot_read(path))?;
        let session = if is_there {
            let resumed = load(path)?.resume(sandbox, options).wait();
            resumed.with_context(|| cannot_read(path))?
        } else {
            sandbox.session(options)
        };
        Ok(Self {
            session,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Saves the session.
    pub(crate) fn save(&self) -> Result<()> {
        let saved = self
            .session
            .snapshot()
            .wait()
            .and_then(|snapshot| snapshot.save(&self.path));
        saved.with_context(|| {
            let path = self.path.display();
            format!("cannot save the session in {path}, which is as it was before")
        })
    }
}

/// Keeps others away from a session's file.
fn lock(path: &Path) -> Result<File> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let beside = path.with_file_name(name);
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    let file = options
        .open(&beside)
        .with_context(|| format!("cannot lock {}", path.display()))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Usage(format!(
            "{} is in use by another process; wait for that, or fork the session: `wardian session fork`",
            path.display()
        ))
    })?;
    Ok(file)
}

fn cannot_read(path: &Path) -> String {
    format!("cannot go on with the session in {}", path.display())
}

fn load(path: &Path) -> Result<Snapshot> {
    Snapshot::load(path).with_context(|| format!("cannot read {}", path.display()))
}

pub(crate) fn run(command: SessionCommand) -> Result<Exit> {
    match command {
        SessionCommand::Show { file, json } => show(&file, json),
        SessionCommand::List { paths, json } => list(&paths, json),
        SessionCommand::Fork { file, to } => fork(&file, &to),
        SessionCommand::Diff { one, other, json } => diff(&one, &other, json),
    }
}

fn show(file: &Path, json: bool) -> Result<Exit> {
    let snapshot = load(file)?;
    let listed = snapshot.globals(&Runtime::new()?).wait()?;
    if json {
        let globals = listed.globals.iter().map(as_json);
        let mut shown = summary(&snapshot, file)?;
        let more = [
            ("open_files", snapshot.open_files().collect()),
            ("globals", globals.collect()),
            ("globals_omitted", listed.omitted.into()),
        ];
        if let Some(shown) = shown.as_object_mut() {
            shown.extend(more.map(|(name, value)| (name.to_owned(), value)));
        }
        print_json(&shown)?;
        return Ok(Exit::SUCCESS);
    }
    let usage = snapshot.usage();
    let mut rows = plain();
    for (name, value) in [
        ("session", snapshot.session_id().to_owned()),
        ("snapshot", snapshot.sha256().to_owned()),
        ("parent", snapshot.parent().unwrap_or("none").to_owned()),
        ("calls", usage.calls.to_string()),
        ("fuel", usage.fuel.to_string()),
        ("time", humantime::format_duration(usage.wall).to_string()),
        ("file", size(file_bytes(file)?)),
        ("memory", size(snapshot.memory_bytes())),
        ("changed pages", snapshot.pages().to_string()),
        (
            "open files",
            or_none(snapshot.open_files().collect::<Vec<_>>().join(", ")),
        ),
    ] {
        rows.add_row([name.to_owned(), value]);
    }
    print(&format!("{}\n", rows.trim_fmt()))?;
    if !listed.globals.is_empty() {
        print(&format!("\n{}\n", table(&listed).trim_fmt()))?;
    }
    if listed.omitted > 0 {
        remark(&format!("{} more variables are not shown", listed.omitted));
    }
    Ok(Exit::SUCCESS)
}

fn as_json(global: &Global) -> serde_json::Value {
    json!({"name": global.name, "type": global.type_name, "size_bytes": global.size_bytes})
}

fn summary(snapshot: &Snapshot, file: &Path) -> Result<serde_json::Value> {
    let usage = snapshot.usage();
    Ok(json!({
        "file": file.to_string_lossy(),
        "file_bytes": file_bytes(file)?,
        "session": snapshot.session_id(),
        "sha256": snapshot.sha256(),
        "parent": snapshot.parent(),
        "calls": usage.calls,
        "fuel": usage.fuel,
        "wall_ms": usage.wall.as_secs_f64() * 1e3,
        "bytes_written": usage.bytes_written,
        "memory_bytes": snapshot.memory_bytes(),
        "pages": snapshot.pages(),
    }))
}

fn file_bytes(file: &Path) -> Result<u64> {
    let metadata = file.metadata();
    Ok(metadata
        .with_context(|| format!("cannot read {}", file.display()))?
        .len())
}

/// A table of variables.
pub(crate) fn table(listed: &Globals) -> Table {
    let mut table = columns(&["variable", "type", "size"]);
    for global in &listed.globals {
        table.add_row([&global.name, &global.type_name, &size(global.size_bytes)]);
    }
    table
}

/// Checks that nothing is at a path yet: a session's file is not replaced by another session.
pub(crate) fn check_is_new(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        let path = path.display();
        return Err(Usage(format!("{path} is there already; name another file")).into());
    }
    Ok(())
}

pub(crate) fn size(bytes: u64) -> String {
    wardian::policy::Limit::Memory.show(wardian::policy::Allowance::AtMost(bytes))
}

fn list(paths: &[PathBuf], json: bool) -> Result<Exit> {
    let mut table = columns(&["file", "calls", "size", "pages", "session", "parent"]);
    for path in paths {
        let is_directory = path.is_dir();
        let mut files = vec![path.clone()];
        if is_directory {
            let entries = path
                .read_dir()
                .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
            files = entries.with_context(|| format!("cannot read {}", path.display()))?;
            files.sort();
        }
        for file in files {
            let snapshot = match Snapshot::load(&file) {
                Ok(snapshot) => snapshot,
                // Other files lie there too.
                Err(_) if is_directory => continue,
                Err(error) => {
                    return Err(anyhow::Error::new(error)
                        .context(format!("cannot read {}", file.display())));
                }
            };
            if json {
                print_json(&summary(&snapshot, &file)?)?;
                continue;
            }
            table.add_row([
                file.display().to_string(),
                snapshot.usage().calls.to_string(),
                size(file_bytes(&file)?),
                snapshot.pages().to_string(),
                short(snapshot.session_id()),
                snapshot.parent().map_or_else(String::new, short),
            ]);
        }
    }
    if !json {
        print(&format!("{}\n", table.trim_fmt()))?;
    }
    Ok(Exit::SUCCESS)
}

/// The start of an id or a hash, for tables.
fn short(name: &str) -> String {
    name.chars().take(13).collect()
}

fn fork(file: &Path, to: &Path) -> Result<Exit> {
    let snapshot = load(file)?;
    check_is_new(to)?;
    let saved = snapshot.fork().save(to);
    saved.with_context(|| format!("cannot write {}", to.display()))?;
    Ok(Exit::SUCCESS)
}

fn diff(one: &Path, other: &Path, json: bool) -> Result<Exit> {
    let [before, after] = [load(one)?, load(other)?];
    let pages = before.changed_pages(&after)?;
    let runtime = Runtime::new()?;
    let globals = |snapshot: &Snapshot| -> Result<BTreeMap<String, Global>> {
        let listed = snapshot.globals(&runtime).wait()?;
        let named = listed.globals.into_iter();
        Ok(named.map(|global| (global.name.clone(), global)).collect())
    };
    let (mut old, new) = (globals(&before)?, globals(&after)?);
    // What has the same type and size can still be another value.
    let mut rows = Vec::new();
    for (name, global) in new {
        match old.remove(&name) {
            None => rows.push((name, String::new(), shown(&global))),
            Some(known) if known != global => rows.push((name, shown(&known), shown(&global))),
            Some(_) => {}
        }
    }
    rows.extend(
        old.into_iter()
            .map(|(name, global)| (name, shown(&global), String::new())),
    );
    if json {
        let changed = rows
            .iter()
            .map(|(name, before, after)| json!({"name": name, "before": before, "after": after}));
        print_json(&json!({
            "pages": pages.len(),
            "globals": changed.collect::<serde_json::Value>(),
        }))?;
    } else {
        print(&format!("{} pages of memory differ\n", pages.len()))?;
        if !rows.is_empty() {
            let mut table = columns(&["variable", "before", "after"]);
            for (name, before, after) in &rows {
                table.add_row([name, before, after]);
            }
            print(&format!("\n{}\n", table.trim_fmt()))?;
        }
    }
    Ok(if pages.is_empty() {
        Exit::SUCCESS
    } else {
        Exit::BROKEN
    })
}

/// Shows type and size of a variable.
fn shown(global: &Global) -> String {
    format!("{}, {}", global.type_name, size(global.size_bytes))
}
