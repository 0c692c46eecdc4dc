//! The report of the suite: a grade for each row, with the reasons.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use wardian::Policy;

use crate::ChildExit;
use crate::child::Step;
use crate::row::Row;
use crate::test_bed::AttemptResult;

/// The grade of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// It means nothing under this policy, or can't be tried.
    NotApplicable,
    /// Hostile code got nothing, and ended as it should.
    Safe,
    /// It got nothing, but ended in another way than it should.
    WrongType,
    /// It got something, or what it did was not noticed.
    Unsafe,
}

impl Grade {
    /// All of them, from good to bad.
    pub const ALL: [Self; 4] = [
        Self::Safe,
        Self::WrongType,
        Self::Unsafe,
        Self::NotApplicable,
    ];
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Safe => "safe",
            Self::WrongType => "wrong type, but safe",
            Self::Unsafe => "UNSAFE",
            Self::NotApplicable => "not applicable",
        })
    }
}

/// One attempt of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Attempt {
    /// The attempt's name: a payload by its number, the benign twin.
    pub what: String,
    /// Its grade.
    pub grade: Grade,
    /// The ending.
    pub ending: String,
    /// More about that. Hostile code can have chosen the words.
    pub note: String,
    /// Findings: everything that must not be; empty if only the ending was not among the expected.
    pub findings: Vec<String>,
}

/// The report of one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RowReport {
    /// Its id: `ESC-01`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its grade.
    pub grade: Grade,
    /// The reason for which it is not applicable.
    pub reason: Option<String>,
    /// The attempts, the benign twin included.
    pub attempts: Vec<Attempt>,
    /// The lateness of the latest of its runs, in milliseconds.
    pub late_ms: u64,
    /// The time that it took, in milliseconds.
    pub wall_ms: u64,
}

/// The report of the suite.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The agent of the policy.
    pub agent: String,
    /// SHA-256 of what the policy grants.
    pub policy_sha256: String,
    /// Row by row.
    pub rows: Vec<RowReport>,
    /// The time that all of it took, in milliseconds.
    pub wall_ms: u64,
}

impl RowReport {
    fn new(row: &Row, grade: Grade) -> Self {
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            grade,
            reason: None,
            attempts: Vec::new(),
            late_ms: 0,
            wall_ms: 0,
        }
    }

    /// Of a row that is not tried.
    pub(crate) fn left_out(row: &Row, why: &str) -> Self {
        Self {
            reason: Some(why.to_owned()),
            ..Self::new(row, Grade::NotApplicable)
        }
    }

    /// Its class: `ESC`.
    pub fn class(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }

    /// Lists the endings of the payloads, each once.
    pub fn endings(&self) -> Vec<&str> {
        let mut endings = Vec::new();
        for tried in &self.attempts {
            if tried.what.starts_with("payload") && !endings.contains(&tried.ending.as_str()) {
                endings.push(tried.ending.as_str());
            }
        }
        endings
    }

    /// Lists the attempts that did not go as they should.
    pub fn not_safe(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts
            .iter()
            .filter(|tried| tried.grade != Grade::Safe)
    }

    fn add(&mut self, tried: Attempt) {
        self.grade = self.grade.max(tried.grade);
        self.attempts.push(tried);
    }
}

/// Grades a row, by what its process has said, and how that ended.
pub(crate) fn judge(
    row: &Row,
    steps: &[Step],
    ended: &ChildExit,
    said: &str,
    wall: Duration,
) -> RowReport {
    let mut report = RowReport::new(row, Grade::Safe);
    report.wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
    let mut open: Option<&str> = None;
    for step in steps {
        match step {
            Step::NotApplicable(why) => return RowReport::left_out(row, why),
            Step::Begin(what) => open = Some(what),
            Step::End(result) => {
                report.late_ms = report.late_ms.max(result.late_ms);
                report.add(attempt(open.take().unwrap_or_default(), result));
            }
        }
    }
    let died = match ended {
        ChildExit::Killed => Some("the process did nothing any more, and was killed".to_owned()),
        ChildExit::Itself(status) if !status.success() => {
            Some(format!("the process ended by itself: {status}"))
        }
        ChildExit::Itself(_) if open.is_some() || report.attempts.is_empty() => {
            Some("the process ended before the row did".to_owned())
        }
        ChildExit::Itself(_) => None,
    };
    if let Some(died) = died {
        report.add(Attempt {
            what: open.unwrap_or("the start").to_owned(),
            grade: Grade::Unsafe,
            ending: "died".to_owned(),
            note: said.trim().to_owned(),
            findings: vec![died],
        });
    }
    report
}

fn attempt(what: &str, result: &AttemptResult) -> Attempt {
    Attempt {
        what: what.to_owned(),
        grade: match (result.findings.is_empty(), result.right) {
            (true, true) => Grade::Safe,
            (true, false) => Grade::WrongType,
            (false, _) => Grade::Unsafe,
        },
        ending: result.ending.clone(),
        note: result.note.clone(),
        findings: result.findings.clone(),
    }
}

impl Report {
    pub(crate) fn new(policy: &Policy, rows: Vec<RowReport>, wall: Duration) -> Self {
        Self {
            agent: policy.agent().to_owned(),
            policy_sha256: policy.sha256(),
            rows,
            wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Did hostile code get nothing in any row, and was there a row?
    pub fn is_safe(&self) -> bool {
        self.count(Grade::Unsafe) == 0 && self.rows.len() > self.count(Grade::NotApplicable)
    }

    /// Counts the rows of this grade.
    pub fn count(&self, grade: Grade) -> usize {
        self.rows.iter().filter(|row| row.grade == grade).count()
    }

    /// The classes in their order, each with how many of its rows have each of [`Grade::ALL`].
    pub fn classes(&self) -> Vec<(String, [usize; 4])> {
        let mut classes: Vec<(String, [usize; 4])> = Vec::new();
        for row in &self.rows {
            if classes.last().is_none_or(|(class, _)| class != row.class()) {
                classes.push((row.class().to_owned(), [0; 4]));
            }
            let counts = classes.last_mut().map(|(_, counts)| counts);
            for (grade, count) in Grade::ALL.into_iter().zip(counts.into_iter().flatten()) {
                *count += usize::from(row.grade == grade);
            }
        }
        classes
    }

    /// Returns the lateness of the latest run, in milliseconds.
    pub fn late_ms(&self) -> u64 {
        self.rows.iter().map(|row| row.late_ms).max().unwrap_or(0)
    }

    /// Asserts that no row is unsafe, and that some mean something.
    ///
    /// # Panics
    ///
    /// With what was found, row by row, if one is.
    #[track_caller]
    pub fn assert_safe(&self) {
        assert!(self.is_safe(), "{self}");
    }

    /// The report as one HTML file, which loads nothing.
    pub fn html(&self) -> String {
        super::html::page(self)
    }
}

impl fmt::Display for Report {
    /// Every row that is not safe, with what was found.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            for (at, tried) in row.not_safe().enumerate() {
                if at == 0 {
                    writeln!(f, "{} {}: {}", row.id, row.name, row.grade)?;
                }
                let note = tried.note.escape_debug();
                writeln!(f, "  {}: {} {note}", tried.what, tried.ending)?;
                for finding in &tried.findings {
                    writeln!(f, "    {}", finding.escape_debug())?;
                }
            }
        }
        for grade in Grade::ALL {
            writeln!(f, "{:>4} {grade}", self.count(grade))?;
        }
        Ok(())
    }
}
