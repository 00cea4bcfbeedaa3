//! One connection to one MCP server: opened with `initialize`, used for any number of calls at once, closed with
//! DELETE.
//!
//! [`peer`] gets one request answered and [`hearing`] hears what comes before the response; [`session`] holds the session
//! and opens it again when the server forgot it; [`listing`] reads `tools/list`.

mod hearing;
mod listing;
mod peer;
mod session;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};
use shared::mcp::{
    JsonObject, lifecycle::InitializeResult, methods, tools::CallToolResult,
    utilities::ProgressNotificationParams,
};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

pub use self::listing::{RejectedTool, ToolList};
use self::{
    peer::{Call, Patience, Peer},
    session::Sessions,
};
use super::{
    ConnectOptions, Endpoint, McpError,
    exchange::{Failure, shown_session},
};

/// A connection to one MCP server. Cloning is cheap and gives the same connection; every method may be called by any
/// number of tasks at once.
///
/// Dropping the last clone sends nothing: the session then lives at the server until it expires. [`Connection::close`]
/// ends it. Nothing in a connection grows with the number of calls.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    peer: Peer,
    sessions: Sessions,
    closing: AtomicBool,
}

/// How one tool call is to be treated.
#[derive(Clone, Default)]
pub struct CallOptions<'a> {
    /// The call may run twice without harm ([`shared::mcp::tools::Tool::is_safe_to_repeat`]): it is sent again after
    /// the connection broke or the server failed. Otherwise it is sent again only where it cannot have run.
    pub repeatable: bool,
    /// Ends the call when cancelled: the server is told, and the call returns [`McpError::Cancelled`].
    pub cancel: CancellationToken,
    /// Hears how far the call has come. Without it no progress is asked for.
    pub progress: Option<&'a (dyn Fn(ProgressNotificationParams) + Send + Sync)>,
}

impl fmt::Debug for CallOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions")
            .field("repeatable", &self.repeatable)
            .field("cancelled", &self.cancel.is_cancelled())
            .field("progress", &self.progress.is_some())
            .finish()
    }
}

impl Connection {
    /// Opens a connection: `initialize`, then `notifications/initialized` (specification, "Lifecycle").
    ///
    /// # Errors
    /// [`McpError::Unauthorized`], [`McpError::Unreachable`], [`McpError::NotMcp`] and the others that a call has;
    /// [`McpError::Protocol`] also when the server speaks no revision that this client speaks.
    pub async fn open(endpoint: Endpoint, options: ConnectOptions) -> Result<Self, McpError> {
        let peer = Peer::new(endpoint, options)?;
        let never = CancellationToken::new();
        let session = peer.initialize(&mut peer.patience(&never)).await?;
        let sessions = Sessions::new(session);
        Ok(Self { shared: Arc::new(Shared { peer, sessions, closing: AtomicBool::new(false) }) })
    }

    /// What the server said of itself when the present session was opened. Texts in it are the server's.
    #[must_use]
    pub fn server(&self) -> InitializeResult {
        self.shared.sessions.current().server.clone()
    }

