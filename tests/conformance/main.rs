//! Runs CPython's own tests in the sandbox, and keeps what passed once passing.
//!
//! `just judge conformance` runs every module that makes sense here and writes
//! `docs/conformance.md` and `not_passed.txt`, the tests that don't pass, each with the reason.
//! `just judge conformance --check` fails if a test that is not on that list does not pass; with
//! `--quick`, it takes the modules that are quick. The suite is Debian's, of Python 3.14, fetched
//! to `target/conformance`. A module that has changed there since it was recorded, as its digest in
//! `modules.txt` tells, is not checked.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a program for developers"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use wardian::{
    Limits, Policy, Runtime, Sandbox, Script,
    policy::{Access, Allowance, Grant, Limit, Permission, Profile},
};

const DRIVER: &str = include_str!("drive.py");

/// Modules of the suite that make sense in a sandbox: language, built-in types, and the library
/// that needs no system. Each with the digest of its files when it was recorded.
const MODULES: &str = include_str!("modules.txt");

/// Modules of the library that are not in the sandbox, and that tests of others import.
const HELPERS: &[&str] = &["dbm", "pydoc.py"];

/// The release of Debian that has the suite of the Python that this is.
const RELEASE: &str = "forky";

/// The packages that have to be fetched to a directory: the package `test` lies in two.
const PACKAGES: [&str; 2] = ["libpython3.14-testsuite", "libpython3.14-stdlib"];

/// Modules that take more than a few seconds, and are left out of what is checked for each change.
const SLOW: &[&str] = &[
    "test_io",
    "test_pathlib",
    "test_pickle",
    "test_tarfile",
    "test_decimal",
    "test_random",
    "test_statistics",
    "test_itertools",
];

/// The most times that a module is started again after a test that ended the run.
const RESTARTS: usize = 12;

#[derive(Parser)]
struct Arguments {
    /// Fail if a test does not pass that is not recorded as such; write nothing.
    #[arg(long)]
    check: bool,
    /// Leave out the modules that take long.
    #[arg(long)]
    quick: bool,
    /// Run these modules alone, and print what does not pass.
    modules: Vec<String>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The result of one test.
#[derive(Clone, Debug)]
struct ModuleEnd {
    status: String,
    reason: String,
}

type Module = BTreeMap<String, ModuleEnd>;

fn main() -> ExitCode {
    match conform(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn conform(arguments: &Arguments) -> Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("tests/ lies in the workspace")?;
    let suite = suite(&root.join("target/conformance"))?;
    let mut names = arguments.modules.clone();
    let mut digests = String::new();
    if names.is_empty() {
        let mut changed = Vec::new();
        for line in MODULES.lines() {
            let (name, recorded) = line.split_once(' ').unwrap_or((line, ""));
            let digest = digest(&suite.join("test"), name)?;
            writeln!(digests, "{name} {digest}")?;
            if arguments.check && digest != recorded {
                changed.push(name);
            } else if !(arguments.quick && SLOW.contains(&name)) {
                names.push(name.to_owned());
            }
        }
        if !changed.is_empty() {
            println!(
                "not checked, as Debian has other ones than those recorded: {}; `just judge conformance` records them",
                changed.join(", ")
            );
        }
    }
    let results = run_all(&suite, &names)?;
    let not_passed: BTreeMap<&str, &ModuleEnd> = results
        .values()
        .flatten()
        .filter(|(_, ended)| !matches!(&*ended.status, "passed" | "skipped"))
        .map(|(test, ended)| (test.as_str(), ended))
        .collect();
    let record = root.join("tests/conformance/not_passed.txt");
    if !arguments.modules.is_empty() {
        let each = results.values().flatten();
        for (test, ModuleEnd { status, reason }) in
            each.filter(|(_, ended)| ended.status != "passed")
        {
            println!("{status} {test}: {reason}");
        }
        println!("{}", summary(&results));
        return Ok(true);
    }
    if arguments.check {
        let recorded = fs::read_to_string(&record)?;
        let known: BTreeSet<&str> = recorded
            .lines()
            .filter_map(|line| line.split('\t').nth(1))
            .collect();
        let mut holds = true;
        for (test, ModuleEnd { status, reason }) in &not_passed {
            if !known.contains(test) {
                println!("{status} {test}: {reason}");
                holds = false;
            }
        }
        println!("{}", summary(&results));
        return Ok(holds);
    }
    let mut lines = String::new();
    for (test, ModuleEnd { status, reason }) in &not_passed {
        writeln!(lines, "{status}\t{test}\t{reason}")?;
    }
    fs::write(&record, lines)?;
    fs::write(root.join("tests/conformance/modules.txt"), digests)?;
    fs::write(root.join("docs/conformance.md"), page(&results))?;
    println!("{}", summary(&results));
    Ok(true)
}

/// The digest of a module's files.
fn digest(tests: &Path, name: &str) -> Result<String> {
    let package = tests.join(name);
    let mut files = Vec::new();
    if package.is_dir() {
        for entry in fs::read_dir(&package)? {
            files.push(entry?.path());
        }
    } else {
        files.push(package.with_extension("py"));
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "py"));
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(fs::read(&file).with_context(|| format!("the suite has no {name}"))?);
    }
    let digest = digest.finalize();
    let first = digest.first_chunk().context("a digest is longer")?;
    Ok(format!("{:08x}", u32::from_be_bytes(*first)))
}

