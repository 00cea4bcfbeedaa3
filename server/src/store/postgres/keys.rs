//! Users and keys. Whoever changes keys does so alone: it is rare, and what must be unique is then seen to be.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::{
    PostgresStore,
    attempts::Attempts,
    audit,
    connections::{in_time, let_go},
    failure::Failure,
    migrations::lock,
    peppers,
    rows::{Parameters, bytes, cell, execute, row, rows, time, value, words},
    sessions, spending,
};
use crate::{
    clock::UnixMillis,
    money::Currency,
    store::{
        AccountHolder, AuditRecord, KeyChange, KeyChanged, KeyDigest, KeyId, KeyMode, KeyStore, KnownSecret,
        Replacement, Revision, StoreError, StoredKey, UserId,
    },
};

macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "SELECT k.id, k.digest, k.user_id, a.username, k.role, k.name, k.mode, k.last_four, k.created_at,
                 k.expires_at, k.revoked_at, k.permissions, k.lineage, k.sources, u.used_at, k.service
             FROM api_keys k JOIN accounts a USING (user_id) LEFT JOIN key_uses u ON u.key_id = k.id ",
            $rest
        )
    };
}

#[async_trait]
impl KeyStore for PostgresStore {
    async fn key_by_digest(&self, digest: &KeyDigest) -> Result<Option<Arc<StoredKey>>, StoreError> {
        self.look_up(digest).await
    }

    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        read!(self, "read the keys", |client| {
            let found = rows(client, select_keys!("ORDER BY k.created_at, k.id"), &[]).await?;
            found.iter().map(read_key).collect()
        })
    }

    async fn key(&self, id: &KeyId) -> Result<Option<StoredKey>, StoreError> {
        read!(self, "read a key", |client| by_id(client, id).await)
    }

    async fn keys_by_id(&self, ids: &[KeyId]) -> Result<Vec<StoredKey>, StoreError> {
        let ids: Vec<_> = ids.iter().map(|id| id.0.as_str()).collect();
        read!(self, "read keys", |client| {
            let found = rows(client, select_keys!("WHERE k.id = ANY ($1)"), &[&ids]).await?;
            found.iter().map(read_key).collect()
        })
    }

    async fn change_key(
        &self,
        change: KeyChange,
        record: Option<AuditRecord>,
    ) -> Result<KeyChanged, StoreError> {
        let _changing = self.known_keys.changing();
        transact!(self, "change a key", |transaction| {
            lock(&transaction, "keys").await?;
            let changed = apply(&transaction, change.clone()).await?;
            if let (KeyChanged::Done(_), Some(record)) = (&changed, &record) {
                audit::arrive(&transaction, &[record]).await?;
            }
            Ok(changed)
        })
    }

    async fn touch_key(&self, id: KeyId, at: UnixMillis) -> Result<(), StoreError> {
        self.known_keys.touch(&id, at);
        self.behind.touch_key(id, at)
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        self.read_revision().await
    }

    async fn pepper(&self) -> Result<Option<[u8; 32]>, StoreError> {
        read!(self, "read the pepper's mark", |client| peppers::noted(client).await)
    }

    async fn note_pepper(
        &self,
        mark: [u8; 32],
        now: UnixMillis,
        secrets: Vec<KnownSecret>,
    ) -> Result<bool, StoreError> {
        let _changing = self.known_keys.changing();
        transact!(self, "note the pepper", |transaction| {
            lock(&transaction, "keys").await?;
            peppers::note(&transaction, &mark, now, &secrets).await
        })
    }

    async fn put_keys(&self, keys: Vec<StoredKey>) -> Result<(), StoreError> {
        let _changing = self.known_keys.changing();
        transact!(self, "write keys", |transaction| {
            lock(&transaction, "keys").await?;
            put(&transaction, &keys).await
        })
    }

    async fn record_holder(
        &self,
        holder: AccountHolder,
        record: Option<AuditRecord>,
    ) -> Result<(), StoreError> {
        if Currency::from_code(&holder.currency).is_none() || holder.credit_limit_minor < 0 {
            return Err(StoreError::OutOfRange);
        }
        transact!(self, "write a user", |transaction| {
            let is_made = put_holder(&transaction, &holder).await?;
            match &record {
                Some(record) if is_made => audit::arrive(&transaction, &[record]).await,
                Some(_) => Err(holder.taken().into()),
                None => Ok(()),
            }
        })
    }

    async fn holders(&self) -> Result<Vec<AccountHolder>, StoreError> {
        read!(self, "read the users", |client| {
            let all = "SELECT user_id, username, currency, credit_limit_minor FROM accounts ORDER BY user_id";
            rows(client, all, &[]).await?.iter().map(read_holder).collect()
        })
    }
}

