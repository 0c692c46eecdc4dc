//! `expect.toml`: what should come of a scenario, and what has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wardian::Verdict;

use crate::{Fixture, FixtureError, RunResult};

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

/// The expectation of a scenario.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
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

impl Expected {
    /// Makes an expectation of what came of a run.
    pub(super) fn of(
        fixture: &Fixture,
        ran: &RunResult,
        before: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, FixtureError> {
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
        Ok(Self {
            verdict: ran.ending().to_owned(),
            exception: exception(ran),
            code: status(ran),
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

    /// Lists what is not as it should be. An error is about the expectation itself.
    pub(super) fn compare(
        &self,
        fixture: &Fixture,
        ran: &RunResult,
    ) -> Result<Vec<String>, String> {
        let mut wrong = Vec::new();
        let mut same = |what: &str, should: String, is: String| {
            if should != is {
                wrong.push(format!("{what} should be {should}, and is {is}"));
            }
        };
        same("verdict", self.verdict.clone(), ran.ending().to_owned());
        if let Some(should) = &self.exception {
            same("type", should.clone(), exception(ran).unwrap_or_default());
        }
        if let Some(should) = self.code {
            same(
                "code",
                format!("{should}"),
                status(ran).map_or_else(String::new, |status| status.to_string()),
            );
        }
        if let Some(should) = &self.rules {
            same(
                "rules",
                format!("{should:?}"),
                format!("{:?}", rules(ran).unwrap_or_default()),
            );
        }
        if let Some(should) = &self.stdout {
            same(
                "stdout",
                format!("{should:?}"),
                format!("{:?}", ran.stdout.text()),
            );
        }
        if let Some(should) = &self.stderr {
            same(
                "stderr",
                format!("{should:?}"),
                format!("{:?}", ran.stderr.text()),
            );
        }
        if let Some(should) = &self.value {
            let should: Value = serde_json::from_str(should)
                .map_err(|error| format!("value is not JSON: {error}"))?;
            same(
                "value",
                should.to_string(),
                value(ran).unwrap_or_else(|| "no JSON".to_owned()),
            );
        }
        if let Some(should) = &self.refusals {
            same(
                "refusals",
                format!("{should:?}"),
                format!("{:?}", refusals(ran)),
            );
        }
        let files = fixture.files().map_err(|error| error.to_string())?;
        for (path, should) in &self.files {
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
        for should in &self.audit {
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
}

/// A record with what scripts and tools have said beside the host's own words.
fn flat(record: &Value) -> Map<String, Value> {
    let mut record = record.as_object().cloned().unwrap_or_default();
    if let Some(Value::Object(data)) = record.remove("data") {
        record.extend(data);
    }
    record
}

fn exception(ran: &RunResult) -> Option<String> {
    match &ran.verdict {
        Verdict::Raised(raised) => Some(raised.r#type.clone()),
        _ => None,
    }
}

fn status(ran: &RunResult) -> Option<i32> {
    match ran.verdict {
        Verdict::Exited { status } => Some(status),
        _ => None,
    }
}

fn rules(ran: &RunResult) -> Option<Vec<String>> {
    match &ran.verdict {
        Verdict::Rejected { violations } => Some(once(
            violations
                .iter()
                .map(|violation| violation.rule.name().to_owned()),
        )),
        _ => None,
    }
}

fn refusals(ran: &RunResult) -> Vec<String> {
    once(
        ran.refusals
            .first
            .iter()
            .map(|refusal| refusal.rule.clone()),
    )
}

fn value(ran: &RunResult) -> Option<String> {
    match &ran.value {
        Some(wardian::outcome::Value::Json(value)) => Some(value.to_string()),
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
