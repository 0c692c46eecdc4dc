//! The gate: the only way to a tool. It checks a call, records it, lets the tool work, and records
//! the end.
//!
//! In this order: the tool is granted; its arguments are of its type, every one known and none
//! twice; the policy allows the declared action on the resource that they name; the policy's rules
//! for the tool hold; the tool's own check passes; somebody approves, if the policy asks for it.
//! Then the start is on the record, and only then does the tool work, for as long as it may. Its
//! reply is bounded and recorded too.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::time::timeout;
use wardian_abi::ToolSpec;
use wardian_audit::{Event, Log, REDACTED};
use wardian_policy::{Access, Limits, Policy};

use super::approval::{Approval, ApprovalRequest, Approver};
use super::arguments;
use super::authorizer::{Authorized, Authorizer, CallDraft};
use super::budget;
use super::call::Call;
use super::error::{CallError, DeniedCall};
use super::files::Reserved;
use super::host_tool::SecureTool;
use super::pending::{InFlightCall, PendingCall, Task};
use super::secrets::redact;
use super::tool::{Declaration, Tool, Work};
use crate::Error;
use crate::executor;
use crate::files::{Authority, Grants, Packages};
use crate::ledger::{
    Attempt, EventSender, Refusal, Reservation, RunContext, RunName, Stop, data, micros,
};

/// The most characters of a tool's name that a refusal shows.
const MAX_NAME: usize = 64;

/// The authority of one agent, and everything that stands before it: the policy, the
/// directories that it has opened, the tools that it can call, the approver, and the log.
///
/// Cheap to clone. A [`Sandbox`](crate::Sandbox) has one for its scripts; host code calls tools
/// through it with [`tool`](Self::tool).
#[derive(Clone)]
pub struct Gate(Arc<GateInner>);

#[derive(Clone)]
struct GateInner {
    authority: Arc<Authority>,
    authorizer: Arc<Authorizer>,
    /// The guest's view of the tools.
    specs: Vec<ToolSpec>,
    approver: Option<Arc<dyn Approver>>,
    log: Option<Log>,
    /// The threads on which tools work.
    threads: &'static Handle,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("authorizer", &self.0.authorizer)
            .finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate without tools, without a record, at which nobody approves of anything.
    ///
    /// Opens the directories that the policy grants, once: what their paths lead to later does not
    /// matter.
    ///
    /// # Errors
    ///
    /// [`Error::Grant`] if a granted directory can't be opened, or is one that no script should
    /// get; [`Error::Package`] if a package can't be used.
    ///
    /// # Security
    ///
    /// This is where a policy becomes authority: from here on, what it grants can be reached.
    pub fn new(policy: Policy) -> Result<Self, Error> {
        let grants = Grants::open(&policy)?;
        Self::from_grants(policy, grants)
    }

    /// A gate to these directories.
    pub(crate) fn from_grants(policy: Policy, grants: Grants) -> Result<Self, Error> {
        let packages = Packages::open(&policy, &grants)?;
        let authority = Authority::new(policy, grants, packages);
        let authorizer = Authorizer::without_tools(authority.policy.clone());
        Ok(Self(Arc::new(GateInner {
            authority: Arc::new(authority),
            authorizer: Arc::new(authorizer),
            specs: Vec::new(),
            approver: None,
            log: None,
            threads: executor::tools()?,
        })))
    }

    /// The same gate with the [granted](super::granted_tools) ones among these tools. The others
    /// stay out of reach, and out of sight.
    ///
    /// # Errors
    ///
    /// As [`granted_tools`](super::granted_tools); [`Error::Tool`] if a file that a tool [relies
    /// on](Tool::relies_on) lies where scripts can get at it.
    pub fn with_tools(self, tools: impl IntoIterator<Item = Tool>) -> Result<Self, Error> {
        let authorizer = Authorizer::clone(&self.0.authorizer).with_tools(tools)?;
        let grants = &self.0.authority.grants;
        for tool in authorizer.tools() {
            for (file, access) in &tool.0.files {
                grants.check_apart(file, *access).map_err(|reason| {
                    let key = format!("tools.{}", tool.name());
                    Error::Tool {
                        tool: tool.name().to_owned(),
                        location: self.policy().location(&key).cloned(),
                        reason: format!("relies on {}, which {reason}", file.display()),
                    }
                })?;
            }
        }
        Ok(self.with(|inner| {
            inner.specs = authorizer.tools().map(Tool::spec).collect();
            inner.authorizer = Arc::new(authorizer);
        }))
    }

