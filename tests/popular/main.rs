//! Tries popular packages in the sandbox: `just packages` writes `docs/packages.md`.
//!
//! Each is fetched by pip with what it needs, in pure Python, as it would be for a policy; its
//! program of `list.txt` runs under the profile `open`. What pip has fetched stays in
//! `target/packages`.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a program for developers"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use wardian::audit::sha256;
use wardian::outcome::Value;
use wardian::policy::{Allowance, Profile, Wheel};
use wardian::{Limits, Outcome, Policy, Runtime, Sandbox, Verdict};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const LIST: &str = include_str!("list.txt");

/// Packages whose wheels have native code, which `policies/interpreter/fetch` has in pure Python:
/// the module, the name and the version.
const PURE: [(&str, &str, &str); 2] = [
    ("markupsafe", "markupsafe", "3.0.4"),
    ("yaml", "pyyaml", "6.0.4"),
];

/// The longest value and the longest reason of the page, in characters.
const SHOWN: usize = 90;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The result of a package.
struct Tried {
    name: String,
    version: String,
    /// The count of wheels that it takes, its own included.
    wheels: usize,
    import_ms: Option<f64>,
    /// The value of its program, or the reason for which there is none.
    result: std::result::Result<String, String>,
}

fn main() -> Result<()> {
    let target = here("../target/packages");
    let pure = target.join("pure");
    fs::create_dir_all(&pure)?;
    for (module, name, version) in PURE {
        pack(module, name, version, &pure)?;
    }
    let runtime = Runtime::new()?;
    let lines: Vec<_> = LIST.lines().filter(|line| !line.starts_with('#')).collect();
    let mut tried = Vec::new();
    for line in &lines {
        let (name, program) = line.split_once(" | ").context(*line)?;
        eprintln!("{}/{} {name}", tried.len() + 1, lines.len());
        tried.push(try_one(
            &runtime,
            name,
            &program.replace(";; ", "\n"),
            &target,
            &pure,
        )?);
    }
    fs::write(here("../docs/packages.md"), page(&tried))?;
    Ok(())
}

/// Packs a module of the kit as a wheel, for pip to find.
fn pack(module: &str, name: &str, version: &str, into: &Path) -> Result<()> {
    let source = here("../policies/interpreter/pure").join(module);
    let files = fs::read_dir(&source).context("policies/interpreter/fetch gets the packages")?;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |path: String, bytes: &[u8]| -> Result<()> {
        zip.start_file(path, SimpleFileOptions::default())?;
        Ok(zip.write_all(bytes)?)
    };
    for file in files {
        let file = file?.path();
        let own = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if file.is_file() {
            add(format!("{module}/{own}"), &fs::read(&file)?)?;
        }
    }
    let info = format!("{name}-{version}.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    add(format!("{info}/METADATA"), metadata.as_bytes())?;
    let tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    add(format!("{info}/WHEEL"), tag.as_bytes())?;
    add(format!("{info}/RECORD"), b"")?;
    let wheel = into.join(format!("{name}-{version}-py3-none-any.whl"));
    Ok(fs::write(wheel, zip.finish()?.into_inner())?)
}

fn try_one(
    runtime: &Runtime,
    name: &str,
    program: &str,
    target: &Path,
    pure: &Path,
) -> Result<Tried> {
    let mut tried = Tried {
        name: name.to_owned(),
        version: String::new(),
        wheels: 0,
        import_ms: None,
        result: Err(String::new()),
    };
    let files = match fetch(name, &target.join(name), pure)? {
        Ok(files) => files,
        Err(reason) => {
            tried.result = Err(reason);
            return Ok(tried);
        }
    };
    tried.wheels = files.len();
    tried.version = version(name, &files);
    let limits = Limits::default()
        .with_memory_bytes(1 << 30)?
        .with_timeout(Allowance::AtMost(Duration::from_secs(60)))?
        .with_fuel(Allowance::Unlimited)?;
    let mut policy = Policy::computing()
        .with_source_rules(Profile::Open)
        .with_limits(limits)
        .with_work(Policy::WORK)?;
    for file in files {
        let hash = sha256(&fs::read(&file)?);
        policy = policy.with_wheel(Wheel::new(file, &hash)?)?;
    }
    let sandbox = match Sandbox::new(runtime, policy) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            let said = error.to_string();
            let said = said.rsplit('/').next().unwrap_or_default().to_owned();
            tried.result = Err(said);
            return Ok(tried);
        }
    };
    let import = program.lines().next().unwrap_or_default();
    let outcome = sandbox.run_blocking(import)?;
    tried.result = result(&outcome);
    if tried.result.is_ok() {
        tried.import_ms = Some(outcome.usage.wall.as_secs_f64() * 1e3);
        tried.result = result(&sandbox.run_blocking(program)?);
    }
    Ok(tried)
}

