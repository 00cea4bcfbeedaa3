//! Idempotency keys whose call has not ended: nothing came of it yet that a second call could be answered with.

use crate::store::UserId;

/// A call that is being handled under an idempotency key, on whichever server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyClaim {
    /// Whose account; the scope of the key, with the tool.
    pub user: UserId,
    /// The tool that was called.
    pub tool: &'static str,
    /// The caller's key.
    pub key: String,
    /// Which call: a random number of its own.
    pub call: [u8; 16],
}
