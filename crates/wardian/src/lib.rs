//! Runs untrusted Python behind glass.
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
//! What a script may do beyond computing are tools: async functions of the host, behind a [`Gate`] that
//! checks a call against the policy, records it in a [`Log`], lets the tool work and records what came
//! of it. [`Tool`] says how one is declared; `wardian-tools` has ready ones.
//!
//! A script that misbehaves is not an error: it has a [`Verdict`]. An [`Error`] is the host's
//! fault or the caller's.

#![deny(unsafe_code)]

mod account;
mod advice;
mod approval;
mod arguments;
mod authorizer;
mod call_error;
mod calls;
mod double;
mod engine_config;
mod error;
mod executor;
mod explanation;
mod files;
mod fuel;
mod gate;
mod grants;
mod guest;
mod mapping;
mod memory;
mod meter;
mod modules;
mod on_record;
mod outcome;
mod output;
mod paths;
mod policy_file;
mod preflight;
mod python;
mod report;
mod run;
mod runtime;
mod sandbox;
mod script;
mod secure_tool;
mod session;
mod threads;
mod tool;
mod under_way;

pub use approval::{Approval, ApprovalRequest, Approver};
pub use authorizer::{Authorizer, granted_tools};
pub use call_error::CallError;
pub use error::Error;
pub use explanation::{Explanation, RuleCheck};
pub use files::{DirectoryEntry, Files};
pub use gate::Gate;
pub use modules::modules;
pub use outcome::{LimitKind, Outcome, Refusal, Refusals, SourceHash, Trap, Usage, Verdict, Wish};
pub use output::{Output, Stream};
pub use policy_file::{PolicyError, load_policy};
pub use preflight::{host_problems, module_problems, permission_problems, tool_problems};
pub use report::{
    DenialReport, Ending, ExceptionReport, LimitReport, LocationReport, ProblemReport,
    RefusalReport, Report, UsageReport, ViolationReport,
};
pub use run::Running;
pub use runtime::{Runtime, RuntimeBuilder, Versions};
pub use sandbox::Sandbox;
pub use script::{Input, Script};
pub use secure_tool::SecureTool;
pub use tool::{Call, Handler, Tool, ToolDefinitionError, ToolError, WriteRoom};
pub use wardian_abi::{CodeRules, Names, Raised, SCRIPT_NAME, Value, Violation, exact, sha256};
pub use wardian_audit as audit;
pub use wardian_audit::{FileOperation, Log};
pub use wardian_policy::{
    Access, Action, Allowance, Code, Constraint, Decision, DomainRule, Grant, GrantError, Limit,
    LimitError, Limits, Location, Permission, Policy, Problem, Problems, Profile, Source,
    ToolRules, UnclearName, Widening, leaves, nearest, parse_url, schema,
};
