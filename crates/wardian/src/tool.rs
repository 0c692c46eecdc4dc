//! Tools: what a host offers to scripts, and how it is declared.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wardian_abi::ToolSpec;
use wardian_policy::{Access, Action, Policy, is_tool_name};

use crate::arguments::{self, ArgumentError};
use crate::files::{Files, Held};
use crate::gate::Gate;
use crate::meter::Taken;
use crate::python::Signature;
use crate::session::Session;
use crate::threads::{TOOLS, Unfinished};

/// Does what a tool is for. Every async function of a type of arguments and a [`Call`] is one.
pub trait Handler<Args>: Send + Sync + 'static {
    /// What it returns to the script: anything that is JSON.
    type Output: Serialize + JsonSchema;

    /// Does it. The arguments have been checked; nothing else has to be.
    ///
    /// It works on threads of the library's, on tokio. When it takes too long it is dropped at its
    /// next `await`; what blocks belongs into [`Call::blocking`].
    fn call(
        &self,
        args: Args,
        call: Call,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;
}

impl<F, Args, Output, Working> Handler<Args> for F
where
    F: Fn(Args, Call) -> Working + Send + Sync + 'static,
    Working: Future<Output = Result<Output, ToolError>> + Send,
    Output: Serialize + JsonSchema,
{
    type Output = Output;

    fn call(
        &self,
        args: Args,
        call: Call,
    ) -> impl Future<Output = Result<Output, ToolError>> + Send {
        self(args, call)
    }
}

/// Something that scripts can call, if a policy grants it.
///
/// ```
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use wardian::{Action, Call, Tool, ToolError};
///
/// /// Says where an order is.
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
/// assert_eq!(tool.stub(), "def find_order(order: str) -> str:\n    \"\"\"Says where an order is.\n\n    \
///     Args:\n        order: The order's number.\n    \"\"\"\n");
/// # Ok::<(), wardian::ToolDefinitionError>(())
/// ```
#[derive(Clone)]
pub struct Tool(pub(crate) Arc<Declared>);

/// What is known of a tool.
#[derive(Clone)]
pub(crate) struct Declared {
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
    /// Whether it works on the caller's thread.
    pub(crate) at_once: bool,
    /// Whether arguments and reply hold [`exact`](wardian_abi::exact) values.
    pub(crate) exact: bool,
    /// What has to hold of its arguments beyond the policy's rules.
    pub(crate) check: Option<Arc<Check>>,
    pub(crate) read: Arc<dyn Fn(Value) -> Result<Ready, ArgumentError> + Send + Sync>,
}

pub(crate) type Check = dyn Fn(&Value) -> Result<(), ToolError> + Send + Sync;

impl Declared {
    /// The JSON Schema of an argument.
    pub(crate) fn schema_of(&self, argument: &str) -> Option<&Value> {
        self.parameters.get("properties")?.get(argument)
    }
}

/// A call whose arguments have been read.
pub(crate) struct Ready {
    /// The arguments as the handler gets them, defaults filled in.
    pub(crate) args: Value,
    /// Does it; returns JSON.
    pub(crate) work: Work,
}

pub(crate) type Work = Box<dyn FnOnce(Call) -> BoxFuture<'static, Worked> + Send>;

/// A reply, as JSON.
pub(crate) type Worked = Result<String, ToolError>;

/// A tool is not declared as it has to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tool {tool:?} {why}")]
pub struct ToolDefinitionError {
    /// Its name.
    pub tool: String,
    /// What is wrong with it.
    pub why: String,
}

