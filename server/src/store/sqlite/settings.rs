//! How patient the engine is.

use std::time::Duration;

/// How much the engine queues and how long it waits. The default suits a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteSettings {
    /// How many writes may be queued; whoever comes then waits for a place.
    pub queue: usize,
    /// How long writes that nobody waits for gather before they are committed; well within the 100 ms that
    /// [`AuditStore::append_audit`](crate::store::AuditStore::append_audit) promises.
    pub linger: Duration,
    /// How long to wait for a lock that another process holds.
    pub patience: Duration,
}

impl Default for SqliteSettings {
    fn default() -> Self {
        Self { queue: 8_192, linger: Duration::from_millis(40), patience: Duration::from_secs(5) }
    }
}
