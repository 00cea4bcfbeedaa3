//! Looking audit records up by what they are about, without an index of every record.
//!
//! Records are numbered without gaps, and 256 of them are a block. When a block is full, the writer notes once which users,
//! keys and tools are in it, and how new it is. Whoever looks for records goes through the blocks that have what is looked
//! for, the newest first, and through the records after the last full block one by one.

use rusqlite::{Connection, OptionalExtension as _, params, types::Value};

use super::failure::unavailable;
use crate::store::{AuditFilter, Outcome, StoreError};

/// How many records a block has; that of number 0 lacks the one of number 0.
const RECORDS: i64 = 256;

/// The number of the first block that is not noted.
const FIRST_NOT_NOTED: &str = "SELECT COALESCE (max (block) + 1, 0) FROM audit_full_blocks";

/// Notes what is in the blocks that got full. Part of the transaction that filled them.
pub(super) fn note_full(connection: &Connection) -> Result<(), StoreError> {
    let run = || -> rusqlite::Result<()> {
        let sql = format!("SELECT ({FIRST_NOT_NOTED}), COALESCE (max (seq), 0) FROM audit_records");
        let (first, newest): (i64, i64) =
            connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for block in first..newest.saturating_add(1) / RECORDS {
            note(connection, block)?;
        }
        Ok(())
    };
    run().map_err(unavailable("note what the audit trail is about"))
}

fn note(connection: &Connection, block: i64) -> rusqlite::Result<()> {
    let first = block.saturating_mul(RECORDS);
    let last = first.saturating_add(RECORDS - 1);
    for about in ABOUT {
        let (what, column) = (about.what, about.column);
        let sql = format!(
            "INSERT INTO audit_blocks (what, value, block)
             SELECT DISTINCT '{what}', {column}, ?1 FROM audit_records WHERE seq BETWEEN ?2 AND ?3"
        );
        connection.prepare_cached(&sql)?.execute([block, first, last])?;
    }
    let sql = "INSERT INTO audit_full_blocks (block, newest_at)
         SELECT ?1, max (max (at), COALESCE ((SELECT newest_at FROM audit_full_blocks WHERE block = ?1 - 1), min (at)))
         FROM audit_records WHERE seq BETWEEN ?2 AND ?3";
    connection.prepare_cached(sql)?.execute([block, first, last])?;
    Ok(())
}

fn first_not_noted(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached(FIRST_NOT_NOTED)?.query_row([], |row| row.get(0))
}

/// One of the things that a record is about.
struct About {
    what: &'static str,
    column: &'static str,
    wanted: fn(&AuditFilter) -> Option<&str>,
}

const ABOUT: [About; 3] = [
    About { what: "user", column: "username", wanted: |filter| filter.username.as_deref() },
    About { what: "key", column: "key_id", wanted: |filter| filter.key.as_ref().map(|key| &*key.0) },
    About { what: "tool", column: "tool", wanted: |filter| filter.tool.as_deref() },
];

/// A part of a statement, and the values of its parameters.
#[derive(Default)]
struct Terms {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Terms {
    /// A condition with one parameter, `?`.
    fn with(mut self, condition: &str, value: impl Into<Value>) -> Self {
        self.conditions.push(condition.to_owned());
        self.values.push(value.into());
        self
    }

