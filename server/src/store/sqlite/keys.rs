//! SQL of users and keys.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::{failure::unavailable, lifecycle};
use crate::{
    clock::UnixMillis,
    money::Currency,
    store::{
        AccountHolder, KeyDigest, KeyId, KeyMode, PaymentPolicy, StoreError, StoredKey, UserId,
        known_keys::{Knowledge, KnownKeys},
    },
};

macro_rules! select_keys {
    ($rest:literal) => {
        select_keys!("", $rest)
    };
    ($beside:literal, $rest:literal) => {
        concat!(
            "SELECT k.id, k.digest, k.user_id, a.username, k.role, k.name, k.mode, k.last_four, k.created_at,
                 k.expires_at, k.revoked_at, k.permissions, k.lineage, k.sources, k.used_at, k.service",
            $beside,
            " FROM api_keys k JOIN accounts a USING (user_id) ",
            $rest
        )
    };
}

/// The key of this digest; among those that are known where the revision is that of these.
pub(super) fn look(
    connection: &Connection,
    known: &KnownKeys,
    digest: &KeyDigest,
) -> rusqlite::Result<Option<Arc<StoredKey>>> {
    let look = known.look();
    let look = known.confirm(look, lifecycle::key_revision(connection)?);
    if let Knowledge::Believed(key) = known.find(digest, look.at()) {
        return Ok(Some(key));
    }
    let found = by_digest(connection, digest)?.map(Arc::new);
    if let Some(key) = &found {
        known.remember(look, key);
    }
    Ok(found)
}

fn by_digest(connection: &Connection, digest: &KeyDigest) -> rusqlite::Result<Option<StoredKey>> {
    connection
        .prepare_cached(select_keys!("WHERE k.digest = ?1"))?
        .query_row([digest.0.as_slice()], read)
        .optional()
}

pub(super) fn by_id(connection: &Connection, id: &KeyId) -> rusqlite::Result<Option<StoredKey>> {
    connection.prepare_cached(select_keys!("WHERE k.id = ?1"))?.query_row([&id.0], read).optional()
}

/// A key, and what it may pay.
pub(super) fn with_policy(
    connection: &Connection,
    id: &KeyId,
) -> rusqlite::Result<Option<(StoredKey, PaymentPolicy)>> {
    connection
        .prepare_cached(select_keys!(
            ", p.automatic_below_minor, p.maximum_minor, p.day_budget_minor, p.payees",
            "LEFT JOIN payment_policies p ON p.lineage = k.lineage WHERE k.id = ?1"
        ))?
        .query_row([&id.0], |row| Ok((read(row)?, policy(row, 16)?.unwrap_or_default())))
        .optional()
}

