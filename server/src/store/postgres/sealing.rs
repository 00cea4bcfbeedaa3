//! Sealing keys, spent seals and bound tokens.

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use secrecy::ExposeSecret as _;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    attempts::Attempts,
    audit,
    connections::{in_time, let_go},
    failure::Failure,
    migrations::lock,
    rows::{bytes, execute, number, rows, value},
};
use crate::{
    clock::UnixMillis,
    store::{AuditRecord, SealingKey, SealingStore, SealingTurn, StoreError},
};

/// How many expired seals are forgotten whenever one is spent: more than come, so that they never pile up.
const FORGOTTEN_AT_ONCE: i64 = 4;

/// How far apart the times of servers may be, in milliseconds: what has expired for one of them has not for another.
const APART_MS: i64 = 3_600_000;

#[async_trait]
impl SealingStore for PostgresStore {
    async fn sealing_keys(&self) -> Result<Vec<SealingKey>, StoreError> {
        transact!(self, "read the sealing keys", |transaction| {
            lock(&transaction, "sealing keys").await?;
            let kept = all(&transaction).await?;
            if kept.is_empty() { turn(&transaction, UnixMillis::now(), false).await } else { Ok(kept) }
        })
    }

    async fn turn_sealing_keys(&self, now: UnixMillis, at_once: bool) -> Result<Vec<SealingKey>, StoreError> {
        transact!(self, "turn the sealing keys", |transaction| {
            lock(&transaction, "sealing keys").await?;
            turn(&transaction, now, at_once).await
        })
    }

    async fn renew_sealing_keys(
        &self,
        now: UnixMillis,
        record: AuditRecord,
    ) -> Result<Vec<SealingKey>, StoreError> {
        transact!(self, "renew the sealing keys", |transaction| {
            lock(&transaction, "sealing keys").await?;
            audit::arrive(&transaction, &[&record]).await?;
            turn(&transaction, now, true).await
        })
    }

    async fn spend_seal(
        &self,
        nonce: [u8; 24],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        transact!(self, "spend a seal", |transaction| {
            let forget = "DELETE FROM spent_seals WHERE nonce IN (
                              SELECT nonce FROM spent_seals WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";
            let forgotten = now.as_millis().saturating_sub(APART_MS);
            execute(&transaction, forget, &[&forgotten, &FORGOTTEN_AT_ONCE]).await?;
            let spend = "INSERT INTO spent_seals AS s (nonce, expires_at) VALUES ($1, $2)
                         ON CONFLICT (nonce) DO UPDATE SET expires_at = $2 WHERE s.expires_at <= $3";
            let (expires_at, now) = (expires_at.as_millis(), now.as_millis());
            execute(&transaction, spend, &[&nonce.as_slice(), &expires_at, &now])
                .await
                .map(|spent| spent == 1)
        })
    }

    async fn bind_token(
        &self,
        token: [u8; 32],
        sender: [u8; 32],
        expires_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        transact!(self, "bind a token", |transaction| {
            let forget = "DELETE FROM bound_tokens WHERE token IN (
                              SELECT token FROM bound_tokens WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";
            let forgotten = now.as_millis().saturating_sub(APART_MS);
            execute(&transaction, forget, &[&forgotten, &FORGOTTEN_AT_ONCE]).await?;
            let bind = "INSERT INTO bound_tokens (token, sender, expires_at) VALUES ($1, $2, $3)
                        ON CONFLICT DO NOTHING";
            let (token, sender) = (token.as_slice(), sender.as_slice());
            execute(&transaction, bind, &[&token, &sender, &expires_at.as_millis()]).await?;
            value(&transaction, "SELECT sender = $2 FROM bound_tokens WHERE token = $1", &[&token, &sender])
                .await
        })
    }
}

/// Does what is due, and reads what there is then.
async fn turn(
    transaction: &Transaction<'_>,
    now: UnixMillis,
    at_once: bool,
) -> Result<Vec<SealingKey>, Failure> {
    let due = SealingTurn::due(&all(transaction).await?, now, at_once);
    for id in &due.forget {
        execute(transaction, "DELETE FROM sealing_keys WHERE id = $1", &[&i64::from(*id)]).await?;
    }
    if let Some(id) = due.make {
        let made = SealingKey::generate(id, now)?;
        let keep = "INSERT INTO sealing_keys (id, made_at, secret) VALUES ($1, $2, $3)";
        let secret = made.secret.expose_secret().as_slice();
        execute(transaction, keep, &[&i64::from(id), &now.as_millis(), &secret]).await?;
    }
    all(transaction).await
}

async fn all(transaction: &Transaction<'_>) -> Result<Vec<SealingKey>, Failure> {
    let all = "SELECT id, made_at, secret FROM sealing_keys ORDER BY id DESC";
    rows(transaction, all, &[]).await?.iter().map(read_key).collect()
}

fn read_key(row: &Row) -> Result<SealingKey, Failure> {
    let made_at = UnixMillis::from_millis(row.try_get(1)?);
    Ok(SealingKey::new(number(row, 0)?, made_at, bytes(row, 2)?))
}
