//! The tool calls of one reply, carried out: reads that stand next to each other at once, everything else one after
//! another, results in the model's order.

use std::{sync::OnceLock, time::Duration};

use futures_util::{StreamExt, stream};
use shared::mcp::tools::{CallToolResult, Tool};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    AgentError, AgentEvent, Observer, Toolbox,
    planning::{Plan, Step},
    wording,
};
use crate::mcp::{Arguments, McpError, Repetition};

/// How long a cancelled call may take to tell its server before it is dropped.
const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// The calls of one reply.
pub(super) struct ToolTurn<'a> {
    toolbox: &'a dyn Toolbox,
    parallel_reads: usize,
    observer: &'a dyn Observer,
    cancel: &'a CancellationToken,
    /// The error that ends the question; calls that have not begun by then never begin.
    fatal: OnceLock<McpError>,
}

impl<'a> ToolTurn<'a> {
    pub(super) const fn new(
        toolbox: &'a dyn Toolbox,
        parallel_reads: usize,
        observer: &'a dyn Observer,
        cancel: &'a CancellationToken,
    ) -> Self {
        Self { toolbox, parallel_reads, observer, cancel, fatal: OnceLock::new() }
    }

    /// Carries the plans out. There is one result for each plan, in their order, whatever happens.
    pub(super) async fn run(&self, plans: &[Plan<'_>]) -> Vec<CallToolResult> {
        let mut results = Vec::with_capacity(plans.len());
        for group in plans.chunk_by(|one, next| one.is_parallel() && next.is_parallel()) {
            let calls: Vec<_> = group.iter().map(|plan| self.carry_out(plan)).collect();
            let ended: Vec<_> = stream::iter(calls).buffered(self.parallel_reads.max(1)).collect().await;
            results.extend(ended);
        }
        results
    }

    /// How the turn ended: the question goes on, or why it does not.
    pub(super) fn end(self) -> Result<(), AgentError> {
        if let Some(error) = self.fatal.into_inner() {
            return Err(AgentError::Server(error));
        }
        if self.cancel.is_cancelled() { Err(AgentError::Cancelled) } else { Ok(()) }
    }

    async fn carry_out(&self, plan: &Plan<'_>) -> CallToolResult {
        if self.cancel.is_cancelled() || self.fatal.get().is_some() {
            return wording::never_begun();
        }
        let (id, name, arguments) = (&plan.call.id, &plan.call.name, &plan.call.arguments);
        self.observer.on(&AgentEvent::ToolCallStarted { id, name, arguments });
        let began = Instant::now();
        let result = match &plan.step {
            Step::Run { tool, arguments, readers } => self.call(tool, arguments.clone(), readers).await,
            Step::Tell(result) => result.clone(),
        };
        let elapsed = began.elapsed();
        self.observer.on(&AgentEvent::ToolCallFinished { id, name, arguments, result: &result, elapsed });
        result
    }

    async fn call(&self, tool: &Tool, mut arguments: Arguments, readers: &[Tool]) -> CallToolResult {
        let repetition = Repetition::of(tool, &mut arguments);
        let outcome = tokio::select! {
            biased;
            outcome = self.toolbox.call(&tool.name, arguments, self.cancel) => outcome,
            () = self.out_of_patience() => Err(McpError::Cancelled),
        };
        let error = match outcome {
            Ok(result) => return result,
            Err(error) => error,
        };
        let result = wording::no_result(tool, &error, &repetition, readers);
        if ends_question(&error) {
            // The first one is kept; those of calls beside it say the same.
            drop(self.fatal.set(error));
        }
        result
    }

    async fn out_of_patience(&self) {
        self.cancel.cancelled().await;
        tokio::time::sleep(CANCEL_GRACE).await;
    }
}

/// Whether nothing that a model could do would help.
const fn ends_question(error: &McpError) -> bool {
    match error {
        McpError::Unauthorized(_)
        | McpError::NoCredentials(_)
        | McpError::Forbidden(_)
        | McpError::Unreachable { .. } => true,
        McpError::NotMcp { .. }
        | McpError::Protocol(_)
        | McpError::Rpc(_)
        | McpError::Busy { .. }
        | McpError::ServerFailed { .. }
        | McpError::TimedOut(_)
        | McpError::Broken(_)
        | McpError::SessionEnded
        | McpError::Cancelled => false,
    }
}
