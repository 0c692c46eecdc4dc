//! Sandboxes untrusted Python: RustPython in wasmtime, in process.
//!
//! The code runs in RustPython compiled to WebAssembly, in wasmtime, inside this process: no
//! subprocess, no container, no daemon. Every run starts from a fresh copy of one snapshot,
//! sees no file, no variable and no socket of the host but the directories that its policy grants,
//! and stops at every limit.
//!
//! ```
//! use wardian::{Policy, Runtime, Sandbox, Verdict};
//!
//! let runtime = Runtime::new()?;
//! let sandbox = Sandbox::new(&runtime, Policy::computing())?;
//! let outcome = sandbox.run_blocking("print('hello')\n6 * 7")?;
//! assert_eq!(outcome.verdict, Verdict::Completed);
//! assert_eq!(outcome.stdout.text(), "hello\n");
//! assert_eq!(outcome.json()["value"], 42);
//! # Ok::<(), wardian::Error>(())
//! ```
//!
//! Beyond computing, a script can call tools: async functions of the host, behind a [`Gate`] that
//! checks a call against the policy, records it in a [`Log`], lets the tool work and records the
//! end. [`Tool`] says how one is declared; `wardian-tools` has ready ones.
//!
//! A script that misbehaves is not an error: it has a [`Verdict`]. An [`Error`] is the host's
//! fault or the caller's.

#![forbid(unsafe_code)]

mod error;
mod executor;
mod files;
mod host;
mod ledger;
mod location_report;
mod modules;
mod policy_file;
mod preflight;
mod run;
mod runtime;
mod sandbox;
mod schemas;
pub mod session;
mod threads;
mod tools;

pub use error::Error;
pub use policy_file::load_policy;
pub use run::{Input, Outcome, Running, Script, Verdict};
pub use runtime::Runtime;
pub use sandbox::Sandbox;
pub use session::Session;
pub use tools::{Call, Gate, Tool, ToolError};
pub use wardian_audit as audit;
pub use wardian_audit::Log;
pub use wardian_policy::{Limits, Policy};

/// Policies: what an agent may do, and everything that says so.
pub mod policy {
    pub use wardian_policy::*;

    pub use crate::policy_file::{PolicyError, load_policy};
    pub use crate::preflight::{
        host_problems, module_problems, permission_problems, tool_problems,
    };
}

/// Tools: declaration, decision, approval, and what a handler gets.
pub mod tool {
    pub use wardian_abi::exact;

    pub use crate::tools::{
        Approval, ApprovalRequest, Approver, Authorizer, Call, CallError, DirectoryEntry,
        Explanation, Files, Gate, Handler, RuleCheck, SecureTool, Tool, ToolDefinitionError,
        ToolError, WriteRoom, granted_tools,
    };
}

/// The build: its settings, its versions, the modules of its Python.
pub mod build {
    pub use wardian_abi::SCRIPT_NAME;

    pub use crate::modules::modules;
    pub use crate::runtime::{RuntimeBuilder, Versions};
}

/// The events of a run in flight.
pub mod event {
    pub use crate::ledger::RunEvent;
    pub use crate::run::{CancelHandle, RunEvents};
}

/// The parts of an [`Outcome`].
pub mod outcome {
    pub use wardian_abi::{Display, Raised, SourceRule, Value, Violation};
    pub use wardian_engine::{Output, Stream};

    pub use crate::files::OutputFile;
    pub use crate::ledger::{Attempt, Refusal, Refusals};
    pub use crate::run::{Outcome, SourceHash, Trap, Usage, Verdict};
}

/// The contract on the wire: JSON forms of what goes into a sandbox and comes out of it.
///
/// [`Script`], [`Outcome`] (a [`Report`](wire::Report)), [`Policy`] (its
/// [canonical form](policy::CanonicalPolicy)) and [audit records](audit::Record) serialize both
/// ways. Each says which version of its form it is in; [`schemas`](wire::schemas) has the JSON
/// Schema of each.
pub mod wire {
    pub use crate::location_report::LocationReport;
    pub use crate::run::{
        DenialReport, Ending, FileReport, LimitReport, ProblemReport, RefusalReport, Report,
        ReportError, StreamReport, StreamsReport, UsageReport,
    };
    pub use crate::schemas::schemas;
}
