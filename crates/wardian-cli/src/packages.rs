//! `wardian packages`: packages of a policy, added and tried.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::NamedTempFile;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};
use wardian::audit::sha256;
use wardian::{Runtime, Sandbox, Verdict, load_policy};
use wardian_testkit::Doubles;

use crate::args::PackagesCommand;
use crate::exit::{Exit, Usage};
use crate::output::{columns, print, print_json, progress, remark};
use crate::preflight::{self, Host};

pub(crate) fn run(command: PackagesCommand) -> Result<Exit> {
    match command {
        PackagesCommand::Add { files, policy } => add(&files, &policy),
        PackagesCommand::Check { policy, json } => check(&policy, json),
    }
}

/// Adds packages to a policy file, which stays as it is if that does not make a policy.
fn add(files: &[PathBuf], policy: &Path) -> Result<Exit> {
    let wrong = |why: String| Usage(format!("{}: {why}", policy.display()));
    let path = policy.canonicalize();
    let path = path.map_err(|error| wrong(format!("can't be read: {error}")))?;
    let text = fs::read_to_string(&path);
    let text = text.map_err(|error| wrong(format!("can't be read: {error}")))?;
    let mut document: DocumentMut = text.parse().map_err(|error| wrong(format!("{error}")))?;
    let beside = path.parent().unwrap_or(Path::new("/"));
    let mut said = Vec::new();
    for file in files {
        said.push(add_one(&mut document, file, beside).map_err(|why| wrong(why.to_string()))?);
    }
    // Beside the old one: what is relative in it means the same.
    let mut new = NamedTempFile::with_suffix_in(".toml", beside)?;
    new.write_all(document.to_string().as_bytes())?;
    // The user knows it by the name of the old one.
    let explain = |error: String| {
        let [new, old] = [new.path(), policy].map(|path| path.display().to_string());
        Usage(error.replace(&new, &old))
    };
    let loaded = load_policy(new.path()).map_err(|error| explain(error.to_string()))?;
    let image = loaded.image().map(|image| image.file().to_owned());
    let made = Sandbox::new(&Runtime::new()?, loaded.with_image(None));
    made.map_err(|error| explain(error.to_string()))?;
    new.as_file()
        .set_permissions(path.metadata()?.permissions())?;
    new.as_file().sync_all()?;
    new.persist(&path)
        .with_context(|| format!("cannot write {}", policy.display()))?;
    for line in said {
        remark(&line);
    }
    if let Some(image) = image {
        let (image, policy) = (image.display(), policy.display());
        remark(&format!(
            "{image} is without it: build it again, `wardian image build --policy {policy}`"
        ));
    }
    Ok(Exit::SUCCESS)
}

/// Adds a wheel or a directory. Returns what was done.
fn add_one(document: &mut DocumentMut, file: &Path, beside: &Path) -> Result<String, Usage> {
    let wrong = |why: &str| Usage(format!("cannot add {}: {why}", file.display()));
    let path = file.canonicalize();
    let path = path.map_err(|error| wrong(&error.to_string()))?;
    let shown = path.strip_prefix(beside).unwrap_or(&path);
    let shown = shown
        .to_str()
        .ok_or_else(|| wrong("its path is not UTF-8"))?;
    let section = document
        .entry("packages")
        .or_insert(Item::Table(Table::new()));
    let section = section
        .as_table_like_mut()
        .ok_or_else(|| wrong("`packages` is not a table"))?;
    if path.is_dir() {
        let list = section.entry("directories").or_insert(value(Array::new()));
        let list = list.as_array_mut();
        let list = list.ok_or_else(|| wrong("`packages.directories` is not a list"))?;
        if !list.iter().any(|known| known.as_str() == Some(shown)) {
            list.push(shown);
        }
        return Ok(format!("added the directory {shown}"));
    }
    let bytes = fs::read(&path).map_err(|error| wrong(&error.to_string()))?;
    let hash = sha256(&bytes);
    let wheels = section.entry("wheels").or_insert(value(Array::new()));
    // As `[[packages.wheels]]`, it is another form of the same.
    if let Some(tables) = wheels.as_array_of_tables_mut() {
        return Ok(add_table(tables, shown, &hash));
    }
    let wheels = wheels.as_array_mut();
    let wheels = wheels.ok_or_else(|| wrong("`packages.wheels` is not a list"))?;
    let is_it = |known: &&mut Value| {
        let file = known.as_inline_table().and_then(|known| known.get("file"));
        file.and_then(Value::as_str) == Some(shown)
    };
    if let Some(known) = wheels.iter_mut().find(is_it) {
        if let Some(known) = known.as_inline_table_mut() {
            known.insert("sha256", hash.as_str().into());
        }
        return Ok(format!("{shown} has SHA-256 {hash} now"));
    }
    let mut entry = InlineTable::new();
    entry.insert("file", shown.into());
    entry.insert("sha256", hash.as_str().into());
    let mut entry = Value::from(entry);
    entry.decor_mut().set_prefix("\n    ");
    wheels.push_formatted(entry);
    wheels.set_trailing_comma(true);
    wheels.set_trailing("\n");
    Ok(format!("added {shown}, SHA-256 {hash}"))
}

fn add_table(wheels: &mut ArrayOfTables, shown: &str, hash: &str) -> String {
    let is_it = |known: &&mut Table| known.get("file").and_then(Item::as_str) == Some(shown);
    if let Some(known) = wheels.iter_mut().find(is_it) {
        known.insert("sha256", value(hash));
        return format!("{shown} has SHA-256 {hash} now");
    }
    let mut entry = Table::new();
    entry.insert("file", value(shown));
    entry.insert("sha256", value(hash));
    wheels.push(entry);
    format!("added {shown}, SHA-256 {hash}")
}

/// Imports each module of the packages, each in a run of its own.
fn check(policy: &Path, json: bool) -> Result<Exit> {
    let (policy, _) = preflight::load(policy, Host::Here, &Doubles::default())?.usable()?;
    let sandbox = Sandbox::new(&Runtime::new()?, policy)?;
    let modules = sandbox.package_modules();
    if modules.is_empty() && !json {
        remark("the policy has no packages: `wardian packages add` adds some");
    }
    let bar = progress(modules.len());
    let mut table = columns(&["module", "import", "ms"]);
    let mut exit = Exit::SUCCESS;
    for module in modules {
        bar.set_message(module.clone());
        let outcome = sandbox.run_blocking(format!("import {module}"))?;
        bar.inc(1);
        let reason = match &outcome.verdict {
            Verdict::Completed => None,
            Verdict::Raised(raised) => Some(format!("{}: {}", raised.r#type, raised.message)),
            verdict => Some(verdict.to_string()),
        };
        if reason.is_some() {
            exit = Exit::BROKEN;
        }
        let ms = outcome.usage.wall.as_secs_f64() * 1e3;
        if json {
            print_json(
                &json!({"module": module, "ok": reason.is_none(), "reason": reason, "ms": ms}),
            )?;
        } else {
            let shown = reason.unwrap_or_else(|| "ok".to_owned());
            table.add_row([module, shown, format!("{ms:.0}")]);
        }
    }
    bar.finish_and_clear();
    if !json && !table.is_empty() {
        print(&format!("{}\n", table.trim_fmt()))?;
    }
    Ok(exit)
}
