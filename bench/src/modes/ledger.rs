//! What an answer costs as the ledger grows: the same account with seven rows and with millions.

use std::{path::Path, time::Instant};

use anyhow::Context as _;
use rusqlite::Connection;

use super::rows::{self, Paused};
use crate::{
    ask::{Ask, Work},
    figures::{grouped, ratio, thousandths},
    findings::Findings,
    http::Wire,
    load::{CONNECTIONS, Lanes},
    process::Process,
    session::open_session,
    setup::Setup,
};

/// What is asked, and what must be in the answer however many rows there are.
const ASKED: [(&str, Ask<'static>, &str); 4] = [
    ("balance", Ask::tool("getAccountBalance", "{}"), "-200"),
    ("latest", Ask::tool("getLatestTransactions", "{}"), "transactions"),
    ("page", Ask::tool("getLatestTransactions", r#"{"limit":100}"#), "transactions"),
    ("statement", Ask::resource("payments://statements/2024-03"), "2024-03-15"),
];

/// How many days the rows are spread over.
const DAYS: u64 = 3_000;

/// Asks with the demo's seven rows, and after each time that rows were added.
pub(crate) async fn run(setup: &Setup) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(
        "A large ledger",
        "The account of Bob, who is one side of every transfer but two, on SQLite: his balance, his latest 3 and latest 100 \
         transactions, and the statement of the month with the demo's rows. The rows that are added are written to the \
         tables in bulk, with the triggers that check them paused, as transfers of the demo's users with both entries and \
         running balances. x is the CPU time beside that with seven rows, where a page of 100 has but five.",
        &["transfers", "asked", "CPU a call, µs", "x", "p50, µs", "p99, µs", "database, MiB", "added in, s"],
    );
    let scratch = tempfile::tempdir_in(&setup.disk).context("no scratch folder")?;
    let file = scratch.path().join("payments.db");
    let url = format!("sqlite://{}", file.display());
    let mut first = Vec::new();
    let mut rows = 0;
    for wanted in [0, setup.effort.rows / 100, setup.effort.rows] {
        let began = Instant::now();
        if wanted > rows {
            add(&file, wanted - rows, setup.effort.rows)?;
            rows = wanted;
        }
        let added = began.elapsed().as_secs();
        let process =
            Process::start(&setup.payment_server(&url), scratch.path(), &setup.server_core(0)).await?;
        for (at, (name, ask, must_say)) in ASKED.iter().enumerate() {
            let lanes = open(&process.address, ask, must_say).await?;
            lanes.drive(&process, setup.effort.warm).await?;
            let lanes = open(&process.address, ask, must_say).await?;
            let round = lanes.drive(&process, setup.effort.time).await?;
            if wanted == 0 {
                first.push(round.cpu_nanos());
            }
            let times = ratio(round.cpu_nanos(), first.get(at).copied().unwrap_or_default());
            if wanted == setup.effort.rows {
                findings.figure(format!("growth.{name}"), times);
            }
            findings.row([
                grouped(7 + rows),
                (*name).to_owned(),
                thousandths(round.cpu_nanos(), 1),
                thousandths(times, 2),
                grouped(round.within(500)),
                grouped(round.within(990)),
                grouped(rows::megabytes(&file)),
                grouped(added),
            ]);
        }
        process.stop().await?;
    }
    Ok(findings)
}

async fn open(address: &str, ask: &Ask<'_>, must_say: &str) -> anyhow::Result<Lanes> {
    let mut lanes = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut wire = Wire::connect(address).await?;
        let session = open_session(&mut wire, address).await?;
        let ask = Ask { session: Some(&session), ..*ask };
        let work = Work::learn(&mut wire, &ask, address, must_say).await?;
        lanes.push((wire, vec![work]));
    }
    Ok(Lanes::of(lanes))
}

/// Adds an even number of transfers of 1.00 between Bob and Alice, there and back, so that both have what they had.
fn add(file: &Path, rows: u64, most: u64) -> anyhow::Result<()> {
    let connection = rows::open(file)?;
    let paused = Paused::tables(&connection, &["transfers", "entries"])?;
    let before: i64 = connection.query_row("SELECT max (seq) FROM transfers", [], |row| row.get(0))?;
    let number: i64 = connection.query_row("SELECT max (id) FROM transfers", [], |row| row.get(0))?;
    let (rows, a_day) = (i64::try_from(rows / 2 * 2)?, i64::try_from((most / DAYS).max(1))?);
    connection.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         INSERT INTO transfers (seq, id, from_user, to_user, amount_minor, currency, date)
         SELECT ?2 + i, ?3 + i,
                (SELECT user_id FROM accounts WHERE username = iif (i % 2, 'bob', 'alice')),
                (SELECT user_id FROM accounts WHERE username = iif (i % 2, 'alice', 'bob')),
                100, 'USD', date ('2024-04-01', '+' || ((?2 + i) / ?4) || ' days')
         FROM n",
        (rows, before, number, a_day),
    )?;
    for user in ["bob", "alice"] {
        enter(&connection, user, before)?;
    }
    paused.resume(&connection)
}

/// One user's entries of the transfers after a number, with the balances that they leave, and the sums of the months.
fn enter(connection: &Connection, user: &str, after: i64) -> anyhow::Result<()> {
    let (id, balance): (i64, i64) = connection.query_row(
        "SELECT user_id, balance_minor FROM entries NATURAL JOIN accounts
         WHERE username = ?1 ORDER BY transfer_seq DESC LIMIT 1",
        [user],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    connection.execute(
        "INSERT INTO entries (user_id, transfer_seq, amount_minor, balance_minor, date)
         SELECT ?1, seq, iif (from_user = ?1, -100, 100),
                ?2 + iif ((seq - ?3) % 2, iif (from_user = ?1, -100, 100), 0), date
         FROM transfers WHERE seq > ?3 ORDER BY seq",
        (id, balance, after),
    )?;
    connection.execute(
        "INSERT INTO account_months (user_id, month, sum_minor, entries)
         SELECT user_id, substr (date, 1, 7), sum (amount_minor), count (*)
         FROM entries WHERE user_id = ?1 AND transfer_seq > ?2 GROUP BY 2
         ON CONFLICT DO UPDATE SET sum_minor = sum_minor + excluded.sum_minor, entries = entries + excluded.entries",
        (id, after),
    )?;
    Ok(())
}
