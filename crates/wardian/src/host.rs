//! The host of a run's guest: the file guard, the calls of tools, the machine's clocks and random
//! numbers.

use std::sync::{Arc, LazyLock};

use wardian_abi::Display;
use wardian_engine::{Host, SystemEntropy};
use wardian_policy::Policy;

use crate::files::{Authority, FileError, FileGuard, Grants, OpenFiles, SavedHandle};
use crate::ledger::{EventSender, RunContext};
use crate::session::SnapshotError;
use crate::tools::Calls;
use crate::{Error, Gate};

/// Everything that a script can reach.
pub(crate) struct RunHost {
    files: FileGuard,
    calls: Option<Calls>,
    entropy: SystemEntropy,
    context: Arc<RunContext>,
}

impl RunHost {
    /// The host of a script behind `gate`, with these files open.
    pub(crate) fn new(gate: &Gate, context: &Arc<RunContext>, open: OpenFiles) -> Self {
        let has_tools = gate.tools().len() > 0;
        Self {
            files: FileGuard::new(gate.authority().clone(), context.clone(), open),
            calls: has_tools.then(|| Calls::new(gate.clone(), context.clone())),
            entropy: SystemEntropy::default(),
            context: context.clone(),
        }
    }

    /// A host at which a guest reaches nothing.
    pub(crate) fn blank() -> Self {
        static BLANK: LazyLock<Arc<Authority>> = LazyLock::new(|| {
            Arc::new(Authority::new(Policy::computing(), Grants::default(), None))
        });
        let context = Arc::new(RunContext::new(
            String::new().into(),
            &BLANK.policy,
            BLANK.policy.limits(),
            None,
            EventSender::default(),
        ));
        Self {
            files: FileGuard::new(BLANK.clone(), context.clone(), OpenFiles::new(None)),
            calls: None,
            entropy: SystemEntropy::default(),
            context,
        }
    }

    /// Opens files that were open when a session was saved.
    pub(crate) async fn reopen(&mut self, saved: &[SavedHandle]) -> Result<(), Error> {
        for handle in saved {
            self.files
                .reopen(handle)
                .await
                .map_err(|error| match error {
                    FileError::Stop(stop) => stop.into(),
                    error => Error::Snapshot(SnapshotError::File {
                        path: handle.path.clone(),
                        reason: error.reason(),
                    }),
                })?;
        }
        Ok(())
    }

    /// Takes the table of open files.
    pub(crate) fn take_open_files(&mut self) -> OpenFiles {
        self.files.take_open()
    }

    /// Cancels the calls that are in flight.
    pub(crate) fn cancel_calls(&mut self) {
        self.calls = None;
    }
}

impl Host for RunHost {
    type Files = FileGuard;
    type Tools = Calls;
    type Entropy = SystemEntropy;

    fn files(&mut self) -> &mut FileGuard {
        &mut self.files
    }

    fn tools(&mut self) -> Option<&mut Calls> {
        self.calls.as_mut()
    }

    fn entropy(&mut self) -> &mut SystemEntropy {
        &mut self.entropy
    }

    async fn show(&mut self, display: Display) {
        self.context.show(display).await;
    }
}
