//! Looking audit records up by what they are about, without an index of every record.
//!
//! Records are numbered without gaps, and 256 of them are a block. When a block is full, the writer notes once which users,
//! keys, tools and outcomes are in it, and how new it is (`audit_notes`). Whoever looks for records goes through the blocks that have what is
//! looked for, the newest first, and through the records after the last full block one by one.

use rusqlite::{Connection, OptionalExtension as _, params, types::Value};

use super::audit_packs::Topics;
use crate::store::AuditFilter;

/// How many records a block has; that of number 0 lacks the one of number 0.
pub(super) const RECORDS: i64 = 256;

/// The number of the first block that is not noted.
pub(super) const FIRST_NOT_NOTED: &str = "SELECT COALESCE (max (block) + 1, 0) FROM audit_full_blocks";

/// The numbers of the first and of the last record of a block.
pub(super) const fn bounds(block: i64) -> (i64, i64) {
    let first = block.saturating_mul(RECORDS);
    (first, first.saturating_add(RECORDS - 1))
}

fn first_not_noted(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached(FIRST_NOT_NOTED)?.query_row([], |row| row.get(0))
}

/// One of the things that a record is about.
pub(super) struct About {
    pub(super) what: &'static str,
    pub(super) value: for<'a> fn(&'a Topics<'_>) -> &'a str,
    wanted: fn(&AuditFilter) -> Option<&str>,
}

pub(super) const ABOUT: [About; 4] = [
    About { what: "user", value: |topics| &topics.username, wanted: |filter| filter.username.as_deref() },
    About {
        what: "key",
        value: |topics| &topics.key,
        wanted: |filter| filter.key.as_ref().map(|key| &*key.0),
    },
    About { what: "tool", value: |topics| &topics.tool, wanted: |filter| filter.tool.as_deref() },
    About {
        what: "outcome",
        value: |topics| &topics.outcome,
        wanted: |filter| filter.outcome.map(|outcome| outcome.as_str()),
    },
];

/// Where to look for the records that a filter lets through: gives `look` the numbers of the first and the last of some of
/// them after the other, none of them newer than those before, until it says that it has enough.
pub(super) fn search(
    connection: &Connection,
    filter: &AuditFilter,
    before: Option<i64>,
    mut look: impl FnMut(i64, i64) -> rusqlite::Result<bool>,
) -> rusqlite::Result<()> {
    let open_from = first_not_noted(connection)?.saturating_mul(RECORDS);
    let oldest = match filter.since {
        Some(since) => first_since(connection, since.as_millis())?.min(open_from),
        None => i64::MIN,
    };
    let Some(newest) = before.unwrap_or(i64::MAX).checked_sub(1) else { return Ok(()) };
    if ABOUT.iter().all(|about| (about.wanted)(filter).is_none()) {
        return look(oldest, newest).map(drop);
    }
    if !look(oldest.max(open_from), newest)? {
        return Ok(());
    }
    let (sql, mut values) = blocks(filter);
    let newest_block = newest.div_euclid(RECORDS).min(open_from / RECORDS - 1);
    values.extend([newest_block, oldest.div_euclid(RECORDS)].map(Value::from));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query(rusqlite::params_from_iter(values))?;
    while let Some(row) = found.next()? {
        let (first, last) = bounds(row.get(0)?);
        if !look(first.max(oldest), last.min(newest))? {
            break;
        }
    }
    Ok(())
}

