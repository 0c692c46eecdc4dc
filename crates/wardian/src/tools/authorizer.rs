//! The one decision on calls of tools, by the policy, its rules for the tool and the tool's own
//! check.
//!
//! [`Gate`](crate::Gate) asks it before every call; `wardian policy explain`, `check`, `attack` and
//! `tools list` show what it says. It opens nothing and asks nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use url::Url;
use wardian_abi::exact;
use wardian_audit::Args;
use wardian_policy::{
    Action, Constraint, GuestPath, Limit, Location, Policy, ToolRules, decoded_url, nearest,
    parse_url,
};

use super::arguments;
use super::error::{CallError, DeniedCall, ToolError};
use super::explanation::{Explanation, RuleCheck};
use super::secrets::{redact, redact_in};
use super::tool::{CheckedCall, Declaration, Tool, Work};
use crate::Error;

/// Decides which calls a policy allows, for tools that are granted.
#[derive(Debug, Clone)]
pub struct Authorizer {
    policy: Arc<Policy>,
    /// Those that the policy grants and that its permissions allow.
    tools: BTreeMap<String, Tool>,
}

/// A call as far as it is known.
#[derive(Default)]
pub(crate) struct CallDraft {
    pub(crate) tool: Option<Arc<Declaration>>,
    pub(crate) resource: Vec<String>,
    /// Its arguments as the record shows them, if there is one.
    pub(crate) args: Option<Args>,
    /// Set if there is a record.
    pub(crate) recorded: bool,
    /// The rules that hold, if somebody wants to know.
    pub(crate) checks: Option<Vec<RuleCheck>>,
}

impl CallDraft {
    /// Notes a rule that holds.
    fn passed(&mut self, check: impl FnOnce() -> RuleCheck) {
        if let Some(checks) = &mut self.checks {
            checks.push(check());
        }
    }
}

/// A call that the policy allows; if [`approval`](ToolRules::approval) is asked for, once somebody
/// has approved of it.
pub(crate) struct Authorized {
    pub(crate) tool: Arc<Declaration>,
    pub(crate) work: Work,
    /// The arguments as the tool gets them.
    pub(crate) args: Value,
    pub(crate) resources: Vec<String>,
    /// The rule that allows it.
    pub(crate) rule: String,
    pub(crate) approval: bool,
}

impl Authorizer {
    /// An authorizer for the [granted](granted_tools) ones among these tools.
    ///
    /// # Errors
    ///
    /// As [`granted_tools`].
    pub fn new(policy: Policy, tools: impl IntoIterator<Item = Tool>) -> Result<Self, Error> {
        Self::without_tools(Arc::new(policy)).with_tools(tools)
    }

    pub(crate) fn without_tools(policy: Arc<Policy>) -> Self {
        Self {
            policy,
            tools: BTreeMap::new(),
        }
    }

    pub(crate) fn with_tools(
        mut self,
        tools: impl IntoIterator<Item = Tool>,
    ) -> Result<Self, Error> {
        let granted = granted_tools(&self.policy, tools)?.into_iter();
        self.tools = granted.map(|tool| (tool.name().to_owned(), tool)).collect();
        Ok(self)
    }

    /// Returns the policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the tools that can be called, by name.
    pub fn tools(&self) -> impl ExactSizeIterator<Item = &Tool> {
        self.tools.values()
    }

