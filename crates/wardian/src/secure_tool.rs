//! Tools for host code, through the same gate as scripts.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::executor::{self, OnTimers};
use crate::session::Going;
use crate::{CallError, Error, Gate, Tool};

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
///     r#"{"allowed":false,"error":"count_bytes: no entry of allowed_paths holds /etc/passwd; allowed_paths is empty"}"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SecureTool {
    gate: Gate,
    going: Arc<Going>,
    begun: Arc<tokio::sync::OnceCell<()>>,
    tool: Tool,
}

impl SecureTool {
    pub(crate) fn new(gate: Gate, tool: Tool) -> Self {
        let run_id = uuid::Uuid::now_v7().to_string();
        Self {
            going: Arc::new(Going(Arc::new(gate.session(run_id)))),
            begun: Arc::default(),
            gate,
            tool,
        }
    }

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
                let session = &this.going.0;
                this.begun
                    .get_or_try_init(|| {
                        session.begin(this.gate.policy(), this.gate.policy_sha256(), None)
                    })
                    .await?;
                let args = match session.fits(json.len()) {
                    Ok(()) => session.reserve(session.footprint(&json)).await,
                    Err(refused) => Err(refused),
                };
                let args = args.map(|reservation| (json.as_str(), reservation));
                let pending = this.gate.start(session, this.tool.name(), args).await?;
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
