//! What the loop calls tools through.

use async_trait::async_trait;
use shared::mcp::tools::{CallToolResult, Tool};
use tokio_util::sync::CancellationToken;

use crate::mcp::{Arguments, McpError};

/// A set of tools that can be called. The set stays the same while a question is being answered.
#[async_trait]
pub trait Toolbox: Send + Sync {
    /// The tools, as a model is told of them. Names are unique.
    fn tools(&self) -> &[Tool];

    /// Calls a tool. Any number of calls may run at once. Once `cancel` is cancelled the call ends soon, with
    /// [`McpError::Cancelled`] unless its result was there first.
    ///
    /// # Errors
    /// [`McpError`] when no result came; [`McpError::may_have_run`] says whether the tool may have run all the same.
    /// A tool that failed is no error but a result.
    async fn call(
        &self,
        name: &str,
        arguments: Arguments,
        cancel: &CancellationToken,
    ) -> Result<CallToolResult, McpError>;
}
