//! Approval of calls, where the policy asks for it.

use std::future::Future;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use wardian_policy::Action;

/// Says yes or no to a call. Every async function of an [`ApprovalRequest`] that returns an
/// [`Approval`] is one.
///
/// ```
/// use std::sync::Arc;
/// use wardian::tool::{Approval, ApprovalRequest, Approver};
///
/// async fn ask(request: ApprovalRequest) -> Approval {
///     match request.tool.as_str() {
///         "send_email" => Approval::Denied { reason: "not today".to_owned() },
///         _ => Approval::Approved { by: "rule".to_owned() },
///     }
/// }
///
/// let approver: Arc<dyn Approver> = Arc::new(ask);
/// ```
pub trait Approver: Send + Sync + 'static {
    /// Approves of a call, or denies it. Not answering within the run's `limits.tool_wait` is a
    /// no. The run's own time limit stands still meanwhile.
    fn approve(&self, request: ApprovalRequest) -> BoxFuture<'static, Approval>;
}

impl<F, Deciding> Approver for F
where
    F: Fn(ApprovalRequest) -> Deciding + Send + Sync + 'static,
    Deciding: Future<Output = Approval> + Send + 'static,
{
    fn approve(&self, request: ApprovalRequest) -> BoxFuture<'static, Approval> {
        Box::pin(self(request))
    }
}

/// A call that somebody has to approve of. It is allowed in every other way, by the policy and by
/// the tool's own checks: people are asked last.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ApprovalRequest {
    /// The id of the run that calls.
    pub run_id: String,
    /// The agent of the policy.
    pub agent: String,
    /// The tool.
    pub tool: String,
    /// The tool's action.
    pub action: Action,
    /// The resources that it acts on.
    pub resource: Vec<String>,
    /// Its arguments, as it would get them, but for those that are secret. A script has chosen
    /// them: every character can stand in them.
    pub args: Value,
    /// The time that there is for an answer.
    pub wait: Duration,
}

/// A yes or a no.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Approval {
    /// The call may go on.
    Approved {
        /// The name of whoever says so, for the record.
        by: String,
    },
    /// The call is denied.
    Denied {
        /// The reason, or the name of whoever says so: for the record and the script.
        reason: String,
    },
}
