//! The report of the suite: a grade for each row, with the reasons.

use std::fmt;
use std::thread;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::Value;
use wardian::{Policy, Runtime, build::Versions};

use crate::row::{Class, Row, classes};
use crate::step::Step;
use crate::test_bed::AttemptResult;
use crate::{ChildExit, millis};

/// The grade of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// It means nothing under this policy, or can't be tried.
    NotApplicable,
    /// Hostile code got nothing, and ended as it should.
    Safe,
    /// It got nothing, but ended in a way that the row does not expect.
    Unexpected,
    /// It got something, or what it did was not noticed.
    Unsafe,
}

impl Grade {
    /// All of them, from good to bad.
    pub const ALL: [Self; 4] = [
        Self::Safe,
        Self::Unexpected,
        Self::Unsafe,
        Self::NotApplicable,
    ];
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Safe => "safe",
            Self::Unexpected => "unexpected, but safe",
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
    pub name: String,
    /// Its source: Python, a URL, a policy, or the name of a function of the suite.
    pub source: String,
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
    /// The endings that are expected of its payloads. Any is, if there are none.
    pub expected: Vec<String>,
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
    /// The policy, the time, the machine and the versions.
    #[serde(flatten)]
    pub subject: Subject,
    /// Row by row.
    pub rows: Vec<RowReport>,
    /// The time that all of it took, in milliseconds.
    pub wall_ms: u64,
}

/// The subject of a report: what was attacked, when, and where.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Subject {
    /// The agent of the policy.
    pub agent: String,
    /// The file of the policy, if it is from one.
    pub policy_file: Option<String>,
    /// SHA-256 of what the policy grants.
    pub policy_sha256: String,
    /// The policy in its canonical form: everything that it grants and limits.
    pub policy: Value,
    /// The start, in RFC 3339, UTC.
    pub started: String,
    /// The operating system, its release, the kind of processor, and the count of processors.
    pub machine: String,
    /// The versions and hashes of what ran.
    pub versions: Versions,
}

impl Subject {
    pub(crate) fn of(policy: &Policy, date: SystemTime) -> Self {
        let system = rustix::system::uname();
        let [name, release, processor] = [system.sysname(), system.release(), system.machine()]
            .map(|text| text.to_string_lossy());
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            agent: policy.agent().to_owned(),
            policy_file: policy.file().map(|file| file.display().to_string()),
            policy_sha256: policy.sha256(),
            policy: serde_json::to_value(policy.canonical()).unwrap_or_default(),
            started: humantime::format_rfc3339_seconds(date).to_string(),
            machine: format!("{name} {release}, {processor}, {processors} processors"),
            versions: Runtime::versions(),
        }
    }
}

impl RowReport {
    fn new(row: &Row, grade: Grade) -> Self {
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            expected: row.expected().to_vec(),
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
            if tried.name.starts_with("payload") && !endings.contains(&tried.ending.as_str()) {
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
    report.wall_ms = millis(wall);
    let source = |name: &str| {
        let mut sources = row.sources();
        let found = sources.find(|(known, _)| known == name);
        found
            .map(|(_, source)| source.to_owned())
            .unwrap_or_default()
    };
    let mut open: Option<&str> = None;
    for step in steps {
        match step {
            Step::NotApplicable(why) => return RowReport::left_out(row, why),
            Step::Begin(what) => open = Some(what),
            Step::End(result) => {
                report.late_ms = report.late_ms.max(result.late_ms);
                let name = open.take().unwrap_or_default();
                report.add(attempt(name, source(name), result));
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
            name: open.unwrap_or("the start").to_owned(),
            source: open.map(source).unwrap_or_default(),
            grade: Grade::Unsafe,
            ending: "died".to_owned(),
            note: said.trim().to_owned(),
            findings: vec![died],
        });
    }
    report
}

fn attempt(name: &str, source: String, result: &AttemptResult) -> Attempt {
    Attempt {
        name: name.to_owned(),
        source,
        grade: match (result.findings.is_empty(), result.right) {
            (true, true) => Grade::Safe,
            (true, false) => Grade::Unexpected,
            (false, _) => Grade::Unsafe,
        },
        ending: result.ending.clone(),
        note: result.note.clone(),
        findings: result.findings.clone(),
    }
}

impl Report {
    /// Returns whether hostile code got nothing in any row, and there was a row.
    pub fn is_safe(&self) -> bool {
        self.count(Grade::Unsafe) == 0 && self.rows.len() > self.count(Grade::NotApplicable)
    }

    /// Says in one sentence what came of all rows.
    pub fn summary(&self) -> String {
        let (got, not_tried) = (self.count(Grade::Unsafe), self.count(Grade::NotApplicable));
        let tried = self.rows.len() - not_tried;
        let mut summary = format!("{got} of {tried} attacks got anything");
        let unexpected = self.count(Grade::Unexpected);
        if unexpected > 0 {
            summary += &format!("; {unexpected} got nothing, but ended in an unexpected way");
        }
        if not_tried > 0 {
            summary += &format!("; {not_tried} were not tried");
        }
        summary
    }

    /// Lists the reasons for which rows were not tried, each with the ids of these.
    pub fn not_tried(&self) -> Vec<(&str, Vec<&str>)> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for row in &self.rows {
            let Some(reason) = row.reason.as_deref() else {
                continue;
            };
            match reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, rows)) => rows.push(&row.id),
                None => reasons.push((reason, vec![&row.id])),
            }
        }
        reasons
    }

    /// Counts the rows of this grade.
    pub fn count(&self, grade: Grade) -> usize {
        self.rows.iter().filter(|row| row.grade == grade).count()
    }

    /// Lists the classes of the rows, in their order, each with how many of its rows have each of
    /// [`Grade::ALL`].
    pub fn classes(&self) -> Vec<(&'static Class, [usize; 4])> {
        let counts = |class: &Class| {
            Grade::ALL.map(|grade| {
                let of = |row: &&RowReport| row.class() == class.id && row.grade == grade;
                self.rows.iter().filter(of).count()
            })
        };
        classes()
            .iter()
            .map(|class| (class, counts(class)))
            .filter(|(_, counts)| counts.iter().any(|count| *count > 0))
            .collect()
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
                writeln!(f, "  {}: {} {note}", tried.name, tried.ending)?;
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
