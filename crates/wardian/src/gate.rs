//! The gate: the only way to a tool. It checks, records, lets the tool work, and records again.
//!
//! In this order: the tool is granted; its arguments are of its type, every one known and none
//! twice; the policy allows the declared action on the resource that they name; the policy's rules for
//! the tool hold; somebody approves, if somebody has to. Then the start is on the record, and only
//! then does the tool work, for as long as it may. What comes of it is bounded and recorded too.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::time::timeout;
use wardian_abi::ToolSpec;
use wardian_audit::{Args, Event, Log, REDACTED};
use wardian_policy::{Action, Policy, ToolRules, parse_url};

use crate::approval::{Approval, ApprovalRequest, Approver};
use crate::arguments;
use crate::call_error::{CallError, Refused};
use crate::executor;
use crate::grants::Grants;
use crate::secure_tool::SecureTool;
use crate::session::{Session, Stop, data, micros};
use crate::tool::{Call, Declared, Ready, Tool, Work};
use crate::under_way::{Pending, UnderWay, Working, hide, hide_in};
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
    policy: Arc<Policy>,
    grants: Arc<Grants>,
    /// Those that the policy grants and that its permissions allow.
    tools: BTreeMap<String, Tool>,
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
            .field("policy", &self.0.policy)
            .field("tools", &self.0.tools.keys())
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
            policy: Arc::new(policy),
            tools: BTreeMap::new(),
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
    /// As [`granted_tools`].
    pub fn with_tools(self, tools: impl IntoIterator<Item = Tool>) -> Result<Self, Error> {
        let granted = granted_tools(&self.0.policy, tools)?;
        let named = |tool: Tool| (tool.name().to_owned(), tool);
        Ok(self.with(|parts| {
            parts.specs = granted.iter().map(Tool::spec).collect();
            parts.tools = granted.into_iter().map(named).collect();
        }))
    }

    /// The same gate, at which `approver` approves of calls where the policy asks for it.
    #[must_use]
    pub fn with_approver(self, approver: Arc<dyn Approver>) -> Self {
        self.with(|parts| parts.approver = Some(approver))
    }

    /// The same gate, which records in `log` what is allowed and refused.
    #[must_use]
    pub fn with_audit(self, log: Log) -> Self {
        self.with(|parts| parts.log = Some(log))
    }

    fn with(mut self, change: impl FnOnce(&mut Parts)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What may be done here.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// The tools that can be called, by name.
    pub fn tools(&self) -> impl ExactSizeIterator<Item = &Tool> {
        self.0.tools.values()
    }

    /// A tool behind this gate, for host code; `None` if it can't be called. It is a run of its own on
    /// the record, and to limits.
    pub fn tool(&self, name: &str) -> Option<SecureTool> {
        let tool = self.0.tools.get(name)?.clone();
        Some(SecureTool::new(self.clone(), tool))
    }

    pub(crate) fn session(&self, run_id: String) -> Session {
        Session::new(run_id, &self.0.policy, self.0.log.clone())
    }

    pub(crate) fn shared_policy(&self) -> &Arc<Policy> {
        &self.0.policy
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
        args: Result<&str, Refused>,
    ) -> Result<Pending, CallError> {
        let call = session.call()?;
        let started = Instant::now();
        let mut asked = Asked::default();
        let admitted = match args {
            Ok(args) => self.admit(session, name, args, &mut asked).await,
            Err(refused) => Err(refused),
        };
        let Admitted {
            work,
            rule,
            approved_by,
        } = match admitted {
            Ok(admitted) => admitted,
            Err(refused) => {
                return Err(self
                    .refused(session, call, name, started, asked, refused)
                    .await?);
            }
        };
        let tool = asked.tool.ok_or_else(|| CallError::unknown(name))?;
        let event = Event::ToolStarted {
            call,
            tool: tool.name.clone(),
            action: tool.action.to_string(),
            allowed: true,
            rule: rule.clone(),
            approved_by,
        };
        let resource = asked.resource.clone();
        let said = data(|data| {
            data.resource = asked.resource;
            data.args = asked.args;
        });
        let under_way = UnderWay {
            call,
            tool,
            rule,
            resource,
            session: session.clone(),
            started,
        };
        let unfinished = session.is_recorded().then(|| under_way.unfinished());
        session.note_start(event, said, unfinished).await?;
        let context = Call {
            gate: self.clone(),
            session: session.clone(),
        };
        Ok(under_way.begin(self.0.threads, work(context)))
    }

    /// May this be called so?
    async fn admit(
        &self,
        session: &Session,
        name: &str,
        json: &str,
        asked: &mut Asked,
    ) -> Result<Admitted, Refused> {
        let policy = self.policy();
        let tool = self.0.tools.get(name).map(|tool| tool.0.clone());
        let rules = policy.tools().get(name);
        asked.tool.clone_from(&tool);
        let (Some(tool), Some(rules)) = (tool, rules) else {
            return Err(Refused::by("tools", CallError::unknown(name)));
        };
        let calls = session.call_of(name);

        let value = arguments::parse(json).map_err(|error| Refused::arguments(name, error))?;
        if session.is_recorded() {
            let mut args = Args::new(&value, json, &tool.secret_args);
            hide_in(&mut args.args, &tool.secrets);
            asked.args = Some(args);
        }
        let Ready { args, work } =
            (tool.read)(value).map_err(|error| Refused::arguments(name, error))?;

        let named = tool.resource.as_ref().and_then(|arg| args.get(arg));
        let resources = resources(named);
        asked.resource = resources
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| hide(text, &tool.secrets))
            .collect();
        let mut rule = "permissions".to_owned();
        let mut normal = Vec::new();
        for resource in &resources {
            let decision = policy.check(tool.action, resource);
            rule = decision.rule();
            if !decision.allowed() {
                return Err(Refused {
                    rule,
                    location: decision.location().cloned(),
                    error: CallError::insufficient(name, tool.action, decision.to_string()),
                });
            }
            normal.push(match (tool.action, decision.grant()) {
                (_, Some((_, path))) => path.to_string(),
                (Action::HttpRequest, None) => {
                    parse_url(resource).map_or_else(|_| resource.clone(), |url| url.to_string())
                }
                _ => resource.clone(),
            });
        }
        self.rules(&tool, rules, calls, &args, normal)?;
        let approved_by = match rules.approval {
            true => Some(self.approve(session, &tool, &args, &resources).await?),
            false => None,
        };
        Ok(Admitted {
            work,
            rule,
            approved_by,
        })
    }

    /// Do the policy's rules for the tool hold?
    fn rules(
        &self,
        tool: &Declared,
        rules: &ToolRules,
        calls: u64,
        args: &Value,
        normal: Vec<String>,
    ) -> Result<(), Refused> {
        let refused = |key: String, reason: String| Refused {
            location: self.policy().location(&key).cloned(),
            rule: key,
            error: CallError::refused(reason),
        };
        let key = |part: &str| format!("tools.{}.{part}", tool.name);
        if let Some(most) = rules.max_calls.filter(|most| calls > *most) {
            let reason = format!("{} can be called {most} times in a run", tool.name);
            return Err(refused(key("max_calls"), reason));
        }
        for (name, constraint) in &rules.args {
            let given = args.get(name).unwrap_or(&Value::Null);
            // What the tool acts on is compared as it was decided on.
            let allowed = match (tool.resource.as_ref() == Some(name), given) {
                (true, Value::String(_) | Value::Array(_)) => normal
                    .iter()
                    .all(|text| constraint.allows(&text.as_str().into())),
                _ => constraint.allows(given),
            };
            if !allowed {
                let reason = format!("argument `{name}` of {} may not be this", tool.name);
                return Err(refused(key(&format!("args.{name}")), reason));
            }
        }
        Ok(())
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
        };
        let asking = self
            .0
            .threads
            .spawn(async move { approver.approve(request).await });
        match timeout(session.tool_wait(), Working::On(asking)).await {
            Ok(Ok(Approval::Approved { by })) => Ok(by),
            Ok(Ok(Approval::Refused { why })) => Err(refused(why)),
            Ok(Err(_)) => Err(refused("whoever was asked broke".to_owned())),
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
        asked: Asked,
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
            tool: asked.tool.as_ref().map(|tool| tool.name.clone()),
            action: asked.tool.as_ref().map(|tool| tool.action.to_string()),
            allowed: false,
            rule: rule.clone(),
            success: false,
            duration_us: micros(started.elapsed()),
            reply_bytes: 0,
        };
        let secrets = asked.tool.as_ref().map_or(&[][..], |tool| &tool.secrets);
        let resource = asked.resource.join(", ");
        let said = data(|data| {
            data.tool = asked.tool.is_none().then(|| name.to_owned());
            data.error = Some(hide(&reason, secrets));
            data.resource = asked.resource;
            data.args = asked.args;
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

/// The tools among these that `policy` grants: those that it has a `[tools.NAME]` for, and the
/// permission for what they do. Sorted by name.
///
/// # Errors
///
/// [`Error::Tool`] if there are two of one name, if the policy names a tool that is not among them,
/// or an argument that its tool does not have.
pub fn granted_tools(
    policy: &Policy,
    tools: impl IntoIterator<Item = Tool>,
) -> Result<Vec<Tool>, Error> {
    let wrong = |tool: &str, key: String, why: String| Error::Tool {
        tool: tool.to_owned(),
        at: policy.location(&key).map(ToString::to_string),
        why,
    };
    let mut named = BTreeMap::new();
    for tool in tools {
        if let Some(other) = named.insert(tool.name().to_owned(), tool) {
            let why = "is offered twice".to_owned();
            return Err(wrong(other.name(), String::new(), why));
        }
    }
    let mut granted = Vec::new();
    for (name, rules) in policy.tools() {
        let key = format!("tools.{name}");
        let Some(tool) = named.remove(name) else {
            let there = named.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(wrong(
                name,
                key,
                format!("is granted, but there is none; there are {there}"),
            ));
        };
        let names: Vec<_> = tool.0.signature.names().collect();
        if let Some(arg) = rules.args.keys().find(|arg| !names.contains(&arg.as_str())) {
            let key = format!("{key}.args.{arg}");
            let why = format!("has no argument {arg:?}; it has {}", names.join(", "));
            return Err(wrong(name, key, why));
        }
        if policy.permissions().contains(tool.action().permission()) {
            granted.push(tool);
        }
    }
    Ok(granted)
}

/// What is known of a call so far.
#[derive(Default)]
struct Asked {
    tool: Option<Arc<Declared>>,
    resource: Vec<String>,
    args: Option<Args>,
}

/// A call that may go on.
struct Admitted {
    work: Work,
    rule: String,
    approved_by: Option<String>,
}

/// The texts that an argument names: itself, or its entries. Without one there is an empty one.
fn resources(named: Option<&Value>) -> Vec<String> {
    match named {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) if !items.is_empty() => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), ToOwned::to_owned)
            })
            .collect(),
        _ => vec![String::new()],
    }
}