    /// Returns the tool of this name, if it can be called.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// Explains what would come of a run's first call of a tool with these arguments: every rule
    /// that is asked, in order. Nothing is called, recorded or opened, and nobody is asked for
    /// approval.
    pub fn explain(&self, tool: &str, args: &Map<String, Value>) -> Explanation {
        let mut draft = CallDraft {
            checks: Some(Vec::new()),
            ..CallDraft::default()
        };
        let json = exact::escape(Value::Object(args.clone())).to_string();
        let decided = self.authorize(tool, &json, 1, &mut draft);
        let mut rules = draft.checks.unwrap_or_default();
        let (approval, denied) = match decided {
            Ok(authorized) => (authorized.approval, None),
            Err(denied) => (false, Some(denied)),
        };
        if let Some(denied) = &denied {
            rules.push(RuleCheck::denied(denied));
        }
        if approval {
            let key = format!("tools.{tool}.approval");
            rules.push(self.holds(&key, "somebody has to approve of each call".to_owned()));
        }
        let granted = self.policy.tools().get(tool);
        let in_run = self.policy.limits().get(Limit::ToolCalls).or_max();
        Explanation {
            allowed: denied.is_none(),
            tool: Some(tool.to_owned()),
            action: draft.tool.as_ref().map(|tool| tool.action),
            resource: draft.resource,
            rules,
            max_calls: granted.map(|rules| rules.max_calls.unwrap_or(u64::MAX).min(in_run)),
            approval,
            error: denied.map(|denied| denied.error.to_python()),
            assumed: Map::new(),
        }
    }

    /// As [`explain`](Self::explain), of a call that acts on `resource`: arguments that this says
    /// nothing of are taken to be ones that the rules allow, and named in [`Explanation::assumed`].
    pub fn explain_resource(&self, tool: &str, resource: &str) -> Explanation {
        let (mut args, mut assumed) = (Map::new(), Map::new());
        if let (Some(declared), Some(rules)) = (self.tools.get(tool), self.policy.tools().get(tool))
        {
            assumed = assumed_arguments(&declared.0, rules);
            if let Some(name) = &declared.0.resource {
                assumed.remove(name);
                let is_list = declared.0.schema_of(name).is_some_and(is_list);
                let value = if is_list {
                    vec![resource].into()
                } else {
                    resource.into()
                };
                args.insert(name.clone(), value);
            }
        }
        args.extend(assumed.clone());
        Explanation {
            assumed,
            ..self.explain(tool, &args)
        }
    }

    fn shows(&self, path: &[u8]) -> bool {
        GuestPath::new(path).is_ok_and(|path| self.policy.shows(&path))
    }

    /// Explains what the policy says of an action without a tool: of opening a file, of running
    /// code.
    pub fn explain_action(&self, action: Action, resource: &[u8]) -> Explanation {
        let decision = self.policy.check(action, resource);
        let allowed = decision.allowed();
        Explanation {
            allowed,
            tool: None,
            action: Some(action),
            resource: vec![String::from_utf8_lossy(resource).into_owned()],
            rules: vec![RuleCheck {
                rule: decision.rule(),
                location: decision.location().cloned(),
                holds: allowed,
                reason: decision.to_string(),
            }],
            max_calls: None,
            approval: false,
            error: (!allowed).then(|| match action {
                Action::ReadFile if !self.shows(resource) => {
                    "FileNotFoundError: [Errno 2] No such file or directory".to_owned()
                }
                Action::ReadFile | Action::WriteFile => {
                    "PermissionError: [Errno 13] Permission denied".to_owned()
                }
                _ => decision.to_string(),
            }),
            assumed: Map::new(),
        }
    }

