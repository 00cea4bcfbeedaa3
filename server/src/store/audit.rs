//! The audit trail, as it is kept: appended to, never changed.

use async_trait::async_trait;
use serde::Serialize;
use shared::mcp::ProtocolVersion;

use super::{KeyId, SessionHash, StoreError, UserId};
use crate::clock::UnixMillis;

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The tool answered.
    Ok,
    /// The tool answered with a tool error.
    ToolError,
    /// The arguments were not what the tool takes.
    InvalidArguments,
    /// The principal may not call it.
    Denied,
    /// There is no such tool.
    UnknownTool,
    /// It took too long.
    TimedOut,
    /// The tool failed in a way that is our fault.
    Failed,
    /// The tool asked, and the answer comes with the repeated call.
    InputRequired,
    /// Nobody wanted the answer any more.
    Cancelled,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::ToolError,
        Self::InvalidArguments,
        Self::Denied,
        Self::UnknownTool,
        Self::TimedOut,
        Self::Failed,
        Self::InputRequired,
        Self::Cancelled,
    ];

    /// Its name, as it is stored, logged and counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::InvalidArguments => "invalid_arguments",
            Self::Denied => "denied",
            Self::UnknownTool => "unknown_tool",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
            Self::InputRequired => "input_required",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Who called which tool, and how it ended. Holds no argument, no result and no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When the call arrived.
    pub at: UnixMillis,
    /// The HTTP request's id, as the answer and the log name it.
    pub request_id: String,
    /// Who called.
    pub user: UserId,
    /// That user's name.
    pub username: String,
    /// With which key.
    pub key: KeyId,
    /// In which session.
    pub session: Option<SessionHash>,
    /// Under which revision of the protocol.
    pub protocol: ProtocolVersion,
    /// `clientInfo` in short.
    pub client: String,
    /// The name that was called, at most 128 characters of it.
    pub tool: String,
    /// SHA-256 of the arguments as they arrived.
    pub arguments_digest: [u8; 32],
    /// Which rule decided: the permission that was needed; empty where there was no such tool.
    pub rule: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, in microseconds.
    pub duration_us: i64,
}

/// The audit trail.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Appends a record, written behind: it returns when the record is queued, which waits while the queue is full, and
    /// the record is committed within 100 ms. Nothing that was queued is dropped; `Store::close` writes the rest.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the queue no longer writes.
    async fn append_audit(&self, record: AuditRecord) -> Result<(), StoreError>;

    /// Waits until every record queued before this call is committed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn flush_audit(&self) -> Result<(), StoreError>;

    /// The newest `limit` records, newest first, of those committed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn latest_audit(&self, limit: u32) -> Result<Vec<AuditRecord>, StoreError>;
}
