//! SQL of what happens to a key after it was made.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{audit, failure::unavailable, keys, spending};
use crate::{
    clock::UnixMillis,
    store::{AuditRecord, KeyChange, KeyChanged, KeyId, Replacement, Revision, StoreError, StoredKey},
};

/// Changes a key and records it.
pub(super) fn change(
    connection: &Connection,
    change: KeyChange,
    record: Option<&AuditRecord>,
) -> Result<KeyChanged, StoreError> {
    let changed = match change {
        KeyChange::Create(key, limits) => {
            create(connection, &key)?;
            spending::change_policy(connection, &key.id, limits)?;
            KeyChanged::Done(key)
        }
        KeyChange::Rotate { old, until, replacement } => rotate(connection, &old, until, replacement)?,
        KeyChange::Revoke(id, at) => revoke(connection, &id, at)?.into(),
        KeyChange::Permit { id, permissions, role } => permit(connection, &id, permissions, &role)?.into(),
        KeyChange::Limit(id, limits) => {
            spending::change_policy(connection, &id, limits)?;
            by_id(connection, &id)?.into()
        }
    };
    if let (KeyChanged::Done(_), Some(record)) = (&changed, record) {
        audit::append(connection, &[record])?;
    }
    Ok(changed)
}

fn create(connection: &Connection, key: &StoredKey) -> Result<(), StoreError> {
    if by_id(connection, &key.id)?.is_some() {
        return Err(StoreError::Taken(format!("there is a key {} already", key.id.0)));
    }
    keys::put(connection, std::slice::from_ref(key))
}

fn rotate(
    connection: &Connection,
    old: &KeyId,
    until: UnixMillis,
    replacement: Replacement,
) -> Result<KeyChanged, StoreError> {
    let Some(key) = by_id(connection, old)? else { return Ok(KeyChanged::Unknown) };
    if let Some(end) = key.ended(replacement.created_at) {
        return Ok(KeyChanged::Ended(end));
    }
    let newest = keys::newest(connection, &key.lineage).map_err(unavailable("read a line of keys"))?;
    if newest.id != key.id && newest.ended(replacement.created_at).is_none() {
        return Ok(KeyChanged::Replaced(newest.id));
    }
    let new = replacement.of(&key, &newest);
    connection
        .prepare_cached("UPDATE api_keys SET expires_at = min (COALESCE (expires_at, ?2), ?2) WHERE id = ?1")
        .and_then(|mut statement| statement.execute(params![old.0, until.as_millis()]))
        .map_err(unavailable("end a key that is replaced"))?;
    create(connection, &new)?;
    Ok(KeyChanged::Done(Box::new(new)))
}

fn revoke(connection: &Connection, id: &KeyId, at: UnixMillis) -> Result<Option<StoredKey>, StoreError> {
    let run = || -> rusqlite::Result<()> {
        connection
            .prepare_cached("UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL")?
            .execute(params![id.0, at.as_millis()])?;
        connection.prepare_cached("DELETE FROM sessions WHERE key_id = ?1")?.execute([&id.0])?;
        Ok(())
    };
    run().map_err(unavailable("revoke a key"))?;
    by_id(connection, id)
}

fn permit(
    connection: &Connection,
    id: &KeyId,
    permissions: u64,
    role: &str,
) -> Result<Option<StoredKey>, StoreError> {
    let run = || -> rusqlite::Result<()> {
        connection
            .prepare_cached(
                "DELETE FROM sessions WHERE lineage = (SELECT lineage FROM api_keys WHERE id = ?1)
                 AND (permissions | (SELECT permissions FROM api_keys WHERE id = ?1)) & ~?2 <> 0",
            )?
            .execute(params![id.0, permissions.cast_signed()])?;
        connection
            .prepare_cached("UPDATE api_keys SET permissions = ?2, role = ?3 WHERE id = ?1")?
            .execute(params![id.0, permissions.cast_signed(), role])?;
        Ok(())
    };
    run().map_err(unavailable("change the permissions of a key"))?;
    by_id(connection, id)
}

pub(super) fn touch(connection: &Connection, id: &KeyId, at: UnixMillis) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE api_keys SET used_at = ?2 WHERE id = ?1 AND COALESCE (used_at, 0) < ?2")
        .and_then(|mut statement| statement.execute(params![id.0, at.as_millis()]))
        .map_err(unavailable("note the use of a key"))?;
    Ok(())
}

pub(super) fn by_id(connection: &Connection, id: &KeyId) -> Result<Option<StoredKey>, StoreError> {
    keys::by_id(connection, id).map_err(unavailable("read a key"))
}

/// Of keys, what they may pay, and which sessions are open.
pub(super) fn revision(connection: &Connection) -> rusqlite::Result<Revision> {
    read_revision(connection, "SELECT number FROM revision")
}

/// Of keys and what they may pay.
pub(super) fn key_revision(connection: &Connection) -> rusqlite::Result<Revision> {
    read_revision(connection, "SELECT keys FROM revision")
}

fn read_revision(connection: &Connection, sql: &str) -> rusqlite::Result<Revision> {
    let number = connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(Revision { number: number.unwrap_or_default(), opened: 0 })
}
