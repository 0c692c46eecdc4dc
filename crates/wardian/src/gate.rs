//! The gate: the only way to a tool. It checks, records, lets the tool work, and records again.
//!
//! In this order: the tool is granted; its arguments are of its type, every one known and none
//! twice; the policy allows the declared action on the resource that they name; the policy's rules for
//! the tool hold; somebody approves, if somebody has to. Then the start is on the record, and only
//! then does the tool work, for as long as it may. What comes of it is bounded and recorded too.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wardian_abi::{ToolFailure, ToolSpec};
use wardian_audit::{Args, Data, Event, Log, REDACTED};
use wardian_policy::{Action, Limit, Location, Policy, ToolRules, parse_url};

use crate::approval::{Approval, ApprovalRequest, Approver};
use crate::arguments::{self, ArgumentError};
use crate::executor::{self, OnTimers};
use crate::grants::Grants;
use crate::session::{Session, Stop, data, micros};
use crate::tool::{Call, Declared, Ready, Tool, ToolError};
use crate::{Error, LimitKind, Refusal, Wish};

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
    approver: Option<Arc<dyn Approver>>,
    log: Option<Log>,
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
            policy: Arc::new(policy),
            tools: BTreeMap::new(),
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
        let granted = granted
            .into_iter()
            .map(|tool| (tool.name().to_owned(), tool));
        let granted = granted.collect();
        Ok(self.with(|parts| parts.tools = granted))
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
        Some(SecureTool {
            gate: self.clone(),
            session: Arc::new(self.session(uuid::Uuid::now_v7().to_string())),
            begun: Arc::default(),
            tool,
        })
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

    pub(crate) fn specs(&self) -> Vec<ToolSpec> {
        self.tools().map(Tool::spec).collect()
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
        session
            .note(
                event,
                data(|data| {
                    data.resource = asked.resource;
                    data.args = asked.args;
                }),
            )
            .await?;
        let under_way = UnderWay {
            call,
            tool,
            rule,
            resource,
            session: session.clone(),
            started,
        };
        session.opened(call, under_way.end(&Err(Ended::Lost), started));
        let context = Call {
            gate: self.clone(),
            session: session.clone(),
        };
        let at_once = under_way.tool.at_once;
        // Also what the handler does before its first await.
        let working = AssertUnwindSafe(async move { work(context).await }).catch_unwind();
        let mut working = Box::pin(working.map(|ended| {
            let ended = match ended {
                Ok(returned) => returned.map_err(Ended::Failed),
                Err(panic) => Err(Ended::Panicked(said(&*panic))),
            };
            (ended, Instant::now())
        }));
        let ended = match at_once {
            true => (&mut working).now_or_never(),
            false => None,
        };
        let working = match ended {
            Some(ended) => Working::Done(Some(ended)),
            None => Working::On(self.0.threads.spawn(working)),
        };
        Ok(Pending { under_way, working })
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
                    error: CallError::insufficient(&tool, decision.to_string()),
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
        match timeout(wait(session), Working::On(asking)).await {
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

/// How long a call of a run may wait.
fn wait(session: &Session) -> Duration {
    Duration::from_nanos(session.limits().get(Limit::ToolWait).or_max())
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
    work: crate::tool::Work,
    rule: String,
    approved_by: Option<String>,
}

/// A call that may not.
pub(crate) struct Refused {
    rule: String,
    location: Option<Location>,
    error: CallError,
}

impl Refused {
    pub(crate) fn by(rule: &str, error: CallError) -> Self {
        Self {
            rule: rule.to_owned(),
            location: None,
            error,
        }
    }

    fn arguments(tool: &str, ArgumentError { is_type, message }: ArgumentError) -> Self {
        let message = format!("{tool}: {message}");
        Self::by(
            "arguments",
            match is_type {
                true => CallError::Type(message),
                false => CallError::Value(message),
            },
        )
    }
}

/// A call whose tool works.
pub(crate) struct Pending {
    under_way: UnderWay,
    working: Working<(Result<String, Ended>, Instant)>,
}

/// What is known of such a call.
struct UnderWay {
    call: u64,
    tool: Arc<Declared>,
    rule: String,
    resource: Vec<String>,
    session: Arc<Session>,
    started: Instant,
}

/// Why a tool has returned nothing.
enum Ended {
    Failed(ToolError),
    Panicked(String),
    TimedOut(Duration),
    /// The run has ended before it did.
    Lost,
}

impl Pending {
    /// Waits for the tool, and records what has come of it.
    pub(crate) async fn finish(self) -> Result<String, CallError> {
        let Self {
            under_way,
            mut working,
        } = self;
        let most = wait(&under_way.session);
        let left = most.saturating_sub(under_way.started.elapsed());
        let (ended, at) = match timeout(left, &mut working).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => (Err(Ended::Lost), Instant::now()),
            Err(_) => (Err(Ended::TimedOut(most)), Instant::now()),
        };
        let ended = ended.map(|reply| hide(&reply, &under_way.tool.secrets));
        let (event, data) = under_way.end(&ended, at);
        under_way.session.closed(under_way.call);
        under_way.session.note(event, data).await?;
        ended.map_err(|ended| under_way.error(ended))
    }
}

impl UnderWay {
    /// What the caller is told.
    fn error(&self, ended: Ended) -> CallError {
        let name = &self.tool.name;
        match ended {
            Ended::Failed(ToolError::Failed(why)) => CallError::Failed(self.hidden(&why)),
            Ended::Failed(ToolError::TimedOut(why)) => CallError::TimedOut(self.hidden(&why)),
            Ended::Failed(ToolError::Argument { argument, message }) => {
                CallError::Value(self.hidden(&format!("{name}: argument `{argument}`: {message}")))
            }
            Ended::Failed(ToolError::Refused {
                resource,
                rule,
                reason,
                told,
            }) => {
                let reason = self.hidden(&reason);
                self.session.refuse(Refusal {
                    wish: Wish::Tool {
                        tool: name.clone(),
                        resource: self.hidden(&resource),
                    },
                    location: None,
                    rule,
                    reason: reason.clone(),
                });
                match told {
                    Some(message) => CallError::Refused { message, reason },
                    None => CallError::insufficient(&self.tool, reason),
                }
            }
            // What a panic says is for the record alone.
            Ended::Panicked(_) => CallError::Failed(format!("{name} broke")),
            Ended::Lost => CallError::Failed(format!("{name} was stopped")),
            Ended::TimedOut(after) => {
                let after = humantime::format_duration(after);
                CallError::TimedOut(format!("{name} took longer than {after}"))
            }
        }
    }

    fn hidden(&self, text: &str) -> String {
        hide(text, &self.tool.secrets)
    }

    /// What is recorded of the end.
    fn end(&self, ended: &Result<String, Ended>, at: Instant) -> (Event, Data) {
        let mut resource = self.resource.clone();
        let (mut rule, mut allowed) = (self.rule.clone(), true);
        let error = match ended {
            Ok(_) => None,
            Err(Ended::Failed(ToolError::Failed(why) | ToolError::TimedOut(why))) => {
                Some(why.clone())
            }
            Err(Ended::Failed(ToolError::Argument { argument, message })) => {
                Some(format!("argument `{argument}`: {message}"))
            }
            Err(Ended::Failed(ToolError::Refused {
                resource: other,
                rule: decided,
                reason,
                ..
            })) => {
                allowed = false;
                rule.clone_from(decided);
                if !other.is_empty() {
                    resource = vec![self.hidden(other)];
                }
                Some(reason.clone())
            }
            Err(Ended::Panicked(said)) => Some(format!("it panicked: {said}")),
            Err(Ended::TimedOut(_)) => Some("it took too long".to_owned()),
            Err(Ended::Lost) => Some("the run ended before it did".to_owned()),
        };
        let event = Event::ToolFinished {
            call: self.call,
            tool: Some(self.tool.name.clone()),
            action: Some(self.tool.action.to_string()),
            allowed,
            rule,
            success: ended.is_ok(),
            duration_us: micros(at.saturating_duration_since(self.started)),
            reply_bytes: ended.as_ref().map_or(0, |reply| reply.len() as u64),
        };
        let said = data(|data| {
            data.resource = resource;
            data.error = error.map(|error| self.hidden(&error));
        });
        (event, said)
    }
}

/// Work on another thread, which is given up with this; or what it has come to already.
enum Working<T> {
    On(JoinHandle<T>),
    Done(Option<T>),
}

impl<T: Unpin> Future for Working<T> {
    type Output = Result<T, ()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::On(handle) => handle.poll_unpin(context).map_err(drop),
            Self::Done(ended) => Poll::Ready(ended.take().ok_or(())),
        }
    }
}