    /// Checks grant, arguments, policy, rules and the tool's own rules, in that order. `calls` is
    /// how many calls of this tool there were in the run, this one included.
    pub(crate) fn authorize(
        &self,
        name: &str,
        json: &str,
        calls: u64,
        draft: &mut CallDraft,
    ) -> Result<Authorized, DeniedCall> {
        let tool = self.tools.get(name).map(|tool| tool.0.clone());
        draft.tool.clone_from(&tool);
        let (Some(tool), Some(rules)) = (tool, self.policy.tools().get(name)) else {
            return Err(self.unknown(name));
        };
        let key = |part: &str| format!("tools.{name}{part}");
        draft.passed(|| self.holds(&key(""), format!("{name} is granted")));

        let wrong = |error| DeniedCall::wrong_arguments(name, error);
        let value = arguments::parse(json).map_err(wrong)?;
        if draft.recorded {
            let mut shown = value.clone();
            redact_in(&mut shown, &tool.secrets);
            draft.args = Some(Args::new(&shown, json.len(), &tool.secret_args));
        }
        let value = if tool.exact {
            value
        } else {
            arguments::plain(value).map_err(wrong)?
        };
        let CheckedCall { args, work } = (tool.read)(value).map_err(wrong)?;

        let named = tool.resource.as_ref().and_then(|arg| args.get(arg));
        let resources = resources(named);
        draft.resource = resources
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| redact(text, &tool.secrets))
            .collect();
        let mut rule = "permissions".to_owned();
        let mut positions = Vec::new();
        for resource in &resources {
            let position;
            (rule, position) = self.check_resource(&tool, resource, draft)?;
            positions.push(position);
        }
        if let Some(max) = rules.max_calls {
            let reason = format!("{name} can be called {max} times in a run");
            if calls > max {
                return Err(self.broken_rule(&tool, "max_calls", reason));
            }
            draft.passed(|| self.holds(&key(".max_calls"), reason));
        }
        for (arg, constraint) in &rules.args {
            let given = args.get(arg).unwrap_or(&Value::Null);
            let is_allowed = |position: &Position| position.allowed(constraint);
            // What the tool acts on is compared as it was decided on.
            let allowed = match (tool.resource.as_ref() == Some(arg), given) {
                (true, Value::String(_)) => positions.iter().all(is_allowed),
                (true, Value::Array(items)) => {
                    !items.is_empty() && positions.iter().all(is_allowed)
                }
                _ => constraint.allows(given),
            };
            if !allowed {
                return Err(self.forbidden_argument(&tool, arg, constraint));
            }
            let reason = || format!("argument `{arg}` is {constraint}");
            draft.passed(|| self.holds(&key(&format!(".args.{arg}")), reason()));
        }
        if let Some(check) = &tool.check {
            check(&args).map_err(|error| {
                if let ToolError::Denied { resource, .. } = &error
                    && !resource.is_empty()
                {
                    draft.resource = vec![redact(resource, &tool.secrets)];
                }
                self.denied_by_tool(&tool, error)
            })?;
            let reason = || format!("{name} itself has nothing against it");
            draft.passed(|| self.holds(&key(".config"), reason()));
        }
        Ok(Authorized {
            tool,
            work,
            args,
            resources,
            rule,
            approval: rules.approval,
        })
    }

    fn holds(&self, key: &str, reason: String) -> RuleCheck {
        RuleCheck {
            rule: key.to_owned(),
            location: self.located(key),
            holds: true,
            reason,
        }
    }

    fn unknown(&self, name: &str) -> DeniedCall {
        let names: Vec<_> = self.tools.keys().map(String::as_str).collect();
        let shown: String = name.chars().take(64).collect();
        let advice = match (nearest(&shown, &names), names.as_slice()) {
            (Some(near), _) => format!("did you mean {near}?"),
            (None, []) => "the policy grants none".to_owned(),
            (None, names) => format!("there are {}", names.join(", ")),
        };
        let error = CallError::Denied {
            message: format!("there is no tool {shown:?}; {advice}"),
            reason: format!("the policy grants no tool of the name {shown:?}"),
        };
        DeniedCall {
            location: self.located("tools"),
            ..DeniedCall::new("tools", error)
        }
    }

    /// Checks that the policy allows a tool to act on a resource. Returns the rule that decides,
    /// and what rules on the argument compare.
    fn check_resource(
        &self,
        tool: &Declaration,
        resource: &str,
        draft: &mut CallDraft,
    ) -> Result<(String, Position), DeniedCall> {
        let decision = self.policy.check(tool.action, resource);
        let rule = decision.rule();
        if !decision.allowed() {
            return Err(DeniedCall {
                rule,
                location: decision.location().cloned(),
                error: if decision.lacks_permission() {
                    CallError::insufficient(&tool.name, tool.action, decision.to_string())
                } else {
                    CallError::Denied {
                        message: format!("{}: {decision}{}", tool.name, decision.alternatives()),
                        reason: decision.to_string(),
                    }
                },
            });
        }
        // A tool would find a directory of the host at this path.
        if decision.work().is_some() {
            let reason =
                "tools do not reach the script's working directory: pass what is in the file";
            return Err(DeniedCall {
                rule,
                location: decision.location().cloned(),
                error: CallError::Denied {
                    message: format!("{}: {resource:?}: {reason}", tool.name),
                    reason: reason.to_owned(),
                },
            });
        }
        draft.passed(|| RuleCheck {
            rule: rule.clone(),
            location: decision.location().cloned(),
            holds: true,
            reason: decision.to_string(),
        });
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
    pub(crate) fn check_hop(&self, tool: &Declaration, resource: &str) -> Result<(), DeniedCall> {
        let (_, position) = self.check_resource(tool, resource, &mut CallDraft::default())?;
        let rules = self.policy.tools().get(&tool.name);
        let constraint = rules
            .zip(tool.resource.as_ref())
            .and_then(|(rules, arg)| Some((arg, rules.args.get(arg)?)));
        match constraint {
            Some((arg, constraint)) if !position.allowed(constraint) => {
                Err(self.forbidden_argument(tool, arg, constraint))
            }
            _ => Ok(()),
        }
    }

    /// Checks another value of an argument that is no resource.
    pub(crate) fn check_argument(
        &self,
        tool: &Declaration,
        arg: &str,
        value: &Value,
    ) -> Result<(), DeniedCall> {
        let rules = self.policy.tools().get(&tool.name);
        match rules.and_then(|rules| rules.args.get(arg)) {
            Some(constraint) if !constraint.allows(value) => {
                Err(self.forbidden_argument(tool, arg, constraint))
            }
            _ => Ok(()),
        }
    }

    fn forbidden_argument(
        &self,
        tool: &Declaration,
        arg: &str,
        constraint: &Constraint,
    ) -> DeniedCall {
        let reason = format!(
            "argument `{arg}` of {} is not allowed; the policy allows {constraint}",
            tool.name
        );
        self.broken_rule(tool, &format!("args.{arg}"), reason)
    }

    /// A rule of `[tools.NAME]` does not hold.
    fn broken_rule(&self, tool: &Declaration, part: &str, reason: String) -> DeniedCall {
        let key = format!("tools.{}.{part}", tool.name);
        DeniedCall {
            location: self.located(&key),
            rule: key,
            error: CallError::denied(reason),
        }
    }

    /// A tool's own check has failed.
    fn denied_by_tool(&self, tool: &Declaration, error: ToolError) -> DeniedCall {
        let name = &tool.name;
        match error {
            ToolError::Denied {
                rule,
                reason,
                message,
                ..
            } => DeniedCall {
                location: self.located(&rule),
                rule,
                error: match message {
                    Some(message) => CallError::Denied { message, reason },
                    None => CallError::insufficient(name, tool.action, reason),
                },
            },
            ToolError::Argument { argument, message } => {
                let message = format!("{name}: argument `{argument}`: {message}");
                DeniedCall::new("arguments", CallError::Value(message))
            }
            ToolError::Failed(why) => DeniedCall::new("arguments", CallError::Failed(why)),
            ToolError::TimedOut(why) => DeniedCall::new("arguments", CallError::TimedOut(why)),
        }
    }

    fn located(&self, key: &str) -> Option<Location> {
        self.policy.location(key).cloned()
    }
}

