//! Assertions on what came of a run.

use std::ops::Deref;

use serde_json::Value;
use wardian::{Outcome, Verdict, policy::Limit};

/// A run that has ended, and its records.
#[derive(Debug)]
#[must_use = "whether it ended as it should has to be asserted"]
pub struct RunResult {
    outcome: Outcome,
    records: Vec<Value>,
}

impl Deref for RunResult {
    type Target = Outcome;

    fn deref(&self) -> &Outcome {
        &self.outcome
    }
}

impl RunResult {
    pub(crate) fn new(outcome: Outcome, records: Vec<Value>) -> Self {
        Self { outcome, records }
    }

    /// Returns the audit log of the run: one object for each record.
    pub fn records(&self) -> &[Value] {
        &self.records
    }

    /// Returns the ending: `completed`, `raised`, `exited`, `rejected`, `denied`, `crashed`, or the
    /// limit that stopped it: `time`, `fuel`, `memory`, `tool_calls`, `records`.
    pub fn ending(&self) -> &'static str {
        self.outcome.verdict.ending()
    }

    /// Asserts that it came to its end.
    ///
    /// # Panics
    ///
    /// If it did not; as all of these, with what happened instead.
    #[track_caller]
    pub fn completed(&self) -> &Self {
        self.ended("completed")
    }

    /// Asserts that an exception of this type went uncaught.
    #[track_caller]
    pub fn raised(&self, r#type: &str) -> &Self {
        match &self.outcome.verdict {
            Verdict::Raised(raised) if raised.r#type == r#type => self,
            _ => self.is_not(&format!("a {type}")),
        }
    }

    /// Asserts that it was stopped at this limit.
    #[track_caller]
    pub fn stopped_by(&self, limit: Limit) -> &Self {
        self.ended(limit.short_name())
    }

    /// Asserts how it [ended](Self::ending).
    #[track_caller]
    pub fn ended(&self, ending: &str) -> &Self {
        if self.ending() == ending {
            self
        } else {
            self.is_not(ending)
        }
    }

    /// Asserts that it printed this, and nothing else.
    #[track_caller]
    pub fn printed(&self, text: &str) -> &Self {
        assert_eq!(self.outcome.stdout.text(), text, "standard output");
        self
    }

    /// Asserts that its last expression has this value.
    #[track_caller]
    pub fn value(&self, value: Value) -> &Self {
        assert_eq!(*self.returned(), value, "the value");
        self
    }

    /// The value of its last expression, as JSON.
    ///
    /// # Panics
    ///
    /// If it has none that is JSON.
    #[track_caller]
    pub fn returned(&self) -> &Value {
        match &self.outcome.value {
            Some(wardian::outcome::Value::Json(value)) => value,
            other => self.is_not(&format!("one with a value that is JSON: {other:?}")),
        }
    }

    /// Returns the outcome.
    pub fn into_outcome(self) -> Outcome {
        self.outcome
    }

    /// Asserts that this key of the policy has refused something.
    #[track_caller]
    pub fn refused_by(&self, rule: &str) -> &Self {
        let entry = format!("{rule}[");
        let by = |by: &str| by == rule || by.starts_with(&entry);
        let refusals = &self.outcome.refusals.first;
        assert!(
            refusals.iter().any(|refusal| by(&refusal.rule)),
            "nothing was refused by {rule}: {refusals:?}"
        );
        self
    }

    /// Asserts that nothing was refused.
    #[track_caller]
    pub fn refused_nothing(&self) -> &Self {
        assert_eq!(
            self.outcome.refusals.count, 0,
            "{:?}",
            self.outcome.refusals
        );
        self
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "an assertion")]
    fn is_not(&self, what: &str) -> ! {
        let Outcome {
            verdict, stderr, ..
        } = &self.outcome;
        panic!("not {what} but {verdict}\n{}", stderr.text())
    }
}