impl<T> Drop for Working<T> {
    fn drop(&mut self) {
        if let Self::On(handle) = self {
            handle.abort();
        }
    }
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

/// `text` without the secrets in it, also where they are written as JSON.
fn hide(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), REDACTED);
        }
        let escaped = Value::from(secret.as_str()).to_string();
        let escaped = escaped.trim_matches('"');
        if escaped != secret && text.contains(escaped) {
            text = text.replace(escaped, REDACTED);
        }
    }
    text
}

fn hide_in(value: &mut Value, secrets: &[String]) {
    match value {
        _ if secrets.is_empty() => {}
        Value::String(text) => *text = hide(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| hide_in(item, secrets)),
        Value::Object(items) => items.values_mut().for_each(|item| hide_in(item, secrets)),
        _ => {}
    }
}

/// What a panic says.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_default()
}

/// A tool behind a gate, for host code: the recipe's `secure_tool`.
///
/// ```
/// # use wardian::{Action, Call, Gate, Limits, Permission, Policy, Tool, ToolError, ToolRules};
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, JsonSchema)]
/// # struct Args { path: String }
/// # async fn count(args: Args, call: Call) -> Result<usize, ToolError> {
/// #     Ok(call.files().read(&args.path).await?.len())
/// # }
/// let policy = Policy::new(Permission::READ_FILE, Limits::default()).with_tool("count_bytes", ToolRules::default());
/// let tool = Tool::new("count_bytes", Action::ReadFile, count)?.resource("path")?;
/// let gate = Gate::new(policy)?.with_tools([tool])?;
///
/// let count_bytes = gate.tool("count_bytes").unwrap();
/// let refused = count_bytes.call_blocking(&Args { path: "/etc/passwd".to_owned() }).unwrap_err();
/// assert_eq!(
///     refused.json().to_string(),
///     r#"{"allowed":false,"error":"Insufficient permission: count_bytes requires read_file permission"}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SecureTool {
    gate: Gate,
    session: Arc<Session>,
    begun: Arc<tokio::sync::OnceCell<()>>,
    tool: Tool,
}

