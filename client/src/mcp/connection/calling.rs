//! Tool calls: how one is to be treated, and what came of it.

use std::{fmt, sync::PoisonError, time::Duration};

use reqwest::header::HeaderMap;
use serde_json::Value;
use shared::{
    jsonrpc::{ErrorCode, ErrorObject},
    mcp::{
        JsonObject, methods, parameter_headers::HeaderAnnotations, tools::CallToolResult,
        utilities::ProgressNotificationParams,
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    Connection, Spoken,
    peer::{Call, Patience},
};
use crate::mcp::{Arguments, McpError, TimedOut};

/// How one tool call is to be treated.
#[derive(Clone, Default)]
pub struct CallOptions<'a> {
    /// The call may run twice without harm ([`crate::mcp::Repetition::is_safe`]): it is sent again after the connection
    /// broke, the server failed or no answer came in time. Otherwise it is sent again only where it cannot have run.
    pub repeatable: bool,
    /// How long an attempt may take without an answer. Word of progress starts it anew, up to the limit for the call
    /// as a whole ([`crate::mcp::Timeouts::call`]). Without it the limits of the connection are all there are.
    pub timeout: Option<Duration>,
    /// Ends the call when cancelled: the server is told, and the call returns [`McpError::Cancelled`].
    pub cancel: CancellationToken,
    /// Hears how far the call has come. Progress is asked for where this or a timeout is given.
    pub progress: Option<&'a (dyn Fn(ProgressNotificationParams) + Send + Sync)>,
    /// The id of the trace that the call is part of (W3C Trace Context): the server is told, in `_meta`.
    pub trace: Option<[u8; 16]>,
}

impl fmt::Debug for CallOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions")
            .field("repeatable", &self.repeatable)
            .field("timeout", &self.timeout)
            .field("cancelled", &self.cancel.is_cancelled())
            .field("progress", &self.progress.is_some())
            .field("trace", &self.trace.is_some())
            .finish()
    }
}

impl Connection {
    /// Calls a tool. A tool that failed is a result (`is_error`), not an error. The arguments are sent as they were
    /// written, in every attempt.
    ///
    /// Dropping the future abandons the call without telling the server; [`CallOptions::cancel`] tells it.
    ///
    /// # Errors
    /// [`McpError`]; [`McpError::may_have_run`] says whether the tool may have run all the same.
    pub async fn call_tool(
        &self,
        name: &str,
        arguments: impl Into<Arguments>,
        options: CallOptions<'_>,
    ) -> Result<CallToolResult, McpError> {
        let mut params = JsonObject::new();
        params.insert("name".to_owned(), Value::from(name));
        let call = Call {
            method: methods::CALL_TOOL,
            params,
            arguments: Some(arguments.into()),
            repeatable: options.repeatable,
            timeout: options.timeout,
            progress: options.progress,
            trace: options.trace,
            meta: JsonObject::new(),
            headers: HeaderMap::new(),
        };
        let mut patience = self.shared.peer.patience(&options.cancel);
        let outcome = self.ask(call, &mut patience).await;
        outcome.map_err(|error| patience.concluded(error))
    }

    /// Which parameters of a tool are repeated in headers. The tools are listed for it if they never were, under the
    /// limits of the call.
    ///
    /// # Errors
    /// As [`Connection::list_for_a_call`].
    pub(super) async fn annotations_of(
        &self,
        tool: &str,
        patience: &Patience<'_>,
    ) -> Result<Option<HeaderAnnotations>, McpError> {
        let Spoken::Stateless { annotations, .. } = &self.shared.era else { return Ok(None) };
        let known = || {
            let known = annotations.read().unwrap_or_else(PoisonError::into_inner);
            known.as_ref().map(|known| known.get(tool).cloned())
        };
        if known().is_none() {
            self.list_for_a_call(patience).await?;
        }
        Ok(known().flatten())
    }

    /// Lists the tools before a call is sent, under its limits.
    ///
    /// # Errors
    /// [`McpError::Cancelled`] and [`McpError::TimedOut`] as the call has them. Whatever else happens, the call has not
    /// run.
    pub(super) async fn list_for_a_call(&self, patience: &Patience<'_>) -> Result<(), McpError> {
        match self.list_tools_within(&mut patience.afresh()).await {
            Ok(_) => Ok(()),
            Err(error @ (McpError::Cancelled | McpError::TimedOut(TimedOut::Call))) => Err(error),
            Err(error) if !error.may_have_run() => Err(error),
            Err(error) => {
                let text = format!("its tools could not be listed: {error}");
                Err(McpError::Rpc(ErrorObject::new(ErrorCode::INVALID_REQUEST, text)))
            }
        }
    }
}