    /// The same gate, at which `approver` approves of calls where the policy asks for it.
    #[must_use]
    pub fn with_approver(self, approver: Arc<dyn Approver>) -> Self {
        self.with(|inner| inner.approver = Some(approver))
    }

    /// The same gate, which records in `log` what is allowed and denied.
    ///
    /// # Errors
    ///
    /// [`Error::Audit`] if the log's file lies where scripts may write.
    pub fn with_audit(self, log: Log) -> Result<Self, Error> {
        let grants = &self.0.authority.grants;
        for file in log.files() {
            grants
                .check_apart(file, Access::WRITE)
                .map_err(|reason| Error::Audit(format!("{} {reason}", file.display())))?;
        }
        Ok(self.with(|inner| inner.log = Some(log)))
    }

    fn with(mut self, change: impl FnOnce(&mut GateInner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Returns the policy.
    pub fn policy(&self) -> &Policy {
        &self.0.authority.policy
    }

    /// Returns the authorizer that decides on calls here, for explaining them.
    pub fn authorizer(&self) -> &Authorizer {
        &self.0.authorizer
    }

    /// Returns the tools that can be called, by name.
    pub fn tools(&self) -> impl ExactSizeIterator<Item = &Tool> {
        self.0.authorizer.tools()
    }

    /// Returns a tool behind this gate, for host code; `None` if it can't be called. It is a run of
    /// its own on the record, and to limits.
    pub fn tool(&self, name: &str) -> Option<SecureTool> {
        let tool = self.0.authorizer.tool(name)?.clone();
        Some(SecureTool::new(self.clone(), tool))
    }

    pub(crate) fn authority(&self) -> &Arc<Authority> {
        &self.0.authority
    }

    /// The packages that scripts can import.
    pub(crate) fn packages(&self) -> Option<&Packages> {
        self.0.authority.packages.as_ref()
    }

    pub(crate) fn specs(&self) -> Vec<ToolSpec> {
        self.0.specs.clone()
    }

    /// Makes the context of a run.
    pub(crate) fn new_context(
        &self,
        run: RunName,
        limits: &Limits,
        events: EventSender,
    ) -> RunContext {
        RunContext::new(run, self.policy(), limits, self.0.log.clone(), events)
    }

    /// Takes a call as far as its tool's work, and lets that begin. `args` are JSON, with the
    /// memory that is reserved for them, or the reason why there is none.
    pub(super) async fn start(
        &self,
        context: &Arc<RunContext>,
        name: &str,
        args: Result<(&str, Reservation), DeniedCall>,
    ) -> Result<PendingCall, CallError> {
        let mut call = IncomingCall {
            context,
            number: context.meters.count_call()?,
            name,
            started: Instant::now(),
            draft: CallDraft {
                recorded: context.recorder.is_on(),
                ..CallDraft::default()
            },
        };
        let admitted = match args {
            Ok((args, reservation)) => self
                .admit(&mut call, args)
                .await
                .map(|admitted| (admitted, reservation)),
            Err(denied) => Err(denied),
        };
        match admitted {
            Ok((admitted, reservation)) => self.dispatch(call, admitted, reservation).await,
            Err(denied) => Err(call.record_denial(denied).await?),
        }
    }

    /// Checks grant, arguments, policy, rules, the tool's own rules and approval, in that order.
    async fn admit(&self, call: &mut IncomingCall<'_>, json: &str) -> Result<Admitted, DeniedCall> {
        let (context, name) = (call.context, call.name);
        let authorizer = &self.0.authorizer;
        let calls = match authorizer.tool(name) {
            Some(_) => context.meters.count_call_of(name),
            None => 0,
        };
        let Authorized {
            tool,
            work,
            args,
            resources,
            rule,
            approval,
        } = authorizer.authorize(name, json, calls, &mut call.draft)?;
        let mut approved_by = None;
        if approval {
            approved_by = Some(self.approve(context, &tool, &args, &resources).await?);
        }
        Ok(Admitted {
            tool,
            work,
            rule,
            approved_by,
            bytes: arguments::weight(json),
        })
    }

    /// Records the start of a call, and lets its tool work.
    async fn dispatch(
        &self,
        call: IncomingCall<'_>,
        admitted: Admitted,
        mut reservation: Reservation,
    ) -> Result<PendingCall, CallError> {
        let Admitted {
            tool,
            work,
            rule,
            approved_by,
            bytes,
        } = admitted;
        let context = call.context;
        // What was parsed is the handler's now.
        reservation.shrink_to(bytes.saturating_add(budget::reply_bytes(context)));
        let event = Event::ToolStarted {
            call: call.number,
            tool: tool.name.clone(),
            action: tool.action.to_string(),
            allowed: true,
            rule: rule.clone(),
            approved_by,
        };
        let CallDraft { resource, args, .. } = call.draft;
        let data = data(|data| {
            data.resource.clone_from(&resource);
            data.args = args;
        });
        let handler_call = Call {
            authority: self.0.authority.clone(),
            authorizer: self.0.authorizer.clone(),
            context: context.clone(),
            tool: tool.clone(),
            reserved: Reserved::default(),
        };
        let in_flight = InFlightCall {
            number: call.number,
            tool,
            rule,
            resource,
            context: context.clone(),
            started: call.started,
            reservation,
        };
        let recorder = &context.recorder;
        let cancelled = recorder.is_on().then(|| in_flight.cancelled_record());
        recorder.record_start((event, data), cancelled).await?;
        Ok(in_flight.dispatch(self.0.threads, work(handler_call)))
    }

    /// Asks the approver. No answer is a no.
    async fn approve(
        &self,
        context: &RunContext,
        tool: &Declaration,
        args: &Value,
        resources: &[String],
    ) -> Result<String, DeniedCall> {
        let key = format!("tools.{}.approval", tool.name);
        let denied = |reason: &str| DeniedCall {
            location: self.policy().location(&key).cloned(),
            rule: key.clone(),
            error: CallError::denied(format!("{} was not approved: {reason}", tool.name)),
        };
        let Some(approver) = self.0.approver.clone() else {
            return Err(denied("there is nobody to ask"));
        };
        let mut args = args.clone();
        for secret in &tool.secret_args {
            if let Some(arg) = args.get_mut(secret) {
                *arg = REDACTED.into();
            }
        }
        let wait = context.meters.tool_wait;
        let request = ApprovalRequest {
            run_id: context.run_id.clone(),
            agent: self.policy().agent().to_owned(),
            tool: tool.name.clone(),
            action: tool.action,
            resource: resources.to_vec(),
            args,
            wait,
        };
        let _question = context.approvals.ask();
        let threads = self.0.threads;
        let asking = threads.spawn(async move { approver.approve(request).await });
        match timeout(wait, Task::Spawned(asking)).await {
            Ok(Ok(Approval::Approved { by })) => Ok(by),
            Ok(Ok(Approval::Denied { reason })) => Err(denied(&reason)),
            Ok(Err(())) => Err(denied("the approver failed")),
            Err(_) => Err(denied("nobody answered in time")),
        }
    }
}

/// A call that may go on.
struct Admitted {
    tool: Arc<Declaration>,
    work: Work,
    rule: String,
    approved_by: Option<String>,
    /// The bytes of the host's memory that its arguments take.
    bytes: u64,
}

/// A call on its way through the gate.
struct IncomingCall<'c> {
    context: &'c Arc<RunContext>,
    number: u64,
    name: &'c str,
    started: Instant,
    draft: CallDraft,
}

impl IncomingCall<'_> {
    /// Records that the call was denied. Returns what the caller is told.
    async fn record_denial(self, denied: DeniedCall) -> Result<CallError, Stop> {
        let DeniedCall {
            rule,
            location,
            error,
        } = denied;
        let CallDraft {
            tool,
            resource,
            args,
            ..
        } = self.draft;
        let reason = error.reason();
        let event = Event::ToolFinished {
            call: self.number,
            tool: tool.as_ref().map(|tool| tool.name.clone()),
            action: tool.as_ref().map(|tool| tool.action.to_string()),
            allowed: false,
            rule: rule.clone(),
            success: false,
            duration_us: micros(self.started.elapsed()),
            reply_bytes: 0,
        };
        let secrets = tool.as_ref().map_or(&[][..], |tool| &tool.secrets);
        let resources = resource.join(", ");
        let data = data(|data| {
            data.tool = tool.is_none().then(|| self.name.to_owned());
            data.error = Some(redact(&reason, secrets));
            data.resource = resource;
            data.args = args;
        });
        self.context.recorder.record((event, data)).await?;
        self.context.refusals.push(Refusal {
            attempt: Attempt::Tool {
                tool: self.name.chars().take(MAX_NAME).collect(),
                resource: resources,
            },
            rule,
            location,
            reason,
        });
        Ok(error)
    }
}
