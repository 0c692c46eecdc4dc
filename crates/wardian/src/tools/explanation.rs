//! Explanation of one call by a policy, rule by rule.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use wardian_policy::{Action, Location};

use super::error::DeniedCall;
use crate::location_report::LocationReport;

/// The decision on a call, and the reasons. Made by [`Authorizer`](crate::Authorizer).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// Set if it would be made, once somebody has approved of it where that is asked for.
    pub allowed: bool,
    /// The tool; `None` for what scripts do without one.
    pub tool: Option<String>,
    /// The tool's action, if there is such a tool.
    #[serde(serialize_with = "named")]
    pub action: Option<Action>,
    /// The resources: paths, URLs, databases, recipients.
    pub resource: Vec<String>,
    /// The rules that were asked, in order. The last one decided.
    pub rules: Vec<RuleCheck>,
    /// The most such calls that a run can make.
    pub max_calls: Option<u64>,
    /// Set if somebody has to approve of it.
    pub approval: bool,
    /// The exception that the script would see: its type and its text.
    pub error: Option<String>,
    /// Arguments that were not given, and taken to be ones that the rules allow.
    pub assumed: Map<String, Value>,
}

/// A rule of a policy that was asked about a call.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RuleCheck {
    /// Its key: `permissions`, `allowed_domains["api.example.com"]`, `tools.http_request.args.url`.
    /// `arguments` if the arguments are not the tool's, `resource` if the resource is malformed.
    pub rule: String,
    /// Its place, if the policy was read from a file.
    #[serde(serialize_with = "placed")]
    pub location: Option<Location>,
    /// Set if it lets the call pass.
    pub holds: bool,
    /// Its reason, in one sentence.
    pub reason: String,
}

impl RuleCheck {
    pub(crate) fn denied(denied: &DeniedCall) -> Self {
        Self {
            rule: denied.rule.clone(),
            location: denied.location.clone(),
            holds: false,
            reason: denied.error.reason(),
        }
    }
}

fn named<S: Serializer>(action: &Option<Action>, serializer: S) -> Result<S::Ok, S::Error> {
    action.map(Action::name).serialize(serializer)
}

fn placed<S: Serializer>(at: &Option<Location>, serializer: S) -> Result<S::Ok, S::Error> {
    at.as_ref().map(LocationReport::from).serialize(serializer)
}
