//! `wardian image`: the state that runs start from, built and shown.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use wardian::policy::ImageFile;
use wardian::session::{Image, ImagePackage};
use wardian::{Runtime, Sandbox, Script, load_policy};

use crate::args::ImageCommand;
use crate::exit::{Exit, Usage};
use crate::output::{columns, or_none, plain, print, print_json, remark, spinner};
use crate::session::{self, size};

pub(crate) fn run(command: ImageCommand) -> Result<Exit> {
    match command {
        ImageCommand::Build {
            policy,
            setup,
            out,
            json,
        } => build(&policy, setup, out, json),
        ImageCommand::Show { file, json } => show(&file, json),
    }
}

/// Builds an image, where the flags say or the policy.
fn build(file: &Path, setup: Option<PathBuf>, out: Option<PathBuf>, json: bool) -> Result<Exit> {
    let policy = load_policy(file)?;
    let named = policy.image();
    let out = out.or_else(|| Some(named?.file().to_owned()));
    let out = out.ok_or_else(|| {
        let file = file.display();
        Usage(format!(
            "there is no file for the image: give --out, or write `image = \"app.image\"` into {file}"
        ))
    })?;
    let setup = setup.or_else(|| Some(named.and_then(ImageFile::setup)?.to_owned()));
    let setup = setup.as_deref().map(read_setup).transpose()?;
    // What is in its place now does not matter.
    let sandbox = Sandbox::new(&Runtime::new()?, policy.with_image(None))?;
    let bar = spinner("importing packages and setting up");
    let built = Image::build(&sandbox, setup).wait();
    bar.finish_and_clear();
    let built = built?;
    for (module, reason) in &built.not_imported {
        remark(&format!("the image is without {module}: {reason}"));
    }
    let image = &built.image;
    let saved = image.snapshot().save(&out);
    saved.with_context(|| format!("cannot write {}", out.display()))?;
    if json {
        print_json(&summary(image, &out))?;
    } else {
        remark(&format!(
            "{} has the image now: {}",
            out.display(),
            in_short(image)
        ));
    }
    Ok(Exit::SUCCESS)
}

fn read_setup(file: &Path) -> Result<Script> {
    let source = fs::read_to_string(file);
    let source =
        source.map_err(|error| Usage(format!("cannot read {}: {error}", file.display())))?;
    Ok(Script::from(source))
}

fn show(file: &Path, json: bool) -> Result<Exit> {
    let image = Image::load(file).with_context(|| format!("cannot read {}", file.display()))?;
    if json {
        print_json(&summary(&image, file))?;
        return Ok(Exit::SUCCESS);
    }
    let mut rows = plain();
    for (name, value) in [
        ("image", image.sha256().to_owned()),
        (
            "setup",
            or_none(image.setup_sha256().unwrap_or_default().to_owned()),
        ),
        ("file", size(file.metadata()?.len())),
        ("memory", size(image.snapshot().memory_bytes())),
        ("changed pages", image.snapshot().pages().to_string()),
    ] {
        rows.add_row([name.to_owned(), value]);
    }
    print(&format!("{}\n", rows.trim_fmt()))?;
    if !image.packages().is_empty() {
        let mut packages = columns(&["built with", "sha256"]);
        for ImagePackage { name, sha256 } in image.packages() {
            packages.add_row([name.as_str(), sha256.get(..12).unwrap_or_default()]);
        }
        print(&format!("\n{}\n", packages.trim_fmt()))?;
    }
    let globals = image.snapshot().globals(&Runtime::new()?).wait()?;
    if !globals.globals.is_empty() {
        print(&format!("\n{}\n", session::table(&globals).trim_fmt()))?;
    }
    Ok(Exit::SUCCESS)
}

fn in_short(image: &Image) -> String {
    let memory = size(image.snapshot().memory_bytes());
    let packages = image.packages().len();
    format!(
        "{packages} packages, {memory} of memory, SHA-256 {}",
        image.sha256()
    )
}

fn summary(image: &Image, file: &Path) -> Value {
    json!({
        "file": file.to_string_lossy(),
        "sha256": image.sha256(),
        "setup_sha256": image.setup_sha256(),
        "packages": image.packages(),
        "memory_bytes": image.snapshot().memory_bytes(),
        "changed_pages": image.snapshot().pages(),
    })
}
