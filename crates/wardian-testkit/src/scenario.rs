//! Scenarios: tests as folders, for people who write policies and no Rust.
//!
//! ```text
//! cases/reads_the_faq/
//!     main.py          the script
//!     policy.toml      what it may do; without one, the nearest in the folders above
//!     expect.toml      what should come of it
//!     inputs.json      its inputs, an object; optional
//!     tools.toml       what its tools answer; optional
//!     files/data/a.csv what it finds at /data/a.csv; optional
//! ```
//!
//! The script runs in a [`Fixture`]: `files/` is copied into temporary directories, and what the policy
//! names on the host is not touched. `UPDATE_EXPECT=1` writes `expect.toml` anew from what comes of the
//! script now: read the difference before it is kept.
//!
//! ```toml
//! # expect.toml. What is not named is not compared, but for `verdict`.
//! verdict = "raised"           # completed, exited, rejected, denied, crashed, time, fuel, memory, …
//! type = "PermissionError"     # of the exception
//! code = 3                     # of sys.exit
//! rules = ["import"]           # that the source breaks
//! stdout = "126\n"
//! stderr = ""
//! value = '{"answer": 42}'     # of the last expression, as JSON
//! refusals = ["allowed_paths"] # the keys of the policy that have refused something, each once
//!
//! [files]                      # after the run; `false` for one that is not there
//! "/results/total.txt" = "126\n"
//!
//! [[audit]]                    # records that the log has, in this order, among others
//! event = "file"
//! path = "/etc/passwd"
//! allowed = false
//! ```
//!
//! ```toml
//! # tools.toml
//! approve = true                              # somebody approves of what the policy asks approval for
//!
//! [http_request]                              # a ready tool that the policy grants
//! answer = '{"status": 200, "text": "ok"}'    # as JSON; or `fails = "no route"`
//!
//! [find_order]                                # a tool of the host's own
//! action = "db_read"
//! arguments = ["order"]                       # the first names what it acts on
//! answer = '"in the post"'
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wardian::{Action, PolicyError, Script, ToolError, Verdict, load_policy};

use crate::{Fixture, FixtureError, Ran};

/// Asks for `expect.toml` to be written anew.
const UPDATE: &str = "UPDATE_EXPECT";

/// The fields of a record that are a scenario's business.
const RECORDED: &[&str] = &[
    "event",
    "operation",
    "tool",
    "path",
    "resource",
    "allowed",
    "rule",
    "limit",
];

/// Tests each of these folders of scenarios, which lie in a directory of the package, and that no other
/// lies there. One `#[test]` for each.
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
}

/// Why a scenario can't be run. What comes of one that can is compared, and is no error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// A file of the scenario.
    #[error("{}: {why}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no policy.
    #[error("{} has no policy.toml, nor has a folder above it", .0.display())]
    NoPolicy(PathBuf),
    /// There is no scenario.
    #[error("{} holds no scenario: a folder with a main.py", .0.display())]
    Nothing(PathBuf),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// What the run needs.
    #[error(transparent)]
    Fixture(#[from] FixtureError),
    /// The run.
    #[error(transparent)]
    Wardian(#[from] wardian::Error),
}

/// What should come of a scenario.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    verdict: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    exception: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusals: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<String, ExpectedFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    audit: Vec<Map<String, Value>>,
}

/// A file after the run: its text, or `false` if it is not there.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum ExpectedFile {
    There(bool),
    Text(String),
}

/// What tools answer.
#[derive(Debug, Default, Deserialize)]
struct Tools {
    #[serde(default)]
    approve: bool,
    #[serde(flatten)]
    answers: BTreeMap<String, Answer>,
}

/// What one tool answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    action: Option<String>,
    arguments: Option<Vec<String>>,
    answer: Option<String>,
    fails: Option<String>,
}

