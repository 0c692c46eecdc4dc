//! The executors of the library: one that keeps time, one on which tools work.
//!
//! A run can be awaited on any executor, and a tool may block: so neither counts on the other's
//! threads.

use std::fs::{self, File};
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{io, thread};

use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::Error;
use crate::threads::{FILES, LOGS, Once};

/// The count of tools that can work at once without waiting for each other, besides those that
/// wait.
const TOOL_THREADS: usize = 4;

/// The count of descriptors that the executors and the engine take at start.
const DESCRIPTORS: usize = 16;

struct Executor {
    timers: Runtime,
    tools: Runtime,
}

impl Executor {
    fn new() -> io::Result<Self> {
        check_address_space()?;
        FILES
            .start()
            .and_then(|()| LOGS.start())
            // tokio panics where it can't have these, or waits for ever, so that they are tried
            // before.
            .and_then(|()| spare_threads(TOOL_THREADS + 1))
            .map_err(|error| lacking("threads", "ulimit -u", &error))?;
        spare_descriptors(DESCRIPTORS)
            .map_err(|error| lacking("descriptors", "ulimit -n", &error))?;
        // Somebody else may have taken them in between.
        panic::catch_unwind(AssertUnwindSafe(Self::build))
            .unwrap_or_else(|_| Err(io::Error::other("threads or descriptors have run out")))
    }

    fn build() -> io::Result<Self> {
        Ok(Self {
            timers: Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("wardian-timers")
                .enable_time()
                .build()?,
            tools: Builder::new_multi_thread()
                .worker_threads(TOOL_THREADS)
                .thread_name("wardian-tools")
                .enable_all()
                .build()?,
        })
    }
}

/// The address space that a run takes, in bytes: a 32-bit memory, and guards around it.
const ADDRESS_SPACE: u64 = 4 << 30;

/// Checks that this process may have the address space of a run. With less, the standard library
/// can panic where it starts a thread.
pub(crate) fn check_address_space() -> io::Result<()> {
    match getrlimit(Resource::As).current {
        Some(max) if max < ADDRESS_SPACE => Err(io::Error::other(format!(
            "too little address space ({max} bytes, and a run takes more than {ADDRESS_SPACE}); see `ulimit -v`"
        ))),
        _ => Ok(()),
    }
}

fn lacking(what: &str, command: &str, error: &io::Error) -> io::Error {
    io::Error::other(format!("too few {what} ({error}); see `{command}`"))
}

/// Starts so many threads at once, and lets them end.
fn spare_threads(count: usize) -> io::Result<()> {
    let tasks = || fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let before = tasks();
    let gate = Mutex::new(());
    let closed = gate.lock();
    let started = thread::scope(|scope| {
        let started = (0..count).try_for_each(|_| {
            let wait = || drop(gate.lock());
            thread::Builder::new().spawn_scoped(scope, wait).map(drop)
        });
        drop(closed);
        started
    });
    // The kernel counts a thread for a moment longer than its join takes.
    for _ in 0..100 {
        if tasks() <= before {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    started
}

/// Opens so many descriptors at once, and closes them.
fn spare_descriptors(count: usize) -> io::Result<()> {
    let open = |_| File::open("/dev/null");
    (0..count)
        .map(open)
        .collect::<io::Result<Vec<_>>>()
        .map(drop)
}

fn executor() -> Result<&'static Executor, Error> {
    static EXECUTOR: Once<Executor> = Once::new();
    EXECUTOR
        .get_or_try(Executor::new)
        .map_err(|error| Error::Engine(error.to_string()))
}

/// The context in which timers can be made.
pub(crate) fn timers() -> Result<&'static Handle, Error> {
    Ok(executor()?.timers.handle())
}

/// The context in which tools work.
pub(crate) fn tools() -> Result<&'static Handle, Error> {
    Ok(executor()?.tools.handle())
}

/// A future that can be polled on any executor: it brings its timers along.
pub(crate) struct OnTimers<F: ?Sized> {
    timers: &'static Handle,
    inner: Pin<Box<F>>,
}

impl<F: ?Sized> OnTimers<F> {
    pub(crate) fn new(inner: Pin<Box<F>>, timers: &'static Handle) -> Self {
        Self { timers, inner }
    }
}

impl<F: Future + ?Sized> Future for OnTimers<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _timers = self.timers.enter();
        self.inner.as_mut().poll(context)
    }
}
