//! The sandbox: a runtime and a gate.

use std::sync::Arc;

use wardian_abi::Violation;
use wardian_audit::Log;
use wardian_policy::{Permission, Policy};

use crate::files::Grants;
use crate::ledger::EventSender;
use crate::run::{self, RunEvents, Running, Start};
use crate::session::{self, Image, SessionOptions};
use crate::tools::Approver;
use crate::{Error, Gate, Outcome, Runtime, Script, Session, Tool};

/// Runs scripts under one policy. Cheap to clone.
///
/// Every run is a fresh interpreter, or a fresh copy of an [`Image`]: nothing that a script does is
/// seen by a later one, except what it writes into a granted directory.
#[derive(Clone)]
pub struct Sandbox {
    runtime: Runtime,
    gate: Gate,
    start: Option<Arc<Start>>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("runtime", &self.runtime)
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// A sandbox on `runtime` under `policy`, without tools.
    ///
    /// Opens the directories that the policy grants, once: what their paths lead to later does
    /// not matter. Without [`EXECUTE_CODE`](Permission::EXECUTE_CODE), every run is
    /// [`Denied`](crate::Verdict::Denied), and nothing is opened.
    ///
    /// # Errors
    ///
    /// [`Error::Grant`] if a granted directory can't be opened, or is one that no script should
    /// get; [`Error::Package`] if a package can't be used; [`Error::Image`] if there is none to
    /// start from, or a stale one.
    ///
    /// # Security
    ///
    /// This is where a policy becomes authority: from here on, scripts can read and write in
    /// the granted directories. Files that a script writes are its author's; do not run them,
    /// and do not grant a directory from which something is run or imported.
    pub fn new(runtime: &Runtime, policy: Policy) -> Result<Self, Error> {
        let grants = if policy.permissions().contains(Permission::EXECUTE_CODE) {
            Grants::open(&policy)?
        } else {
            Grants::default()
        };
        Self::with_gate(runtime, Gate::from_grants(policy, grants)?)
    }

    /// A sandbox on `runtime`, whose scripts are behind `gate`: what it allows them they can do.
    /// They start from the image that its policy names, if there is one: this blocks while it is
    /// read.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] if there is no such image, or a stale one.
    pub fn with_gate(runtime: &Runtime, gate: Gate) -> Result<Self, Error> {
        let policy = gate.policy();
        let runs = policy.permissions().contains(Permission::EXECUTE_CODE);
        let start = match policy.image().filter(|_| runs) {
            Some(image) => Some(pollster::block_on(session::open_image(&gate, image))?),
            None => None,
        };
        Ok(Self {
            runtime: runtime.clone(),
            gate,
            start: start.map(Arc::new),
        })
    }

    /// The same sandbox, whose runs and sessions start from `image`. It has to be built with the
    /// packages of this policy.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`](session::SnapshotError) if it is stale, takes more memory than the policy
    /// allows, or can't be unpacked.
    pub fn with_image(mut self, image: &Image) -> Result<Self, Error> {
        let start = pollster::block_on(image.open(&self.gate))?;
        self.start = Some(Arc::new(start));
        Ok(self)
    }

    /// The same sandbox, whose runs and sessions start from an interpreter that has run nothing.
    #[must_use]
    pub fn without_image(&self) -> Self {
        Self {
            start: None,
            ..self.clone()
        }
    }

    /// Returns the state of the image that runs and sessions start from, if there is one.
    pub(crate) fn start_state(&self) -> Option<&Start> {
        self.start.as_deref()
    }

    fn map_gate(mut self, change: impl FnOnce(Gate) -> Result<Gate, Error>) -> Result<Self, Error> {
        self.gate = change(self.gate)?;
        Ok(self)
    }

    /// The same sandbox, whose scripts can call those of these tools that the policy grants:
    /// [`Gate::with_tools`].
    ///
    /// # Errors
    ///
    /// As [`Gate::with_tools`].
    pub fn with_tools(self, tools: impl IntoIterator<Item = Tool>) -> Result<Self, Error> {
        self.map_gate(|gate| gate.with_tools(tools))
    }

