//! What is recorded: one record of every tool call, however it ended, and [`Refusals`] of what came to no tool.

use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use shared::mcp::ProtocolVersion;

use crate::{
    clock::UnixMillis,
    identity::{Permission, Principal},
    metrics::Metrics,
    store::{AuditRecord, Outcome, SessionHash, Store, StoreError},
    text,
};

pub mod chain;
mod refusals;
mod told;

pub use refusals::{REFUSED, Refusals, RefusedRequest, Sender};
pub use told::Told;

/// What calls of tools that there are not are counted by.
const NO_SUCH_TOOL: &str = "(unknown)";

/// How much of a tool's name is kept, in characters: names that callers make up can be of any length.
const TOOL_NAME_MAX: usize = 128;

/// A tool call that began.
#[derive(Debug)]
pub struct CallBegun {
    at: UnixMillis,
    started: Instant,
    tool: Cow<'static, str>,
    counted: &'static str,
    arguments_digest: [u8; 32],
}

impl CallBegun {
    /// Notes a call of a tool or a method of ours that arrives now, with its arguments as they arrived; `""` where there
    /// are none.
    #[must_use]
    pub fn of(tool: &'static str, arguments: &str) -> Self {
        Self::begin(tool.into(), tool, arguments)
    }

    /// Notes a call of a tool that there is not. What in the name could move a cursor is kept as `?`.
    #[must_use]
    pub fn unknown(tool: &str, arguments: &str) -> Self {
        Self::begin(shown(tool).into(), NO_SUCH_TOOL, arguments)
    }

    /// Notes that a method of ours is asked for something by a name, which is kept likewise, and not counted by.
    #[must_use]
    pub fn named(method: &'static str, name: &str, arguments: &str) -> Self {
        Self::begin(shown(&format!("{method} {name}")).into(), method, arguments)
    }

    fn begin(tool: Cow<'static, str>, counted: &'static str, arguments: &str) -> Self {
        let arguments_digest = Sha256::digest(arguments).into();
        Self { at: UnixMillis::now(), started: Instant::now(), tool, counted, arguments_digest }
    }

    /// What was called.
    #[must_use]
    pub fn tool(&self) -> &str {
        &self.tool
    }
}

/// As much of a name that somebody made up as is kept.
fn shown(name: &str) -> String {
    name.chars().take(TOOL_NAME_MAX).map(visible).collect()
}

/// A character of a name that somebody made up, or `?` where it could disturb what shows it.
fn visible(char: char) -> char {
    if text::is_plain(char) { char } else { '?' }
}

/// Who called, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Whom the key speaks for.
    pub principal: &'a Principal,
    /// The HTTP request's id.
    pub request_id: &'a Arc<str>,
    /// The session, where there is one.
    pub session: Option<SessionHash>,
    /// The revision that is spoken.
    pub protocol: ProtocolVersion,
    /// `clientInfo` in short.
    pub client: &'a Arc<str>,
    /// The trace that it is part of.
    pub trace: Option<[u8; 16]>,
}

/// The audit trail's writing side: counts each call and hands its record to the store.
pub struct AuditTrail {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

impl AuditTrail {
    /// A trail that is kept in `store` and counted in `metrics`.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    /// Records how a call ended, and counts it: as failed where it cannot be recorded. Returns when the record is queued, which
    /// waits while the queue is full.
    ///
    /// # Errors
    /// When it cannot be recorded. The caller must then withhold what the call returned.
    pub async fn record(&self, call: &Call, origin: Origin<'_>, outcome: Outcome) -> Result<(), StoreError> {
        let took = call.begun.started.elapsed();
        let appended = self.store.append_audit(call.record_after(took, origin, outcome)).await;
        let told = if appended.is_ok() { outcome } else { Outcome::Failed };
        self.metrics.observe_tool_call(call.begun.counted, told, took);
        appended
    }

    /// Counts a call whose record was committed with what it did.
    pub fn count(&self, call: &Call) {
        self.metrics.observe_tool_call(call.begun.counted, Outcome::Ok, call.begun.started.elapsed());
    }
}

/// A call and what decided about it.
#[derive(Debug)]
pub struct Call {
    /// What was called, and when.
    pub begun: CallBegun,
    /// The permission that decided; `None` where there was no such tool.
    pub needed: Option<Permission>,
}

impl Call {
    /// The record of this call, if it ended so now.
    #[must_use]
    pub fn record(&self, origin: Origin<'_>, outcome: Outcome) -> AuditRecord {
        self.record_after(self.begun.started.elapsed(), origin, outcome)
    }

    fn record_after(&self, took: Duration, origin: Origin<'_>, outcome: Outcome) -> AuditRecord {
        AuditRecord {
            at: self.begun.at,
            request_id: Arc::clone(origin.request_id),
            user: origin.principal.user(),
            username: origin.principal.username().to_owned(),
            key: origin.principal.key().clone(),
            session: origin.session,
            protocol: origin.protocol,
            client: Arc::clone(origin.client),
            tool: self.begun.tool.clone(),
            arguments_digest: self.begun.arguments_digest,
            rule: self.needed.map_or("", Permission::as_str).into(),
            outcome,
            duration_us: i64::try_from(took.as_micros()).unwrap_or(i64::MAX),
            trace: origin.trace,
        }
    }
}

impl fmt::Debug for AuditTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditTrail")
    }
}