impl SecureTool {
    /// The tool.
    pub fn tool(&self) -> &Tool {
        &self.tool
    }

    /// Calls it, with arguments that are a JSON object, on any executor. Returns its reply.
    ///
    /// # Errors
    ///
    /// [`CallError`]: it was refused, or has failed, or could not be recorded.
    pub async fn call(&self, args: &(impl Serialize + Sync)) -> Result<Value, CallError> {
        let json = serde_json::to_string(args)
            .map_err(|error| CallError::Value(format!("{}: {error}", self.tool.name())))?;
        let host = |error: Error| CallError::Failed(error.to_string());
        let this = self.clone();
        let called = OnTimers::new(
            Box::pin(async move {
                this.begun
                    .get_or_try_init(|| this.session.begin(this.gate.policy(), None))
                    .await?;
                let args = within(&this.session, json.len()).map(|()| json.as_str());
                let pending = this
                    .gate
                    .start(&this.session, this.tool.name(), args)
                    .await?;
                pending.finish().await
            }),
            executor::timers().map_err(host)?,
        );
        let reply = called.await?;
        serde_json::from_str(&reply).map_err(|error| CallError::Failed(error.to_string()))
    }

    /// As [`call`](Self::call), and blocks this thread meanwhile.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn call_blocking(&self, args: &(impl Serialize + Sync)) -> Result<Value, CallError> {
        pollster::block_on(self.call(args))
    }
}

