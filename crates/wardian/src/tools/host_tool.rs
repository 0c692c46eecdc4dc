//! Tools for host code, through the same gate as scripts.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::budget;
use super::error::CallError;
use super::gate::Gate;
use super::tool::Tool;
use crate::Error;
use crate::executor::{self, OnTimers};
use crate::ledger::{EndGuard, EventSender};

/// A tool behind a gate, for host code.
///
/// ```
/// # use wardian::{
/// #     Call, Gate, Limits, Policy, Tool, ToolError, policy::{Action, Permission, ToolRules},
/// # };
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
/// let denied = count_bytes.call_blocking(&Args { path: "/etc/passwd".to_owned() }).unwrap_err();
/// assert_eq!(
///     denied.json().to_string(),
///     r#"{"allowed":false,"error":"count_bytes: no entry of allowed_paths holds /etc/passwd; allowed_paths is empty"}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SecureTool {
    gate: Gate,
    run: Arc<EndGuard>,
    begun: Arc<tokio::sync::OnceCell<()>>,
    tool: Tool,
}

impl SecureTool {
    pub(crate) fn new(gate: Gate, tool: Tool) -> Self {
        let run_id = uuid::Uuid::now_v7().to_string();
        Self {
            run: Arc::new(EndGuard(Arc::new(gate.new_context(
                run_id.into(),
                gate.policy().limits(),
                EventSender::default(),
            )))),
            begun: Arc::default(),
            gate,
            tool,
        }
    }

    /// Returns the tool.
    pub fn tool(&self) -> &Tool {
        &self.tool
    }

    /// Calls it, with arguments that are a JSON object, on any executor. Returns its reply.
    ///
    /// # Errors
    ///
    /// [`CallError`]: it was denied, or has failed, or could not be recorded.
    pub async fn call(&self, args: &(impl Serialize + Sync)) -> Result<Value, CallError> {
        let json = serde_json::to_string(args)
            .map_err(|error| CallError::Value(format!("{}: {error}", self.tool.name())))?;
        let host = |error: Error| CallError::Failed(error.to_string());
        let this = self.clone();
        let called = OnTimers::new(
            Box::pin(async move {
                let context = &this.run.0;
                let authority = this.gate.authority();
                this.begun
                    .get_or_try_init(|| {
                        context.begin(&authority.policy, &authority.policy_sha256, None)
                    })
                    .await?;
                let args = match budget::check_length(context, json.len()) {
                    Ok(()) => budget::reserve(context, budget::call_bytes(context, &json)).await,
                    Err(denied) => Err(denied),
                };
                let args = args.map(|reservation| (json.as_str(), reservation));
                let pending = this.gate.start(context, this.tool.name(), args).await?;
                pending.finish().await.map(|returned| returned.reply)
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
