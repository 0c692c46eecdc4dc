//! The trait of the functions that tools call.

use std::future::Future;

use schemars::JsonSchema;
use serde::Serialize;

use super::call::Call;
use super::error::ToolError;

/// Does what a tool is for. Every async function of a type of arguments and a [`Call`] is one.
pub trait Handler<Args>: Send + Sync + 'static {
    /// The type that it returns to the script: anything that is JSON.
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
