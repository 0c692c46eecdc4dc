//! Tools: what a host offers to scripts, and the gate through which scripts reach them.

mod approval;
mod arguments;
mod authorizer;
mod budget;
mod call;
mod calls;
mod error;
mod explanation;
mod files;
mod gate;
mod handler;
mod host_tool;
mod mock;
mod pending;
mod secrets;
mod signature;
mod tool;
mod typed_json;

pub use approval::{Approval, ApprovalRequest, Approver};
pub(crate) use authorizer::unfit_tools;
pub use authorizer::{Authorizer, granted_tools};
pub use call::{Call, WriteRoom};
pub(crate) use calls::Calls;
pub use error::{CallError, ToolDefinitionError, ToolError};
pub use explanation::{Explanation, RuleCheck};
pub use files::{DirectoryEntry, Files};
pub use gate::Gate;
pub use handler::Handler;
pub use host_tool::SecureTool;
pub use tool::Tool;
