//! The tools of an MCP server as the agent's toolbox.

use std::fmt;

use async_trait::async_trait;
use shared::mcp::{
    tools::{CallToolResult, Tool},
    utilities::ProgressNotificationParams,
};
use tokio_util::sync::CancellationToken;

use super::Toolbox;
use crate::mcp::{Arguments, CallOptions, Connection, McpError, RejectedTool, Repetition, ToolList};

/// Hears how far a tool call has come; told the tool's name first.
type Progress = dyn Fn(&str, ProgressNotificationParams) + Send + Sync;

/// The tools of one server, as it listed them once.
pub struct McpToolbox {
    connection: Connection,
    tools: Vec<Tool>,
    rejected: Vec<RejectedTool>,
    progress: Option<Box<Progress>>,
}

impl McpToolbox {
    /// Asks the server for its tools. They are not asked for again; make a new toolbox for that.
    ///
    /// # Errors
    /// [`McpError`] when the list could not be had.
    pub async fn open(connection: Connection) -> Result<Self, McpError> {
        let list = connection.list_tools().await?;
        Ok(Self::new(connection, list))
    }

    /// The tools that the server of this connection listed before.
    #[must_use]
    pub fn new(connection: Connection, list: ToolList) -> Self {
        Self { connection, tools: list.tools, rejected: list.rejected, progress: None }
    }

    /// Has `hear` told how far each call has come, the tool's name first. Without it no progress is asked for.
    #[must_use]
    pub fn with_progress(
        mut self,
        hear: impl Fn(&str, ProgressNotificationParams) + Send + Sync + 'static,
    ) -> Self {
        self.progress = Some(Box::new(hear));
        self
    }

    /// The tools that the server listed and that cannot be called, and why.
    #[must_use]
    pub fn rejected(&self) -> &[RejectedTool] {
        &self.rejected
    }
}

#[async_trait]
impl Toolbox for McpToolbox {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    async fn call(
        &self,
        name: &str,
        mut arguments: Arguments,
        cancel: &CancellationToken,
    ) -> Result<CallToolResult, McpError> {
        let tool = self.tools.iter().find(|tool| tool.name == name);
        let repeatable = tool.is_some_and(|tool| Repetition::of(tool, &mut arguments).is_safe());
        let hear = self.progress.as_deref().map(|hear| move |progress| hear(name, progress));
        let progress = hear.as_ref().map(|hear| hear as &(dyn Fn(ProgressNotificationParams) + Send + Sync));
        let options = CallOptions { repeatable, cancel: cancel.clone(), progress, ..CallOptions::default() };
        self.connection.call_tool(name, arguments, options).await
    }
}

impl fmt::Debug for McpToolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpToolbox")
            .field("connection", &self.connection)
            .field("tools", &self.tools.len())
            .field("rejected", &self.rejected)
            .finish_non_exhaustive()
    }
}