/// Fetches the wheels of a package and of what it needs; the reason if there are none in pure
/// Python.
fn fetch(
    name: &str,
    into: &Path,
    pure: &Path,
) -> Result<std::result::Result<Vec<PathBuf>, String>> {
    fs::create_dir_all(into)?;
    if fs::read_dir(into)?.next().is_none() {
        let command = "-m pip download --quiet --disable-pip-version-check --only-binary :all: --platform any \
                       --implementation py --abi none --python-version 3.14";
        let output = Command::new("python3")
            .args(command.split_whitespace())
            .arg("--find-links")
            .arg(pure)
            .arg("--dest")
            .arg(into)
            .arg(name)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            if said.contains("ResolutionImpossible") {
                let reason = "what it needs has no wheels in pure Python";
                return Ok(Err(reason.to_owned()));
            }
            let wanted = said.split("No matching distribution found for ").nth(1);
            let wanted = wanted.and_then(|wanted| wanted.split_whitespace().next());
            ensure!(wanted.is_some(), "pip can't fetch {name}: {said}");
            let wanted = wanted.unwrap_or_default().trim_end_matches(';');
            return Ok(Err(format!("there is no wheel of {wanted} in pure Python")));
        }
    }
    let files = fs::read_dir(into)?;
    let files: std::io::Result<Vec<_>> = files.map(|file| file?.path().canonicalize()).collect();
    let mut files = files?;
    files.sort();
    Ok(Ok(files))
}

/// The version of a package among its wheels.
fn version(name: &str, files: &[PathBuf]) -> String {
    let normal = |name: &str| name.to_lowercase().replace(['-', '.'], "_");
    let known: BTreeMap<_, _> = files
        .iter()
        .filter_map(|file| {
            let file = file.file_name()?.to_str()?;
            let mut parts = file.split('-');
            Some((normal(parts.next()?), parts.next()?.to_owned()))
        })
        .collect();
    known.get(&normal(name)).cloned().unwrap_or_default()
}

/// The value of a program, or the reason for which there is none.
fn result(outcome: &Outcome) -> std::result::Result<String, String> {
    match &outcome.verdict {
        Verdict::Completed => Ok(match &outcome.value {
            Some(Value::Json(value)) => value.to_string(),
            Some(Value::Opaque { repr, .. }) => repr.clone().unwrap_or_default(),
            _ => String::new(),
        }),
        Verdict::Raised(raised) => Err(format!("{}: {}", raised.r#type, raised.message)),
        verdict => Err(verdict.to_string()),
    }
}

fn page(tried: &[Tried]) -> String {
    let works = tried.iter().filter(|tried| tried.result.is_ok()).count();
    let imports = tried
        .iter()
        .filter(|tried| tried.import_ms.is_some())
        .count();
    let mut page = format!(
        "# Popular packages\n\n\
         Packages that people expect, in the sandbox; written by `just packages`. Of {} packages, {imports} can be \
         imported and {works} do what their program asks of them.\n\n\
         Each was fetched by pip with what it needs, as wheels in pure Python (MarkupSafe and PyYAML without their \
         native parts, as in `policies/interpreter.toml`), and put into `[packages]` of a policy with the profile \
         `open` and a working directory. The time is that of a fresh run with the import alone, on the machine that \
         wrote this page; an [image](policy.md#images) imports once. The programs stand in \
         [list.txt](../tests/popular/list.txt).\n\n\
         | package | version | wheels | import, ms | the program's value, or the reason that there is none |\n\
         |---|---|--:|--:|---|\n",
        tried.len()
    );
    for Tried {
        name,
        version,
        wheels,
        import_ms,
        result,
    } in tried
    {
        let ms = import_ms.map_or_else(String::new, |ms| format!("{ms:.0}"));
        let shown = match result {
            Ok(value) => format!("`{}`", cell(value)),
            Err(reason) => format!("**no**: {}", cell(reason)),
        };
        writeln!(page, "| {name} | {version} | {wheels} | {ms} | {shown} |").unwrap();
    }
    page
}

/// A text as it stands in a cell of a table.
fn cell(text: &str) -> String {
    let line = text
        .replace('\n', "\\n")
        .replace('|', "\\|")
        .replace('`', "'");
    let mut shown: String = line.chars().take(SHOWN).collect();
    if line.chars().count() > SHOWN {
        shown.push('…');
    }
    shown
}
