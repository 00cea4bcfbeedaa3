//! Records of the audit trail by the million, chained as the server chains them.

use rusqlite::{Connection, OptionalExtension as _, ToSql};
use sha2::{Digest as _, Sha256};

use super::Paused;

/// Adds records of Bob's, one a millisecond, each with the hash over itself and the one before it.
pub(super) fn add(connection: &Connection, records: u64) -> anyhow::Result<()> {
    let paused = Paused::tables(connection, &["audit_records"])?;
    let (key, user): (String, i64) = connection.query_row(
        "SELECT id, user_id FROM api_keys NATURAL JOIN accounts WHERE username = 'bob' LIMIT 1",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let (mut seq, mut hash): (i64, [u8; 32]) = connection
        .query_row("SELECT seq, hash FROM audit_records ORDER BY seq DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?
        .unwrap_or_default();
    let before = seq;
    connection.execute_batch("BEGIN")?;
    // What is the same in every record is bound once.
    let mut insert = connection.prepare(
        "INSERT INTO audit_records (seq, at, request_id, hash, user_id, username, key_id, protocol, client, tool,
             arguments_digest, rule, outcome, duration_us)
         VALUES (?1, ?2, ?3, ?4, ?5, 'bob', ?6, ?7, ?8, ?9, ?10, ?11, 'ok', ?12)",
    )?;
    let digest: [u8; 32] = Sha256::digest(b"{}").into();
    let same: [&dyn ToSql; 8] = [&user, &key, &PROTOCOL, &CLIENT, &TOOL, &digest, &RULE, &DURATION_US];
    for (value, place) in same.into_iter().zip(5..) {
        insert.raw_bind_parameter(place, value)?;
    }
    for record in 0..i64::try_from(records)? {
        seq += 1;
        let (at, request) = (FIRST_AT + record, format!("{seq:032x}"));
        // Members as the server chains them: the session and the trace are absent.
        hash = chained(&[
            &hash,
            &seq.to_be_bytes(),
            &at.to_be_bytes(),
            request.as_bytes(),
            &user.to_be_bytes(),
            b"bob",
            key.as_bytes(),
            b"",
            PROTOCOL.as_bytes(),
            CLIENT.as_bytes(),
            TOOL.as_bytes(),
            &digest,
            RULE.as_bytes(),
            b"ok",
            &DURATION_US.to_be_bytes(),
            b"",
        ]);
        insert.raw_bind_parameter(1, seq)?;
        insert.raw_bind_parameter(2, at)?;
        insert.raw_bind_parameter(3, request)?;
        insert.raw_bind_parameter(4, hash)?;
        insert.raw_execute()?;
    }
    drop(insert);
    note_blocks(connection, &key, before, seq)?;
    connection.execute_batch("COMMIT")?;
    paused.resume(connection)
}

/// How many records a block has.
const BLOCK: i64 = 256;

/// Notes what the server does when a block is full, of all blocks up to the record `last`: what they are about, and the
/// newest time so far. Up to the block of the record `before` that is looked for; after it, there are Bob's alone.
fn note_blocks(connection: &Connection, key: &str, before: i64, last: i64) -> anyhow::Result<()> {
    let (mixed, end) = (before / BLOCK, (last + 1) / BLOCK);
    for (what, column) in [("user", "username"), ("key", "key_id"), ("tool", "tool")] {
        let sql = format!(
            "INSERT OR IGNORE INTO audit_blocks SELECT DISTINCT '{what}', {column}, seq / ?1 FROM audit_records
             WHERE seq < ?2"
        );
        connection.execute(&sql, [BLOCK, (mixed + 1).min(end) * BLOCK])?;
    }
    connection.execute(
        "INSERT OR IGNORE INTO audit_full_blocks
         SELECT seq / ?1, max (max (at)) OVER (ORDER BY seq / ?1) FROM audit_records WHERE seq < ?2 GROUP BY seq / ?1",
        [BLOCK, (mixed + 1).min(end) * BLOCK],
    )?;
    let newest = "SELECT COALESCE (max (newest_at), 0) FROM audit_full_blocks";
    let newest: i64 = connection.query_row(newest, [], |row| row.get(0))?;
    let mut about =
        connection.prepare("INSERT INTO audit_blocks (what, value, block) VALUES (?1, ?2, ?3)")?;
    let mut full = connection.prepare("INSERT INTO audit_full_blocks (block, newest_at) VALUES (?1, ?2)")?;
    for block in mixed + 1..end {
        for (what, value) in [("user", "bob"), ("key", key), ("tool", TOOL)] {
            about.execute((what, value, block))?;
        }
        let at = FIRST_AT + (block + 1) * BLOCK - before - 2;
        full.execute((block, at.max(newest)))?;
    }
    Ok(())
}

/// When the first of the records that are added was, in milliseconds since 1970.
const FIRST_AT: i64 = 1_700_000_000_000;
const PROTOCOL: &str = "2025-11-25";
const CLIENT: &str = "bench/1";
const TOOL: &str = "getAccountBalance";
const RULE: &str = "balance:read";
const DURATION_US: i64 = 100;

/// The SHA-256 of members, each after its length.
fn chained(members: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for member in members {
        hash.update(u64::try_from(member.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(member);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, types::Value};

    use super::{FIRST_AT, note_blocks};

    #[test]
    fn blocks_are_noted_as_a_look_at_every_record_would() {
        const BEFORE: i64 = 700;
        let connection = Connection::open_in_memory().expect("a database");
        connection
            .execute_batch(
                "CREATE TABLE audit_records (seq INTEGER PRIMARY KEY, at INTEGER, username TEXT, key_id TEXT, tool TEXT);
                 CREATE TABLE audit_blocks (what TEXT, value TEXT, block INTEGER, PRIMARY KEY (what, value, block));
                 CREATE TABLE audit_full_blocks (block INTEGER PRIMARY KEY, newest_at INTEGER);",
            )
            .expect("tables");
        let add = |seq: i64, at: i64, user: &str, tool: &str| {
            let sql = "INSERT INTO audit_records VALUES (?1, ?2, ?3, ?3 || '-key', ?4)";
            connection.execute(sql, (seq, at, user, tool)).expect("a record");
        };
        for seq in 1..=BEFORE {
            add(seq, 2 * FIRST_AT - seq, ["alice", "charlie"][usize::from(seq > 600)], "another");
        }
        for last in [BEFORE + 20, BEFORE + 1_500] {
            connection
                .execute_batch("DELETE FROM audit_blocks; DELETE FROM audit_full_blocks")
                .expect("nothing noted");
            connection.execute("DELETE FROM audit_records WHERE seq > ?1", [BEFORE]).expect("fewer records");
            for seq in BEFORE + 1..=last {
                add(seq, FIRST_AT + seq - BEFORE - 1, "bob", super::TOOL);
            }
            note_blocks(&connection, "bob-key", BEFORE, last).expect("noted");
            let rows = |sql: &str| -> Vec<(Value, Value)> {
                let mut rows = connection.prepare(sql).expect("a query");
                let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
                rows.collect::<rusqlite::Result<_>>().expect("two columns")
            };
            let full =
                "FROM audit_records WHERE seq / 256 < (SELECT (max (seq) + 1) / 256 FROM audit_records)";
            assert_eq!(
                rows("SELECT what || ' ' || value, block FROM audit_blocks ORDER BY 1, 2"),
                rows(&format!(
                    "SELECT 'user ' || username, seq / 256 {full} UNION SELECT 'key ' || key_id, seq / 256 {full}
                     UNION SELECT 'tool ' || tool, seq / 256 {full} ORDER BY 1, 2"
                ))
            );
            assert_eq!(
                rows("SELECT * FROM audit_full_blocks ORDER BY block"),
                rows(&format!(
                    "SELECT seq / 256, max (max (at)) OVER (ORDER BY seq / 256) {full} GROUP BY seq / 256 ORDER BY 1"
                ))
            );
        }
    }
}