/// What a key may pay, in the four columns from `first` on, if anything is said about it.
pub(super) fn policy(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<PaymentPolicy>> {
    let Some(automatic_below_minor) = row.get(first)? else { return Ok(None) };
    let payees = row.get_ref(first.saturating_add(3))?.as_str()?.split(' ').filter(|one| !one.is_empty());
    Ok(Some(PaymentPolicy {
        automatic_below_minor,
        maximum_minor: row.get(first.saturating_add(1))?,
        day_budget_minor: row.get(first.saturating_add(2))?,
        payees: payees.map(str::to_owned).collect(),
    }))
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<StoredKey>> {
    let mut statement = connection.prepare_cached(select_keys!("ORDER BY k.created_at, k.id"))?;
    statement.query_map([], read)?.collect()
}

/// The key of a line that was made last.
pub(super) fn newest(connection: &Connection, lineage: &KeyId) -> rusqlite::Result<StoredKey> {
    connection
        .prepare_cached(select_keys!("WHERE k.lineage = ?1 ORDER BY k.created_at DESC, k.id LIMIT 1"))?
        .query_row([&lineage.0], read)
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredKey> {
    let mode = match row.get_ref(6)?.as_str()? {
        "demo" => KeyMode::Demo,
        _ => KeyMode::Live,
    };
    Ok(StoredKey {
        id: KeyId(row.get(0)?),
        digest: KeyDigest(row.get(1)?),
        user: UserId(row.get(2)?),
        username: row.get(3)?,
        role: row.get(4)?,
        name: row.get(5)?,
        mode,
        last_four: row.get(7)?,
        created_at: UnixMillis::from_millis(row.get(8)?),
        expires_at: row.get::<_, Option<i64>>(9)?.map(UnixMillis::from_millis),
        revoked_at: row.get::<_, Option<i64>>(10)?.map(UnixMillis::from_millis),
        permissions: row.get::<_, i64>(11)?.cast_unsigned(),
        lineage: KeyId(row.get(12)?),
        sources: row
            .get_ref(13)?
            .as_str()?
            .split(' ')
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect(),
        used_at: row.get::<_, Option<i64>>(14)?.map(UnixMillis::from_millis),
        service: row.get(15)?,
    })
}

pub(super) fn put(connection: &Connection, keys: &[StoredKey]) -> Result<(), StoreError> {
    let failed = unavailable("write a key");
    for key in keys {
        if !exists(connection, "SELECT EXISTS (SELECT 1 FROM accounts WHERE user_id = ?1)", [key.user.0])? {
            return Err(StoreError::NoSuchAccount(key.user.0.to_string()));
        }
        retire(connection, key).map_err(&failed)?;
    }
    for key in keys {
        let parameters = params![key.id.0, key.digest.0.as_slice()];
        if key.service.is_some() {
            leave(connection, key).map_err(&failed)?;
        }
        let is_taken = "SELECT EXISTS (SELECT 1 FROM api_keys WHERE id <> ?1 AND digest = ?2)";
        if exists(connection, is_taken, parameters)? {
            return Err(StoreError::Taken(format!("key {} has the secret of another key", key.id.0)));
        }
        write(connection, key).map_err(&failed)?;
    }
    Ok(())
}

/// Where the key gets another secret or another user: ends its sessions, and makes its old secret one that nobody has,
/// so that keys which swap theirs are not in each other's way.
fn retire(connection: &Connection, key: &StoredKey) -> rusqlite::Result<()> {
    let parameters = params![key.id.0, key.digest.0.as_slice(), key.user.0];
    connection
        .prepare_cached(
            "DELETE FROM sessions WHERE key_id = ?1
             AND EXISTS (SELECT 1 FROM api_keys WHERE id = ?1 AND (digest <> ?2 OR user_id <> ?3))",
        )?
        .execute(parameters)?;
    connection
        .prepare_cached("UPDATE api_keys SET digest = randomblob(32) WHERE id = ?1 AND digest <> ?2")?
        .execute(params![key.id.0, key.digest.0.as_slice()])?;
    Ok(())
}

/// Where the key is for a service whose last one has ended: what proves that service is the new key's from now on.
fn leave(connection: &Connection, key: &StoredKey) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE api_keys SET digest = randomblob(32) WHERE id <> ?1 AND digest = ?2 AND service IS NOT NULL
             AND (revoked_at IS NOT NULL OR expires_at <= ?3)",
        )?
        .execute(params![key.id.0, key.digest.0.as_slice(), key.created_at.as_millis()])?;
    Ok(())
}

fn write(connection: &Connection, key: &StoredKey) -> rusqlite::Result<usize> {
    let mode = match key.mode {
        KeyMode::Demo => "demo",
        KeyMode::Live => "live",
    };
    let mut statement = connection.prepare_cached(
        "INSERT INTO api_keys
             (id, digest, user_id, role, name, mode, last_four, created_at, expires_at, revoked_at,
              permissions, lineage, sources, used_at, service)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (id) DO UPDATE SET digest = ?2, user_id = ?3, role = ?4, name = ?5, mode = ?6,
             last_four = ?7, created_at = ?8, expires_at = ?9, revoked_at = ?10, permissions = ?11, lineage = ?12,
             sources = ?13, used_at = ?14, service = ?15",
    )?;
    statement.execute(params![
        key.id.0,
        key.digest.0.as_slice(),
        key.user.0,
        key.role,
        key.name,
        mode,
        key.last_four,
        key.created_at.as_millis(),
        key.expires_at.map(UnixMillis::as_millis),
        key.revoked_at.map(UnixMillis::as_millis),
        key.permissions.cast_signed(),
        key.lineage.0,
        key.sources.join(" "),
        key.used_at.map(UnixMillis::as_millis),
        key.service,
    ])
}

fn exists<P: Params>(connection: &Connection, sql: &str, parameters: P) -> Result<bool, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row(parameters, |row| row.get(0)))
        .map_err(unavailable("look something up"))
}

/// Whether the user was made: one of the same number and name stays as it is.
pub(super) fn put_holder(connection: &Connection, holder: &AccountHolder) -> Result<bool, StoreError> {
    if Currency::from_code(&holder.currency).is_none() || holder.credit_limit_minor < 0 {
        return Err(StoreError::OutOfRange);
    }
    let same = "SELECT EXISTS (SELECT 1 FROM accounts WHERE user_id = ?1 AND username = ?2)";
    if exists(connection, same, params![holder.user.0, holder.username])? {
        return Ok(false);
    }
    let similar = "SELECT EXISTS (SELECT 1 FROM accounts WHERE user_id = ?1 OR username = ?2)";
    if exists(connection, similar, params![holder.user.0, holder.username])? {
        return Err(holder.taken());
    }
    connection
        .prepare_cached(
            "INSERT INTO accounts (user_id, username, currency, credit_limit_minor) VALUES (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                holder.user.0,
                holder.username,
                holder.currency,
                holder.credit_limit_minor
            ])
        })
        .map_err(unavailable("write a user"))?;
    Ok(true)
}

pub(super) fn holders(connection: &Connection) -> rusqlite::Result<Vec<AccountHolder>> {
    let mut statement = connection.prepare_cached(
        "SELECT user_id, username, currency, credit_limit_minor FROM accounts ORDER BY user_id",
    )?;
    let holders = statement.query_map([], |row| {
        Ok(AccountHolder {
            user: UserId(row.get(0)?),
            username: row.get(1)?,
            currency: row.get(2)?,
            credit_limit_minor: row.get(3)?,
        })
    })?;
    holders.collect()
}
