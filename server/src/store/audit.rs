//! The audit trail, as it is kept: appended to, never changed, and chained, so that a change shows.

use std::{borrow::Cow, sync::Arc};

use async_trait::async_trait;
use serde::Serialize;
use sha2::{Digest, Sha256};
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
    /// The caller had used up what it may call.
    Limited,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::ToolError,
        Self::InvalidArguments,
        Self::Denied,
        Self::UnknownTool,
        Self::TimedOut,
        Self::Failed,
        Self::InputRequired,
        Self::Cancelled,
        Self::Limited,
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
            Self::Limited => "limited",
        }
    }
}

/// The text names no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be one of ok, tool_error, invalid_arguments, denied, unknown_tool, timed_out, failed, input_required, \
     cancelled, limited"
)]
pub struct NotAnOutcome;

impl std::str::FromStr for Outcome {
    type Err = NotAnOutcome;

    fn from_str(text: &str) -> Result<Self, NotAnOutcome> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or(NotAnOutcome)
    }
}

/// As much as the members of nearly every record take, each with its length.
const USUAL_BYTES: usize = 512;

/// Who called which tool, and how it ended. Holds no argument, no result and no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When the call arrived.
    pub at: UnixMillis,
    /// The HTTP request's id, as the answer and the log name it.
    pub request_id: Arc<str>,
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
    pub client: Arc<str>,
    /// The name that was called, at most 128 characters of it.
    pub tool: Cow<'static, str>,
    /// SHA-256 of the arguments as they arrived.
    pub arguments_digest: [u8; 32],
    /// Which rule decided: the permission that was needed; empty where there was no such tool.
    pub rule: Cow<'static, str>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// The trace that the call is part of, where the caller said so (W3C Trace Context).
    pub trace: Option<[u8; 16]>,
}

impl AuditRecord {
    /// The hash of this record as number `seq`, after a record whose hash is `before`: SHA-256 over the hash before, the
    /// number, and every member, each after its length, so that no two records read the same.
    #[must_use]
    pub fn chained(&self, seq: i64, before: ChainHash) -> ChainHash {
        // Hashed at once: piece by piece costs more than the hashing does.
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        let mut put = |member: &[u8]| {
            bytes.extend_from_slice(&u64::try_from(member.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(member);
        };
        put(&before.0);
        put(&seq.to_be_bytes());
        put(&self.at.as_millis().to_be_bytes());
        put(self.request_id.as_bytes());
        put(&self.user.0.to_be_bytes());
        put(self.username.as_bytes());
        put(self.key.0.as_bytes());
        put(self.session.as_ref().map_or(&[], |session| session.0.as_slice()));
        put(self.protocol.as_str().as_bytes());
        put(self.client.as_bytes());
        put(self.tool.as_bytes());
        put(&self.arguments_digest);
        put(self.rule.as_bytes());
        put(self.outcome.as_str().as_bytes());
        put(&self.duration_us.to_be_bytes());
        put(self.trace.as_ref().map_or(&[], <[u8; 16]>::as_slice));
        ChainHash(Sha256::digest(&bytes).into())
    }
}

/// The hash of a record and of all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// What stands before the first record.
    pub const FIRST: Self = Self([0; 32]);
}

/// A record in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1.
    pub seq: i64,
    /// The record.
    pub record: AuditRecord,
    /// Its hash; records that were written before there was a chain have none.
    pub hash: Option<ChainHash>,
}

/// The lowest number above `after`, whatever stands there; `None` where there is none.
pub(in crate::store) fn first_after(after: Option<i64>) -> Option<i64> {
    after.map_or(Some(i64::MIN), |after| after.checked_add(1))
}

/// Which records are wanted; all of them where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those of this user.
    pub username: Option<String>,
    /// Those of this key.
    pub key: Option<KeyId>,
    /// Those of this tool.
    pub tool: Option<String>,
    /// Those that ended so.
    pub outcome: Option<Outcome>,
    /// Those from then on.
    pub since: Option<UnixMillis>,
}

impl AuditFilter {
    /// Whether a record is wanted.
    pub(in crate::store) fn lets_through(&self, record: &AuditRecord) -> bool {
        self.username.as_ref().is_none_or(|name| *name == record.username)
            && self.key.as_ref().is_none_or(|key| *key == record.key)
            && self.tool.as_deref().is_none_or(|tool| tool == &*record.tool)
            && self.outcome.is_none_or(|outcome| outcome == record.outcome)
            && self.since.is_none_or(|since| record.at >= since)
    }
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

    /// Waits until every record queued before this call is committed, and survives the loss of power, as does then every
    /// record that was read before this call, whichever process wrote it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn flush_audit(&self) -> Result<(), StoreError>;

    /// The newest `limit` records, newest first, of those committed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn latest_audit(&self, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let entries = self.audit_page(AuditFilter::default(), None, limit).await?;
        Ok(entries.into_iter().map(|entry| entry.record).collect())
    }

    /// The newest `limit` records that the filter lets through, newest first, of those committed; only those with a
    /// number below `before`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn audit_page(
        &self,
        filter: AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError>;

    /// The oldest `limit` records, oldest first; only those with a number above `after`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn audit_after(&self, after: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;
}
