//! One connection to one MCP server: opened with `initialize` and closed with DELETE, or, where no session is needed,
//! neither; used for any number of calls at once.
//!
//! [`peer`] gets one request answered, [`hearing`] hears what comes before the response, [`replying`] answers what the
//! server asks there, [`replies`] several such requests at once, and [`listening`] hears what it says unasked. A stream
//! that ended is opened again as [`reopening`] says. [`session`] holds the session and opens it again when the server
//! forgot it; [`stateless`] does without. [`calling`] calls tools, within the time that [`stopwatch`] counts. [`pages`]
//! reads a list to its end: that of the tools for [`listing`], the others for [`offers`].

mod calling;
mod hearing;
mod listening;
mod listing;
mod offers;
mod pages;
mod peer;
mod reopening;
mod replies;
mod replying;
mod session;
mod stateless;
mod stopwatch;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, LazyLock, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};
use shared::{
    jsonrpc::ErrorCode,
    mcp::{JsonObject, lifecycle::InitializeResult, methods, parameter_headers::HeaderAnnotations},
};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

pub use self::{
    calling::CallOptions,
    listing::{RejectedTool, ToolList},
};
use self::{
    peer::{Call, Patience, Peer},
    session::Sessions,
    stateless::Verdict,
};
use super::{
    ConnectOptions, Endpoint, Era, McpError,
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
    peer: Arc<Peer>,
    era: Spoken,
    closing: AtomicBool,
}

/// How a server is spoken to.
enum Spoken {
    /// In sessions, the present one among them.
    Sessions(Sessions),
    /// Without.
    Stateless {
        server: Box<InitializeResult>,
        /// Which parameters of which tools are repeated in headers; `None` before tools were listed.
        annotations: RwLock<Option<HashMap<String, HeaderAnnotations>>>,
    },
}

/// What was found out of servers that were asked which era they speak, by URL.
static SPOKEN_AT: LazyLock<Mutex<HashMap<String, Era>>> = LazyLock::new(Mutex::default);

impl Connection {
    /// Opens a connection: `initialize`, then `notifications/initialized` (specification, "Lifecycle").
    ///
    /// # Errors
    /// [`McpError::Unauthorized`], [`McpError::NoCredentials`], [`McpError::Forbidden`], [`McpError::Unreachable`],
    /// [`McpError::NotMcp`] and the others that a call has; [`McpError::Protocol`] also when the server speaks no
    /// revision that this client speaks.
    pub async fn open(endpoint: Endpoint, options: ConnectOptions) -> Result<Self, McpError> {
        let era = options.era;
        let peer = Arc::new(Peer::new(endpoint, options)?);
        let never = CancellationToken::new();
        let mut patience = peer.patience(&never);
        let era = match era {
            Era::Sessions => Spoken::Sessions(Sessions::new(peer.initialize(&mut patience).await?)),
            Era::Stateless => Spoken::stateless(peer.discover(&mut patience).await.map_err(no_such_era)?),
            Era::Auto => Spoken::found_out(&peer, &mut patience).await?,
        };
        Ok(Self { shared: Arc::new(Shared { peer, era, closing: AtomicBool::new(false) }) })
    }

    /// What the server said of itself when the present session was opened. Texts in it are the server's.
    #[must_use]
    pub fn server(&self) -> InitializeResult {
        match &self.shared.era {
            Spoken::Sessions(sessions) => sessions.current().server.clone(),
            Spoken::Stateless { server, .. } => (**server).clone(),
        }
    }

    /// The present session, for people: a prefix of its id that tells two sessions apart and opens neither. `None`
    /// at servers that keep no session.
    #[must_use]
    pub fn session_id(&self) -> Option<String> {
        let Spoken::Sessions(sessions) = &self.shared.era else { return None };
        let session = sessions.current();
        session.headers.id.as_ref().and_then(|id| id.to_str().ok()).map(shown_session)
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    /// [`McpError`] when no answer came.
    pub async fn ping(&self) -> Result<(), McpError> {
        let never = CancellationToken::new();
        let mut patience = self.shared.peer.patience(&never);
        match &self.shared.era {
            Spoken::Sessions(_) => {
                let call = Call::repeatable(methods::PING, JsonObject::new());
                self.ask::<JsonObject>(call, &mut patience).await.map(drop)
            }
            // There is no `ping` any more.
            Spoken::Stateless { .. } => self.shared.peer.discover(&mut patience).await.map(drop),
        }
    }

    /// Every tool of the server, all pages of them. A definition that is malformed is left out and said to be, and
    /// the rest is kept.
    ///
    /// # Errors
    /// [`McpError`] when a page could not be had; [`McpError::Protocol`] also when the pages never end.
    pub async fn list_tools(&self) -> Result<ToolList, McpError> {
        let never = CancellationToken::new();
        self.list_tools_within(&mut self.shared.peer.patience(&never)).await
    }

    /// As [`Connection::list_tools`], under the limits of a caller.
    async fn list_tools_within(&self, patience: &mut Patience<'_>) -> Result<ToolList, McpError> {
        let begin = || match &self.shared.era {
            Spoken::Sessions(_) => listing::Listing::default(),
            Spoken::Stateless { .. } => listing::Listing::with_headers(),
        };
        let listing = self.all_pages(methods::LIST_TOOLS, patience, begin, listing::Listing::add).await?;
        let (list, found) = listing.finish();
        if let Spoken::Stateless { annotations, .. } = &self.shared.era {
            *annotations.write().unwrap_or_else(PoisonError::into_inner) = Some(found);
        }
        Ok(list)
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
            let Spoken::Sessions(sessions) = &self.shared.era else { return Ok(()) };
            // Waits for a session that is just being opened again, so that it is this one that ends.
            let session = sessions.last().await;
            match &session.headers.id {
                Some(_) => peer.end(&session.headers).await,
                None => Ok(()),
            }
        };
        let limit = peer.closing_limit();
        timeout(limit, ending).await.unwrap_or(Err(McpError::TimedOut(super::TimedOut::Call)))
    }

