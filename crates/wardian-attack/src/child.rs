//! One row, in a process of its own: plays its payloads and its twin, and looks at what is left
//! behind.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::exit;

use wardian::policy::Limit;

use crate::Suite;
use crate::row::{Kind, Row, TWIN, rows};
use crate::step::Step;
use crate::test_bed::{AttemptResult, TestBed};
use crate::watch::ResourceUsage;
use crate::{host, needs};

/// Does what the parent asks for, and ends the process.
pub(crate) fn serve(suite: &Suite, task: &str) -> ! {
    let (id, dir) = task.split_once(':').unwrap_or_default();
    let dir = Path::new(dir);
    let served = rows()
        .find(|row| row.id == id)
        .ok_or_else(|| io::Error::other("there is no such row"))
        .and_then(|row| Child::new(suite, row, dir))
        .and_then(|mut child| child.play());
    exit(match served {
        Ok(()) => 0,
        Err(_) => 1,
    })
}

struct Child<'s> {
    suite: &'s Suite,
    row: &'static Row,
    dir: PathBuf,
    steps: File,
}

impl<'s> Child<'s> {
    fn new(suite: &'s Suite, row: &'static Row, dir: &Path) -> io::Result<Self> {
        // An abort is seen without a core file.
        let none = rustix::process::Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        rustix::process::setrlimit(rustix::process::Resource::Core, none)?;
        // Nobody is told of a row whose suite has gone.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        let steps = OpenOptions::new().append(true).open(dir.join("steps"))?;
        Ok(Self {
            suite,
            row,
            dir: dir.to_owned(),
            steps,
        })
    }

    fn step(&mut self, step: &Step) -> io::Result<()> {
        let mut line = serde_json::to_vec(step)?;
        line.push(b'\n');
        self.steps.write_all(&line)
    }

    fn play(&mut self) -> io::Result<()> {
        let row = self.row;
        if let Some(why) = needs::missing(row, &self.suite.policy) {
            return self.step(&Step::NotApplicable(why.to_owned()));
        }
        let at_start = ResourceUsage::now()?;
        let mut before = None;
        // The twin goes first: what a process needs once, it then has.
        for (name, payload) in row.sources() {
            let benign = name == TWIN;
            self.step(&Step::Begin(name))?;
            let result = match TestBed::of_row(self.suite, row, &self.dir, benign) {
                Ok(bed) if row.kind == Kind::Host => bed.play_host(|bed| host::run(payload, bed)),
                Ok(bed) => bed.play(row, payload, benign),
                Err(error) => AttemptResult::failed(error),
            };
            self.step(&Step::End(result))?;
            if before.is_none() {
                before = Some(ResourceUsage::now()?);
            }
        }
        self.step(&Step::Begin("what is left behind".to_owned()))?;
        let mut findings = before.map_or_else(Vec::new, |before| ResourceUsage::findings(&before));
        // Others have several runs at a time, or what is not a run.
        if row.kind == Kind::Python {
            let limit = self.suite.policy.limits().memory_bytes();
            let limit = limit.min(Limit::Memory.default_amount());
            findings.extend(ResourceUsage::of_peak(&at_start, limit));
        }
        self.step(&Step::End(AttemptResult::plain("looked", findings)))
    }
}
