//! The audit trail, and its SQL.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, ToSql, params, types::Value};
use tokio::sync::oneshot;

use super::{
    SqliteStore,
    audit_blocks::search,
    failure::{refused, unavailable},
    job::{Behind, Durability, Job},
    sessions::protocol,
};
use crate::{
    clock::UnixMillis,
    store::{
        AuditEntry, AuditFilter, AuditRecord, AuditStore, ChainHash, KeyId, Outcome, SessionHash, StoreError,
        UserId, audit::first_after,
    },
};

const COLUMNS: &str = "seq, at, request_id, user_id, username, key_id, session_hash, protocol, client, tool,
     arguments_digest, rule, outcome, duration_us, trace_id, hash";

/// How many records one statement appends: what a statement costs by itself is shared by so many.
pub(super) const TOGETHER: [usize; 3] = [32, 8, 1];

#[async_trait]
impl AuditStore for SqliteStore {
    async fn append_audit(&self, record: AuditRecord) -> Result<(), StoreError> {
        self.queue.push(Job::Behind(Behind::Audit(Box::new(record)))).await
    }

    async fn flush_audit(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Job::Flush(answer)).await?;
        answered.await.unwrap_or_else(|_| Err(refused("the writer stopped before it answered")))?;
        // The disk confirms the whole log, whoever wrote what is in it.
        self.write(Durability::Power, |_| Ok(())).await
    }

    async fn audit_page(
        &self,
        filter: AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.read_confirmed(|connection| page(connection, &filter, before, limit))
            .await?
            .map_err(unavailable("read the audit trail"))
    }

    async fn audit_after(&self, after: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.read_confirmed(|connection| self::after(connection, after, limit))
            .await?
            .map_err(unavailable("read the audit trail"))
    }
}

/// Appends records and chains each to the one before. Writers come one after the other: the transaction that this runs in
/// is the only one that writes. Cheapest for as many as [`TOGETHER`] says; all of them are appended or none.
pub(super) fn append(connection: &Connection, records: &[&AuditRecord]) -> Result<(), StoreError> {
    let run = || -> rusqlite::Result<()> {
        let last = connection
            .prepare_cached("SELECT seq, hash FROM audit_records ORDER BY seq DESC LIMIT 1")?
            .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<[u8; 32]>>(1)?)))
            .optional()?;
        let (mut seq, mut hash) = match last {
            Some((seq, hash)) => (seq, hash.map_or(ChainHash::FIRST, ChainHash)),
            None => (0, ChainHash::FIRST),
        };
        let mut statement = connection.prepare_cached(&insertion(records.len()))?;
        let mut place = 0;
        for record in records {
            seq = seq.saturating_add(1);
            hash = record.chained(seq, hash);
            bind(&mut statement, &mut place, record, seq, hash)?;
        }
        statement.raw_execute().map(|_| ())
    };
    run().map_err(unavailable("append to the audit trail"))
}

/// Appends however many records, as many with a statement as can be.
pub(super) fn append_all(connection: &Connection, mut records: &[&AuditRecord]) -> Result<(), StoreError> {
    while let Some(count) = TOGETHER.into_iter().find(|count| *count <= records.len()) {
        let (first, rest) = records.split_at(count);
        append(connection, first)?;
        records = rest;
    }
    Ok(())
}

/// The statement that appends so many records.
fn insertion(count: usize) -> String {
    const HEAD: &str =
        "INSERT INTO audit_records (at, request_id, user_id, username, key_id, session_hash, protocol,
         client, tool, arguments_digest, rule, outcome, duration_us, trace_id, hash, seq) VALUES ";
    const ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut sql = String::with_capacity(HEAD.len().saturating_add(count.saturating_mul(ROW.len() + 1)));
    sql.push_str(HEAD);
    for row in 0..count {
        if row > 0 {
            sql.push(',');
        }
        sql.push_str(ROW);
    }
    sql
}

/// Gives a statement the values of its next row; `place` is the last one that has its value.
fn bind(
    statement: &mut Statement<'_>,
    place: &mut usize,
    record: &AuditRecord,
    seq: i64,
    hash: ChainHash,
) -> rusqlite::Result<()> {
    let mut next = |value: &dyn ToSql| {
        *place = place.saturating_add(1);
        statement.raw_bind_parameter(*place, value)
    };
    next(&record.at.as_millis())?;
    next(&&*record.request_id)?;
    next(&record.user.0)?;
    next(&record.username)?;
    next(&record.key.0)?;
    next(&record.session.as_ref().map(|hash| hash.0.as_slice()))?;
    next(&record.protocol.as_str())?;
    next(&&*record.client)?;
    next(&&*record.tool)?;
    next(&record.arguments_digest.as_slice())?;
    next(&&*record.rule)?;
    next(&record.outcome.as_str())?;
    next(&record.duration_us)?;
    next(&record.trace.as_ref().map(<[u8; 16]>::as_slice))?;
    next(&hash.0.as_slice())?;
    next(&seq)
}

/// The newest first.
pub(super) fn page(
    connection: &Connection,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: u32,
) -> rusqlite::Result<Vec<AuditEntry>> {
    let mut page = Vec::new();
    for (rest, mut values) in search(connection, filter, before)? {
        let missing = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(page.len());
        values.push(Value::from(i64::try_from(missing).unwrap_or(i64::MAX)));
        let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM {rest}"))?;
        let found = statement.query_map(rusqlite::params_from_iter(values), read)?;
        for entry in found {
            page.push(entry?);
        }
    }
    Ok(page)
}

/// The oldest first, after `after`.
pub(super) fn after(
    connection: &Connection,
    after: Option<i64>,
    limit: u32,
) -> rusqlite::Result<Vec<AuditEntry>> {
    let Some(first) = first_after(after) else { return Ok(Vec::new()) };
    let sql = format!("SELECT {COLUMNS} FROM audit_records WHERE seq >= ?1 ORDER BY seq LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params![first, limit], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    let record = AuditRecord {
        at: UnixMillis::from_millis(row.get(1)?),
        request_id: row.get::<_, String>(2)?.into(),
        user: UserId(row.get(3)?),
        username: row.get(4)?,
        key: KeyId(row.get(5)?),
        session: row.get::<_, Option<[u8; 32]>>(6)?.map(SessionHash),
        protocol: protocol(row, 7)?,
        client: row.get::<_, String>(8)?.into(),
        tool: row.get::<_, String>(9)?.into(),
        arguments_digest: row.get(10)?,
        rule: row.get::<_, String>(11)?.into(),
        outcome: outcome(row, 12)?,
        duration_us: row.get(13)?,
        trace: row.get(14)?,
    };
    Ok(AuditEntry { seq: row.get(0)?, record, hash: row.get::<_, Option<[u8; 32]>>(15)?.map(ChainHash) })
}

fn outcome(row: &Row<'_>, column: usize) -> rusqlite::Result<Outcome> {
    let text: String = row.get(column)?;
    Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == text).ok_or_else(|| {
        let error = format!("`{text}` is no outcome");
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}
