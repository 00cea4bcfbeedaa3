//! What an answer costs as the ledger grows: the same account with seven rows and with millions.

use std::time::Instant;

use anyhow::bail;

use super::rounds::{errors, interleaved, own_share, spread};
use crate::{
    ask::{Ask, Work},
    contender::Server,
    figures::{Spread, grouped, ratio, thousandths},
    findings::Findings,
    http::Wire,
    load::{CONNECTIONS, Lanes, Round},
    process::Process,
    rows::Database,
    session::open_session,
    setup::Setup,
};

/// What is asked.
#[derive(Debug)]
struct Asked {
    name: &'static str,
    ask: Ask<'static>,
    /// What must be in the answer however many rows there are.
    must_say: &'static str,
    /// How many transactions are listed, where there are as many.
    lists: Option<usize>,
    /// Whether it is asked while there are some rows more as well, and not only when there are all.
    on_the_way: bool,
}

const ASKED: [Asked; 4] = [
    Asked {
        name: "balance",
        ask: Ask::tool("getAccountBalance", "{}"),
        must_say: "-200",
        lists: None,
        on_the_way: true,
    },
    Asked {
        name: "latest",
        ask: Ask::tool("getLatestTransactions", "{}"),
        must_say: "transactions",
        lists: Some(3),
        on_the_way: true,
    },
    Asked {
        name: "page",
        ask: Ask::tool("getLatestTransactions", r#"{"limit":100}"#),
        must_say: "transactions",
        lists: Some(100),
        on_the_way: false,
    },
    Asked {
        name: "statement",
        ask: Ask::resource("payments://statements/2024-03"),
        must_say: "2024-03-15",
        lists: None,
        on_the_way: false,
    },
];

/// How many transfers the demo has, and how many of them are Bob's.
const DEMO: u64 = 7;
const BOBS: usize = 5;

/// A database with the payment server on it.
#[derive(Debug)]
struct Ledger {
    process: Process,
    transfers: u64,
    megabytes: u64,
    added_in: u64,
}

/// Asks with the demo's seven rows, and beside it, round by round, after each time that rows were added: to the database that
/// an earlier mode left.
pub(crate) async fn run(setup: &Setup, left: &mut Option<Database>) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(
        "A large ledger",
        "The account of Bob, who is one side of every transfer but two, on SQLite: his balance, his latest 3 and latest 100 \
         transactions, and the statement of the month with the demo's rows. The rows that are added are written to the \
         tables in bulk, with the triggers and constraints that check them paused, as transfers of the demo's users with both entries and \
         running balances. x is the CPU time beside that of a server on a new database with seven rows, measured in turn with it; \
         there a page of 100 has but five. Where the long audit trail was measured before, it is in the large database.",
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
    let small = Database::new(setup).await?;
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for wanted in [setup.effort.rows / 100, setup.effort.rows] {
        let began = Instant::now();
        database.fill_transfers(wanted, setup.effort.rows)?;
        let added_in = began.elapsed().as_secs();
        let seven = started(setup, &small, DEMO, 0).await?;
        let grown = started(setup, &database, DEMO + wanted, added_in).await?;
        let is_all = wanted == setup.effort.rows;
        for asked in ASKED.iter().filter(|asked| is_all || asked.on_the_way) {
            let [first, rounds] = in_turn(setup, &mut findings, asked, [&seven, &grown]).await?;
            let times = ratio(cpu(&rounds).median, cpu(&first).median);
            if is_all {
                findings.figure(format!("growth.{}", asked.name), times);
                few.push(row(&mut findings, asked, &seven, &first, 1_000));
            }
            many.push(row(&mut findings, asked, &grown, &rounds, times));
        }
        seven.process.stop().await?;
        grown.process.stop().await?;
    }
    few.into_iter().chain(many).for_each(|cells| findings.row(cells));
    *left = Some(database);
    Ok(findings)
}

async fn started(
    setup: &Setup,
    database: &Database,
    transfers: u64,
    added_in: u64,
) -> anyhow::Result<Ledger> {
    let process = database.start(setup).await?;
    Ok(Ledger { process, transfers, megabytes: database.megabytes(), added_in })
}

/// Asks both, a round each in turn, once they are warm.
async fn in_turn(
    setup: &Setup,
    findings: &mut Findings,
    asked: &Asked,
    ledgers: [&Ledger; 2],
) -> anyhow::Result<[Vec<Round>; 2]> {
    for ledger in ledgers {
        let warm = Server::Sqlite.warms_for(setup);
        open(ledger, asked).await?.drive(&ledger.process, warm).await?;
    }
    let name = |ledger: &Ledger| format!("{} of {} transfers", asked.name, grouped(ledger.transfers));
    let time = setup.effort.time / setup.effort.rounds;
    let run = async |ledger: &Ledger| open(ledger, asked).await?.drive(&ledger.process, time).await;
    let mut done = interleaved(setup, findings, ledgers, name, run).await.into_iter();
    match (done.next(), done.next()) {
        (Some((_, few)), Some((_, many))) => Ok([few, many]),
        (_, _) => bail!("{} could not be compared", asked.name),
    }
}

async fn open(ledger: &Ledger, asked: &Asked) -> anyhow::Result<Lanes> {
    let mut lanes = Vec::new();
    let address = &ledger.process.address;
    for _ in 0..CONNECTIONS {
        let mut wire = Wire::connect(address).await?;
        let session = open_session(&mut wire, address).await?;
        let ask = Ask { session: Some(&session), ..asked.ask };
        let mut work = Work::learn(&mut wire, &ask, address, asked.must_say).await?;
        if let Some(most) = asked.lists {
            work = work.that_lists(if ledger.transfers == DEMO { most.min(BOBS) } else { most })?;
        }
        lanes.push((wire, vec![work]));
    }
    Ok(Lanes::of(lanes))
}

fn cpu(rounds: &[Round]) -> Spread {
    spread(rounds, Round::cpu_nanos)
}

fn row(
    findings: &mut Findings,
    asked: &Asked,
    ledger: &Ledger,
    rounds: &[Round],
    times: u64,
) -> [String; 10] {
    [
        grouped(ledger.transfers),
        asked.name.to_owned(),
        cpu(rounds).thousandths(),
        thousandths(times, 2),
        grouped(spread(rounds, |round| round.within(500)).median),
        grouped(spread(rounds, |round| round.within(990)).median),
        errors(findings, asked.name, asked.name, rounds),
        own_share(rounds),
        grouped(ledger.megabytes),
        grouped(ledger.added_in),
    ]
}
