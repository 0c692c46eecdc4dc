//! Where scripts run: a runtime and a policy.

use std::sync::{Arc, Mutex};

use wardian_policy::Policy;

use crate::output::Sink;
use crate::run::{self, Running};
use crate::{Error, Outcome, Runtime, Script, Stream};

/// Runs scripts under one policy. Cheap to make and to clone.
///
/// Every run is a fresh interpreter: nothing that a script does is seen by a later one.
#[derive(Debug, Clone)]
pub struct Sandbox {
    runtime: Runtime,
    policy: Policy,
}

impl Sandbox {
    /// A sandbox on `runtime` under `policy`.
    pub fn new(runtime: &Runtime, policy: Policy) -> Self {
        Self {
            runtime: runtime.clone(),
            policy,
        }
    }

    /// Runs a script to its end, whatever end that is.
    ///
    /// See [`Running`] for how to wait for it and how to stop it.
    ///
    /// # Errors
    ///
    /// [`Error`] if the run could not start: no free slot in time, inputs that can't be passed.
    /// A script that fails is not an error; see [`Outcome::verdict`].
    pub fn run(&self, script: impl Into<Script>) -> Running {
        self.start(script.into(), None)
    }

    /// As [`run`](Self::run), and passes output on as it is produced.
    ///
    /// `sink` is called where the script waits for its `print` to return, so it should be
    /// quick. It gets the first bytes up to the limit at once and, if more was written, the
    /// mark and the tail at the end.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_streaming(
        &self,
        script: impl Into<Script>,
        sink: impl FnMut(Stream, &[u8]) + Send + 'static,
    ) -> Running {
        self.start(script.into(), Some(Arc::new(Mutex::new(Box::new(sink)))))
    }

    /// As [`run`](Self::run), and blocks this thread meanwhile. Works inside of an async
    /// runtime too, where it blocks a worker.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_blocking(&self, script: impl Into<Script>) -> Result<Outcome, Error> {
        pollster::block_on(self.run(script))
    }

    fn start(&self, script: Script, sink: Option<Arc<Mutex<Sink>>>) -> Running {
        let Self { runtime, policy } = self.clone();
        run::run(runtime, policy, script, sink)
    }
}