/// Finds the scenarios in a folder and in those beneath it, by name.
///
/// # Errors
///
/// If there is none, or one has no policy. `policy` is that of those that have none of their own.
pub fn find(directory: &Path, policy: Option<&Path>) -> Result<Vec<Scenario>, ScenarioError> {
    let mut found = Vec::new();
    search(directory, directory, policy, &mut found)?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    match found.is_empty() {
        true => Err(ScenarioError::Nothing(directory.to_owned())),
        false => Ok(found),
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
                    "there is no expect.toml: {UPDATE}=1 writes one from what comes of the script, which {}",
                    ran.verdict
                )]);
            }
        };
        compare(&expected, &fixture, &ran).map_err(|why| wrong(&file, why))
    }

    /// Runs it, and writes down what comes of it as what should.
    ///
    /// # Errors
    ///
    /// If it can't be run, or its folder can't be written to.
    pub fn update(&self) -> Result<(), ScenarioError> {
        let (fixture, ran) = self.play()?;
        let file = self.folder.join("expect.toml");
        let expected = expected(&fixture, &ran, &self.files()?)?;
        let text = toml::to_string_pretty(&expected).map_err(|error| wrong(&file, error))?;
        fs::write(&file, text).map_err(|error| wrong(&file, error))
    }

    fn play(&self) -> Result<(Fixture, Ran), ScenarioError> {
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
        let tools: Tools = match read(&file("tools.toml"))? {
            Some(text) => {
                toml::from_str(&text).map_err(|error| wrong(&file("tools.toml"), error))?
            }
            None => Tools::default(),
        };
        for (name, answer) in tools.answers {
            let described = answer.into_double(&name);
            let (declared, answer) = described.map_err(|why| wrong(&file("tools.toml"), why))?;
            fixture = match declared {
                Some((action, arguments)) => {
                    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                    fixture.with_double(&name, action, &arguments, move |_| answer.clone())?
                }
                None => fixture.answering(&name, move |_| answer.clone()),
            };
        }
        if tools.approve {
            fixture = fixture.approving();
        }
        let ran = fixture.try_run(script)?;
        Ok((fixture, ran))
    }

    /// What the script finds.
    fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, ScenarioError> {
        let root = self.folder.join("files");
        let mut files = BTreeMap::new();
        if root.is_dir() {
            crate::fixture::collect(&root, "", &mut files)?;
        }
        Ok(files)
    }
}

/// Which action and arguments a double has, if it is of a tool of the host's own.
type Declared = Option<(Action, Vec<String>)>;

impl Answer {
    fn into_double(self, name: &str) -> Result<(Declared, Result<Value, ToolError>), String> {
        let answer = match (self.answer, self.fails) {
            (Some(json), None) => Ok(serde_json::from_str(&json)
                .map_err(|error| format!("[{name}] answer is not JSON: {error}"))?),
            (None, Some(why)) => Err(ToolError::failed(why)),
            _ => return Err(format!("[{name}] needs `answer` or `fails`, and not both")),
        };
        let declared = match (self.action, self.arguments) {
            (None, None) => {
                if !wardian_tools::names().any(|ready| ready == name) {
                    return Err(format!(
                        "[{name}] is not a ready tool: say its `action` and its `arguments`"
                    ));
                }
                None
            }
            (Some(action), Some(arguments)) => {
                let action = action.parse().map_err(|_| {
                    format!("[{name}] action = {action:?} is not one: db_read, read_file, …")
                })?;
                Some((action, arguments))
            }
            _ => return Err(format!("[{name}] needs both `action` and `arguments`")),
        };
        Ok((declared, answer))
    }
}

/// What came of a run, as far as it belongs into `expect.toml`.
fn expected(
    fixture: &Fixture,
    ran: &Ran,
    before: &BTreeMap<String, Vec<u8>>,
) -> Result<Expected, ScenarioError> {
    let text = |text: String| (!text.is_empty()).then_some(text);
    let after = fixture.files()?;
    let new = after
        .iter()
        .filter(|(path, content)| before.get(*path) != Some(content))
        .map(|(path, content)| {
            let text = String::from_utf8_lossy(content).into_owned();
            (path.clone(), ExpectedFile::Text(text))
        });
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    let gone = gone.map(|path| (path.clone(), ExpectedFile::There(false)));
    let keep = |record: Map<String, Value>| {
        let event = record.get("event")?.as_str()?;
        if event.starts_with("run_") {
            return None;
        }
        let kept = |key: &String| RECORDED.contains(&key.as_str());
        Some(record.into_iter().filter(|(key, _)| kept(key)).collect())
    };
    Ok(Expected {
        verdict: ran.ending().to_owned(),
        exception: exception(ran),
        code: code(ran),
        rules: rules(ran),
        stdout: text(ran.stdout.text().into_owned()),
        // A traceback is the interpreter's business, unless somebody writes it here.
        stderr: None,
        value: value(ran).filter(|value| value != "null"),
        refusals: Some(refusals(ran)).filter(|refusals| !refusals.is_empty()),
        files: new.chain(gone).collect(),
        audit: ran.records().iter().map(flat).filter_map(keep).collect(),
    })
}

/// A record with what scripts and tools have said beside the host's own words.
fn flat(record: &Value) -> Map<String, Value> {
    let mut record = record.as_object().cloned().unwrap_or_default();
    if let Some(Value::Object(data)) = record.remove("data") {
        record.extend(data);
    }
    record
}

