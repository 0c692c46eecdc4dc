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

/// The events of a run that is in flight, in the order in which they came; the last one is its end.
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
/// let mut text = String::new();
/// for event in sandbox.start("for i in range(3): print(i)").blocking() {
///     match event? {
///         RunEvent::Output { bytes, .. } => text += &String::from_utf8_lossy(&bytes),
///         RunEvent::Ended(outcome) => assert!(outcome.success()),
///         _ => {}
///     }
/// }
/// assert_eq!(text, "0\n1\n2\n");
/// # Ok::<(), wardian::Error>(())
/// ```
#[must_use = "a script runs only while its events are asked for"]
pub struct RunEvents {
    events: mpsc::Receiver<RunEvent>,
    /// `None` once it has ended.
    run: Option<Abortable<Running>>,
    /// The end, until it was passed on.
    ended: Option<Result<Outcome, Error>>,
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
            cancel: CancelHandle(handle),
        }
    }

    /// Waits for the next event; `None` after the last one.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::run`](crate::Sandbox::run); [`Error::Cancelled`] after a
    /// [cancel](CancelHandle::cancel). Nothing follows an error.
    pub async fn next(&mut self) -> Option<Result<RunEvent, Error>> {
        poll_fn(|task| self.poll_event(task)).await
    }

    /// Returns the events as an iterator, which blocks this thread while it waits for the next one.
    pub fn blocking(mut self) -> impl Iterator<Item = Result<RunEvent, Error>> {
        std::iter::from_fn(move || pollster::block_on(self.next()))
    }

    /// Returns a handle that stops the run, from any thread.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    fn poll_event(&mut self, task: &mut Context<'_>) -> Poll<Option<Result<RunEvent, Error>>> {
        if let Poll::Ready(Some(event)) = self.events.poll_recv(task) {
            return Poll::Ready(Some(Ok(event)));
        }
        if let Some(run) = &mut self.run {
            let ended = ready!(run.poll_unpin(task));
            self.run = None;
            self.ended = Some(ended.unwrap_or(Err(Error::Cancelled)));
        }
        // What came with the end, before the end.
        if let Ok(event) = self.events.try_recv() {
            return Poll::Ready(Some(Ok(event)));
        }
        let ended = self.ended.take();
        Poll::Ready(ended.map(|ended| Ok(RunEvent::Ended(Box::new(ended?)))))
    }
}

impl Stream for RunEvents {
    type Item = Result<RunEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
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
