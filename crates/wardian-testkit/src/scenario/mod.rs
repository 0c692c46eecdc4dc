//! Scenarios: tests as folders, for people who write policies and no Rust.
//!
#![doc = include_str!("format.md")]

mod expect;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use wardian::{Script, load_policy, policy::PolicyError};

use self::expect::Expected;
use crate::{Doubles, Fixture, FixtureError, RunResult};

/// The files of a scenario, as Markdown.
pub const FORMAT: &str = include_str!("format.md");

/// Asks for `expect.toml` to be written anew.
const UPDATE: &str = "UPDATE_EXPECT";

/// Tests each of these folders of scenarios, which lie in a directory of the package, and that no
/// other lies there. One `#[test]` for each.
///
/// ```
/// wardian_testkit::scenarios!("tests/cases": reads_the_faq, writes_no_secret);
/// ```
#[macro_export]
macro_rules! scenarios {
    ($directory:literal: $($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/", $directory);
                $crate::scenario::check(directory, stringify!($name));
            }
        )*

        #[test]
        fn every_scenario_is_tested() {
            let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/", $directory);
            $crate::scenario::check_names(directory, &[$(stringify!($name)),*]);
        }
    };
}

/// A folder that holds a scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its path beneath the folder that was searched.
    pub name: String,
    folder: PathBuf,
    policy: PathBuf,
    doubles: Doubles,
}

/// A reason for which a scenario can't be run. The result of one that can is compared, and is no
/// error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// A file of the scenario.
    #[error("{}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The mistake.
        why: String,
    },
    /// The file of doubles.
    #[error("{0}")]
    Doubles(String),
    /// There is no policy.
    #[error("{} has no policy.toml, nor has a folder above it", .0.display())]
    NoPolicy(PathBuf),
    /// There is no scenario.
    #[error("{} holds no scenario: a folder with a main.py", .0.display())]
    Nothing(PathBuf),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The run's fixture can't be made.
    #[error(transparent)]
    Fixture(#[from] FixtureError),
    /// The run.
    #[error(transparent)]
    Wardian(#[from] wardian::Error),
}

/// Finds the scenarios in a folder and in those beneath it, by name.
///
/// # Errors
///
/// If there is none, or one has no policy. `policy` is that of those that have none of their own;
/// without it, the nearest in the folders above.
pub fn find(directory: &Path, policy: Option<&Path>) -> Result<Vec<Scenario>, ScenarioError> {
    let mut found = Vec::new();
    let above = nearest_policy(directory);
    let policy = policy.or(above.as_deref());
    search(directory, directory, policy, &mut found)?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    if found.is_empty() {
        Err(ScenarioError::Nothing(directory.to_owned()))
    } else {
        Ok(found)
    }
}

fn search(
    root: &Path,
    folder: &Path,
    policy: Option<&Path>,
    found: &mut Vec<Scenario>,
) -> Result<(), ScenarioError> {
    let own = folder.join("policy.toml");
    let policy = if own.is_file() { Some(&*own) } else { policy };
    if folder.join("main.py").is_file() {
        let missing = || ScenarioError::NoPolicy(folder.to_owned());
        let beneath = folder.strip_prefix(root).ok();
        let name = beneath
            .filter(|name| !name.as_os_str().is_empty())
            .or_else(|| folder.file_name().map(Path::new))
            .unwrap_or(folder);
        found.push(Scenario {
            name: name.to_string_lossy().into_owned(),
            folder: folder.to_owned(),
            policy: policy.ok_or_else(missing)?.to_owned(),
            doubles: Doubles::default(),
        });
        return Ok(());
    }
    let failed = |error: std::io::Error| wrong(folder, error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            search(root, &entry.path(), policy, found)?;
        }
    }
    Ok(())
}

impl Scenario {
    /// Runs it, and says what is not as it should be: nothing, if all is.
    ///
    /// # Errors
    ///
    /// If it can't be run.
    pub fn run(&self) -> Result<Vec<String>, ScenarioError> {
        let (fixture, ran) = self.play()?;
        let file = self.folder.join("expect.toml");
        let expected: Expected = match read(&file)? {
            Some(text) => toml::from_str(&text).map_err(|error| wrong(&file, error))?,
            None => {
                return Ok(vec![format!(
                    "there is no expect.toml: `--update`, in tests {UPDATE}=1, writes one from what comes of \
                     the script: {}",
                    ran.verdict
                )]);
            }
        };
        expected
            .compare(&fixture, &ran)
            .map_err(|why| wrong(&file, why))
    }

