//! SQL of the pepper that digests are made with.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::failure::unavailable;
use crate::{
    clock::UnixMillis,
    store::{DEMO_KEY_IDS, KeyDigest, KnownSecret, StoreError},
};

pub(super) fn noted(connection: &Connection) -> rusqlite::Result<Option<[u8; 32]>> {
    connection.prepare_cached("SELECT mark FROM peppers")?.query_row([], |row| row.get(0)).optional()
}

pub(super) fn note(
    connection: &Connection,
    mark: &[u8; 32],
    now: UnixMillis,
    secrets: &[KnownSecret],
) -> Result<bool, StoreError> {
    let run = || -> rusqlite::Result<bool> {
        let before = noted(connection)?;
        if before.as_ref() != Some(mark) {
            if !write(connection, mark, now)? {
                return Ok(false);
            }
            // Where none was noted, it may be the same: whoever knows no secret cannot tell.
            if before.is_some() || !secrets.is_empty() {
                DEMO_KEY_IDS.into_iter().try_for_each(|id| lose(connection, id))?;
            }
        }
        secrets.iter().try_for_each(|secret| find(connection, secret))?;
        Ok(true)
    };
    run().map_err(unavailable("note the pepper"))
}

/// Whether it was, for no good key is in the way.
fn write(connection: &Connection, mark: &[u8; 32], now: UnixMillis) -> rusqlite::Result<bool> {
    let [one, two, three, four] = DEMO_KEY_IDS;
    let written = connection
        .prepare_cached(
            "INSERT INTO peppers (one, mark) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET mark = ?1
             WHERE NOT EXISTS (SELECT 1 FROM api_keys WHERE revoked_at IS NULL
                               AND COALESCE (expires_at > ?2, TRUE)
                               AND NOT (mode = 'demo' AND id IN (?3, ?4, ?5, ?6)))",
        )?
        .execute(params![mark.as_slice(), now.as_millis(), one, two, three, four])?;
    Ok(written > 0)
}

/// Takes its digest away from a key of the demo.
fn lose(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    let lost = connection
        .prepare_cached("UPDATE api_keys SET digest = ?2 WHERE id = ?1 AND mode = 'demo'")?
        .execute(params![id, KeyDigest::lost(id).0.as_slice()])?;
    if lost > 0 {
        connection.prepare_cached("DELETE FROM sessions WHERE key_id = ?1")?.execute([id])?;
    }
    Ok(())
}

/// Gives a key that has lost its digest the one of its secret.
fn find(connection: &Connection, secret: &KnownSecret) -> rusqlite::Result<()> {
    let KnownSecret { id, digest, last_four } = secret;
    connection
        .prepare_cached(
            "UPDATE api_keys SET digest = ?2 WHERE id = ?1 AND last_four = ?3 AND digest = ?4
             AND NOT EXISTS (SELECT 1 FROM api_keys WHERE digest = ?2)",
        )?
        .execute(params![id.0, digest.0.as_slice(), last_four, KeyDigest::lost(&id.0).0.as_slice()])?;
    Ok(())
}
