//! Threads for what blocks: disks, logs, name servers, databases. That a thread can't be had is an
//! error, and no panic as it is with tokio's own.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{io, panic, thread};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

/// The time that a thread stays when there is nothing to do. Idle ones take turns, so a long time
/// would keep as many as were ever needed at once.
const MAX_IDLE: Duration = Duration::from_millis(100);

/// Threads of one purpose, so that what waits for one thing does not keep others waiting. The first
/// stays for good: once it is there, work can be late, and never fails for want of a thread.
pub(crate) struct Pool {
    name: &'static str,
    max: usize,
    state: Mutex<State>,
    /// There is work, or a thread has become idle.
    changed: Condvar,
}

struct State {
    work: VecDeque<Work>,
    threads: usize,
    idle: usize,
}

type Work = Box<dyn FnOnce() + Send>;

/// Operations on files.
pub(crate) static FILES: Pool = Pool::new("wardian-files", 64);

/// Records of audit logs.
pub(crate) static LOGS: Pool = Pool::new("wardian-logs", 64);

/// Blocking work of tools.
pub(crate) static TOOLS: Pool = Pool::new("wardian-blocking", 64);

/// A reason for which blocking work has not returned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfinished {
    /// It has not begun.
    #[error(
        "no thread can be started: {0}; see `ulimit -u` and the host's limits on tasks and memory"
    )]
    NoThread(#[from] io::Error),
    #[error("it panicked")]
    Panicked,
}

impl Pool {
    const fn new(name: &'static str, max: usize) -> Self {
        Self {
            name,
            max,
            state: Mutex::new(State {
                work: VecDeque::new(),
                threads: 0,
                idle: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// Makes sure of the first thread.
    pub(crate) fn start(&'static self) -> io::Result<()> {
        self.ensure(&mut self.state.lock())
    }

    fn ensure(&'static self, state: &mut State) -> io::Result<()> {
        if state.idle > state.work.len() || state.threads >= self.max {
            return Ok(());
        }
        let name = self.name.to_owned();
        match thread::Builder::new().name(name).spawn(|| self.serve()) {
            Ok(_) => state.threads += 1,
            // Those that there are will come to it.
            Err(_) if state.threads > 0 => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Has `work` done as soon as a thread is free.
    pub(crate) fn spawn(&'static self, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = self.state.lock();
        self.ensure(&mut state)?;
        state.work.push_back(Box::new(work));
        self.changed.notify_all();
        Ok(())
    }

    /// Does `work`, which may wait for a disk or a server. Given up before a thread has come to it,
    /// it is not done; after, it goes on to its end.
    pub(crate) async fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unfinished> {
        let (done, result) = oneshot::channel();
        self.spawn(move || {
            if !done.is_closed() {
                // The receiver is gone when nobody waits any more.
                let _ = done.send(work());
            }
        })?;
        result.await.map_err(|_| Unfinished::Panicked)
    }

    fn serve(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(work) = state.work.pop_front() {
                drop(state);
                // Its panic is its caller's to know: what it would have sent is dropped.
                let _ = panic::catch_unwind(AssertUnwindSafe(work));
                state = self.state.lock();
                continue;
            }
            state.idle += 1;
            self.changed.notify_all();
            let is_idle = |state: &mut State| state.work.is_empty();
            let waited = self.changed.wait_while_for(&mut state, is_idle, MAX_IDLE);
            state.idle -= 1;
            if waited.timed_out() && state.work.is_empty() && state.threads > 1 {
                state.threads -= 1;
                return;
            }
        }
    }

    /// Waits until there is nothing to do, for so long at most. Returns whether that is so.
    pub(crate) fn settle(&self, max_wait: Duration) -> bool {
        let deadline = Instant::now() + max_wait;
        let mut state = self.state.lock();
        while !state.work.is_empty() || state.idle < state.threads {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.changed.wait_for(&mut state, left);
        }
        true
    }
}

/// A value that is made once for the process. A failure is not kept: what was short for a moment
/// can be there later.
pub(crate) struct Once<T> {
    made: OnceLock<T>,
    making: Mutex<()>,
}

impl<T> Once<T> {
    pub(crate) const fn new() -> Self {
        Self {
            made: OnceLock::new(),
            making: Mutex::new(()),
        }
    }

    pub(crate) fn get_or_try<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let _making = self.making.lock();
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let made = make()?;
        Ok(self.made.get_or_init(|| made))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn work_is_done_and_a_panic_is_told() {
        static POOL: Pool = Pool::new("test", 2);
        assert_eq!(pollster::block_on(POOL.run(|| 7)).unwrap(), 7);
        let ended = pollster::block_on(POOL.run(|| panic!("as it should")));
        assert!(matches!(ended, Err::<(), _>(Unfinished::Panicked)));
        static DONE: AtomicU32 = AtomicU32::new(0);
        for _ in 0..100 {
            POOL.spawn(|| {
                thread::sleep(Duration::from_millis(1));
                DONE.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
        }
        assert!(!POOL.settle(Duration::ZERO));
        assert!(POOL.settle(Duration::from_secs(20)));
        assert_eq!(DONE.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn a_failure_is_tried_again() {
        let once = Once::new();
        assert_eq!(once.get_or_try(|| Err("short")), Err("short"));
        assert_eq!(once.get_or_try(|| Ok::<_, &str>(1)), Ok(&1));
        assert_eq!(once.get_or_try(|| Err("short")), Ok(&1));
    }
}
