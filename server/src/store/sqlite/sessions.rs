//! SQL of sessions.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use shared::mcp::ProtocolVersion;

use crate::{
    clock::UnixMillis,
    store::{
        ClientAbilities, KeyId, OpenSession, SessionCaps, SessionFilter, SessionHash, StoreError,
        StoredSession, UserId,
    },
};

use super::failure::unavailable;

pub(super) fn open(
    connection: &Connection,
    session: &StoredSession,
    caps: SessionCaps,
) -> Result<OpenSession, StoreError> {
    let failed = unavailable("open a session");
    let of_key = count(
        connection,
        "SELECT COALESCE ((SELECT open FROM session_counts WHERE key_id = ?1), 0)",
        [&session.key.0],
    )
    .map_err(&failed)?;
    if of_key >= caps.per_key {
        return Ok(OpenSession::KeyCapReached);
    }
    if total(connection).map_err(&failed)? >= caps.total {
        return Ok(OpenSession::TotalCapReached);
    }
    connection
        .prepare_cached(
            "INSERT INTO sessions
                 (hash, user_id, key_id, permissions, protocol, client, created_at, seen_at, abilities,
                  lineage)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                session.hash.0.as_slice(),
                session.user.0,
                session.key.0,
                session.permissions.cast_signed(),
                session.protocol.as_str(),
                session.client,
                session.created_at.as_millis(),
                session.seen_at.as_millis(),
                session.abilities.0,
                session.lineage.0,
            ])
        })
        .map_err(&failed)?;
    Ok(OpenSession::Opened)
}

pub(super) fn total(connection: &Connection) -> rusqlite::Result<u64> {
    count(connection, "SELECT open FROM session_total", [])
}

fn count<P: rusqlite::Params>(connection: &Connection, sql: &str, parameters: P) -> rusqlite::Result<u64> {
    connection.prepare_cached(sql)?.query_row(parameters, |row| row.get(0).map(i64::cast_unsigned))
}

pub(super) fn by_hash(
    connection: &Connection,
    hash: &SessionHash,
) -> rusqlite::Result<Option<StoredSession>> {
    connection
        .prepare_cached(
            "SELECT hash, user_id, key_id, permissions, protocol, client, created_at, seen_at, abilities, lineage
             FROM sessions WHERE hash = ?1",
        )?
        .query_row([hash.0.as_slice()], read)
        .optional()
}

pub(super) fn list(connection: &Connection, filter: &SessionFilter) -> rusqlite::Result<Vec<StoredSession>> {
    let mut statement = connection.prepare_cached(
        "SELECT hash, user_id, key_id, permissions, protocol, client, created_at, seen_at, abilities, lineage
         FROM sessions WHERE (?1 IS NULL OR user_id = ?1) AND (?2 IS NULL OR key_id = ?2) ORDER BY seen_at DESC",
    )?;
    let parameters = params![filter.user.map(|user| user.0), filter.key.as_ref().map(|key| &key.0)];
    statement.query_map(parameters, read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredSession> {
    Ok(StoredSession {
        hash: SessionHash(row.get(0)?),
        user: UserId(row.get(1)?),
        key: KeyId(row.get(2)?),
        permissions: row.get::<_, i64>(3)?.cast_unsigned(),
        protocol: protocol(row, 4)?,
        client: row.get(5)?,
        abilities: ClientAbilities(row.get(8)?),
        lineage: KeyId(row.get(9)?),
        created_at: UnixMillis::from_millis(row.get(6)?),
        seen_at: UnixMillis::from_millis(row.get(7)?),
    })
}

/// The revision in a column.
pub(super) fn protocol(row: &Row<'_>, column: usize) -> rusqlite::Result<ProtocolVersion> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

pub(super) fn touch(
    connection: &Connection,
    hash: SessionHash,
    seen_at: UnixMillis,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE sessions SET seen_at = ?2 WHERE hash = ?1 AND seen_at < ?2")
        .and_then(|mut statement| statement.execute(params![hash.0.as_slice(), seen_at.as_millis()]))
        .map_err(unavailable("touch a session"))?;
    Ok(())
}

pub(super) fn end(connection: &Connection, hash: &SessionHash) -> Result<bool, StoreError> {
    connection
        .prepare_cached("DELETE FROM sessions WHERE hash = ?1")
        .and_then(|mut statement| statement.execute([hash.0.as_slice()]))
        .map(|ended| ended > 0)
        .map_err(unavailable("end a session"))
}

pub(super) fn end_expired(
    connection: &Connection,
    idle_since: UnixMillis,
    opened_before: UnixMillis,
    limit: u32,
) -> Result<Vec<SessionHash>, StoreError> {
    let run = || -> rusqlite::Result<Vec<SessionHash>> {
        let mut statement = connection.prepare_cached(
            "DELETE FROM sessions WHERE hash IN (
                 SELECT hash FROM (SELECT hash FROM sessions WHERE seen_at < ?1 LIMIT ?3)
                 UNION
                 SELECT hash FROM (SELECT hash FROM sessions WHERE created_at < ?2 LIMIT ?3)
                 LIMIT ?3)
             RETURNING hash",
        )?;
        let hashes = statement
            .query_map(params![idle_since.as_millis(), opened_before.as_millis(), limit], |row| {
                row.get(0).map(SessionHash)
            })?;
        hashes.collect()
    };
    run().map_err(unavailable("end expired sessions"))
}
