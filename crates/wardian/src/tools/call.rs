//! One call, as a handler sees it.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use wardian_policy::Policy;

use super::authorizer::Authorizer;
use super::error::ToolError;
use super::files::{Files, Reserved};
use super::tool::Declaration;
use crate::files::Authority;
use crate::ledger::{RunContext, Taken};
use crate::threads::{TOOLS, Unfinished};

/// The least that [`Call::write_room`] takes, in bytes, if that is left.
const MIN_WRITE_ROOM: u64 = 1 << 20;

/// One call, as a handler sees it.
#[derive(Clone)]
pub struct Call {
    pub(super) authority: Arc<Authority>,
    pub(super) authorizer: Arc<Authorizer>,
    pub(super) context: Arc<RunContext>,
    pub(super) tool: Arc<Declaration>,
    pub(super) reserved: Reserved,
}

impl Call {
    /// Returns the id of the run that calls, as in [`Outcome::run_id`](crate::Outcome::run_id).
    pub fn run_id(&self) -> &str {
        &self.context.run_id
    }

    /// Returns the policy of the run.
    pub fn policy(&self) -> &Policy {
        &self.authority.policy
    }

    /// Returns the most bytes that the reply takes, as JSON.
    pub fn reply_bytes(&self) -> usize {
        self.context.meters.max_tool_bytes
    }

    /// Does what blocks on a thread of the library's: looking up a name, asking a database. If the
    /// call is cancelled before a thread is free, it is not done; after, it goes on to its end.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] if the host has no thread, or `work` panics.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ToolError> {
        TOOLS.run(work).await.map_err(|error| {
            ToolError::Failed(match error {
                Unfinished::NoThread(_) => {
                    "the host has no thread for this; try again later".to_owned()
                }
                Unfinished::Panicked => format!("{} failed unexpectedly", self.tool.name),
            })
        })
    }

    /// Checks that the call may act on another resource than its arguments name: where a redirect
    /// leads. The policy decides on it, and rules of the policy on that argument hold for it.
    ///
    /// # Errors
    ///
    /// [`ToolError::Denied`] if not.
    pub fn check_resource(&self, resource: &str) -> Result<(), ToolError> {
        let checked = self.authorizer.check_hop(&self.tool, resource);
        checked.map_err(|denied| denied.into_tool_error(resource))
    }

    /// Checks that an argument of the call could be this: the method of a request after a redirect.
    ///
    /// # Errors
    ///
    /// [`ToolError::Denied`] if not.
    pub fn check_argument(&self, name: &str, value: &Value) -> Result<(), ToolError> {
        let checked = self.authorizer.check_argument(&self.tool, name, value);
        checked.map_err(|denied| denied.into_tool_error(""))
    }

    /// Takes half of what the run may still write to disks, at least 1 MiB if that is left, for a
    /// tool that writes elsewhere than in granted directories: a database. What is not used is
    /// given back by [`WriteRoom::settle`].
    pub fn write_room(&self) -> WriteRoom {
        let written = &self.context.meters.written;
        let left = written.max().saturating_sub(written.used());
        WriteRoom(written.take(0, (left / 2).max(MIN_WRITE_ROOM)))
    }

    /// Returns the files in granted directories, as the run itself could reach them: within the
    /// same grants, limits and quota, on the same record.
    pub fn files(&self) -> Files {
        Files::new(&self.authority, self.context.clone(), self.reserved.clone())
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("tool", &self.tool.name)
            .field("run_id", &self.context.run_id)
            .finish_non_exhaustive()
    }
}

/// Bytes that a run may still write, taken by one of its calls. All of them count as written unless
/// they are [settled](Self::settle).
#[derive(Debug)]
pub struct WriteRoom(Option<Taken>);

impl WriteRoom {
    /// Returns the count of bytes.
    pub fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, Taken::amount)
    }

    /// Counts `written` bytes, and gives back the others.
    pub fn settle(self, written: u64) {
        if let Some(taken) = self.0 {
            taken.settle(written);
        }
    }
}
