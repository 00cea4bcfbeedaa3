//! Transfers by the million, as the server posts them: with both entries, running balances and the sums of months. They go
//! straight into the file.

use std::path::Path;

use anyhow::Context as _;
use jiff::civil::{Date, date};
use rusqlite::{Connection, params};

/// How many days the rows are spread over, and the first of them.
const DAYS: u64 = 3_000;
const FIRST_DAY: Date = date(2024, 4, 1);

/// Adds an even number of transfers of 1.00 between Bob and Alice, there and back, so that both have what they had: as many
/// a day that all of them take `DAYS` days.
pub(super) fn add(file: &Path, rows: u64, most: u64) -> anyhow::Result<()> {
    let connection = &open(file)?;
    let paused = Paused::tables(connection, &["transfers", "entries"])?;
    let [bob, alice] = [account(connection, "bob")?, account(connection, "alice")?];
    let before: i64 = connection.query_row("SELECT max (seq) FROM transfers", [], |row| row.get(0))?;
    let number: i64 = connection.query_row("SELECT max (id) FROM transfers", [], |row| row.get(0))?;
    let (rows, a_day) = (i64::try_from(rows / 2 * 2)?, i64::try_from((most / DAYS).max(1))?);
    connection.execute_batch("BEGIN")?;
    let mut post = connection.prepare(
        "WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
         INSERT INTO transfers (seq, id, from_user, to_user, amount_minor, currency, date)
         SELECT ?3 + i, ?4 + i, iif (i % 2, ?5, ?6), iif (i % 2, ?6, ?5), 100, 'USD', ?7 FROM n",
    )?;
    for day in days(before, rows, a_day) {
        post.execute(params![day.first, day.last, before, number, bob.user, alice.user, day.date])?;
    }
    // One account after the other: each table is written from its beginning to its end.
    for (account, odd) in [(bob, -100), (alice, 100)] {
        for day in days(before, rows, a_day) {
            enter(connection, account, odd, before, &day)?;
        }
    }
    drop(post);
    connection.execute_batch("COMMIT")?;
    paused.resume(connection)
}

/// An account and what is on it.
#[derive(Debug, Clone, Copy)]
struct Account {
    user: i64,
    balance: i64,
}

fn account(connection: &Connection, username: &str) -> anyhow::Result<Account> {
    let found = connection.query_row(
        "SELECT user_id, balance_minor FROM entries NATURAL JOIN accounts
         WHERE username = ?1 ORDER BY transfer_seq DESC LIMIT 1",
        [username],
        |row| Ok(Account { user: row.get(0)?, balance: row.get(1)? }),
    );
    found.with_context(|| format!("{username} has no account"))
}

/// The transfers of one day, by their numbers among those that are added.
#[derive(Debug)]
struct Day {
    date: String,
    first: i64,
    last: i64,
}

/// The days of `rows` transfers that come after `before` others.
fn days(before: i64, rows: i64, a_day: i64) -> impl Iterator<Item = Day> {
    let mut next = 1;
    std::iter::from_fn(move || {
        let day = (before + next) / a_day;
        let (first, last) = (next, ((day + 1) * a_day - before - 1).min(rows));
        next = last + 1;
        let date = FIRST_DAY.checked_add(jiff::Span::new().try_days(day).ok()?).ok()?;
        (first <= rows).then(|| Day { date: date.to_string(), first, last })
    })
}

/// One account's entries of one day, with the balances that they leave, and the sum of the month: `odd` is what the
/// transfers with odd numbers do to it, the others do the opposite.
fn enter(connection: &Connection, account: Account, odd: i64, before: i64, day: &Day) -> anyhow::Result<()> {
    connection
        .prepare_cached(
            "WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
             INSERT INTO entries (user_id, transfer_seq, amount_minor, balance_minor, date)
             SELECT ?3, ?4 + i, iif (i % 2, ?5, -?5), ?6 + iif (i % 2, ?5, 0), ?7 FROM n",
        )?
        .execute(params![day.first, day.last, account.user, before, odd, account.balance, day.date])?;
    let of_odd = |number: i64| (number + 1) / 2;
    let many = day.last - day.first + 1;
    let odds = of_odd(day.last) - of_odd(day.first - 1);
    connection
        .prepare_cached(
            "INSERT INTO account_months (user_id, month, sum_minor, entries) VALUES (?1, substr (?2, 1, 7), ?3, ?4)
             ON CONFLICT DO UPDATE SET sum_minor = sum_minor + excluded.sum_minor, entries = entries + excluded.entries",
        )?
        .execute(params![account.user, day.date, odd * (2 * odds - many), many])?;
    Ok(())
}

/// Opens the file for writing much at once: nothing waits for the disk, nothing is taken back, and nobody asks whether what
/// is written is right.
fn open(file: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    connection.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA cache_size = -1000000; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;
         PRAGMA ignore_check_constraints = ON;",
    )?;
    Ok(connection)
}

/// Triggers and indexes that were taken away, to be made again as they were.
#[derive(Debug)]
#[must_use]
struct Paused {
    made_by: Vec<String>,
}

impl Paused {
    /// Takes away those of some tables.
    fn tables(connection: &Connection, tables: &[&str]) -> anyhow::Result<Self> {
        let mut made_by = Vec::new();
        for table in tables {
            let mut statement = connection.prepare(
                "SELECT type, name, sql FROM sqlite_schema
                 WHERE tbl_name = ?1 AND type IN ('index', 'trigger') AND sql IS NOT NULL",
            )?;
            let found = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let found: Vec<(String, String, String)> = found.collect::<rusqlite::Result<_>>()?;
            for (kind, name, sql) in found {
                connection.execute_batch(&format!("DROP {kind} {name}"))?;
                made_by.push(sql);
            }
        }
        Ok(Self { made_by })
    }

    /// Makes them again, and leaves the file as a server expects it.
    fn resume(self, connection: &Connection) -> anyhow::Result<()> {
        for sql in self.made_by {
            connection.execute_batch(&sql)?;
        }
        connection.execute_batch("PRAGMA journal_mode = WAL;")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::days;

    #[test]
    fn every_transfer_has_its_day() {
        let days: Vec<_> = days(7, 20, 10).map(|day| (day.date, day.first, day.last)).collect();
        let on = |date: &str, first, last| (date.to_owned(), first, last);
        assert_eq!(days, [on("2024-04-01", 1, 2), on("2024-04-02", 3, 12), on("2024-04-03", 13, 20)]);
    }
}