    /// Runs it, and writes down what comes of it as what should.
    ///
    /// # Errors
    ///
    /// If it can't be run, or its folder can't be written to.
    pub fn update(&self) -> Result<(), ScenarioError> {
        let (fixture, ran) = self.play()?;
        let file = self.folder.join("expect.toml");
        let expected = Expected::of(&fixture, &ran, &self.files()?)?;
        let text = toml::to_string_pretty(&expected).map_err(|error| wrong(&file, error))?;
        fs::write(&file, text).map_err(|error| wrong(&file, error))
    }

    fn play(&self) -> Result<(Fixture, RunResult), ScenarioError> {
        let file = |name: &str| self.folder.join(name);
        let main = file("main.py");
        let code = fs::read_to_string(&main).map_err(|error| wrong(&main, error))?;
        let mut script = Script::new(code);
        if let Some(inputs) = read(&file("inputs.json"))? {
            let inputs: Map<String, Value> = serde_json::from_str(&inputs)
                .map_err(|error| wrong(&file("inputs.json"), error))?;
            for (name, value) in inputs {
                script = script.input(name, value);
            }
        }
        let mut fixture = Fixture::new(load_policy(&self.policy)?)?;
        for (path, content) in self.files()? {
            fixture = fixture.with_file(&path, content)?;
        }
        let fixture = fixture
            .with_doubles(self.doubles()?)
            .map_err(|reason| wrong(&file("tools.toml"), reason))?;
        let ran = fixture.try_run(script)?;
        Ok((fixture, ran))
    }

    /// Reads the answers of the tools.
    fn doubles(&self) -> Result<Doubles, ScenarioError> {
        let file = self.folder.join("tools.toml");
        if file.exists() {
            Doubles::load(&file).map_err(ScenarioError::Doubles)
        } else {
            Ok(self.doubles.clone())
        }
    }

    /// The same scenario, in which tools answer so if it says nothing of them itself.
    #[must_use]
    pub fn with_doubles(mut self, doubles: Doubles) -> Self {
        self.doubles = doubles;
        self
    }

    /// Reads the files that the script finds.
    fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, ScenarioError> {
        let root = self.folder.join("files");
        let mut files = BTreeMap::new();
        if root.is_dir() {
            crate::fixture::collect(&root, "", &mut files)?;
        }
        Ok(files)
    }
}

/// Tests one scenario, or updates it if `UPDATE_EXPECT` is set: what
/// [`scenarios!`](crate::scenarios) calls.
///
/// # Panics
///
/// If it is not as it should be.
#[track_caller]
#[expect(clippy::panic, reason = "an assertion")]
pub fn check(directory: &str, name: &str) {
    let folder = Path::new(directory).join(name);
    let scenarios = find(&folder, None);
    let wrong = scenarios.and_then(|scenarios| {
        let mut wrong = Vec::new();
        for scenario in scenarios {
            if std::env::var_os(UPDATE).is_some() {
                scenario.update()?
            } else {
                wrong.extend(scenario.run()?)
            }
        }
        Ok(wrong)
    });
    match wrong {
        Ok(wrong) => assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n")),
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Tests that every folder in a directory has its test.
///
/// # Panics
///
/// If one has none.
#[track_caller]
pub fn check_names(directory: &str, names: &[&str]) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut missing: Vec<_> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !names.contains(&name.as_str()))
        .collect();
    missing.sort();
    assert!(
        missing.is_empty(),
        "scenarios!({directory:?}: …) does not name {missing:?}"
    );
}

fn nearest_policy(folder: &Path) -> Option<PathBuf> {
    // A relative path has ancestors too.
    let folder = std::path::absolute(folder).ok()?;
    let mut above = folder.ancestors().map(|folder| folder.join("policy.toml"));
    above.find(|file| file.is_file())
}

fn read(file: &Path) -> Result<Option<String>, ScenarioError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(file, error)),
    }
}

fn wrong(file: &Path, why: impl ToString) -> ScenarioError {
    ScenarioError::File {
        file: file.to_owned(),
        why: why.to_string(),
    }
}