impl fmt::Debug for SecureTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecureTool").field(&self.tool).finish()
    }
}

/// The most that the arguments of a call can be, in bytes of JSON.
pub(crate) fn most_bytes(session: &Session) -> usize {
    let most = session.limits().get(Limit::ToolBytes).or_max();
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Are arguments of this length short enough?
pub(crate) fn within(session: &Session, bytes: usize) -> Result<(), Refused> {
    let most = most_bytes(session);
    match bytes > most {
        true => {
            let message = format!("the arguments take {bytes} bytes; at most {most} are passed on");
            Err(Refused::by(
                Limit::ToolBytes.key(),
                CallError::Value(message),
            ))
        }
        false => Ok(()),
    }
}

/// Why a call has not returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It was refused. In Python: `PermissionError`.
    #[error("{message}")]
    Refused {
        /// What the caller is told.
        message: String,
        /// Why, for the host.
        reason: String,
    },
    /// An argument is missing, unknown or of another type. In Python: `TypeError`.
    #[error("{0}")]
    Type(String),
    /// An argument is wrong. In Python: `ValueError`.
    #[error("{0}")]
    Value(String),
    /// The tool has failed. In Python: `ToolError`.
    #[error("{0}")]
    Failed(String),
    /// It took too long. In Python: `TimeoutError`.
    #[error("{0}")]
    TimedOut(String),
    /// There were too many calls, or records of them. Ends a run.
    #[error("stopped at the limit of {}: {most}", .which.limit())]
    Limit {
        /// Which limit.
        which: LimitKind,
        /// The most that was allowed.
        most: u64,
    },
    /// It could not be recorded, so it was not made, or its end is not known. Ends a run.
    #[error("the audit can't be written: {0}")]
    Audit(String),
}

impl CallError {
    fn unknown(name: &str) -> Self {
        let name: String = name.chars().take(64).collect();
        Self::Refused {
            message: format!("there is no tool {name:?}"),
            reason: "the policy grants no tool of that name".to_owned(),
        }
    }

    /// Refused because of what the tool does, or to what. In the recipe's words.
    fn insufficient(tool: &Declared, reason: String) -> Self {
        let Declared { name, action, .. } = tool;
        let message = format!("Insufficient permission: {name} requires {action} permission");
        Self::Refused { message, reason }
    }

    /// Refused for a reason that the caller may know.
    fn refused(reason: String) -> Self {
        let message = reason.clone();
        Self::Refused { message, reason }
    }

    /// Why, for the host.
    fn reason(&self) -> String {
        match self {
            Self::Refused { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }

    /// Which exception it is in Python; `None` if it ends a run.
    pub(crate) fn failure(&self) -> Option<ToolFailure> {
        Some(match self {
            Self::Refused { .. } => ToolFailure::Refused,
            Self::Type(_) => ToolFailure::Type,
            Self::Value(_) => ToolFailure::Value,
            Self::Failed(_) => ToolFailure::Failed,
            Self::TimedOut(_) => ToolFailure::Timeout,
            Self::Limit { .. } | Self::Audit(_) => return None,
        })
    }

    /// As one JSON object: `error` and `allowed`, as in the recipe.
    pub fn json(&self) -> Value {
        let allowed = !matches!(self, Self::Refused { .. });
        json!({"error": self.to_string(), "allowed": allowed})
    }
}

impl From<Stop> for CallError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Audit(why) => Self::Audit(why),
            Stop::Limit(which, most) => Self::Limit { which, most },
        }
    }
}
