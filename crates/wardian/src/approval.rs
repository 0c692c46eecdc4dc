//! Who approves of calls, where the policy asks for somebody to.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use wardian_policy::Action;

/// Says yes or no to a call. Every async function of an [`ApprovalRequest`] can be made one with
/// `<dyn Approver>::new`.
pub trait Approver: Send + Sync + 'static {
    /// Approves of a call, or refuses it. Not answering within the run's `limits.tool_wait` is a
    /// no. The run's own time limit does not go on meanwhile.
    fn approve(&self, request: ApprovalRequest) -> BoxFuture<'static, Approval>;
}

impl dyn Approver {
    /// An approver that calls `decide`.
    pub fn new<F, Deciding>(decide: F) -> Arc<Self>
    where
        F: Fn(ApprovalRequest) -> Deciding + Send + Sync + 'static,
        Deciding: Future<Output = Approval> + Send + 'static,
    {
        struct Function<F>(F);

        impl<F, Deciding> Approver for Function<F>
        where
            F: Fn(ApprovalRequest) -> Deciding + Send + Sync + 'static,
            Deciding: Future<Output = Approval> + Send + 'static,
        {
            fn approve(&self, request: ApprovalRequest) -> BoxFuture<'static, Approval> {
                Box::pin(self.0(request))
            }
        }

        Arc::new(Function(decide))
    }
}

/// A call that somebody has to approve of. It is allowed in every other way, by the policy and by the tool's own checks:
/// people are asked last.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ApprovalRequest {
    /// The run that calls.
    pub run_id: String,
    /// The agent of the policy.
    pub agent: String,
    /// The tool.
    pub tool: String,
    /// What it does.
    pub action: Action,
    /// What it acts on.
    pub resource: Vec<String>,
    /// Its arguments, as it would get them, but for those that are secret. A script has chosen
    /// them: every character can stand in them.
    pub args: Value,
    /// How long there is for an answer.
    pub wait: Duration,
}

/// A yes or a no.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Approval {
    /// It may be done.
    Approved {
        /// Who says so, for the record.
        by: String,
    },
    /// It may not.
    Refused {
        /// Why not, or who says so: for the record and the script.
        why: String,
    },
}
