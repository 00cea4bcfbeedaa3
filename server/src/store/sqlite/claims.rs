//! SQL of idempotency keys whose call has not ended.

use rusqlite::{Connection, params};

use super::failure::unavailable;
use crate::{
    clock::UnixMillis,
    store::{IdempotencyClaim, StoreError},
};

/// Whether the call has the key from now on. The table holds calls that are being handled, so it is small.
pub(super) fn take(
    connection: &Connection,
    claim: &IdempotencyClaim,
    until: UnixMillis,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let run = || -> rusqlite::Result<usize> {
        connection
            .prepare_cached("DELETE FROM idempotency_claims WHERE expires_at <= ?1")?
            .execute([now.as_millis()])?;
        connection
            .prepare_cached(
                "INSERT INTO idempotency_claims (user_id, tool, key, call, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (user_id, tool, key) DO UPDATE SET expires_at = excluded.expires_at
                 WHERE call = excluded.call",
            )?
            .execute(params![
                claim.user.0,
                claim.tool,
                claim.key,
                claim.call.as_slice(),
                until.as_millis()
            ])
    };
    run().map(|taken| taken == 1).map_err(unavailable("claim an idempotency key"))
}

pub(super) fn release(connection: &Connection, claim: &IdempotencyClaim) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM idempotency_claims WHERE user_id = ?1 AND tool = ?2 AND key = ?3 AND call = ?4",
        )
        .and_then(|mut statement| {
            statement.execute(params![claim.user.0, claim.tool, claim.key, claim.call.as_slice()])
        })
        .map(|_| ())
        .map_err(unavailable("release an idempotency key"))
}