pub(super) async fn by_id(client: &impl GenericClient, id: &KeyId) -> Result<Option<StoredKey>, Failure> {
    let found = row(client, BY_ID, &[&id.0]).await?;
    found.as_ref().map(read_key).transpose()
}

/// The key of a digest.
pub(super) const BY_DIGEST: &str = select_keys!("WHERE k.digest = $1");

/// The key of an id.
pub(super) const BY_ID: &str = select_keys!("WHERE k.id = $1");

/// The key of an id, which nobody changes until the transaction ends.
pub(super) const HOLD: &str = select_keys!("WHERE k.id = $1 FOR SHARE OF k");

/// Waits for work on money that holds the key, before anything is held that others need.
pub(super) async fn hold(transaction: &Transaction<'_>, id: &KeyId) -> Result<(), Failure> {
    let hold = "SELECT FROM api_keys WHERE id = $1 FOR NO KEY UPDATE";
    rows(transaction, hold, &[&id.0]).await.map(drop)
}

async fn apply(transaction: &Transaction<'_>, change: KeyChange) -> Result<KeyChanged, Failure> {
    Ok(match change {
        KeyChange::Create(key, limits) => {
            create(transaction, &key).await?;
            spending::change_policy(transaction, &key.id, limits).await?;
            KeyChanged::Done(key)
        }
        KeyChange::Rotate { old, until, replacement } => {
            rotate(transaction, &old, until, replacement).await?
        }
        KeyChange::Revoke(id, at) => revoke(transaction, &id, at).await?.into(),
        KeyChange::Permit { id, permissions, role } => {
            permit(transaction, &id, permissions, &role).await?.into()
        }
        KeyChange::Limit(id, limits) => {
            spending::change_policy(transaction, &id, limits).await?;
            by_id(transaction, &id).await?.into()
        }
    })
}

async fn create(transaction: &Transaction<'_>, key: &StoredKey) -> Result<(), Failure> {
    if by_id(transaction, &key.id).await?.is_some() {
        let taken = format!("there is a key {} already", key.id.0);
        return Err(StoreError::Taken(taken).into());
    }
    put(transaction, std::slice::from_ref(key)).await
}

async fn rotate(
    transaction: &Transaction<'_>,
    old: &KeyId,
    until: UnixMillis,
    replacement: Replacement,
) -> Result<KeyChanged, Failure> {
    const NEWEST: &str = select_keys!("WHERE k.lineage = $1 ORDER BY k.created_at DESC, k.id LIMIT 1");
    let Some(key) = by_id(transaction, old).await? else { return Ok(KeyChanged::Unknown) };
    if let Some(end) = key.ended(replacement.created_at) {
        return Ok(KeyChanged::Ended(end));
    }
    let newest = row(transaction, NEWEST, &[&key.lineage.0]).await?;
    let newest = newest.as_ref().map(read_key).transpose()?.unwrap_or_else(|| key.clone());
    if newest.id != key.id && newest.ended(replacement.created_at).is_none() {
        return Ok(KeyChanged::Replaced(newest.id));
    }
    let new = replacement.of(&key, &newest);
    hold(transaction, old).await?;
    sessions::lock_all(transaction).await?;
    let end = "UPDATE api_keys SET expires_at = LEAST (COALESCE (expires_at, $2), $2) WHERE id = $1";
    execute(transaction, end, &[&old.0, &until.as_millis()]).await?;
    create(transaction, &new).await?;
    Ok(KeyChanged::Done(Box::new(new)))
}

