//! Declaration of tools: what a host offers to scripts.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wardian_abi::ToolSpec;
use wardian_policy::{Access, Action, is_tool_name};

use super::arguments::{self, ArgumentError};
use super::call::Call;
use super::error::{ToolDefinitionError, ToolError};
use super::handler::Handler;
use super::signature::Signature;

/// Something that scripts can call, if a policy grants it.
///
/// ```
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use wardian::{Call, Tool, ToolError, policy::Action};
///
/// /// Looks up an order's status.
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct FindOrder {
///     /// The order's number.
///     order: String,
/// }
///
/// async fn find_order(args: FindOrder, _: Call) -> Result<String, ToolError> {
///     match args.order.as_str() {
///         "A-1" => Ok("in the post".to_owned()),
///         other => Err(ToolError::argument("order", format!("there is no order {other}"))),
///     }
/// }
///
/// let tool = Tool::new("find_order", Action::DbRead, find_order)?.resource("order")?;
/// assert_eq!(tool.stub(), "def find_order(order: str) -> str:\n    \"\"\"Looks up an order's status.\n\n    \
///     Args:\n        order: The order's number.\n    \"\"\"\n");
/// # Ok::<(), wardian::tool::ToolDefinitionError>(())
/// ```
///
/// A reply that is a struct has its fields in the stub, in `help()` and for whoever checks types;
/// scripts get a `dict`:
///
/// ```
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # use wardian::{Call, Policy, Runtime, Sandbox, Tool, policy::{Action, ToolRules}};
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Empty {}
///
/// #[derive(Serialize, JsonSchema)]
/// struct Stock {
///     parcels: u32,
///     city: String,
/// }
///
/// let tool = Tool::new("stock", Action::Execute, async |_: Empty, _: Call| {
///     Ok(Stock { parcels: 3, city: "Bonn".to_owned() })
/// })?;
/// assert!(tool.stub().contains("parcels: int"));
///
/// let policy = Policy::computing().with_tool("stock", ToolRules::default());
/// let sandbox = Sandbox::new(&Runtime::new()?, policy)?.with_tools([tool])?;
/// let outcome = sandbox.run_blocking("from wardian import tools\ntools.stock()['parcels'] + 1")?;
/// assert_eq!(outcome.json()["value"], 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tool(pub(crate) Arc<Declaration>);

/// The declaration of a tool.
#[derive(Clone)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    pub(crate) action: Action,
    pub(crate) resource: Option<String>,
    pub(crate) signature: Signature,
    pub(crate) parameters: Value,
    pub(crate) returns: Value,
    /// Arguments that are not recorded.
    pub(crate) secret_args: Vec<String>,
    /// Texts that neither scripts nor the record see.
    pub(crate) secrets: Vec<String>,
    /// Files that scripts must not have this access to.
    pub(crate) files: Vec<(PathBuf, Access)>,
    /// Set if it works on the caller's thread.
    pub(crate) inline: bool,
    /// Set if arguments and reply hold [`exact`](wardian_abi::exact) values.
    pub(crate) exact: bool,
    /// The tool's own check of its arguments, beyond the policy's rules.
    pub(crate) check: Option<Arc<Check>>,
    pub(crate) read: Arc<dyn Fn(Value) -> Result<CheckedCall, ArgumentError> + Send + Sync>,
}

pub(crate) type Check = dyn Fn(&Value) -> Result<(), ToolError> + Send + Sync;

impl Declaration {
    /// The JSON Schema of an argument.
    pub(crate) fn schema_of(&self, argument: &str) -> Option<&Value> {
        self.parameters.get("properties")?.get(argument)
    }
}

/// A call whose arguments have been checked.
pub(crate) struct CheckedCall {
    /// The arguments as the handler gets them, defaults filled in.
    pub(crate) args: Value,
    pub(crate) work: Work,
}

/// Does the work of a call. Returns JSON.
pub(crate) type Work = Box<dyn FnOnce(Call) -> HandlerFuture + Send>;

/// A handler at work.
pub(crate) type HandlerFuture = BoxFuture<'static, Result<String, ToolError>>;

impl Tool {
    /// A tool that does `action` by calling `handler`.
    ///
    /// The type of its arguments says the rest: a struct whose documentation is the tool's, whose
    /// fields are the arguments, with their documentation, and optional where they have a default
    /// or are an `Option`.
    ///
    /// # Errors
    ///
    /// If the name is not `[a-z][a-z0-9_]{0,63}`, or the arguments are not a struct whose fields
    /// can be parameters in Python.
    pub fn new<Args, H>(name: &str, action: Action, handler: H) -> Result<Self, ToolDefinitionError>
    where
        Args: Serialize + DeserializeOwned + JsonSchema + Send + 'static,
        H: Handler<Args>,
    {
        let schema =
            || SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let parameters = schema()
            .into_generator()
            .into_root_schema_for::<Args>()
            .to_value();
        let returns = schema()
            .for_serialize()
            .into_generator()
            .into_root_schema_for::<H::Output>()
            .to_value();
        let handler = Arc::new(handler);
        let read = move |value: Value, known: &[String]| {
            let (args, value): (Args, Value) = arguments::read(value, known)?;
            let handler = handler.clone();
            let work: Work = Box::new(move |call| {
                Box::pin(async move {
                    let max = call.reply_bytes();
                    let output = handler.call(args, call).await?;
                    arguments::reply(&output, max).map_err(ToolError::Failed)
                })
            });
            Ok(CheckedCall { args: value, work })
        };
        let schemas = [parameters, returns];
        Self::declare(name, action, schemas, arguments::fields::<Args>(), read)
    }