/// The directory that holds the package `test`; fetched, if it is not there.
fn suite(directory: &Path) -> Result<PathBuf> {
    let library = directory.join(RELEASE);
    if library.is_dir() {
        return Ok(library);
    }
    eprintln!("fetching CPython's test suite from Debian");
    fs::create_dir_all(directory)?;
    let mirror = run(
        "apt-get",
        &["indextargets", "--format", "$(REPO_URI)"],
        directory,
    )?;
    let mirror = mirror
        .lines()
        .find(|uri| uri.ends_with("/debian/"))
        .context("apt-get knows no mirror of Debian")?;
    // A configuration of its own: whatever this machine runs, it gets that release.
    fs::write(
        directory.join("sources.list"),
        format!("deb {mirror} {RELEASE} main\n"),
    )?;
    let own = directory.to_str().context("a path that is no text")?;
    fs::write(
        directory.join("apt.conf"),
        format!(
            "Dir::Etc::SourceList \"{own}/sources.list\";\nDir::Etc::SourceParts \"/dev/null\";\n\
             Dir::State::Lists \"{own}/lists\";\nDir::Cache \"{own}/cache\";\nAPT::Sandbox::User \"root\";\n"
        ),
    )?;
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(directory.join(part))?;
    }
    run("apt-get", &["-q", "-c", "apt.conf", "update"], directory)?;
    let download = ["-q", "-c", "apt.conf", "download"];
    run("apt-get", &[&download[..], &PACKAGES].concat(), directory)?;
    let unpack =
        "for package in *.deb; do dpkg -x $package packages; done; rm -r *.deb lists cache";
    run("sh", &["-c", unpack], directory)?;
    // No more than that: the library beside it must not be what scripts import.
    let parts = directory.join("parts");
    fs::create_dir_all(&parts)?;
    let python = directory.join("packages/usr/lib/python3.14");
    for part in HELPERS.iter().chain(&["test"]) {
        fs::rename(python.join(part), parts.join(part))?;
    }
    fs::remove_dir_all(directory.join("packages"))?;
    fs::rename(parts, &library)?;
    Ok(library)
}

/// Runs a program, and returns what it prints.
fn run(program: &str, arguments: &[&str], directory: &Path) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stderr(Stdio::inherit())
        .output();
    let output = output.with_context(|| {
        format!("cannot start {program}: the suite comes from Debian's packages")
    })?;
    ensure!(
        output.status.success(),
        "{program} {} failed",
        arguments.join(" ")
    );
    Ok(String::from_utf8(output.stdout)?)
}

fn run_all(suite: &Path, names: &[String]) -> Result<BTreeMap<String, Module>> {
    let runtime = Runtime::new()?;
    let started = Instant::now();
    let pending: Mutex<VecDeque<&String>> = Mutex::new(names.iter().collect());
    let results = Mutex::new(BTreeMap::new());
    let work = || -> Result<()> {
        loop {
            let Some(name) = pending.lock().unwrap().pop_front() else {
                return Ok(());
            };
            let module = run_module(&runtime, suite, name)?;
            let mut results = results.lock().unwrap();
            results.insert(name.clone(), module);
            eprint!(
                "\r{} of {} modules, {} s ",
                results.len(),
                names.len(),
                started.elapsed().as_secs()
            );
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap())
    })?;
    eprintln!();
    Ok(results.into_inner().unwrap())
}

