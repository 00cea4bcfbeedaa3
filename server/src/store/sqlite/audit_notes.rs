//! Noting what a block of audit records is about, once, when it is full.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::{
    audit_blocks::{ABOUT, FIRST_NOT_NOTED, RECORDS, bounds},
    audit_packs::{COLUMNS, Pack, Topics},
    failure::unavailable,
};
use crate::{
    clock::UnixMillis,
    store::{AuditRecord, StoreError},
};

/// What the writer has appended to blocks that are not full yet, so that it needs not read that again. Where it did not append
/// all of a block, it does read it.
#[derive(Debug, Default)]
pub(super) struct Appended(BTreeMap<i64, Noted>);

impl Appended {
    /// Those records were appended, the last of them with this number.
    pub(super) fn add(&mut self, records: &[&AuditRecord], last: i64) {
        for (record, seq) in records.iter().rev().zip((i64::MIN..=last).rev()) {
            self.0.entry(seq.div_euclid(RECORDS)).or_default().add(&Topics::of(record));
        }
    }

    /// Whatever was appended may not have been.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// A block that got full, if all of it was appended here.
    fn take(&mut self, block: i64) -> Option<Noted> {
        self.0.retain(|known, _| *known >= block);
        let (first, last) = bounds(block);
        self.0.remove(&block).filter(|noted| noted.count == last - first.max(1) + 1)
    }
}

/// What the records of a block are about.
#[derive(Debug, Default)]
struct Noted {
    count: i64,
    newest_at: Option<UnixMillis>,
    /// The values of each of [`ABOUT`].
    values: [BTreeSet<String>; ABOUT.len()],
}

impl Noted {
    fn add(&mut self, topics: &Topics<'_>) {
        self.count = self.count.saturating_add(1);
        self.newest_at = self.newest_at.max(Some(topics.at));
        for (values, about) in self.values.iter_mut().zip(&ABOUT) {
            let value = (about.value)(topics);
            if !values.contains(value) {
                values.insert(value.to_owned());
            }
        }
    }

    /// What is in the database of a block. A record that cannot be read does not keep others from being written: whoever
    /// verifies the trail is told of it.
    fn read(connection: &Connection, block: i64) -> rusqlite::Result<Self> {
        let (mut noted, (first, last)) = (Self::default(), bounds(block));
        let sql = format!("SELECT {COLUMNS} FROM audit_packs WHERE last >= ?1 ORDER BY last");
        let mut statement = connection.prepare_cached(&sql)?;
        let mut packs = statement.query([first])?;
        while let Some(row) = packs.next()? {
            let Ok(pack) = Pack::of(row) else { continue };
            let (oldest, newest) = pack.numbers().into_inner();
            if oldest > last {
                break;
            }
            let readable = (oldest.max(first)..=newest.min(last)).filter_map(|seq| pack.topics(seq).ok());
            readable.for_each(|topics| noted.add(&topics));
        }
        Ok(noted)
    }
}

/// Notes what is in the blocks that got full. Part of the transaction that filled them.
pub(super) fn note_full(connection: &Connection, appended: &mut Appended) -> Result<(), StoreError> {
    let mut run = || -> rusqlite::Result<()> {
        let sql = format!("SELECT ({FIRST_NOT_NOTED}), COALESCE (max (last), 0) FROM audit_packs");
        let (first, newest): (i64, i64) =
            connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for block in first..newest.saturating_add(1) / RECORDS {
            let noted = appended.take(block).map_or_else(|| Noted::read(connection, block), Ok)?;
            note(connection, block, &noted)?;
        }
        Ok(())
    };
    run().map_err(unavailable("note what the audit trail is about"))
}

fn note(connection: &Connection, block: i64, noted: &Noted) -> rusqlite::Result<()> {
    let sql = "INSERT INTO audit_blocks (what, value, block) VALUES (?1, ?2, ?3)";
    let mut insert = connection.prepare_cached(sql)?;
    for (about, values) in ABOUT.iter().zip(&noted.values) {
        for value in values {
            insert.execute(params![about.what, value, block])?;
        }
    }
    let sql = "INSERT INTO audit_full_blocks (block, newest_at)
         SELECT ?1, max (?2, COALESCE ((SELECT newest_at FROM audit_full_blocks WHERE block = ?1 - 1), ?2))";
    let newest_at = noted.newest_at.map_or(0, UnixMillis::as_millis);
    connection.prepare_cached(sql)?.execute(params![block, newest_at])?;
    Ok(())
}