    /// A tool by the schemas of its arguments and of what it returns. `read` checks arguments, and
    /// is told the names of those that there are.
    pub(crate) fn declare(
        name: &str,
        action: Action,
        [parameters, returns]: [Value; 2],
        order: Option<&[&str]>,
        read: impl Fn(Value, &[String]) -> Result<CheckedCall, ArgumentError> + Send + Sync + 'static,
    ) -> Result<Self, ToolDefinitionError> {
        let signature = signature(name, &parameters, &returns, order)?;
        let known: Vec<String> = signature.names().map(ToOwned::to_owned).collect();
        Ok(Self(Arc::new(Declaration {
            name: name.to_owned(),
            action,
            resource: None,
            signature,
            parameters,
            returns,
            secret_args: Vec::new(),
            secrets: Vec::new(),
            files: Vec::new(),
            inline: false,
            exact: false,
            check: None,
            read: Arc::new(move |value| read(value, &known)),
        })))
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Declaration)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    fn known(&self, argument: &str) -> Result<(), ToolDefinitionError> {
        if self.0.signature.names().any(|name| name == argument) {
            return Ok(());
        }
        Err(ToolDefinitionError {
            tool: self.0.name.clone(),
            reason: format!("has no argument {argument:?}"),
        })
    }

    /// The same tool, which acts on what this argument names, a text or a list of texts: the
    /// resource that the policy decides on. [`Action`] says what each takes.
    ///
    /// Without one, the resource is empty, and an action on files or URLs is always refused.
    ///
    /// # Errors
    ///
    /// If it has no such argument.
    pub fn resource(self, argument: &str) -> Result<Self, ToolDefinitionError> {
        self.known(argument)?;
        Ok(self.with(|tool| tool.resource = Some(argument.to_owned())))
    }

    /// The same tool, of which this argument is never recorded.
    ///
    /// # Errors
    ///
    /// If it has no such argument.
    pub fn secret_argument(self, argument: &str) -> Result<Self, ToolDefinitionError> {
        self.known(argument)?;
        Ok(self.with(|tool| tool.secret_args.push(argument.to_owned())))
    }

    /// The same tool, which knows this secret: a key, a password. It is taken out of everything
    /// that the tool returns or that is recorded of it. Shorter than 4 bytes, it is not looked for.
    pub fn with_secret(self, secret: impl Into<String>) -> Self {
        let secret = secret.into();
        match secret.len() {
            0..4 => self,
            _ => self.with(|tool| tool.secrets.push(secret)),
        }
    }

    /// The same tool, which never waits: it computes for a moment and returns. It works on the
    /// caller's thread, which saves two changes of threads: most of what a short call costs.
    /// Nothing stops it there, so a tool that blocks must not say this. One that waits after all
    /// goes on elsewhere.
    pub fn inline(self) -> Self {
        self.with(|tool| tool.inline = true)
    }

    /// The same tool, whose arguments and reply can hold what JSON lacks: `Decimal`, `datetime`,
    /// `bytes` and others, in the form of [`exact`](wardian_abi::exact). Without this, such
    /// arguments are refused, and a reply is plain JSON.
    pub fn exact(self) -> Self {
        self.with(|tool| tool.exact = true)
    }

    /// The same tool, which refuses calls by itself before somebody is asked to approve of them,
    /// and before they are on the record as started. `check` gets the arguments as the handler
    /// does, as JSON.
    pub fn checked_by(
        self,
        check: impl Fn(&Value) -> Result<(), ToolError> + Send + Sync + 'static,
    ) -> Self {
        self.with(|tool| tool.check = Some(Arc::new(check)))
    }

    /// The same tool, which relies on this file of the host, an absolute path: where scripts have
    /// any of this access, on any step of the path, it is not made callable.
    pub fn relies_on(self, file: impl Into<PathBuf>, access: Access) -> Self {
        let file = file.into();
        self.with(|tool| tool.files.push((file, access)))
    }

    /// The same tool with other words for what it is, in place of its arguments' documentation.
    pub fn describe(self, description: impl Into<String>) -> Self {
        self.with(|tool| tool.signature.description = description.into())
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the action.
    pub fn action(&self) -> Action {
        self.0.action
    }

    /// Returns the name of the argument that names the resource.
    pub fn resource_argument(&self) -> Option<&str> {
        self.0.resource.as_deref()
    }

    /// Returns the description, in one sentence or more.
    pub fn description(&self) -> &str {
        &self.0.signature.description
    }

    /// Returns the JSON Schema of the arguments: an object.
    pub fn parameters(&self) -> &Value {
        &self.0.parameters
    }

    /// Returns the JSON Schema of the reply.
    pub fn returns(&self) -> &Value {
        &self.0.returns
    }

    /// Returns the tool as a function of Python, as in a `.pyi` file: signature and documentation,
    /// for a model to read.
    pub fn stub(&self) -> String {
        self.0.signature.stub(&self.0.name)
    }

    pub(crate) fn spec(&self) -> ToolSpec {
        self.0.signature.spec(&self.0.name)
    }
}

/// Makes a tool's signature, if it can have that name and these parameters.
fn signature(
    name: &str,
    parameters: &Value,
    returns: &Value,
    order: Option<&[&str]>,
) -> Result<Signature, ToolDefinitionError> {
    let wrong = |reason: String| ToolDefinitionError {
        tool: name.to_owned(),
        reason,
    };
    if !is_tool_name(name) {
        let letters =
            "has a name that no tool can have: lower-case letters, digits and `_`, 64 at most";
        return Err(wrong(letters.to_owned()));
    }
    Signature::new(name, parameters, returns, order).map_err(wrong)
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool")
            .field("name", &self.0.name)
            .field("action", &self.0.action)
            .field("resource", &self.0.resource)
            .finish_non_exhaustive()
    }
}
