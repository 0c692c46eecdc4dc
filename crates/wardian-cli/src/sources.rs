//! Scripts as files: one, with modules beside it, or a directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use wardian::{
    Policy, Script,
    build::SCRIPT_NAME,
    policy::{Allowance, Source},
};

use crate::exit::Usage;
use crate::run::{is_dash, text};

/// The file of a directory that is run.
const MAIN: &str = "main.py";

/// A script with its modules, and where each text is from.
pub(crate) struct Files {
    pub(crate) script: Script,
    pub(crate) sources: Sources,
}

/// Names of a script and its modules on this machine, with their texts.
pub(crate) struct Sources {
    main: (String, String),
    modules: BTreeMap<String, (String, String)>,
}

impl Sources {
    fn new(file: String, text: String) -> Self {
        Self {
            main: (file, text),
            modules: BTreeMap::new(),
        }
    }

    /// File and text of a module, or of the script itself.
    pub(crate) fn of(&self, module: Option<&str>) -> (&str, &str) {
        let module = module.and_then(|module| self.modules.get(module));
        let (file, text) = module.unwrap_or(&self.main);
        (file, text)
    }
}

impl Files {
    pub(crate) fn of_code(code: &str) -> Self {
        Self {
            script: Script::new(code),
            sources: Sources::new(SCRIPT_NAME.to_owned(), code.to_owned()),
        }
    }

    /// A file, or standard input.
    pub(crate) fn of_file(file: &Path, timeout: Allowance<Duration>) -> Result<Self> {
        let code = text(file, timeout)?;
        if is_policy(file, &code) {
            let file = file.display();
            let why = format!(
                "{file} is a policy, not a script; write `wardian run --policy {file} SCRIPT`, or `wardian \
                 policy check {file}`"
            );
            return Err(Usage(why).into());
        }
        let name = source_name(Some(file));
        Ok(Self {
            script: Script::new(code.as_str()).named(&*name),
            sources: Sources::new(name, code),
        })
    }

    /// The `main.py` of a directory, with all other files of Python in it.
    pub(crate) fn of_directory(directory: &Path, timeout: Allowance<Duration>) -> Result<Self> {
        let main = directory.join(MAIN);
        if !main.is_file() {
            let why = format!(
                "{} has no {MAIN}, which is what is run",
                directory.display()
            );
            return Err(Usage(why).into());
        }
        let mut files = Self::of_file(&main, timeout)?;
        let mut found = Vec::new();
        collect(directory, "", &mut found)?;
        // A package before what is in it.
        found.sort();
        for (module, file) in found {
            files.add(module, &file, timeout)?;
        }
        Ok(files)
    }

    /// A file that the script imports by its name.
    pub(crate) fn add_module(&mut self, file: &Path, timeout: Allowance<Duration>) -> Result<()> {
        let stem = file.file_stem().unwrap_or_default();
        self.add(stem.to_string_lossy().into_owned(), file, timeout)
    }

    fn add(&mut self, module: String, file: &Path, timeout: Allowance<Duration>) -> Result<()> {
        let code = text(file, timeout)?;
        let script = std::mem::take(&mut self.script);
        self.script = script.module(module.as_str(), code.as_str());
        self.sources
            .modules
            .insert(module, (source_name(Some(file)), code));
        Ok(())
    }
}

/// The files of Python in a directory, by the names of their modules, but for the one that is run.
/// Links are not followed.
fn collect(directory: &Path, package: &str, found: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let cannot = |error| Usage(format!("cannot read {}: {error}", directory.display()));
    for entry in std::fs::read_dir(directory).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let (path, name) = (
            entry.path(),
            entry.file_name().to_string_lossy().into_owned(),
        );
        let kind = entry.file_type().map_err(cannot)?;
        if kind.is_dir() && !name.starts_with(['.', '_']) {
            collect(&path, &format!("{package}{name}."), found)?;
        } else if let Some(module) = name.strip_suffix(".py").filter(|_| kind.is_file()) {
            match module {
                "__init__" if !package.is_empty() => {
                    found.push((package.trim_end_matches('.').to_owned(), path));
                }
                "main" if package.is_empty() => {}
                module => found.push((format!("{package}{module}"), path)),
            }
        }
    }
    Ok(())
}

/// Returns whether a file that was given as a script is a policy.
fn is_policy(file: &Path, text: &str) -> bool {
    let is_toml = file
        .extension()
        .is_some_and(|extension| extension == "toml");
    // A line such as `version = 1` is Python too.
    let says_what_is_granted = || text.lines().any(|line| line.starts_with("permissions"));
    is_toml || says_what_is_granted() && Policy::parse(&Source::text("script", text)).is_ok()
}

/// Names a source as it is shown, given its file, if it has one.
pub(crate) fn source_name(file: Option<&Path>) -> String {
    match file.filter(|file| !is_dash(file)) {
        Some(file) => file.display().to_string(),
        None => SCRIPT_NAME.to_owned(),
    }
}
