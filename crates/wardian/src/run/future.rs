//! A run as a future.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Outcome;
use crate::Error;
use crate::executor::OnTimers;

/// A run that goes on while it is polled, on any executor.
///
/// While the script computes, it yields about every millisecond. Dropping it stops the script
/// and frees all that the run held.
///
/// ```
/// use std::time::Duration;
/// use wardian::{Policy, Runtime, Sandbox};
///
/// let sandbox = Sandbox::new(&Runtime::new()?, Policy::computing())?;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// // On tokio; any executor and any timer will do.
/// let run = sandbox.run("while True: pass");
/// let ended = tokio::time::timeout(Duration::from_millis(20), run).await;
/// assert!(ended.is_err(), "it was cancelled");
/// # });
/// # Ok::<(), wardian::Error>(())
/// ```
#[must_use = "a script runs only while its future is polled"]
pub struct Running<T = Outcome>(OnTimers<dyn Future<Output = Result<T, Error>> + Send>);

impl<T> Running<T> {
    pub(crate) fn new(
        inner: impl Future<Output = Result<T, Error>> + Send + 'static,
        timers: &'static tokio::runtime::Handle,
    ) -> Self {
        Self(OnTimers::new(Box::pin(inner), timers))
    }

    /// Waits for the end, and blocks this thread meanwhile. Works inside of an async runtime too,
    /// where it blocks a worker.
    ///
    /// # Errors
    ///
    /// As the function that made it.
    pub fn wait(self) -> Result<T, Error> {
        pollster::block_on(self)
    }
}

impl<T> Future for Running<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> std::fmt::Debug for Running<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}
