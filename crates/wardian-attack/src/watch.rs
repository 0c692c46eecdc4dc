//! The resources of a process, which have to be as they were, whatever hostile code has done.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::Process;
use wardian::policy::Limit;

/// The longest time until resources are released: threads of a pool that wait for work end after 10
/// s.
const MAX_SETTLE_TIME: Duration = Duration::from_secs(15);

/// Threads that the pool for blocking work may have more than before.
const SPARE_THREADS: usize = 4;

/// Memory of the process that may be more than before, in bytes: its allocator keeps what calls
/// have given back, which is no more than they had at once.
fn spare_memory() -> u64 {
    Limit::HostMemory.default_amount()
}

/// The most bytes that a process may take at its peak beyond the memory of one run: outputs,
/// replies, requests.
const SPARE_PEAK: u64 = 160 << 20;

/// The resources of a process, as the kernel counts them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ResourceUsage {
    pub(crate) memory: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) children: usize,
}

impl ResourceUsage {
    /// Counts the resources of this process.
    pub(crate) fn now() -> io::Result<Self> {
        let look = || -> procfs::ProcResult<Self> {
            let process = Process::myself()?;
            let status = process.status()?;
            let mut children = 0;
            for task in process.tasks()? {
                // A thread may end while it is looked at.
                children += task?.children().map_or(0, |children| children.len());
            }
            Ok(Self {
                memory: status.vmrss.unwrap_or(0) * 1024,
                descriptors: process.fd_count()?,
                threads: usize::try_from(status.threads).unwrap_or(usize::MAX),
                children,
            })
        };
        look().map_err(io::Error::other)
    }

    /// Says what it has taken more than one run may, since it had `before`.
    pub(crate) fn of_peak(before: &Self, limit: u64) -> Option<String> {
        let peak = Process::myself().and_then(|process| process.status());
        let peak = peak.ok()?.vmhwm? * 1024;
        let most = limit.saturating_add(SPARE_PEAK);
        let taken = peak.saturating_sub(before.memory);
        (taken > most).then(|| {
            format!("took {taken} bytes at its peak, where a run may have {limit} of memory")
        })
    }

    /// Lists what has not come back to what it was before, once things had time to settle.
    pub(crate) fn findings(before: &Self) -> Vec<String> {
        let started = Instant::now();
        loop {
            let findings = match Self::now() {
                Ok(now) => now.beyond(before),
                Err(error) => vec![format!("the process can't be looked at: {error}")],
            };
            if findings.is_empty() || started.elapsed() > MAX_SETTLE_TIME {
                return findings;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn beyond(&self, before: &Self) -> Vec<String> {
        let mut findings = Vec::new();
        let mut compare = |what: &str, now: u64, before: u64, spare: u64| {
            if now > before + spare {
                findings.push(format!("left behind {what}: {now}, {before} before"));
            }
        };
        compare("memory", self.memory, before.memory, spare_memory());
        compare(
            "descriptors",
            self.descriptors as u64,
            before.descriptors as u64,
            0,
        );
        compare(
            "threads",
            self.threads as u64,
            before.threads as u64,
            SPARE_THREADS as u64,
        );
        compare("children", self.children as u64, before.children as u64, 0);
        findings
    }
}
