//! The audit trail, and its SQL.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::oneshot;

use super::{
    SqliteStore,
    audit_blocks::search,
    audit_notes::Appended,
    audit_packs::{self, COLUMNS, Pack, Packing, damaged},
    failure::{refused, unavailable},
    job::{Behind, Durability, Job},
};
use crate::store::{
    AuditEntry, AuditFilter, AuditRecord, AuditStore, ChainHash, StoreError, audit::first_after,
};

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

/// After so many records, which take some 15 µs to be chained and written as JSON, a writer that nobody waits for yields.
const BETWEEN_YIELDS: usize = 32;

/// Appends records as one pack. At most [`audit_packs::MOST`]; all of them are appended or none.
pub(super) fn append(connection: &Connection, records: &[&AuditRecord]) -> Result<(), StoreError> {
    append_pack(connection, records, &|| ()).map(|_| ())
}

/// Appends however many records of the writer's, with a call of `yield_now` every now and then.
pub(super) fn append_all(
    connection: &Connection,
    records: &[&AuditRecord],
    appended: &mut Appended,
    yield_now: &dyn Fn(),
) -> Result<(), StoreError> {
    for records in records.chunks(audit_packs::MOST) {
        appended.add(records, append_pack(connection, records, yield_now)?);
        yield_now();
    }
    Ok(())
}

/// Appends a pack, each record chained to the one before, and returns the number of the newest. Writers come one after the
/// other: the transaction that this runs in is the only one that writes.
fn append_pack(
    connection: &Connection,
    records: &[&AuditRecord],
    yield_now: &dyn Fn(),
) -> Result<i64, StoreError> {
    let run = || -> rusqlite::Result<i64> {
        let newest = "SELECT last, substr (hashes, -32) FROM audit_packs ORDER BY last DESC LIMIT 1";
        let (last, hash) = connection
            .prepare_cached(newest)?
            .query_row([], |row| Ok((row.get(0)?, ChainHash(row.get(1)?))))
            .optional()?
            .unwrap_or((0, ChainHash::FIRST));
        let mut packing = Packing::after(last, hash, records.len());
        for records in records.chunks(BETWEEN_YIELDS) {
            records.iter().try_for_each(|record| packing.add(record))?;
            yield_now();
        }
        packing.insert(connection)
    };
    run().map_err(unavailable("append to the audit trail"))
}

/// The newest first.
pub(super) fn page(
    connection: &Connection,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: u32,
) -> rusqlite::Result<Vec<AuditEntry>> {
    let (limit, mut page) = (usize::try_from(limit).unwrap_or(usize::MAX), Vec::new());
    if limit == 0 {
        return Ok(page);
    }
    search(connection, filter, before, |first, last| {
        let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM {WITHIN}"))?;
        let mut packs = statement.query(params![first, last])?;
        while let Some(row) = packs.next()? {
            let pack = Pack::of(row)?;
            let (oldest, newest) = pack.numbers().into_inner();
            for seq in (oldest.max(first)..=newest.min(last)).rev() {
                let entry = pack.entry(seq)?;
                if filter.lets_through(&entry.record) {
                    page.push(entry);
                }
                if page.len() >= limit {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    })?;
    Ok(page)
}

/// The packs with records from one number to another, the newest first.
const WITHIN: &str = "audit_packs
     WHERE last >= ?1 AND last <= COALESCE ((SELECT min (last) FROM audit_packs WHERE last >= ?2), ?2)
     ORDER BY last DESC";

/// The oldest first, after `after`.
pub(super) fn after(
    connection: &Connection,
    after: Option<i64>,
    limit: u32,
) -> rusqlite::Result<Vec<AuditEntry>> {
    let Some(first) = first_after(after) else { return Ok(Vec::new()) };
    let (limit, mut page) = (usize::try_from(limit).unwrap_or(usize::MAX), Vec::new());
    let mut before: Option<i64> = connection
        .prepare_cached("SELECT max (last) FROM audit_packs WHERE last < ?1")?
        .query_row([first], |row| row.get(0))?;
    let sql = format!("SELECT {COLUMNS} FROM audit_packs WHERE last >= ?1 ORDER BY last");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut packs = statement.query([first])?;
    while page.len() < limit
        && let Some(row) = packs.next()?
    {
        let pack = Pack::of(row)?;
        let (oldest, newest) = pack.numbers().into_inner();
        if before.is_some_and(|before| oldest <= before) {
            return Err(damaged(format!("two records have the number {oldest}").into()));
        }
        before = Some(newest);
        for seq in (oldest.max(first)..=newest).take(limit.saturating_sub(page.len())) {
            page.push(pack.entry(seq)?);
        }
    }
    Ok(page)
}