/// Runs a module, and again without what has run when a test ends the run.
fn run_module(runtime: &Runtime, suite: &Path, name: &str) -> Result<Module> {
    let mut module = Module::new();
    for _ in 0..RESTARTS {
        let scratch = tempfile::tempdir()?;
        let sandbox = Sandbox::new(runtime, policy(suite, scratch.path())?)?;
        let done: Vec<&String> = module.keys().collect();
        let script = Script::new(DRIVER)
            .input("module", json!(name))
            .input("done", json!(done));
        let outcome = sandbox.run_blocking(script)?;
        let (mut running, mut ended) = (None, false);
        for line in outcome.stdout.text().lines() {
            let Some(said) = line.strip_prefix("@@\t") else {
                continue;
            };
            let mut parts = said.split('\t');
            match (parts.next(), parts.next()) {
                (Some("end"), _) => ended = true,
                (Some("start"), Some(test)) => running = Some(test.to_owned()),
                (Some(status), Some(test)) => {
                    running = None;
                    let reason = parts.next().unwrap_or_default().to_owned();
                    module.insert(
                        test.to_owned(),
                        ModuleEnd {
                            status: status.to_owned(),
                            reason,
                        },
                    );
                }
                _ => {}
            }
        }
        if ended {
            return Ok(module);
        }
        let test = running.unwrap_or_else(|| format!("test.{name}"));
        let status = "stopped".to_owned();
        let reason = outcome.verdict.to_string();
        if module.insert(test, ModuleEnd { status, reason }).is_some() {
            return Ok(module);
        }
    }
    Ok(module)
}

fn policy(suite: &Path, scratch: &Path) -> Result<Policy> {
    let limits = Limits::default()
        .with_fuel(Allowance::AtMost(200_000_000_000))?
        .with(Limit::Memory, Allowance::AtMost(1 << 30))?
        .with(Limit::Stdout, Allowance::AtMost(32 << 20))?
        .with(Limit::FilesCreated, Allowance::AtMost(100_000))?
        .with(Limit::BytesWritten, Allowance::AtMost(1 << 30))?
        .with_timeout(Allowance::AtMost(Duration::from_secs(60)))?;
    let files = Permission::READ_FILE | Permission::WRITE_FILE;
    let policy =
        Policy::new(Permission::EXECUTE_CODE | files, limits).with_source_rules(Profile::Open);
    let policy = policy.with_grant(Grant::new("/lib", suite, Access::READ)?)?;
    Ok(policy.with_grant(Grant::new("/tmp", scratch, Access::READ_WRITE)?)?)
}

/// Counts the tests of a module by their ends.
fn counts(module: &Module) -> [usize; 5] {
    ["passed", "failed", "error", "stopped", "skipped"].map(|status| {
        module
            .values()
            .filter(|ended| ended.status == status)
            .count()
    })
}

fn total(results: &BTreeMap<String, Module>) -> [usize; 5] {
    let mut total = [0; 5];
    for module in results.values() {
        for (sum, count) in total.iter_mut().zip(counts(module)) {
            *sum += count;
        }
    }
    total
}

fn summary(results: &BTreeMap<String, Module>) -> String {
    let [passed, failed, error, stopped, skipped] = total(results);
    let ran = passed + failed + error + stopped;
    format!(
        "{passed} of {ran} tests pass ({:.1} %): {failed} fail, {error} raise, {stopped} end the run; {skipped} \
         are skipped, in {} modules",
        100.0 * passed as f64 / ran.max(1) as f64,
        results.len()
    )
}

fn page(results: &BTreeMap<String, Module>) -> String {
    let mut page = format!(
        "# CPython's tests\n\nThe test suite of CPython 3.14 in the sandbox, module by module, a fresh run for \
         each; written by `just judge conformance`. \
         {}.\n\nEach test that does not pass stands with its reason in \
         [not_passed.txt](../tests/conformance/not_passed.txt); `just judge conformance --check` fails if \
         another one does not. Skipped are those that need what is not here: the \
         C interface, a network, processes, much memory.\n\n| module | passed | failed | errors | ended the run \
         | skipped |\n|---|--:|--:|--:|--:|--:|\n",
        summary(results)
    );
    for (name, module) in results {
        let counts = counts(module).map(|count| count.to_string());
        page += &format!("| {name} | {} |\n", counts.join(" | "));
    }
    page
}
