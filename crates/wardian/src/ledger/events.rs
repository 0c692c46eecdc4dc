//! Events of a run, for whoever follows it.

use std::sync::Arc;

use tokio::sync::mpsc;
use wardian_abi::Display;
use wardian_audit as audit;
use wardian_engine::{Sending, Sink, Stream};

use super::Entry;

/// The most events that wait for a reader. Output comes in pieces of at most 4 KiB.
const MAX_WAITING: usize = 64;

/// An event of a run, as [`RunEvents`](crate::event::RunEvents) has it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RunEvent {
    /// The script has written to one of its streams. Bytes after the first half of the limit come
    /// when the run ends, and say how many were cut out.
    Output {
        /// The stream.
        stream: Stream,
        /// The bytes; a character can be cut in two.
        bytes: Vec<u8>,
    },
    /// The script shows something, within the limits for that.
    Display(Display),
    /// A tool is about to work.
    ToolStarted {
        /// The number of the call in its run, from 1.
        call: u64,
        /// The tool.
        tool: String,
        /// The resources that it works on, as its declaration says.
        resource: Vec<String>,
    },
    /// A call of a tool has ended, or was refused: then it has not started. A call that is in
    /// flight when the run ends has no such event.
    ToolFinished {
        /// The number of the call in its run, from 1.
        call: u64,
        /// The tool, or the name that there is no tool of.
        tool: String,
        /// Set if the call was allowed.
        allowed: bool,
        /// The reason why the tool has not returned, if it has not.
        error: Option<String>,
    },
    /// The script was allowed or denied an operation on a file.
    File {
        /// The operation.
        operation: audit::FileOperation,
        /// The path, as the script sees it.
        path: String,
        /// The second path of a renaming.
        to: Option<String>,
        /// The reason why it was denied, if it was. What is allowed can still fail.
        denied: Option<String>,
    },
    /// The run has ended, in whichever way. The last event.
    Ended,
}

impl RunEvent {
    /// Makes the event that an audit record is for whoever follows the run.
    fn of((event, data): &Entry) -> Option<Self> {
        match event {
            audit::Event::ToolStarted { call, tool, .. } => Some(Self::ToolStarted {
                call: *call,
                tool: tool.clone(),
                resource: data.resource.clone(),
            }),
            audit::Event::ToolFinished {
                call,
                tool,
                allowed,
                ..
            } => Some(Self::ToolFinished {
                call: *call,
                tool: tool.clone().or_else(|| data.tool.clone())?,
                allowed: *allowed,
                error: data.error.clone(),
            }),
            audit::Event::File {
                operation, allowed, ..
            } => Some(Self::File {
                operation: *operation,
                path: data.path.clone().unwrap_or_default(),
                to: data.to.clone(),
                denied: data.error.clone().filter(|_| !allowed),
            }),
            _ => None,
        }
    }
}

/// Passes events of a run on to its reader, and waits while that has too many.
#[derive(Clone, Default)]
pub(crate) struct EventSender(Option<mpsc::Sender<RunEvent>>);

impl EventSender {
    /// Makes a queue for one run.
    pub(crate) fn new() -> (Self, mpsc::Receiver<RunEvent>) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        (Self(Some(sender)), receiver)
    }

    /// Returns whether somebody reads.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the sink of the run's output, if somebody reads.
    pub(crate) fn sink(&self) -> Option<Arc<dyn Sink>> {
        self.is_on()
            .then(|| Arc::new(self.clone()) as Arc<dyn Sink>)
    }

    /// Makes the event of a record, if somebody reads.
    pub(super) fn event_of(&self, entry: &Entry) -> Option<RunEvent> {
        self.is_on().then(|| RunEvent::of(entry)).flatten()
    }

    pub(super) async fn send(&self, event: RunEvent) {
        if let Some(sender) = &self.0 {
            // The reader is gone only when the run is about to be dropped.
            let _ = sender.send(event).await;
        }
    }
}

impl Sink for EventSender {
    fn send(&self, stream: Stream, bytes: Vec<u8>) -> Sending<'_> {
        Box::pin(Self::send(self, RunEvent::Output { stream, bytes }))
    }
}
