//! Idempotency keys whose call has not ended.

use deadpool_postgres::Transaction;

use super::{
    failure::Failure,
    rows::{execute, storable},
};
use crate::{clock::UnixMillis, store::IdempotencyClaim};

/// Whether the call has the key from now on. The table holds calls that are being handled, so it is small.
///
/// How long it has it is told by the database's clock, which is one for all servers: by the clock of a server that is ahead,
/// a call that goes on elsewhere would be over.
pub(super) async fn take(
    transaction: &Transaction<'_>,
    claim: &IdempotencyClaim,
    until: UnixMillis,
    now: UnixMillis,
) -> Result<bool, Failure> {
    let forget = "DELETE FROM idempotency_claims WHERE (user_id, tool, key) IN (
                      SELECT user_id, tool, key FROM idempotency_claims
                      WHERE expires_at <= (extract (epoch FROM clock_timestamp ()) * 1000)::bigint
                      FOR UPDATE SKIP LOCKED)";
    execute(transaction, forget, &[]).await?;
    let take = "INSERT INTO idempotency_claims AS c (user_id, tool, key, call, expires_at)
                VALUES ($1, $2, $3, $4, (extract (epoch FROM clock_timestamp ()) * 1000)::bigint + $5)
                ON CONFLICT (user_id, tool, key) DO UPDATE SET call = $4, expires_at = EXCLUDED.expires_at
                WHERE c.call = $4 OR c.expires_at <= (extract (epoch FROM clock_timestamp ()) * 1000)::bigint";
    let (call, length) = (claim.call.as_slice(), until.as_millis().saturating_sub(now.as_millis()));
    let key = storable(&claim.key);
    let taken = execute(transaction, take, &[&claim.user.0, &claim.tool, &key, &call, &length]).await?;
    Ok(taken == 1)
}

pub(super) async fn release(transaction: &Transaction<'_>, claim: &IdempotencyClaim) -> Result<(), Failure> {
    let release =
        "DELETE FROM idempotency_claims WHERE user_id = $1 AND tool = $2 AND key = $3 AND call = $4";
    let (key, call) = (storable(&claim.key), claim.call.as_slice());
    execute(transaction, release, &[&claim.user.0, &claim.tool, &key, &call]).await.map(|_| ())
}