    /// The same sandbox, in which `approver` approves of calls where the policy asks for it.
    #[must_use]
    pub fn with_approver(mut self, approver: Arc<dyn Approver>) -> Self {
        self.gate = self.gate.with_approver(approver);
        self
    }

    /// The same sandbox, which records in `log` what its runs are allowed and denied.
    ///
    /// ```
    /// use wardian::{Log, Policy, Runtime, Sandbox};
    ///
    /// // `Log::file("audit.jsonl")?` is one that lasts.
    /// let (log, memory) = Log::memory();
    /// let sandbox = Sandbox::new(&Runtime::new()?, Policy::computing())?.with_audit(log)?;
    /// sandbox.run_blocking("open('/etc/passwd')")?;
    /// let records = memory.records();
    /// assert_eq!(records[0]["event"], "run_started");
    /// assert_eq!(records[1]["event"], "file");
    /// assert_eq!(records[1]["allowed"], false);
    /// assert_eq!(records[2]["event"], "run_finished");
    /// wardian::audit::verify(memory.text().as_bytes()).expect("nobody has changed the log");
    /// # Ok::<(), wardian::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Gate::with_audit`].
    pub fn with_audit(self, log: Log) -> Result<Self, Error> {
        self.map_gate(|gate| gate.with_audit(log))
    }

    /// Lists the modules that scripts can import from the policy's packages, without those in them,
    /// sorted.
    pub fn package_modules(&self) -> Vec<String> {
        let packages = self.gate.packages().into_iter();
        packages
            .flat_map(|packages| packages.names.iter().cloned())
            .collect()
    }

    /// Returns the gate, which stands between a script and everything else.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Returns the policy.
    pub fn policy(&self) -> &Policy {
        self.gate.policy()
    }

    /// Screens `source` and the modules that it brings along by the policy's rules about source,
    /// without running it. Returns the violations; none if it could run. Reads it in a fresh guest,
    /// as a run does, under the same limits.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn screen(&self, source: impl Into<Script>) -> Running<Vec<Violation>> {
        run::screen(self.runtime.clone(), self.gate.clone(), source.into())
    }

    /// Runs a script to its end, whatever end that is.
    ///
    /// See [`Running`] for how to wait for it and how to stop it.
    ///
    /// Every limit of the policy holds, and a script can't catch one:
    ///
    /// ```
    /// use std::time::Duration;
    /// use wardian::{Limits, Policy, Runtime, Sandbox, Verdict, policy::{Allowance, Limit}};
    ///
    /// let limits = Limits::default().with_timeout(Allowance::AtMost(Duration::from_millis(50)))?;
    /// let sandbox = Sandbox::new(&Runtime::new()?, Policy::computing().with_limits(limits))?;
    /// let outcome = sandbox.run_blocking("while True:\n    try: pass\n    except: pass")?;
    /// assert!(matches!(outcome.verdict, Verdict::Limit { limit: Limit::Timeout, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error`] if the run could not start: no free slot in time, inputs that can't be passed.
    /// A script that fails is not an error; see [`Outcome::verdict`].
    pub fn run(&self, script: impl Into<Script>) -> Running {
        self.run_with(script.into(), EventSender::default())
    }

    /// As [`run`](Self::run), as a stream of events: output while it is produced, tools, files, and
    /// the end.
    pub fn start(&self, script: impl Into<Script>) -> RunEvents {
        RunEvents::start(|events| self.run_with(script.into(), events))
    }

    fn run_with(&self, script: Script, events: EventSender) -> Running {
        let (runtime, gate) = (self.runtime.clone(), self.gate.clone());
        run::run(runtime, gate, self.start.clone(), script, events)
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

    /// Starts a session: scripts that run one after the other in one interpreter.
    pub fn session(&self, options: SessionOptions) -> Session {
        Session::new(self.clone(), options)
    }

    /// Returns the runtime.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}
