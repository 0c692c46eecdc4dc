//! The threads of the library: one that keeps time, some on which tools work.
//!
//! A run can be awaited on any executor, and a tool may block: so neither counts on the other's
//! threads.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::Error;

/// How many tools can work at once without waiting for each other, besides those that wait.
const TOOL_THREADS: usize = 4;

/// How long a thread that waits for disks stays when there is nothing to do. Idle ones take turns, so a long time
/// would keep as many as were ever needed at once.
const IDLE: Duration = Duration::from_millis(100);

struct Executor {
    timers: Runtime,
    tools: Runtime,
}

static EXECUTOR: OnceLock<Result<Executor, String>> = OnceLock::new();

impl Executor {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            timers: Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("wardian-timers")
                .thread_keep_alive(IDLE)
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

fn executor() -> Result<&'static Executor, Error> {
    EXECUTOR
        .get_or_init(|| Executor::new().map_err(|error| error.to_string()))
        .as_ref()
        .map_err(|error| Error::Engine(error.clone()))
}

/// The context in which timers can be made, and work for threads that may wait.
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