async fn revoke(
    transaction: &Transaction<'_>,
    id: &KeyId,
    at: UnixMillis,
) -> Result<Option<StoredKey>, Failure> {
    hold(transaction, id).await?;
    sessions::lock_all(transaction).await?;
    execute(transaction, "DELETE FROM sessions WHERE key_id = $1", &[&id.0]).await?;
    let revoke = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    execute(transaction, revoke, &[&id.0, &at.as_millis()]).await?;
    by_id(transaction, id).await
}

async fn permit(
    transaction: &Transaction<'_>,
    id: &KeyId,
    permissions: u64,
    role: &str,
) -> Result<Option<StoredKey>, Failure> {
    hold(transaction, id).await?;
    sessions::lock_all(transaction).await?;
    let permissions = permissions.cast_signed();
    let narrow = "DELETE FROM sessions WHERE lineage = (SELECT lineage FROM api_keys WHERE id = $1)
                  AND (permissions | (SELECT permissions FROM api_keys WHERE id = $1)) & ~$2::bigint <> 0";
    execute(transaction, narrow, &[&id.0, &permissions]).await?;
    let permit = "UPDATE api_keys SET permissions = $2, role = $3 WHERE id = $1";
    execute(transaction, permit, &[&id.0, &permissions, &role]).await?;
    by_id(transaction, id).await
}

async fn put(transaction: &Transaction<'_>, keys: &[StoredKey]) -> Result<(), Failure> {
    sessions::lock_all(transaction).await?;
    for key in keys {
        let has_user = "SELECT EXISTS (SELECT 1 FROM accounts WHERE user_id = $1)";
        if !value::<bool>(transaction, has_user, &[&key.user.0]).await? {
            return Err(StoreError::NoSuchAccount(key.user.0.to_string()).into());
        }
        retire(transaction, key).await?;
    }
    for key in keys {
        if key.service.is_some() {
            leave(transaction, key).await?;
        }
        let is_taken = "SELECT EXISTS (SELECT 1 FROM api_keys WHERE id <> $1 AND digest = $2)";
        if value::<bool>(transaction, is_taken, &[&key.id.0, &key.digest.0.as_slice()]).await? {
            let taken = format!("key {} has the secret of another key", key.id.0);
            return Err(StoreError::Taken(taken).into());
        }
        write(transaction, key).await?;
    }
    Ok(())
}

/// Where the key gets another secret or another user: ends its sessions, and makes its old secret one that nobody has,
/// so that keys which swap theirs are not in each other's way.
async fn retire(transaction: &Transaction<'_>, key: &StoredKey) -> Result<(), Failure> {
    let digest = key.digest.0.as_slice();
    let end = "DELETE FROM sessions WHERE key_id = $1
               AND EXISTS (SELECT 1 FROM api_keys WHERE id = $1 AND (digest <> $2 OR user_id <> $3))";
    execute(transaction, end, &[&key.id.0, &digest, &key.user.0]).await?;
    let change = "UPDATE api_keys SET digest = $3 WHERE id = $1 AND digest <> $2";
    execute(transaction, change, &[&key.id.0, &digest, &nobodys()?.as_slice()]).await?;
    Ok(())
}

/// Where the key is for a service whose last one has ended: what proves that service is the new key's from now on.
async fn leave(transaction: &Transaction<'_>, key: &StoredKey) -> Result<(), Failure> {
    let leave = "UPDATE api_keys SET digest = $3 WHERE id <> $1 AND digest = $2 AND service IS NOT NULL
                 AND (revoked_at IS NOT NULL OR expires_at <= $4)";
    let (digest, now) = (key.digest.0.as_slice(), key.created_at.as_millis());
    execute(transaction, leave, &[&key.id.0, &digest, &nobodys()?.as_slice(), &now]).await?;
    Ok(())
}

/// A digest that no secret has.
fn nobodys() -> Result<[u8; 32], Failure> {
    let mut digest = [0; 32];
    getrandom::fill(&mut digest).map_err(|_| super::failure::refused("there is no randomness"))?;
    Ok(digest)
}

