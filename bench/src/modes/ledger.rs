//! What an answer costs as the ledger grows: the same account with seven rows and with millions.

use std::time::Instant;

use super::rounds::{errors, in_a_row, own_share, spread};
use crate::{
    ask::{Ask, Work},
    figures::{grouped, ratio, thousandths},
    findings::Findings,
    http::Wire,
    load::{CONNECTIONS, Lanes, Round},
    rows::Database,
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

/// Asks with the demo's seven rows, and after each time that rows were added: to the database that an earlier mode left.
pub(crate) async fn run(setup: &Setup, left: &mut Option<Database>) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(
        "A large ledger",
        "The account of Bob, who is one side of every transfer but two, on SQLite: his balance, his latest 3 and latest 100 \
         transactions, and the statement of the month with the demo's rows. The rows that are added are written to the \
         tables in bulk, with the triggers and constraints that check them paused, as transfers of the demo's users with both entries and \
         running balances. x is the CPU time beside that with seven rows, where a page of 100 has but five. Where the long audit \
         trail was measured before, it is in the same database.",
        &[
            "transfers",
            "asked",
            "CPU a call, µs (min-max)",
            "x",
            "p50, µs",
            "p99, µs",
            "errors",
            "load's own CPU a call, µs",
            "database, MiB",
            "added in, s",
        ],
    );
    let mut database = match left.take() {
        Some(database) => database,
        None => Database::new(setup).await?,
    };
    let mut first = Vec::new();
    for wanted in [0, setup.effort.rows / 100, setup.effort.rows] {
        let began = Instant::now();
        database.fill_transfers(wanted, setup.effort.rows)?;
        let added = began.elapsed().as_secs();
        let process = database.start(setup).await?;
        for (at, (name, ask, must_say)) in ASKED.iter().enumerate() {
            let open = || open(&process.address, ask, must_say);
            let rounds = in_a_row(setup, &process, open).await?;
            let cpu = spread(&rounds, Round::cpu_nanos);
            if wanted == 0 {
                first.push(cpu.median);
            }
            let times = ratio(cpu.median, first.get(at).copied().unwrap_or_default());
            if wanted == setup.effort.rows {
                findings.figure(format!("growth.{name}"), times);
            }
            let wrong = errors(&mut findings, name, name, &rounds);
            findings.row([
                grouped(7 + wanted),
                (*name).to_owned(),
                cpu.thousandths(),
                thousandths(times, 2),
                grouped(spread(&rounds, |round| round.within(500)).median),
                grouped(spread(&rounds, |round| round.within(990)).median),
                wrong,
                own_share(&rounds),
                grouped(database.megabytes()),
                grouped(added),
            ]);
        }
        process.stop().await?;
    }
    *left = Some(database);
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