/// Returns the tools among these that `policy` grants: those that it has a `[tools.NAME]` for, and
/// the permission for what they do. Sorted by name.
///
/// # Errors
///
/// [`Error::Tool`] if there are two of one name, if the policy names a tool that is not among them,
/// or an argument that its tool does not have.
pub fn granted_tools(
    policy: &Policy,
    tools: impl IntoIterator<Item = Tool>,
) -> Result<Vec<Tool>, Error> {
    let mut named = BTreeMap::new();
    for tool in tools {
        if let Some(other) = named.insert(tool.name().to_owned(), tool) {
            return Err(Error::Tool {
                tool: other.name().to_owned(),
                location: None,
                reason: "is offered twice".to_owned(),
            });
        }
    }
    if let Some(wrong) = unfit_tools(policy, &named).into_iter().next() {
        return Err(Error::Tool {
            location: policy.location(&wrong.key).cloned(),
            tool: wrong.tool,
            reason: wrong.reason,
        });
    }
    let is_granted = |tool: &Tool| {
        let permitted = policy.permissions().contains(tool.action().permission());
        permitted && policy.tools().contains_key(tool.name())
    };
    Ok(named.into_values().filter(is_granted).collect())
}

/// An entry of a policy's `[tools]` that does not fit the tools that there are.
pub(crate) struct UnfitTool {
    pub(crate) key: String,
    pub(crate) tool: String,
    /// The mistake, to follow the tool's name.
    pub(crate) reason: String,
}

