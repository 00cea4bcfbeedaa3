//! SQL of the audit trail.

use rusqlite::{Connection, Row, params};

use super::{failure::unavailable, sessions::protocol};
use crate::{
    clock::UnixMillis,
    store::{AuditRecord, KeyId, Outcome, SessionHash, StoreError, UserId},
};

pub(super) fn append(connection: &Connection, record: &AuditRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO audit_records (at, request_id, user_id, username, key_id, session_hash, protocol, client,
                 tool, arguments_digest, rule, outcome, duration_us)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                record.at.as_millis(),
                record.request_id,
                record.user.0,
                record.username,
                record.key.0,
                record.session.as_ref().map(|hash| hash.0.as_slice()),
                record.protocol.as_str(),
                record.client,
                record.tool,
                record.arguments_digest.as_slice(),
                record.rule,
                record.outcome.as_str(),
                record.duration_us,
            ])
        })
        .map_err(unavailable("append to the audit trail"))?;
    Ok(())
}

pub(super) fn latest(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<AuditRecord>> {
    let mut statement = connection.prepare_cached(
        "SELECT at, request_id, user_id, username, key_id, session_hash, protocol, client, tool,
             arguments_digest, rule, outcome, duration_us
         FROM audit_records ORDER BY seq DESC LIMIT ?1",
    )?;
    statement.query_map([limit], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditRecord> {
    Ok(AuditRecord {
        at: UnixMillis::from_millis(row.get(0)?),
        request_id: row.get(1)?,
        user: UserId(row.get(2)?),
        username: row.get(3)?,
        key: KeyId(row.get(4)?),
        session: row.get::<_, Option<[u8; 32]>>(5)?.map(SessionHash),
        protocol: protocol(row, 6)?,
        client: row.get(7)?,
        tool: row.get(8)?,
        arguments_digest: row.get(9)?,
        rule: row.get(10)?,
        outcome: outcome(row, 11)?,
        duration_us: row.get(12)?,
    })
}

fn outcome(row: &Row<'_>, column: usize) -> rusqlite::Result<Outcome> {
    let text: String = row.get(column)?;
    Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or_else(|| {
        let error = format!("`{text}` is no outcome");
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}