async fn write(transaction: &Transaction<'_>, key: &StoredKey) -> Result<(), Failure> {
    const WRITE: &str = "
        INSERT INTO api_keys
            (id, digest, user_id, role, name, mode, last_four, created_at, expires_at, revoked_at, permissions,
             lineage, sources, service)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT (id) DO UPDATE SET digest = $2, user_id = $3, role = $4, name = $5, mode = $6, last_four = $7,
            created_at = $8, expires_at = $9, revoked_at = $10, permissions = $11, lineage = $12, sources = $13,
            service = $14";
    let mode = match key.mode {
        KeyMode::Demo => "demo",
        KeyMode::Live => "live",
    };
    let parameters: Parameters<'_> = &[
        &key.id.0,
        &key.digest.0.as_slice(),
        &key.user.0,
        &key.role,
        &key.name,
        &mode,
        &key.last_four,
        &key.created_at.as_millis(),
        &key.expires_at.map(UnixMillis::as_millis),
        &key.revoked_at.map(UnixMillis::as_millis),
        &key.permissions.cast_signed(),
        &key.lineage.0,
        &key.sources.join(" "),
        &key.service,
    ];
    execute(transaction, WRITE, parameters).await?;
    match key.used_at {
        Some(at) => {
            let note = "INSERT INTO key_uses (key_id, used_at) VALUES ($1, $2)
                        ON CONFLICT (key_id) DO UPDATE SET used_at = $2";
            execute(transaction, note, &[&key.id.0, &at.as_millis()]).await?;
        }
        None => {
            execute(transaction, "DELETE FROM key_uses WHERE key_id = $1", &[&key.id.0]).await?;
        }
    }
    Ok(())
}

/// Whether the user was made: one of the same number and name stays as it is.
async fn put_holder(transaction: &Transaction<'_>, holder: &AccountHolder) -> Result<bool, Failure> {
    lock(transaction, "users").await?;
    let (number, name) = (holder.user.0, &holder.username);
    let similar = "SELECT user_id = $1 AND username = $2 FROM accounts WHERE user_id = $1 OR username = $2";
    let found = rows(transaction, similar, &[&number, name]).await?;
    if found.is_empty() {
        let write = "INSERT INTO accounts (user_id, username, currency, credit_limit_minor)
                     VALUES ($1, $2, $3, $4)";
        execute(transaction, write, &[&number, name, &holder.currency, &holder.credit_limit_minor]).await?;
        return Ok(true);
    }
    for one in &found {
        if !cell::<bool>(one, 0)? {
            return Err(holder.taken().into());
        }
    }
    Ok(false)
}

fn read_holder(row: &Row) -> Result<AccountHolder, Failure> {
    Ok(AccountHolder {
        user: UserId(cell(row, 0)?),
        username: cell(row, 1)?,
        currency: cell(row, 2)?,
        credit_limit_minor: cell(row, 3)?,
    })
}

pub(super) fn read_key(row: &Row) -> Result<StoredKey, Failure> {
    let mode = match cell(row, 6)? {
        "demo" => KeyMode::Demo,
        _ => KeyMode::Live,
    };
    Ok(StoredKey {
        id: KeyId(cell(row, 0)?),
        digest: KeyDigest(bytes(row, 1)?),
        user: UserId(cell(row, 2)?),
        username: cell(row, 3)?,
        role: cell(row, 4)?,
        name: cell(row, 5)?,
        mode,
        last_four: cell(row, 7)?,
        created_at: time(row, 8)?,
        expires_at: cell::<Option<i64>>(row, 9)?.map(UnixMillis::from_millis),
        revoked_at: cell::<Option<i64>>(row, 10)?.map(UnixMillis::from_millis),
        permissions: cell::<i64>(row, 11)?.cast_unsigned(),
        lineage: KeyId(cell(row, 12)?),
        sources: words(row, 13)?,
        used_at: cell::<Option<i64>>(row, 14)?.map(UnixMillis::from_millis),
        service: cell(row, 15)?,
    })
}