impl Tool {
    /// A tool that does `action` by calling `handler`.
    ///
    /// The type of its arguments says the rest: a struct whose documentation is the tool's, whose
    /// fields are the arguments, with their documentation, and optional where they have a default or
    /// are an `Option`.
    ///
    /// # Errors
    ///
    /// If the name is not `[a-z][a-z0-9_]{0,63}`, or the arguments are not a struct whose fields can
    /// be parameters in Python.
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
                    let most = call.reply_bytes();
                    let output = handler.call(args, call).await?;
                    arguments::reply(&output, most).map_err(ToolError::Failed)
                })
            });
            Ok(Ready { args: value, work })
        };
        let schemas = [parameters, returns];
        Self::declare(name, action, schemas, arguments::fields::<Args>(), read)
    }

    /// A tool by the schemas of its arguments and of what it returns. `read` checks arguments, and is told the
    /// names of those that there are.
    pub(crate) fn declare(
        name: &str,
        action: Action,
        [parameters, returns]: [Value; 2],
        order: Option<&[&str]>,
        read: impl Fn(Value, &[String]) -> Result<Ready, ArgumentError> + Send + Sync + 'static,
    ) -> Result<Self, ToolDefinitionError> {
        let signature = signature(name, &parameters, &returns, order)?;
        let known: Vec<String> = signature.names().map(ToOwned::to_owned).collect();
        Ok(Self(Arc::new(Declared {
            name: name.to_owned(),
            action,
            resource: None,
            signature,
            parameters,
            returns,
            secret_args: Vec::new(),
            secrets: Vec::new(),
            files: Vec::new(),
            at_once: false,
            exact: false,
            check: None,
            read: Arc::new(move |value| read(value, &known)),
        })))
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Declared)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    fn known(&self, argument: &str) -> Result<(), ToolDefinitionError> {
        match self.0.signature.names().any(|name| name == argument) {
            true => Ok(()),
            false => Err(ToolDefinitionError {
                tool: self.0.name.clone(),
                why: format!("has no argument {argument:?}"),
            }),
        }
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
    pub fn keeping_secret(self, secret: impl Into<String>) -> Self {
        let secret = secret.into();
        match secret.len() {
            0..4 => self,
            _ => self.with(|tool| tool.secrets.push(secret)),
        }
    }

    /// The same tool, which never waits: it computes for a moment and returns. It works on the
    /// caller's thread, which saves two changes of threads: most of what a short call costs. Nothing stops it there, so
    /// a tool that blocks must not say this. One that waits after all goes on elsewhere.
    pub fn at_once(self) -> Self {
        self.with(|tool| tool.at_once = true)
    }

    /// The same tool, whose arguments and reply can hold what JSON lacks: `Decimal`, `datetime`, `bytes` and others, in
    /// the form of [`exact`](crate::exact). Without this, such arguments are refused, and a reply is plain JSON.
    pub fn exact(self) -> Self {
        self.with(|tool| tool.exact = true)
    }

    /// The same tool, which refuses calls by itself before somebody is asked to approve of them, and before they are on
    /// the record as started. `check` gets the arguments as the handler does, as JSON.
    pub fn checked_by(
        self,
        check: impl Fn(&Value) -> Result<(), ToolError> + Send + Sync + 'static,
    ) -> Self {
        self.with(|tool| tool.check = Some(Arc::new(check)))
    }

    /// The same tool, which relies on this file of the host, an absolute path: where scripts have any of this access, on
    /// any step of the path, it is not made callable.
    pub fn relies_on(self, file: impl Into<PathBuf>, access: Access) -> Self {
        let file = file.into();
        self.with(|tool| tool.files.push((file, access)))
    }

    /// The same tool with other words for what it is, in place of its arguments' documentation.
    pub fn describe(self, description: impl Into<String>) -> Self {
        self.with(|tool| tool.signature.description = description.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it does.
    pub fn action(&self) -> Action {
        self.0.action
    }

    /// The argument that names what it acts on.
    pub fn resource_argument(&self) -> Option<&str> {
        self.0.resource.as_deref()
    }

    /// What it is, in one sentence or more.
    pub fn description(&self) -> &str {
        &self.0.signature.description
    }

    /// The JSON Schema of its arguments: an object.
    pub fn parameters(&self) -> &Value {
        &self.0.parameters
    }

    /// The JSON Schema of what it returns.
    pub fn returns(&self) -> &Value {
        &self.0.returns
    }

    /// What it is in Python, as in a `.pyi` file: signature and documentation. What a model should
    /// be told.
    pub fn stub(&self) -> String {
        self.0.signature.stub(&self.0.name)
    }

    pub(crate) fn spec(&self) -> ToolSpec {
        self.0.signature.spec(&self.0.name)
    }
}

/// A tool's signature, if it can have that name and these parameters.
fn signature(
    name: &str,
    parameters: &Value,
    returns: &Value,
    order: Option<&[&str]>,
) -> Result<Signature, ToolDefinitionError> {
    let wrong = |why: String| ToolDefinitionError {
        tool: name.to_owned(),
        why,
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

/// Why a tool has not done what it was called for. The script sees the texts in here: they should
/// say nothing of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolError {
    /// It could not: `ToolError` in Python.
    Failed(String),
    /// An argument is wrong in a way that its type does not say: `ValueError`.
    Argument {
        /// The argument.
        argument: String,
        /// What is wrong with it.
        message: String,
    },
    /// It may not, which has come out only now: a redirect that leads elsewhere, a statement that
    /// writes. `PermissionError`, and a refusal in the record.
    Refused {
        /// What it would have acted on; empty for what the call was about.
        resource: String,
        /// The key of the policy that decides.
        rule: String,
        /// Why not, for the record and the host.
        reason: String,
        /// What the script is told; `None` for the recipe's words, that it takes a permission.
        told: Option<String>,
    },
    /// It took too long by its own measure: `TimeoutError`.
    TimedOut(String),
}

impl ToolError {
    /// It could not.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::Failed(why.into())
    }

    /// An argument is wrong.
    pub fn argument(argument: &str, message: impl Into<String>) -> Self {
        Self::Argument {
            argument: argument.to_owned(),
            message: message.into(),
        }
    }
}

/// One call, as a handler sees it.
#[derive(Clone)]
pub struct Call {
    pub(crate) gate: Gate,
    pub(crate) session: Arc<Session>,
    pub(crate) tool: Arc<Declared>,
    pub(crate) held: Held,
}

impl Call {
    /// The run that calls, as in [`Outcome::run_id`](crate::Outcome::run_id).
    pub fn run_id(&self) -> &str {
        &self.session.run_id
    }

    /// What the run may do.
    pub fn policy(&self) -> &Policy {
        self.gate.policy()
    }

    /// The most that the reply can be, in bytes of JSON.
    pub fn reply_bytes(&self) -> usize {
        self.session.most_bytes()
    }

    /// Does what blocks on a thread of the library's: looking up a name, asking a database. If the call is given up before
    /// a thread is free, it is not done; after, it goes on to its end.
    ///
    /// # Errors
    ///
    /// [`ToolError::Failed`] if the host has no thread, or `work` panics.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ToolError> {
        TOOLS.run(work).await.map_err(|error| {
            ToolError::Failed(match error {
                Unfinished::NoThread(_) => {
                    "the host has no thread for this; try again later".to_owned()
                }
                Unfinished::Panicked => format!("{} failed unexpectedly", self.tool.name),
            })
        })
    }

    /// Checks that the call may act on another resource than its arguments name: where a redirect leads. The policy
    /// decides on it, and rules of the policy on that argument hold for it.
    ///
    /// # Errors
    ///
    /// [`ToolError::Refused`] if not.
    pub fn check_resource(&self, resource: &str) -> Result<(), ToolError> {
        let checked = self.gate.authorizer().check_hop(&self.tool, resource);
        checked.map_err(|refused| refused.while_working(resource))
    }

    /// Checks that an argument of the call could be this: the method of a request after a redirect.
    ///
    /// # Errors
    ///
    /// [`ToolError::Refused`] if not.
    pub fn check_argument(&self, name: &str, value: &Value) -> Result<(), ToolError> {
        let checked = self
            .gate
            .authorizer()
            .check_argument(&self.tool, name, value);
        checked.map_err(|refused| refused.while_working(""))
    }

    /// Takes half of what the run may still write to disks, at least 1 MiB if that is left, for a tool that writes
    /// elsewhere than in granted directories: a database. What is not used is given back by [`WriteRoom::settle`].
    pub fn write_room(&self) -> WriteRoom {
        let written = &self.session.quota.written;
        let left = written.max().saturating_sub(written.used());
        WriteRoom(written.take(0, (left / 2).max(1 << 20)))
    }

    /// The files in granted directories, as the run itself could reach them: within the same
    /// grants, limits and quota, on the same record.
    pub fn files(&self) -> Files {
        Files::new(&self.gate, self.session.clone(), self.held.clone())
    }
}

/// Bytes that a run may still write, taken by one of its calls. All of them count as written unless they are
/// [settled](Self::settle).
#[derive(Debug)]
pub struct WriteRoom(Option<Taken>);

impl WriteRoom {
    /// Returns how many bytes there are.
    pub fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, Taken::amount)
    }

    /// Counts `written` bytes, and gives back the others.
    pub fn settle(self, written: u64) {
        if let Some(taken) = self.0 {
            taken.settle(written);
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("run_id", &self.session.run_id)
            .finish_non_exhaustive()
    }
}
