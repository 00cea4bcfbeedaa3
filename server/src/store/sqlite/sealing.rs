//! SQL of sealing keys, spent seals and bound tokens.

use rusqlite::{Connection, params};

use super::failure::{refused, unavailable};
use crate::{
    clock::UnixMillis,
    store::{SealingKey, StoreError},
};

/// How many expired seals are forgotten whenever one is spent: more than come, so that they never pile up.
const FORGOTTEN_AT_ONCE: u32 = 4;

pub(super) fn keys(connection: &Connection) -> Result<Vec<SealingKey>, StoreError> {
    let kept = all(connection).map_err(unavailable("read the sealing keys"))?;
    if !kept.is_empty() {
        return Ok(kept);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|_| refused("there is no randomness for a sealing key"))?;
    connection
        .execute("INSERT INTO sealing_keys (id, secret) VALUES (1, ?1)", [secret.as_slice()])
        .map_err(unavailable("keep a sealing key"))?;
    Ok(vec![SealingKey::new(1, secret)])
}

fn all(connection: &Connection) -> rusqlite::Result<Vec<SealingKey>> {
    let mut statement = connection.prepare("SELECT id, secret FROM sealing_keys ORDER BY id DESC")?;
    statement.query_map([], |row| Ok(SealingKey::new(row.get(0)?, row.get(1)?)))?.collect()
}

pub(super) fn bind_token(
    connection: &Connection,
    token: &[u8; 32],
    sender: &[u8; 32],
    expires_at: UnixMillis,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let run = || -> rusqlite::Result<bool> {
        connection
            .prepare_cached(
                "DELETE FROM bound_tokens WHERE token IN (
                     SELECT token FROM bound_tokens WHERE expires_at <= ?1 LIMIT ?2)",
            )?
            .execute(params![now.as_millis(), FORGOTTEN_AT_ONCE])?;
        connection
            .prepare_cached(
                "INSERT INTO bound_tokens (token, sender, expires_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![token.as_slice(), sender.as_slice(), expires_at.as_millis()])?;
        let first: Vec<u8> = connection
            .prepare_cached("SELECT sender FROM bound_tokens WHERE token = ?1")?
            .query_row([token.as_slice()], |row| row.get(0))?;
        Ok(first == sender)
    };
    run().map_err(unavailable("bind a token"))
}

pub(super) fn spend(
    connection: &Connection,
    nonce: &[u8; 24],
    expires_at: UnixMillis,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let run = || -> rusqlite::Result<bool> {
        connection
            .prepare_cached(
                "DELETE FROM spent_seals WHERE nonce IN (
                     SELECT nonce FROM spent_seals WHERE expires_at <= ?1 LIMIT ?2)",
            )?
            .execute(params![now.as_millis(), FORGOTTEN_AT_ONCE])?;
        let spent = connection
            .prepare_cached(
                "INSERT INTO spent_seals (nonce, expires_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?
            .execute(params![nonce.as_slice(), expires_at.as_millis()])?;
        Ok(spent == 1)
    };
    run().map_err(unavailable("spend a seal"))
}