/// The blocks that have all of what is wanted, the newest first: a statement, and the values of its parameters but the last
/// two, the newest block and the oldest.
fn blocks(filter: &AuditFilter) -> (String, Vec<Value>) {
    let (mut joined, mut conditions, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let wanted = ABOUT.iter().filter_map(|about| Some((about, (about.wanted)(filter)?)));
    for (number, (about, value)) in wanted.enumerate() {
        joined.push(format!("audit_blocks b{number}"));
        conditions.push(format!("b{number}.what = '{}' AND b{number}.value = ?", about.what));
        values.push(Value::from(value.to_owned()));
        if number > 0 {
            conditions.push(format!("b{number}.block = b0.block"));
        }
    }
    let sql = format!(
        "SELECT b0.block FROM {} WHERE {} AND b0.block <= ? AND b0.block >= ? ORDER BY b0.block DESC",
        joined.join(" CROSS JOIN "),
        conditions.join(" AND ")
    );
    (sql, values)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::mcp::ProtocolVersion;

    use super::*;
    use crate::{
        clock::UnixMillis,
        store::{
            AuditRecord, ChainHash, KeyId, Outcome, SessionHash, UserId,
            sqlite::{
                SqliteLocation, audit,
                audit_notes::{Appended, note_full},
                database,
            },
        },
    };

    /// How many steps the schema had before there were blocks, and before there were packs.
    const BEFORE: [usize; 2] = [13, 18];

    fn record(number: i64) -> AuditRecord {
        AuditRecord {
            at: UnixMillis::from_millis(1_000 + number),
            request_id: "a \0 \"b\"".into(),
            user: UserId(1),
            username: format!("user{}", number / 300),
            key: KeyId("key".to_owned()),
            session: (number % 3 == 0).then_some(SessionHash([7; 32])),
            protocol: ProtocolVersion::V2025_11_25,
            client: "".into(),
            tool: "tool".into(),
            arguments_digest: [0; 32],
            rule: "".into(),
            outcome: if number == 5 { Outcome::Denied } else { Outcome::Ok },
            duration_us: number,
            trace: (number % 2 == 0).then_some([9; 16]),
        }
    }

    /// As it was done when a record was a row.
    fn add_rows(connection: &Connection, count: i64) {
        let insert = "INSERT INTO audit_records (at, request_id, user_id, username, key_id, protocol, client, tool,
                          arguments_digest, rule, outcome, duration_us, session_hash, trace_id, hash)
                      VALUES (?1, ?2, 1, ?3, 'key', '2025-11-25', '', 'tool', zeroblob (32), '', ?4, ?5, ?6, ?7, ?8)";
        let mut hash = ChainHash::FIRST;
        for number in 0..count {
            let one = record(number);
            hash = one.chained(number + 1, hash);
            let (session, trace) = (one.session.map(|session| session.0), one.trace);
            let hash = (number > 0).then_some(hash.0);
            let at = one.at.as_millis();
            let of_record = params![
                at,
                &*one.request_id,
                one.username,
                one.outcome.as_str(),
                number,
                session,
                trace,
                hash
            ];
            connection.execute(insert, of_record).unwrap();
        }
    }

    fn append(connection: &Connection, numbers: std::ops::Range<i64>, appended: &mut Appended) {
        let records: Vec<_> = numbers.map(record).collect();
        audit::append_all(connection, &records.iter().collect::<Vec<_>>(), appended, &|| ()).unwrap();
    }

    fn before(steps: usize) -> Connection {
        let connection = database::open(&SqliteLocation::Memory, Duration::ZERO).unwrap();
        for step in &database::MIGRATIONS[..steps] {
            connection.execute_batch(step).unwrap();
        }
        connection.pragma_update(None, "application_id", 0x4d43_5050).unwrap();
        connection.pragma_update(None, "user_version", i64::try_from(steps).unwrap()).unwrap();
        connection
    }

    fn table(connection: &Connection, sql: &str) -> Vec<(Value, Value)> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<rusqlite::Result<_>>().unwrap()
    }

    #[test]
    fn a_trail_of_before_is_found_by_blocks_and_goes_on() {
        for steps in BEFORE {
            let mut connection = before(steps);
            add_rows(&connection, 900);
            database::migrate(&mut connection).unwrap();
            let entries = audit::after(&connection, None, 1_000).unwrap();
            let kept: Vec<_> = entries.iter().map(|entry| entry.record.clone()).collect();
            assert_eq!(kept, (0..900).map(record).collect::<Vec<_>>());
            assert!(entries.iter().map(|entry| entry.seq).eq(1..=900));
            assert_eq!((entries[0].hash, entries[1].hash.is_some()), (None, true), "the first had no hash");

            let mut appended = Appended::default();
            note_full(&connection, &mut appended).unwrap();
            assert_eq!(first_not_noted(&connection).unwrap(), 3, "of 900 records three blocks are full");
            let noted = ["SELECT what || value, block FROM audit_blocks", "SELECT * FROM audit_full_blocks"];
            let migrated = noted.map(|sql| table(&connection, sql));
            connection.execute_batch("DELETE FROM audit_blocks; DELETE FROM audit_full_blocks;").unwrap();
            note_full(&connection, &mut appended).unwrap();
            let by_writer = noted.map(|sql| table(&connection, sql));
            assert_eq!(by_writer, migrated, "the migration of {steps} and the writer note the same");

            append(&connection, 0..400, &mut appended);
            note_full(&connection, &mut appended).unwrap();
            assert_eq!(first_not_noted(&connection).unwrap(), 5);
            let count = |username: Option<&str>, outcome: Option<Outcome>, since: Option<i64>| {
                let filter = AuditFilter {
                    username: username.map(str::to_owned),
                    outcome,
                    since: since.map(UnixMillis::from_millis),
                    ..AuditFilter::default()
                };
                audit::page(&connection, &filter, None, 10_000).unwrap().len()
            };
            let of_user = |username, since| count(Some(username), None, since);
            assert_eq!(
                (of_user("user0", None), of_user("user1", None), of_user("user2", None)),
                (600, 400, 300)
            );
            assert_eq!((of_user("user2", Some(1_890)), of_user("user2", Some(1_900))), (10, 0));
            let (denied, failed) = (Some(Outcome::Denied), Some(Outcome::Failed));
            assert_eq!((count(None, denied, None), count(None, failed, None)), (2, 0));
            assert_eq!(count(Some("user1"), denied, None), 0);
        }
    }

    #[test]
    fn what_is_noted_is_the_same_whoever_appended_it() {
        let trail = |others: &[(i64, i64)]| {
            let mut connection = database::open(&SqliteLocation::Memory, Duration::ZERO).unwrap();
            database::migrate(&mut connection).unwrap();
            let (mut appended, mut number) = (Appended::default(), 0);
            while number < 1_100 {
                // Now and then another process does, or what was appended is undone.
                let is_other = others.iter().any(|(first, end)| (*first..*end).contains(&number));
                let mut of_other = Appended::default();
                append(
                    &connection,
                    number..number + 50,
                    if is_other { &mut of_other } else { &mut appended },
                );
                number += 50;
                if number == 500 {
                    appended.forget();
                }
                note_full(&connection, &mut appended).unwrap();
            }
            let noted = ["SELECT what || value, block FROM audit_blocks", "SELECT * FROM audit_full_blocks"];
            noted.map(|sql| table(&connection, sql))
        };
        let expected = trail(&[(0, 1_100)]);
        assert_eq!(expected[1].len(), 4);
        assert_eq!(trail(&[]), expected);
        assert_eq!(trail(&[(100, 150), (800, 1_000)]), expected);
    }

    #[test]
    fn whoever_has_sql_alone_reads_every_record_as_it_is() {
        let mut connection = database::open(&SqliteLocation::Memory, Duration::ZERO).unwrap();
        database::migrate(&mut connection).unwrap();
        for numbers in [0..1, 1..64, 64..330] {
            append(&connection, numbers, &mut Appended::default());
        }
        let entries = audit::after(&connection, None, 1_000).unwrap();
        assert_eq!(entries.len(), 330);
        let all =
            "SELECT seq, at, request_id, user_id, username, key_id, session_hash, protocol, client, tool,
                          arguments_digest, rule, outcome, duration_us, trace_id, hash
                   FROM audit_records ORDER BY seq";
        let mut statement = connection.prepare(all).unwrap();
        let mut rows = statement.query([]).unwrap();
        for entry in entries {
            let (row, record) = (rows.next().unwrap().unwrap(), &entry.record);
            assert_eq!((row.get(0), row.get(1)), (Ok(entry.seq), Ok(record.at.as_millis())));
            let texts: Vec<String> =
                [2, 4, 5, 7, 8, 9, 11, 12].iter().map(|column| row.get(*column).unwrap()).collect();
            let expected = [
                &*record.request_id,
                &record.username,
                &record.key.0,
                record.protocol.as_str(),
                &record.client,
                &record.tool,
                &record.rule,
                record.outcome.as_str(),
            ];
            assert_eq!(texts, expected);
            assert_eq!((row.get(3), row.get(13)), (Ok(record.user.0), Ok(record.duration_us)));
            assert_eq!(row.get(6), Ok(record.session.as_ref().map(|session| session.0)));
            assert_eq!((row.get(10), row.get(14)), (Ok(record.arguments_digest), Ok(record.trace)));
            assert_eq!(row.get(15), Ok(entry.hash.map(|hash| hash.0)));
        }
        assert!(rows.next().unwrap().is_none());
    }
}