/// All entries of `[tools]` that name a tool which is not there, or an argument that its tool does
/// not have.
pub(crate) fn unfit_tools(policy: &Policy, tools: &BTreeMap<String, Tool>) -> Vec<UnfitTool> {
    let mut unfit = Vec::new();
    for (name, rules) in policy.tools() {
        let key = format!("tools.{name}");
        let Some(tool) = tools.get(name) else {
            let names: Vec<_> = tools.keys().map(String::as_str).collect();
            let there = match (nearest(name, &names), names.is_empty()) {
                (Some(near), _) => format!("; did you mean {near}?"),
                (None, false) => format!("; there are {}", names.join(", ")),
                (None, true) => String::new(),
            };
            unfit.push(UnfitTool {
                key,
                tool: name.clone(),
                reason: format!("is granted, but there is none{there}"),
            });
            continue;
        };
        let names: Vec<_> = tool.0.signature.names().collect();
        for arg in rules
            .args
            .keys()
            .filter(|arg| !names.contains(&arg.as_str()))
        {
            unfit.push(UnfitTool {
                key: format!("{key}.args.{arg}"),
                tool: name.clone(),
                reason: format!("has no argument {arg:?}; it has {}", names.join(", ")),
            });
        }
    }
    unfit
}

/// A resource as rules on its argument compare it: normalised.
enum Position {
    Text(String),
    Url(Url),
}

impl Position {
    /// Returns whether a rule allows it. A prefix has to hold in every way in which a server could
    /// read the URL.
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

fn is_list(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "array")
}

/// Values for the arguments that a call needs, and for those that rules are about: ones that the
/// rules allow.
fn assumed_arguments(tool: &Declaration, rules: &ToolRules) -> Map<String, Value> {
    let mut args = Map::new();
    for name in tool.signature.names() {
        let schema = tool.schema_of(name).unwrap_or(&Value::Null);
        let value = match rules.args.get(name) {
            Some(constraint) => allowed_value(constraint, schema),
            None if tool.signature.requires(name) => any_value(schema),
            None => continue,
        };
        args.insert(name.to_owned(), value);
    }
    args
}

fn allowed_value(constraint: &Constraint, schema: &Value) -> Value {
    let value = match constraint {
        Constraint::OneOf(values) => values.first().cloned().unwrap_or(Value::Null),
        Constraint::Prefix(prefix) => prefix.as_str().into(),
        Constraint::Range { min, max } => min
            .clone()
            .or_else(|| max.clone())
            .map_or(0.into(), Value::Number),
        _ => Value::Null,
    };
    if is_list(schema) && !value.is_array() {
        vec![value].into()
    } else {
        value
    }
}

/// A value of a type.
fn any_value(schema: &Value) -> Value {
    let first = |key: &str| schema.get(key).and_then(Value::as_array)?.first();
    if let Some(value) = schema.get("const").or_else(|| first("enum")) {
        return value.clone();
    }
    if let Some(option) = first("anyOf").or_else(|| first("oneOf")) {
        return any_value(option);
    }
    let kind = schema.get("type");
    let kind = kind.and_then(|kind| kind.as_str().or_else(|| kind.get(0)?.as_str()));
    match kind {
        Some("boolean") => false.into(),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(0.into()),
        Some("array") => match schema.get("items") {
            Some(items) => vec![any_value(items)].into(),
            None => Value::Array(Vec::new()),
        },
        Some("object") => Value::Object(Map::new()),
        Some("string") => "text".into(),
        _ => Value::Null,
    }
}