    /// The present session, for people: a prefix of its id that tells two sessions apart and opens neither. `None`
    /// at servers that keep no session.
    #[must_use]
    pub fn session_id(&self) -> Option<String> {
        let session = self.shared.sessions.current();
        session.headers.id.as_ref().and_then(|id| id.to_str().ok()).map(shown_session)
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    /// [`McpError`] when no answer came.
    pub async fn ping(&self) -> Result<(), McpError> {
        let never = CancellationToken::new();
        let mut patience = self.shared.peer.patience(&never);
        self.ask::<JsonObject>(Call::repeatable(methods::PING, JsonObject::new()), &mut patience).await?;
        Ok(())
    }

    /// Every tool of the server, all pages of them. A definition that is malformed is left out and said to be, and
    /// the rest is kept.
    ///
    /// # Errors
    /// [`McpError`] when a page could not be had; [`McpError::Protocol`] also when the pages never end.
    pub async fn list_tools(&self) -> Result<ToolList, McpError> {
        let never = CancellationToken::new();
        let mut patience = self.shared.peer.patience(&never);
        let mut listing = listing::Listing::default();
        let mut cursor = None;
        loop {
            let params =
                cursor.into_iter().map(|cursor| ("cursor".to_owned(), Value::String(cursor))).collect();
            patience.renew_attempts();
            let page = self.ask(Call::repeatable(methods::LIST_TOOLS, params), &mut patience).await?;
            cursor = listing.add(page)?;
            if cursor.is_none() {
                return Ok(listing.finish());
            }
        }
    }

    /// Calls a tool. A tool that failed is a result (`is_error`), not an error.
    ///
    /// Dropping the future abandons the call without telling the server; [`CallOptions::cancel`] tells it.
    ///
    /// # Errors
    /// [`McpError`]; [`McpError::may_have_run`] says whether the tool may have run all the same.
    pub async fn call_tool(
        &self,
        name: &str,
        arguments: JsonObject,
        options: CallOptions<'_>,
    ) -> Result<CallToolResult, McpError> {
        let mut params = JsonObject::new();
        params.insert("name".to_owned(), Value::from(name));
        params.insert("arguments".to_owned(), Value::Object(arguments));
        let call = Call {
            method: methods::CALL_TOOL,
            params,
            repeatable: options.repeatable,
            progress: options.progress,
        };
        let mut patience = self.shared.peer.patience(&options.cancel);
        self.ask(call, &mut patience).await
    }

    /// Ends the session at the server, within seconds. Calls that are under way may still end; later ones fail with
    /// [`McpError::SessionEnded`]. Closing again does nothing.
    ///
    /// # Errors
    /// [`McpError`] when the server could not be told; the session then lives there until it expires. A server that
    /// does not let clients end sessions (405), or has ended it already (404), is no error.
    pub async fn close(&self) -> Result<(), McpError> {
        if self.shared.closing.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let peer = &self.shared.peer;
        let ending = async {
            // Waits for a session that is just being opened again, so that it is this one that ends.
            let session = self.shared.sessions.last().await;
            match &session.headers.id {
                Some(_) => peer.end(&session.headers).await,
                None => Ok(()),
            }
        };
        let limit = peer.closing_limit();
        timeout(limit, ending).await.unwrap_or(Err(McpError::TimedOut(super::TimedOut::Call)))
    }

    /// Gets one request answered; opens the session again, once, if the server forgot it.
    async fn ask<R: DeserializeOwned>(
        &self,
        mut call: Call<'_>,
        patience: &mut Patience<'_>,
    ) -> Result<R, McpError> {
        let Shared { peer, sessions, closing } = &*self.shared;
        let mut session = sessions.current();
        let mut was_unknown = false;
        loop {
            if closing.load(Ordering::Acquire) {
                return Err(McpError::SessionEnded);
            }
            match peer.call(Some(&session.headers), &mut call, patience).await {
                Ok(answered) => return read(call.method, &answered.result, peer),
                Err(Failure::Error { error, .. }) => return Err(error),
                Err(Failure::SessionUnknown) if was_unknown => return Err(McpError::SessionEnded),
                Err(Failure::SessionUnknown) => {
                    // The server refused the session, so the call did not run.
                    was_unknown = true;
                    session = sessions.reopen(&session, peer, patience, closing).await?;
                }
            }
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("url", &self.shared.peer.url())
            .field("server", &self.shared.sessions.current().server.server_info.name)
            .field("session", &self.session_id())
            .finish()
    }
}

/// Reads a result as what the method answers with.
fn read<R: DeserializeOwned>(method: &str, result: &RawValue, peer: &Peer) -> Result<R, McpError> {
    serde_json::from_str(result.get()).map_err(|error| {
        McpError::Protocol(format!("the result of {method} is malformed: {}", peer.quote(&error.to_string())))
    })
}

/// When a call that begins now has to have ended.
fn deadline(limit: std::time::Duration) -> Instant {
    // Limits beyond what a clock can hold mean "no limit": a century will do.
    const CENTURY: std::time::Duration = std::time::Duration::from_secs(100 * 365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(limit.min(CENTURY)).unwrap_or(now)
}
