//! `wardian attack`: what hostile code gets under a policy.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use wardian_attack::{Grade, Report, Suite, SuiteError};

use crate::args::AttackArgs;
use crate::exit::{Exit, Usage};
use crate::output::{columns, print, print_json, progress};
use crate::preflight::{self, Host};

pub(crate) fn run(args: AttackArgs) -> Result<Exit> {
    let mut suite = match &args.policy {
        Some(file) => {
            let doubles = preflight::doubles(args.doubles.file.as_deref())?;
            let checked = preflight::load(file, Host::Doubled, &doubles)?;
            let (policy, _) = checked.usable()?;
            Suite::new(policy).with_tools(doubles.replace(Vec::new()).map_err(Usage)?)
        }
        None => Suite::built_in(),
    };
    let only = args.show.iter().cloned().chain(args.only);
    suite = suite.only(only).map_err(usage)?;
    if args.in_sessions {
        suite = suite.in_sessions();
    }
    if args.show.is_some() {
        show_sources(&suite)?;
        return Ok(Exit::SUCCESS);
    }
    if args.list {
        list(&suite, args.json)?;
        return Ok(Exit::SUCCESS);
    }
    if let Some(jobs) = args.jobs {
        suite = suite.jobs(jobs);
    }
    let this = std::env::current_exe().context("cannot find this program to start it again")?;
    let command = || {
        let mut command = Command::new(&this);
        command.args(std::env::args_os().skip(1));
        command
    };
    // Before the work, so that a wrong path costs none.
    let page = args.report.as_deref().map(create).transpose()?;
    let bar = progress(suite.rows().len());
    let ended = suite.stop_when(interrupted()?).run(command, |row| {
        bar.set_message(row.id.clone());
        bar.inc(1);
        if row.grade == Grade::Unsafe {
            bar.suspend(|| crate::output::remark(&format!("{} {}: unsafe", row.id, row.name)));
        }
    });
    bar.finish_and_clear();
    let report = match ended {
        Err(SuiteError::Stopped) => return Ok(Exit::INTERRUPTED),
        ended => ended.map_err(usage)?,
    };
    if args.json {
        let mut shown = json!(report);
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("safe".to_owned(), report.is_safe().into());
            shown.insert("summary".to_owned(), report.summary().into());
        }
        print_json(&shown)?;
    } else {
        show(&report)?
    }
    if let Some((mut file, path)) = page {
        file.write_all(report.html().as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if report.is_safe() {
        Exit::SUCCESS
    } else {
        Exit::BROKEN
    })
}

fn create(path: &Path) -> Result<(File, &Path)> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok((file, path))
}

/// Sorts errors: a name that names no row is the user's to mend.
fn usage(error: SuiteError) -> anyhow::Error {
    match error {
        SuiteError::Unknown { .. } => Usage(error.to_string()).into(),
        error => error.into(),
    }
}

/// Becomes true with Ctrl-C.
fn interrupted() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let listener = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Listens from here on.
    let mut interrupt = {
        let _inside = listener.enter();
        signal(SignalKind::interrupt())?
    };
    let told = stop.clone();
    std::thread::spawn(move || {
        listener.block_on(interrupt.recv());
        told.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}

fn show(report: &Report) -> Result<()> {
    print(&format!("{}\n\n", report.summary()))?;
    let grades = Grade::ALL.map(|grade| grade.to_string());
    let names = ["class", ""]
        .into_iter()
        .chain(grades.iter().map(String::as_str));
    let mut table = columns(&names.collect::<Vec<_>>());
    let all = Grade::ALL.map(|grade| report.count(grade));
    let classes = report.classes().into_iter();
    let classes = classes.map(|(class, counts)| (class.id.as_str(), class.title.as_str(), counts));
    for (id, title, counts) in classes.chain([("all", "", all)]) {
        let counts = counts.map(|count| count.to_string());
        table.add_row([id.to_owned(), title.to_owned()].into_iter().chain(counts));
    }
    print(&format!("{table}\n\n"))?;
    for grade in [Grade::Unsafe, Grade::Unexpected] {
        for row in report.rows.iter().filter(|row| row.grade == grade) {
            print(&format!("{} {}: {grade}\n", row.id, row.name))?;
            for tried in row.not_safe() {
                print(&format!(
                    "  {} ended {}: {}\n",
                    tried.name, tried.ending, tried.note
                ))?;
                for finding in &tried.findings {
                    print(&format!("    {finding}\n"))?;
                }
            }
        }
    }
    for (reason, rows) in report.not_tried() {
        print(&format!("not tried: {} ({reason})\n", rows.join(", ")))?;
    }
    let tried: usize = report.rows.iter().map(|row| row.attempts.len()).sum();
    print(&format!(
        "{tried} payloads and twins in {} s; the latest run ended {} ms after its time limit\n",
        report.wall_ms / 1_000,
        report.late_ms()
    ))
}

/// Lists the attacks, and those that mean nothing under the policy.
fn list(suite: &Suite, json: bool) -> Result<()> {
    let mut table = columns(&["row", "attack", "sources", "not tried, because"]);
    for (row, reason) in suite.rows() {
        let sources = row.sources().count();
        if json {
            print_json(&json!({
                "id": row.id, "name": row.name, "sources": sources, "reason": reason,
            }))?;
        } else {
            let cells = [
                &row.id,
                &row.name,
                &sources.to_string(),
                reason.unwrap_or_default(),
            ];
            table.add_row(cells);
        }
    }
    if json {
        Ok(())
    } else {
        print(&format!("{table}\n"))
    }
}

/// Shows everything that the rows try.
fn show_sources(suite: &Suite) -> Result<()> {
    for (row, reason) in suite.rows() {
        print(&format!("{} {}\n", row.id, row.name))?;
        if let Some(reason) = reason {
            print(&format!("not tried: {reason}\n"))?;
        }
        if !row.expected().is_empty() {
            print(&format!(
                "expected: rejected, or {}\n",
                row.expected().join(", ")
            ))?;
        }
        for (name, source) in row.sources() {
            print(&format!("\n{name}:\n{source}\n"))?;
        }
    }
    Ok(())
}
