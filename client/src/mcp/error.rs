//! Why a call gave no result, sorted by what its caller can do about it.

use std::time::Duration;

use shared::jsonrpc::ErrorObject;

/// Which limit a call ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimedOut {
    /// No connection in time: nothing was sent.
    Connect,
    /// The request was sent and no answer began.
    FirstByte,
    /// An answer began and then nothing more came.
    Idle,
    /// Neither an answer nor word of progress within the time that the caller gave to one attempt.
    Progress,
    /// The call as a whole took too long.
    Call,
}

/// Why a call gave no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum McpError {
    /// The server refused the key, or wants one, or another (401, and 403 with `WWW-Authenticate`). Never repeated.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// What was to be shown to the server instead of a key, a token or a certificate, cannot be read: nothing was sent.
    #[error("{0}")]
    NoCredentials(String),
    /// The server refuses the request and says nothing of a key (403): whom it is for or where it comes from may be
    /// why. Never repeated.
    #[error("the server refuses the request: {0}")]
    Forbidden(String),
    /// No server there: refused, unresolvable, or no connection in time. The request did not run.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// The endpoint.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// Something answers there, but not an MCP endpoint: the wrong path, a redirect, a web page.
    #[error("{url} is not an MCP endpoint: {reason}")]
    NotMcp {
        /// The endpoint.
        url: String,
        /// What answered instead.
        reason: String,
    },
    /// The server is an MCP server and broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// The server answered with a JSON-RPC error. Nothing ran if its code says so; any other may have come in the middle.
    #[error("the server {what}: {0}", what = if .0.code.says_nothing_ran() { "refused the request" } else { "reported an error" })]
    Rpc(ErrorObject),
    /// The server is at a limit (429, or a JSON-RPC error under 503 with `Retry-After`) and retrying as it asked did not
    /// help: nothing ran.
    #[error("the server is busy; {}", match retry_after { Some(wait) => format!("it asks to wait {} s", wait.as_secs()), None => "try again later".to_owned() })]
    Busy {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The server, or what stands before it, answered with 5xx or gave up waiting (408): the call may have run.
    #[error("the server failed with HTTP status {status}")]
    ServerFailed {
        /// The HTTP status.
        status: u16,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// A limit of ours was reached. The call was cancelled at the server as far as that goes.
    #[error("timed out: {}", match .0 {
        TimedOut::Connect => "no connection",
        TimedOut::FirstByte => "no answer began",
        TimedOut::Idle => "the answer stopped in the middle",
        TimedOut::Progress => "no answer and no progress",
        TimedOut::Call => "the call took too long",
    })]
    TimedOut(TimedOut),
    /// The connection broke after the request was sent and before its answer was complete: the call may have run.
    #[error("the connection broke before the answer: {0}")]
    Broken(String),
    /// The session is gone and could not be opened again, or the call could not be repeated safely in a new one.
    #[error("the session has ended")]
    SessionEnded,
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl McpError {
    /// Whether the request may have run at the server although no result came back.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Rpc(error) => !error.code.says_nothing_ran(),
            Self::TimedOut(TimedOut::Connect)
            | Self::Unauthorized(_)
            | Self::NoCredentials(_)
            | Self::Forbidden(_)
            | Self::Unreachable { .. }
            | Self::NotMcp { .. }
            | Self::Busy { .. }
            | Self::SessionEnded => false,
            Self::TimedOut(TimedOut::FirstByte | TimedOut::Idle | TimedOut::Progress | TimedOut::Call)
            | Self::Protocol(_)
            | Self::ServerFailed { .. }
            | Self::Broken(_)
            | Self::Cancelled => true,
        }
    }

    /// Why the request was given up although an answer may still come, in words for the server; `None` where it was not.
    pub(super) const fn why_given_up(&self) -> Option<&'static str> {
        match self {
            Self::Cancelled => Some("cancelled by the caller"),
            Self::TimedOut(TimedOut::FirstByte | TimedOut::Idle | TimedOut::Progress | TimedOut::Call) => {
                Some("timed out")
            }
            Self::TimedOut(TimedOut::Connect)
            | Self::Unauthorized(_)
            | Self::NoCredentials(_)
            | Self::Forbidden(_)
            | Self::Unreachable { .. }
            | Self::NotMcp { .. }
            | Self::Protocol(_)
            | Self::Rpc(_)
            | Self::Busy { .. }
            | Self::ServerFailed { .. }
            | Self::Broken(_)
            | Self::SessionEnded => None,
        }
    }
}
