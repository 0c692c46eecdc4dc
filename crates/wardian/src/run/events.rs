//! A run as a stream of its events.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::{AbortHandle, Abortable};
use futures_util::{FutureExt, Stream};
use tokio::sync::mpsc;

use super::{Outcome, Running};
use crate::Error;
use crate::ledger::{EventSender, RunEvent};

/// The events of a run that is in flight, in the order in which they came, and its outcome.
///
/// The script goes on while somebody asks for the next event, as a [`Running`] does while it is
/// polled, and its clock goes on meanwhile. A reader that is slower than the script makes it wait:
/// no more than 64 events wait for a reader, with at most 4 KiB of output each. Dropping this stops
/// the script.
///
/// ```
/// use wardian::{Policy, Runtime, Sandbox, event::RunEvent};
///
/// let sandbox = Sandbox::new(&Runtime::new()?, Policy::computing())?;
/// let mut run = sandbox.start("for i in range(3): print(i)");
/// let mut text = String::new();
/// for event in run.blocking() {
///     if let RunEvent::Output { bytes, .. } = event {
///         text += &String::from_utf8_lossy(&bytes);
///     }
/// }
/// assert_eq!(text, "0\n1\n2\n");
/// assert!(run.wait()?.success());
/// # Ok::<(), wardian::Error>(())
/// ```
#[must_use = "a script runs only while its events are asked for"]
pub struct RunEvents {
    events: mpsc::Receiver<RunEvent>,
    /// `None` once it has ended.
    run: Option<Abortable<Running>>,
    /// The end, once it has come.
    ended: Option<Result<Outcome, Error>>,
    /// Set once the last event was told.
    is_over: bool,
    cancel: CancelHandle,
}

impl RunEvents {
    /// Starts a run that sends its events there.
    pub(crate) fn start(run: impl FnOnce(EventSender) -> Running) -> Self {
        let (sender, events) = EventSender::new();
        let (handle, registration) = AbortHandle::new_pair();
        Self {
            events,
            run: Some(Abortable::new(run(sender), registration)),
            ended: None,
            is_over: false,
            cancel: CancelHandle(handle),
        }
    }

    /// Waits for the next event; `None` after the last one, which is [`RunEvent::Ended`].
    pub async fn next(&mut self) -> Option<RunEvent> {
        poll_fn(|task| self.poll_event(task)).await
    }

    /// Returns the events as an iterator, which blocks this thread while it waits for the next one.
    pub fn blocking(&mut self) -> impl Iterator<Item = RunEvent> + '_ {
        std::iter::from_fn(|| pollster::block_on(self.next()))
    }

    /// Waits for the end. Events that nobody has asked for are lost.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::run`](crate::Sandbox::run); [`Error::Cancelled`] after a
    /// [cancel](CancelHandle::cancel).
    pub async fn outcome(mut self) -> Result<Outcome, Error> {
        while self.next().await.is_some() {}
        self.ended.unwrap_or(Err(Error::Cancelled))
    }

    /// As [`outcome`](Self::outcome), and blocks this thread meanwhile.
    ///
    /// # Errors
    ///
    /// As [`outcome`](Self::outcome).
    pub fn wait(self) -> Result<Outcome, Error> {
        pollster::block_on(self.outcome())
    }

    /// Returns a handle that stops the run, from any thread.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    fn poll_event(&mut self, task: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        if let Poll::Ready(Some(event)) = self.events.poll_recv(task) {
            return Poll::Ready(Some(event));
        }
        if let Some(run) = &mut self.run {
            let ended = ready!(run.poll_unpin(task));
            self.run = None;
            self.ended = Some(ended.unwrap_or(Err(Error::Cancelled)));
        }
        // Those that came with the end, before the end.
        if let Ok(event) = self.events.try_recv() {
            return Poll::Ready(Some(event));
        }
        let is_last = !std::mem::replace(&mut self.is_over, true);
        Poll::Ready(is_last.then_some(RunEvent::Ended))
    }
}

impl Stream for RunEvents {
    type Item = RunEvent;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<RunEvent>> {
        self.poll_event(task)
    }
}

impl std::fmt::Debug for RunEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunEvents").finish_non_exhaustive()
    }
}

/// Stops a run. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CancelHandle(AbortHandle);

impl CancelHandle {
    /// Stops the run when its next event is asked for, as dropping it does. Nothing happens if it
    /// has ended.
    pub fn cancel(&self) {
        self.0.abort();
    }
}