    fn all(&self) -> String {
        self.conditions.join(" AND ")
    }
}

/// A statement without `SELECT … FROM`, up to the limit, which is its last parameter, and the values of those before it.
type Rest = (String, Vec<Value>);

/// Where to look for the records that a filter lets through: one statement after the other, each from the newest record to
/// the oldest, and none of the later ones has a newer record than one before it.
pub(super) fn search(
    connection: &Connection,
    filter: &AuditFilter,
    before: Option<i64>,
) -> rusqlite::Result<Vec<Rest>> {
    let open_from = first_not_noted(connection)?.saturating_mul(RECORDS);
    let oldest = match filter.since {
        Some(since) => first_since(connection, since.as_millis())?.min(open_from),
        None => 0,
    };
    let before = before.unwrap_or(i64::MAX);
    let has_blocks = ABOUT.iter().any(|about| (about.wanted)(filter).is_some());
    // What does not end well is rare and has an index of its own.
    let is_rare = filter.outcome.is_some_and(|outcome| outcome != Outcome::Ok);
    if !has_blocks || is_rare {
        return Ok(vec![one_by_one(&records(filter, oldest, before, ""))]);
    }
    let rest = one_by_one(&records(filter, open_from, before, ""));
    Ok(vec![rest, by_blocks(filter, oldest, before, open_from / RECORDS)])
}

/// Those of the filter, from one number up to another. With a plus, SQLite does not look for them by their number.
fn records(filter: &AuditFilter, from: i64, before: i64, plus: &str) -> Terms {
    let mut terms = Terms::default().with(&format!("{plus}r.seq < ?"), before);
    terms = terms.with(&format!("{plus}r.seq >= ?"), from);
    for about in &ABOUT {
        if let Some(wanted) = (about.wanted)(filter) {
            terms = terms.with(&format!("r.{} = ?", about.column), wanted.to_owned());
        }
    }
    if let Some(since) = filter.since {
        terms = terms.with("r.at >= ?", since.as_millis());
    }
    terms.conditions.extend(filter.outcome.map(outcome_is));
    terms
}

/// The same in the blocks that have all of what is wanted: it is the block that bounds the numbers.
fn by_blocks(filter: &AuditFilter, oldest: i64, before: i64, open_block: i64) -> Rest {
    let mut blocks = Terms::default();
    let mut joined = String::new();
    let wanted = ABOUT.iter().filter_map(|about| Some((about, (about.wanted)(filter)?)));
    for (number, (about, value)) in wanted.enumerate() {
        let condition = format!("b{number}.what = '{}' AND b{number}.value = ?", about.what);
        blocks = blocks.with(&condition, value.to_owned());
        if number > 0 {
            blocks.conditions.push(format!("b{number}.block = b0.block"));
        }
        joined.push_str(&format!("audit_blocks b{number} CROSS JOIN "));
    }
    blocks = blocks.with("b0.block < ?", open_block);
    blocks = blocks.with("b0.block <= ?", before / RECORDS).with("b0.block >= ?", oldest / RECORDS);
    let within = records(filter, oldest, before, "+");
    let sql = format!(
        "{joined}audit_records r WHERE {} AND r.seq BETWEEN b0.block * {RECORDS} AND b0.block * {RECORDS} + {}
           AND {} ORDER BY b0.block DESC, r.seq DESC LIMIT ?",
        blocks.all(),
        RECORDS - 1,
        within.all()
    );
    blocks.values.extend(within.values);
    (sql, blocks.values)
}

fn one_by_one(records: &Terms) -> Rest {
    let sql = format!("audit_records r WHERE {} ORDER BY r.seq DESC LIMIT ?", records.all());
    (sql, records.values.clone())
}

/// The number before which no record is as new as `since`, as far as the full blocks tell.
fn first_since(connection: &Connection, since: i64) -> rusqlite::Result<i64> {
    let block: Option<i64> = connection
        .prepare_cached(
            "SELECT block FROM audit_full_blocks WHERE newest_at >= ?1 ORDER BY newest_at, block LIMIT 1",
        )?
        .query_row(params![since], |row| row.get(0))
        .optional()?;
    Ok(block.map_or(i64::MAX, |block| block.saturating_mul(RECORDS)))
}

/// In the words of the index, which has all but the usual outcome.
fn outcome_is(outcome: Outcome) -> String {
    let wanted = outcome.as_str();
    match outcome {
        Outcome::Ok => format!("r.outcome = '{wanted}'"),
        _ => format!("r.outcome = '{wanted}' AND r.outcome <> 'ok'"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::sqlite::{SqliteLocation, audit, database};

    /// How many steps the schema had before there were blocks.
    const BEFORE: usize = 13;

    #[test]
    fn a_trail_of_before_is_found_by_blocks_and_goes_on() {
        let mut connection = database::open(&SqliteLocation::Memory, Duration::ZERO).unwrap();
        for step in &database::MIGRATIONS[..BEFORE] {
            connection.execute_batch(step).unwrap();
        }
        connection.pragma_update(None, "application_id", 0x4d43_5050).unwrap();
        connection.pragma_update(None, "user_version", i64::try_from(BEFORE).unwrap()).unwrap();
        let add = |connection: &Connection, count: i64| {
            let insert = "INSERT INTO audit_records (at, request_id, user_id, username, key_id, protocol, client, tool,
                              arguments_digest, rule, outcome, duration_us)
                          VALUES (1000 + ?1, '', 1, 'user' || (?1 / 300), 'key', '2025-11-25', '', 'tool', zeroblob (32),
                              '', 'ok', 0)";
            for number in 0..count {
                connection.execute(insert, [number]).unwrap();
            }
        };
        add(&connection, 900);
        database::migrate(&mut connection).unwrap();
        assert_eq!(first_not_noted(&connection).unwrap(), 3, "of 900 records three blocks are full");
        let table = |sql: &str| -> Vec<(Value, Value)> {
            let mut statement = connection.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            rows.collect::<rusqlite::Result<_>>().unwrap()
        };
        let noted = ["SELECT what || value, block FROM audit_blocks", "SELECT * FROM audit_full_blocks"];
        let migrated = noted.map(table);
        connection.execute_batch("DELETE FROM audit_blocks; DELETE FROM audit_full_blocks;").unwrap();
        note_full(&connection).unwrap();
        assert_eq!(noted.map(table), migrated, "the migration and the writer note the same");

        add(&connection, 400);
        note_full(&connection).unwrap();
        assert_eq!(first_not_noted(&connection).unwrap(), 5);
        let count = |username: &str, since: Option<i64>| {
            let filter = AuditFilter {
                username: Some(username.to_owned()),
                since: since.map(crate::clock::UnixMillis::from_millis),
                ..AuditFilter::default()
            };
            audit::page(&connection, &filter, None, 10_000).unwrap().len()
        };
        assert_eq!((count("user0", None), count("user1", None), count("user2", None)), (600, 400, 300));
        assert_eq!((count("user2", Some(1_890)), count("user2", Some(1_900))), (10, 0));
    }
}
