//! The gate: the only way to a tool. It checks, records, lets the tool work, and records again.
//!
//! In this order: the tool is granted; its arguments are of its type, every one known and none
//! twice; the policy allows the declared action on the resource that they name; the policy's rules for
//! the tool hold; the tool's own check passes; somebody approves, if somebody has to. Then the start is on the record,
//! and only then does the tool work, for as long as it may. What comes of it is bounded and recorded too.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::time::timeout;
use url::Url;
use wardian_abi::ToolSpec;
use wardian_audit::{Args, Event, Log, REDACTED};
use wardian_policy::{Access, Action, Constraint, Policy, decoded_url, parse_url};

use crate::account::Reservation;
use crate::approval::{Approval, ApprovalRequest, Approver};
use crate::arguments;
use crate::call_error::{CallError, Refused};
use crate::executor;
use crate::files::Held;
use crate::grants::Grants;
use crate::secure_tool::SecureTool;
use crate::session::{Session, Stop, data, micros};
use crate::tool::{Call, Declared, Ready, Tool, ToolError, Work};
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
    /// As [`granted_tools`]; [`Error::Tool`] if a file that a tool [relies on](Tool::relies_on) lies where scripts can
    /// get at it.
    pub fn with_tools(self, tools: impl IntoIterator<Item = Tool>) -> Result<Self, Error> {
        let granted = granted_tools(&self.0.policy, tools)?;
        for tool in &granted {
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
        args: Result<(&str, Reservation), Refused>,
    ) -> Result<Pending, CallError> {
        let call = session.call()?;
        let started = Instant::now();
        let mut asked = Asked::default();
        let admitted = match args {
            Ok((args, reservation)) => self
                .admit(session, name, args, &mut asked)
                .await
                .map(|admitted| (admitted, reservation)),
            Err(refused) => Err(refused),
        };
        let (admitted, mut reservation) = match admitted {
            Ok(admitted) => admitted,
            Err(refused) => {
                return Err(self
                    .refused(session, call, name, started, asked, refused)
                    .await?);
            }
        };
        let Admitted {
            work,
            rule,
            approved_by,
            bytes,
        } = admitted;
        // What was parsed is the handler's now.
        reservation.shrink_to(bytes.saturating_add(session.reply_room()));
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

        let wrong = |error| Refused::arguments(name, error);
        let value = arguments::parse(json).map_err(wrong)?;
        if session.is_recorded() {
            let mut shown = value.clone();
            hide_in(&mut shown, &tool.secrets);
            asked.args = Some(Args::new(&shown, json.len(), &tool.secret_args));
        }
        let value = match tool.exact {
            true => value,
            false => arguments::plain(value).map_err(wrong)?,
        };
        let Ready { args, work } = (tool.read)(value).map_err(wrong)?;

        let named = tool.resource.as_ref().and_then(|arg| args.get(arg));
        let resources = resources(named);
        asked.resource = resources
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| hide(text, &tool.secrets))
            .collect();
        let mut rule = "permissions".to_owned();
        let mut positions = Vec::new();
        for resource in &resources {
            let position;
            (rule, position) = self.check_resource(&tool, resource)?;
            positions.push(position);
        }
        if let Some(most) = rules.max_calls.filter(|most| calls > *most) {
            let reason = format!("{name} can be called {most} times in a run");
            return Err(self.broken_rule(&tool, "max_calls", reason));
        }
        for (arg, constraint) in &rules.args {
            let given = args.get(arg).unwrap_or(&Value::Null);
            // What the tool acts on is compared as it was decided on.
            let allowed = match (tool.resource.as_ref() == Some(arg), given) {
                (true, Value::String(_)) => positions
                    .iter()
                    .all(|position| position.allowed(constraint)),
                (true, Value::Array(items)) => {
                    !items.is_empty()
                        && positions
                            .iter()
                            .all(|position| position.allowed(constraint))
                }
                _ => constraint.allows(given),
            };
            if !allowed {
                return Err(self.forbidden_argument(&tool, arg));
            }
        }
        if let Some(check) = &tool.check {
            check(&args).map_err(|error| {
                if let ToolError::Refused { resource, .. } = &error
                    && !resource.is_empty()
                {
                    asked.resource = vec![hide(resource, &tool.secrets)];
                }
                self.refused_by_tool(&tool, error)
            })?;
        }
        let approved_by = match rules.approval {
            true => Some(self.approve(session, &tool, &args, &resources).await?),
            false => None,
        };
        Ok(Admitted {
            work,
            rule,
            approved_by,
            bytes: arguments::weight(json),
        })
    }

    /// Checks that the policy allows a tool to act on a resource. Returns the rule that decides, and what rules on the
    /// argument compare.
    fn check_resource(
        &self,
        tool: &Declared,
        resource: &str,
    ) -> Result<(String, Position), Refused> {
        let decision = self.policy().check(tool.action, resource);
        let rule = decision.rule();
        if !decision.allowed() {
            return Err(Refused {
                rule,
                location: decision.location().cloned(),
                error: CallError::insufficient(&tool.name, tool.action, decision.to_string()),
            });
        }
        let position = match (tool.action, decision.grant()) {
            (_, Some((_, path))) => Position::Text(path.to_string()),
            (Action::HttpRequest, None) => match parse_url(resource) {
                Ok(url) => Position::Url(url),
                Err(_) => Position::Text(resource.to_owned()),
            },
            _ => Position::Text(resource.to_owned()),
        };
        Ok((rule, position))
    }

    /// Checks another resource than a call's arguments name, as those were checked.
    pub(crate) fn check_hop(&self, tool: &Declared, resource: &str) -> Result<(), Refused> {
        let (_, position) = self.check_resource(tool, resource)?;
        let rules = self.policy().tools().get(&tool.name);
        let constraint = rules
            .zip(tool.resource.as_ref())
            .and_then(|(rules, arg)| Some((arg, rules.args.get(arg)?)));
        match constraint {
            Some((arg, constraint)) if !position.allowed(constraint) => {
                Err(self.forbidden_argument(tool, arg))
            }
            _ => Ok(()),
        }
    }

    /// Checks another value of an argument that is no resource.
    pub(crate) fn check_argument(
        &self,
        tool: &Declared,
        arg: &str,
        value: &Value,
    ) -> Result<(), Refused> {
        let rules = self.policy().tools().get(&tool.name);
        let constraint = rules.and_then(|rules| rules.args.get(arg));
        match constraint.is_none_or(|constraint| constraint.allows(value)) {
            true => Ok(()),
            false => Err(self.forbidden_argument(tool, arg)),
        }
    }

    fn forbidden_argument(&self, tool: &Declared, arg: &str) -> Refused {
        let reason = format!("argument `{arg}` of {} may not be this", tool.name);
        self.broken_rule(tool, &format!("args.{arg}"), reason)
    }

    /// A rule of `[tools.NAME]` does not hold.
    fn broken_rule(&self, tool: &Declared, part: &str, reason: String) -> Refused {
        let key = format!("tools.{}.{part}", tool.name);
        Refused {
            location: self.policy().location(&key).cloned(),
            rule: key,
            error: CallError::refused(reason),
        }
    }

    /// A tool's own check has failed.
    fn refused_by_tool(&self, tool: &Declared, error: ToolError) -> Refused {
        let name = &tool.name;
        match error {
            ToolError::Refused {
                rule, reason, told, ..
            } => Refused {
                location: self.policy().location(&rule).cloned(),
                rule,
                error: match told {
                    Some(message) => CallError::Refused { message, reason },
                    None => CallError::insufficient(name, tool.action, reason),
                },
            },
            ToolError::Argument { argument, message } => {
                let message = format!("{name}: argument `{argument}`: {message}");
                Refused::by("arguments", CallError::Value(message))
            }
            ToolError::Failed(why) => Refused::by("arguments", CallError::Failed(why)),
            ToolError::TimedOut(why) => Refused::by("arguments", CallError::TimedOut(why)),
        }
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
    /// What its arguments take of the host's memory.
    bytes: u64,
}

/// A resource as rules on its argument compare it: normalised.
enum Position {
    Text(String),
    Url(Url),
}

impl Position {
    /// Returns whether a rule allows it. A prefix has to hold in every way in which a server could read the URL.
    fn allowed(&self, constraint: &Constraint) -> bool {
        match (self, constraint) {
            (Self::Url(url), Constraint::Prefix(prefix)) => {
                let read = parse_url(prefix).ok().and_then(|url| decoded_url(&url));
                let prefix = read.as_deref().unwrap_or(prefix);
                constraint.allows(&url.as_str().into())
                    && decoded_url(url).is_some_and(|text| text.starts_with(prefix))
            }
            (Self::Url(url), constraint) => constraint.allows(&url.as_str().into()),
            (Self::Text(text), constraint) => constraint.allows(&text.as_str().into()),
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
