//! Sealing keys, spent seals and bound tokens.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use secrecy::ExposeSecret as _;

use super::{SqliteStore, audit, failure::unavailable, job::Durability};
use crate::{
    clock::UnixMillis,
    store::{AuditRecord, SealingKey, SealingStore, SealingTurn, StoreError},
};

/// How many expired seals are forgotten whenever one is spent: more than come, so that they never pile up.
const FORGOTTEN_AT_ONCE: u32 = 4;

#[async_trait]
impl SealingStore for SqliteStore {
    async fn sealing_keys(&self) -> Result<Vec<SealingKey>, StoreError> {
        self.write(Durability::Power, keys).await
    }

    async fn turn_sealing_keys(&self, now: UnixMillis, at_once: bool) -> Result<Vec<SealingKey>, StoreError> {
        self.write(Durability::Power, move |connection| turn(connection, now, at_once)).await
    }

    async fn renew_sealing_keys(
        &self,
        now: UnixMillis,
        record: AuditRecord,
    ) -> Result<Vec<SealingKey>, StoreError> {
        let renew = move |connection: &Connection| {
            audit::append(connection, &[&record])?;
            turn(connection, now, true)
        };
        self.write(Durability::Power, renew).await
    }

    async fn spend_seal(
        &self,
        nonce: [u8; 24],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let spend = move |connection: &Connection| spend(connection, &nonce, expires_at, now);
        self.write(Durability::Process, spend).await
    }

    async fn bind_token(
        &self,
        token: [u8; 32],
        sender: [u8; 32],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let bind = move |connection: &Connection| bind_token(connection, &token, &sender, expires_at, now);
        self.write(Durability::Process, bind).await
    }
}

/// The keys, newest first; one is made where there is none.
fn keys(connection: &Connection) -> Result<Vec<SealingKey>, StoreError> {
    let kept = all(connection)?;
    if kept.is_empty() { turn(connection, UnixMillis::now(), false) } else { Ok(kept) }
}

/// Does what is due, and reads what there is then.
fn turn(connection: &Connection, now: UnixMillis, at_once: bool) -> Result<Vec<SealingKey>, StoreError> {
    let kept = all(connection)?;
    let due = SealingTurn::due(&kept, now, at_once);
    for id in &due.forget {
        connection
            .execute("DELETE FROM sealing_keys WHERE id = ?1", [id])
            .map_err(unavailable("forget a sealing key"))?;
    }
    let Some(id) = due.make else { return if due.forget.is_empty() { Ok(kept) } else { all(connection) } };
    let made = SealingKey::generate(id, now)?;
    let keep = "INSERT INTO sealing_keys (id, made_at, secret) VALUES (?1, ?2, ?3)";
    let secret = made.secret.expose_secret().as_slice();
    connection
        .execute(keep, params![id, now.as_millis(), secret])
        .map_err(unavailable("keep a sealing key"))?;
    all(connection)
}

fn all(connection: &Connection) -> Result<Vec<SealingKey>, StoreError> {
    let read = || -> rusqlite::Result<Vec<SealingKey>> {
        let mut statement =
            connection.prepare_cached("SELECT id, made_at, secret FROM sealing_keys ORDER BY id DESC")?;
        let key = |row: &Row<'_>| {
            let made_at = UnixMillis::from_millis(row.get(1)?);
            Ok(SealingKey::new(row.get(0)?, made_at, row.get(2)?))
        };
        statement.query_map([], key)?.collect()
    };
    read().map_err(unavailable("read the sealing keys"))
}

fn bind_token(
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

fn spend(
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