    /// Gets one request answered without a session; from memory, where the server said how long it may be kept.
    async fn ask_stateless<R: DeserializeOwned>(
        &self,
        mut call: Call<'_>,
        patience: &mut Patience<'_>,
    ) -> Result<R, McpError> {
        let Shared { peer, closing, .. } = &*self.shared;
        if closing.load(Ordering::Acquire) {
            return Err(McpError::SessionEnded);
        }
        let method = call.method;
        let may_be_kept = KEPT.contains(&method);
        let asked = Value::Object(call.params.clone()).to_string();
        if may_be_kept && let Some(kept) = peer.cache.fresh(method, &asked) {
            return read(method, &kept, peer);
        }
        let tool = call.params.get("name").and_then(Value::as_str).map(str::to_owned);
        let tool = tool.filter(|_| method == methods::CALL_TOOL);
        let mut annotations = match &tool {
            Some(tool) => Box::pin(self.annotations_of(tool, patience)).await?,
            None => None,
        };
        let mut answered = peer.call_stateless(&mut call, annotations.as_ref(), patience).await;
        if let (Some(tool), Err(McpError::Rpc(error))) = (&tool, &answered)
            && error.code == ErrorCode::HEADER_MISMATCH
        {
            // The tool wants other parameters repeated than it did when it was listed. Nothing has run.
            peer.cache.forget(&[methods::LIST_TOOLS]);
            Box::pin(self.list_for_a_call(patience)).await?;
            annotations = Box::pin(self.annotations_of(tool, patience)).await?;
            answered = peer.call_stateless(&mut call, annotations.as_ref(), patience).await;
        }
        let result = answered?;
        if may_be_kept && !stateless::is_later_round(&call.params) {
            peer.cache.keep(method, asked, &result);
        }
        read(method, &result, peer)
    }

    /// Gets one request answered; opens the session again, once, if the server forgot it.
    async fn ask<R: DeserializeOwned>(
        &self,
        mut call: Call<'_>,
        patience: &mut Patience<'_>,
    ) -> Result<R, McpError> {
        let Shared { peer, era, closing } = &*self.shared;
        let sessions = match era {
            Spoken::Sessions(sessions) => sessions,
            Spoken::Stateless { .. } => return self.ask_stateless(call, patience).await,
        };
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
            .field("server", &self.server().server_info.name)
            .field("session", &self.session_id())
            .finish()
    }
}

/// Reads a page of `tools/list`: how many tools it has that can be called, and how many that cannot.
#[cfg(fuzzing)]
pub(super) fn read_tool_page(json: &str) -> Option<(usize, usize)> {
    let mut listing = listing::Listing::with_headers();
    listing.add(serde_json::from_str(json).ok()?).ok()?;
    let (list, _) = listing.finish();
    Some((list.tools.len(), list.rejected.len()))
}

/// The methods whose results may be kept.
const KEPT: [&str; 5] = [
    methods::LIST_TOOLS,
    methods::LIST_RESOURCES,
    methods::LIST_RESOURCE_TEMPLATES,
    methods::READ_RESOURCE,
    methods::LIST_PROMPTS,
];

impl Spoken {
    fn stateless(server: InitializeResult) -> Self {
        Self::Stateless { server: Box::new(server), annotations: RwLock::default() }
    }

    /// Finds out which era the server speaks: the newer one is tried first, unless it is known that it is the other.
    async fn found_out(peer: &Arc<Peer>, patience: &mut Patience<'_>) -> Result<Self, McpError> {
        let known = || SPOKEN_AT.lock().unwrap_or_else(PoisonError::into_inner);
        let has_sessions = known().get(peer.url()) == Some(&Era::Sessions);
        if !has_sessions {
            match peer.discover(patience).await {
                Ok(server) => return Ok(Self::stateless(server)),
                Err(error) => match stateless::verdict(&error) {
                    Verdict::Refused => return Err(error),
                    Verdict::HasSessions => {
                        tracing::debug!(reason = %error, "the server does not speak without sessions");
                    }
                },
            }
            patience.renew_attempts();
        }
        let session = peer.initialize(patience).await?;
        known().insert(peer.url().to_owned(), Era::Sessions);
        Ok(Self::Sessions(Sessions::new(session)))
    }
}

/// Says what to do about a server that does not speak without sessions. One that failed has said nothing of that, and may
/// be asked again.
fn no_such_era(error: McpError) -> McpError {
    let has_failed = matches!(&error, McpError::ServerFailed { .. })
        || matches!(&error, McpError::Rpc(error) if error.code == ErrorCode::INTERNAL_ERROR);
    match stateless::verdict(&error) {
        Verdict::HasSessions if !has_failed => McpError::Protocol(format!(
            "it does not speak 2026-07-28 ({error}); `--protocol auto` finds out what it speaks"
        )),
        Verdict::HasSessions | Verdict::Refused => error,
    }
}

/// Reads a result as what the method answers with.
fn read<R: DeserializeOwned>(method: &str, result: &RawValue, peer: &Peer) -> Result<R, McpError> {
    if !result.get().starts_with('{') {
        // Serde would read the members of a list one after the other.
        return Err(McpError::Protocol(format!("the result of {method} is no object")));
    }
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