fn exception(ran: &Ran) -> Option<String> {
    match &ran.verdict {
        Verdict::Raised(raised) => Some(raised.r#type.clone()),
        _ => None,
    }
}

fn code(ran: &Ran) -> Option<i32> {
    match ran.verdict {
        Verdict::Exited { code } => Some(code),
        _ => None,
    }
}

fn rules(ran: &Ran) -> Option<Vec<String>> {
    match &ran.verdict {
        Verdict::Rejected { violations } => Some(once(
            violations.iter().map(|violation| violation.rule.clone()),
        )),
        _ => None,
    }
}

fn refusals(ran: &Ran) -> Vec<String> {
    once(
        ran.refusals
            .first
            .iter()
            .map(|refusal| refusal.rule.clone()),
    )
}

fn value(ran: &Ran) -> Option<String> {
    match &ran.value {
        Some(wardian::Value::Json(value)) => Some(value.to_string()),
        _ => None,
    }
}

/// Each once, in the order of their first.
fn once(names: impl Iterator<Item = String>) -> Vec<String> {
    names.fold(Vec::new(), |mut known, name| {
        if !known.contains(&name) {
            known.push(name);
        }
        known
    })
}

/// What is not as it should be. An error is about `expected` itself.
fn compare(expected: &Expected, fixture: &Fixture, ran: &Ran) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, should: String, is: String| {
        if should != is {
            wrong.push(format!("{what} should be {should}, and is {is}"));
        }
    };
    same("verdict", expected.verdict.clone(), ran.ending().to_owned());
    if let Some(should) = &expected.exception {
        same("type", should.clone(), exception(ran).unwrap_or_default());
    }
    if let Some(should) = expected.code {
        same(
            "code",
            format!("{should}"),
            code(ran).map_or_else(String::new, |code| code.to_string()),
        );
    }
    if let Some(should) = &expected.rules {
        same(
            "rules",
            format!("{should:?}"),
            format!("{:?}", rules(ran).unwrap_or_default()),
        );
    }
    if let Some(should) = &expected.stdout {
        same(
            "stdout",
            format!("{should:?}"),
            format!("{:?}", ran.stdout.text()),
        );
    }
    if let Some(should) = &expected.stderr {
        same(
            "stderr",
            format!("{should:?}"),
            format!("{:?}", ran.stderr.text()),
        );
    }
    if let Some(should) = &expected.value {
        let should: Value =
            serde_json::from_str(should).map_err(|error| format!("value is not JSON: {error}"))?;
        same(
            "value",
            should.to_string(),
            value(ran).unwrap_or_else(|| "no JSON".to_owned()),
        );
    }
    if let Some(should) = &expected.refusals {
        same(
            "refusals",
            format!("{should:?}"),
            format!("{:?}", refusals(ran)),
        );
    }
    let files = fixture.files().map_err(|error| error.to_string())?;
    for (path, should) in &expected.files {
        let is = files
            .get(path)
            .map(|content| String::from_utf8_lossy(content));
        match (should, is) {
            (ExpectedFile::There(should), is) => {
                same(path, format!("{should}"), format!("{}", is.is_some()));
            }
            (ExpectedFile::Text(should), Some(is)) => {
                same(path, format!("{should:?}"), format!("{is:?}"));
            }
            (ExpectedFile::Text(_), None) => {
                same(path, "a file".to_owned(), "not there".to_owned())
            }
        }
    }
    let mut records = ran.records().iter().map(flat);
    for should in &expected.audit {
        let is_meant = |record: Map<String, Value>| {
            should
                .iter()
                .all(|(key, value)| record.get(key) == Some(value))
        };
        if !records.any(is_meant) {
            let should = Value::Object(should.clone());
            wrong.push(format!(
                "the log should have, after those before it, {should}"
            ));
        }
    }
    if !wrong.is_empty() && !ran.stderr.text().is_empty() {
        wrong.push(format!("standard error:\n{}", ran.stderr.text().trim_end()));
    }
    Ok(wrong)
}

/// Tests one scenario, or updates it if `UPDATE_EXPECT` is set: what [`scenarios!`](crate::scenarios)
/// calls.
///
/// # Panics
///
/// If it is not as it should be.
#[track_caller]
#[expect(clippy::panic, reason = "an assertion")]
pub fn check(directory: &str, name: &str) {
    let folder = Path::new(directory).join(name);
    let scenarios = find(&folder, nearest_policy(&folder).as_deref());
    let wrong = scenarios.and_then(|scenarios| {
        let mut wrong = Vec::new();
        for scenario in scenarios {
            match std::env::var_os(UPDATE).is_some() {
                true => scenario.update()?,
                false => wrong.extend(scenario.run()?),
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
