//! The gate: the only way to a tool. It checks, records, lets the tool work, and records again.
//!
//! In this order: the tool is granted; its arguments are of its type, every one known and none
//! twice; the policy allows the declared action on the resource that they name; the policy's rules for
//! the tool hold; the tool's own check passes; somebody approves, if somebody has to. Then the start is on the record,
//! and only then does the tool work, for as long as it may. What comes of it is bounded and recorded too.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::time::timeout;
use wardian_abi::ToolSpec;
use wardian_audit::{Event, Log, REDACTED};
use wardian_policy::{Access, Policy};

use crate::account::Reservation;
use crate::approval::{Approval, ApprovalRequest, Approver};
use crate::arguments;
use crate::authorizer::{Authorized, Authorizer, CallDraft};
use crate::call_error::{CallError, Refused};
use crate::executor;
use crate::files::Held;
use crate::grants::Grants;
use crate::secure_tool::SecureTool;
use crate::session::{Session, Stop, data, micros};
use crate::tool::{Call, Declared, Tool, Work};
use crate::under_way::{Pending, UnderWay, Working, hide};
use crate::{Error, Refusal, Wish};

/// What one agent may do, and everything that stands between it and that: the policy, the
/// directories that it has opened, the tools that it can call, who approves, and the record.
///
/// Cheap to clone. A [`Sandbox`](crate::Sandbox) has one for its scripts; host code calls tools
/// through it with [`tool`](Self::tool).
#[derive(Clone)]
pub struct Gate(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    authorizer: Authorizer,
    grants: Arc<Grants>,
    /// What the guest is told of them.
    specs: Vec<ToolSpec>,
    approver: Option<Arc<dyn Approver>>,
    log: Option<Log>,
    /// SHA-256 of what the policy grants, for the record.
    policy_sha256: String,
    /// Where tools work.
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
    /// get.
    ///
    /// # Security
    ///
    /// This is where a policy becomes authority: from here on, what it grants can be reached.
    pub fn new(policy: Policy) -> Result<Self, Error> {
        let grants = Grants::open(&policy)?;
        Self::between(policy, grants)
    }

    /// A gate to these directories.
    pub(crate) fn between(policy: Policy, grants: Grants) -> Result<Self, Error> {
        Ok(Self(Arc::new(Parts {
            grants: Arc::new(grants),
            policy_sha256: policy.sha256(),
            authorizer: Authorizer::without_tools(Arc::new(policy)),
            specs: Vec::new(),
            approver: None,
            log: None,
            threads: executor::tools()?,
        })))
    }

    /// The same gate with the [granted](granted_tools) ones among these tools. The others stay out
    /// of reach, and out of sight.
    ///
    /// # Errors
    ///
    /// As [`granted_tools`]; [`Error::Tool`] if a file that a tool [relies on](Tool::relies_on) lies where scripts can
    /// get at it.
    pub fn with_tools(self, tools: impl IntoIterator<Item = Tool>) -> Result<Self, Error> {
        let authorizer = self.0.authorizer.clone().with_tools(tools)?;
        for tool in authorizer.tools() {
            for (file, access) in &tool.0.files {
                self.0.grants.check_apart(file, *access).map_err(|why| {
                    let key = format!("tools.{}", tool.name());
                    Error::Tool {
                        tool: tool.name().to_owned(),
                        at: self.policy().location(&key).map(ToString::to_string),
                        why: format!("relies on {}, which {why}", file.display()),
                    }
                })?;
            }
        }
        Ok(self.with(|parts| {
            parts.specs = authorizer.tools().map(Tool::spec).collect();
            parts.authorizer = authorizer;
        }))
    }

    /// The same gate, at which `approver` approves of calls where the policy asks for it.
    #[must_use]
    pub fn with_approver(self, approver: Arc<dyn Approver>) -> Self {
        self.with(|parts| parts.approver = Some(approver))
    }

    /// The same gate, which records in `log` what is allowed and refused.
    ///
    /// # Errors
    ///
    /// [`Error::Audit`] if the log's file lies where scripts may write.
    pub fn with_audit(self, log: Log) -> Result<Self, Error> {
        for file in log.files() {
            self.0
                .grants
                .check_apart(file, Access::WRITE)
                .map_err(|why| Error::Audit(format!("{} {why}", file.display())))?;
        }
        Ok(self.with(|parts| parts.log = Some(log)))
    }

    fn with(mut self, change: impl FnOnce(&mut Parts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What may be done here.
    pub fn policy(&self) -> &Policy {
        self.0.authorizer.policy()
    }

    /// Returns the authorizer that decides on calls here, for explaining them.
    pub fn authorizer(&self) -> &Authorizer {
        &self.0.authorizer
    }

    /// The tools that can be called, by name.
    pub fn tools(&self) -> impl ExactSizeIterator<Item = &Tool> {
        self.0.authorizer.tools()
    }

    /// A tool behind this gate, for host code; `None` if it can't be called. It is a run of its own on
    /// the record, and to limits.
    pub fn tool(&self, name: &str) -> Option<SecureTool> {
        let tool = self.0.authorizer.tool(name)?.clone();
        Some(SecureTool::new(self.clone(), tool))
    }

    pub(crate) fn session(&self, run_id: String) -> Session {
        Session::new(run_id, self.policy(), self.0.log.clone())
    }

    pub(crate) fn shared_policy(&self) -> &Arc<Policy> {
        self.0.authorizer.shared_policy()
    }

    pub(crate) fn grants(&self) -> &Arc<Grants> {
        &self.0.grants
    }

    pub(crate) fn policy_sha256(&self) -> &str {
        &self.0.policy_sha256
    }

    pub(crate) fn specs(&self) -> Vec<ToolSpec> {
        self.0.specs.clone()
    }

    /// Takes a call as far as its tool's work, and lets that begin.
    pub(crate) async fn start(
        &self,
        session: &Arc<Session>,
        name: &str,
        args: Result<(&str, Reservation), Refused>,
    ) -> Result<Pending, CallError> {
        let call = session.call()?;
        let started = Instant::now();
        let mut draft = CallDraft::default();
        let admitted = match args {
            Ok((args, reservation)) => self
                .admit(session, name, args, &mut draft)
                .await
                .map(|admitted| (admitted, reservation)),
            Err(refused) => Err(refused),
        };
        let (admitted, mut reservation) = match admitted {
            Ok(admitted) => admitted,
            Err(refused) => {
                return Err(self
                    .refused(session, call, name, started, draft, refused)
                    .await?);
            }
        };
        let Admitted {
            tool,
            work,
            rule,
            approved_by,
            bytes,
        } = admitted;
        // What was parsed is the handler's now.
        reservation.shrink_to(bytes.saturating_add(session.reply_room()));
        let event = Event::ToolStarted {
            call,
            tool: tool.name.clone(),
            action: tool.action.to_string(),
            allowed: true,
            rule: rule.clone(),
            approved_by,
        };
        let resource = draft.resource.clone();
        let said = data(|data| {
            data.resource = draft.resource;
            data.args = draft.args;
        });
        let context = Call {
            gate: self.clone(),
            session: session.clone(),
            tool: tool.clone(),
            held: Held::default(),
        };
        let under_way = UnderWay {
            call,
            tool,
            rule,
            resource,
            session: session.clone(),
            started,
            reservation,
        };
        let unfinished = session.is_recorded().then(|| under_way.unfinished());
        session.note_start(event, said, unfinished).await?;
        Ok(under_way.begin(self.0.threads, work(context)))
    }

    /// Checks grant, arguments, policy, rules, the tool's own rules and approval, in that order.
    async fn admit(
        &self,
        session: &Session,
        name: &str,
        json: &str,
        draft: &mut CallDraft,
    ) -> Result<Admitted, Refused> {
        let authorizer = &self.0.authorizer;
        draft.recorded = session.is_recorded();
        let calls = authorizer.tool(name).map_or(0, |_| session.call_of(name));
        let Authorized {
            tool,
            work,
            args,
            resources,
            rule,
            approval,
        } = authorizer.authorize(name, json, calls, draft)?;
        let approved_by = match approval {
            true => Some(self.approve(session, &tool, &args, &resources).await?),
            false => None,
        };
        Ok(Admitted {
            tool,
            work,
            rule,
            approved_by,
            bytes: arguments::weight(json),
        })
    }

    /// Asks somebody. That nobody answers is a no.
    async fn approve(
        &self,
        session: &Session,
        tool: &Declared,
        args: &Value,
        resources: &[String],
    ) -> Result<String, Refused> {
        let key = format!("tools.{}.approval", tool.name);
        let refused = |why: String| Refused {
            location: self.policy().location(&key).cloned(),
            rule: key.clone(),
            error: CallError::refused(format!("{} was not approved: {why}", tool.name)),
        };
        let Some(approver) = self.0.approver.clone() else {
            return Err(refused("there is nobody to ask".to_owned()));
        };
        let mut args = args.clone();
        for secret in &tool.secret_args {
            if let Some(arg) = args.get_mut(secret) {
                *arg = REDACTED.into();
            }
        }
        let request = ApprovalRequest {
            run_id: session.run_id.clone(),
            agent: self.policy().agent().to_owned(),
            tool: tool.name.clone(),
            action: tool.action,
            resource: resources.to_vec(),
            args,
            wait: session.tool_wait(),
        };
        let _question = session.ask();
        let asking = self
            .0
            .threads
            .spawn(async move { approver.approve(request).await });
        match timeout(session.tool_wait(), Working::On(asking)).await {
            Ok(Ok(Approval::Approved { by })) => Ok(by),
            Ok(Ok(Approval::Refused { why })) => Err(refused(why)),
            Ok(Err(_)) => Err(refused("the approver failed".to_owned())),
            Err(_) => Err(refused("nobody answered in time".to_owned())),
        }
    }

    /// Records that a call was refused. What the caller is told of it.
    async fn refused(
        &self,
        session: &Session,
        call: u64,
        name: &str,
        started: Instant,
        draft: CallDraft,
        refused: Refused,
    ) -> Result<CallError, Stop> {
        let Refused {
            rule,
            location,
            error,
        } = refused;
        let reason = error.reason();
        let event = Event::ToolFinished {
            call,
            tool: draft.tool.as_ref().map(|tool| tool.name.clone()),
            action: draft.tool.as_ref().map(|tool| tool.action.to_string()),
            allowed: false,
            rule: rule.clone(),
            success: false,
            duration_us: micros(started.elapsed()),
            reply_bytes: 0,
        };
        let secrets = draft.tool.as_ref().map_or(&[][..], |tool| &tool.secrets);
        let resource = draft.resource.join(", ");
        let said = data(|data| {
            data.tool = draft.tool.is_none().then(|| name.to_owned());
            data.error = Some(hide(&reason, secrets));
            data.resource = draft.resource;
            data.args = draft.args;
        });
        session.note(event, said).await?;
        session.refuse(Refusal {
            wish: Wish::Tool {
                tool: name.chars().take(64).collect(),
                resource,
            },
            rule,
            location,
            reason,
        });
        Ok(error)
    }
}

/// A call that may go on.
struct Admitted {
    tool: Arc<Declared>,
    work: Work,
    rule: String,
    approved_by: Option<String>,
    /// What its arguments take of the host's memory.
    bytes: u64,
}
