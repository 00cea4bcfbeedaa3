//! From the start of the program until it is ready to answer.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::{
    contender::Server,
    figures::{Spread, grouped, thousandths},
    findings::Findings,
    http::{Wire, get},
    process::Process,
    rows::Database,
    setup::Setup,
};

/// How often it is started on each database after the first time.
const STARTS: usize = 5;

/// Starts the server on a new database of each engine, and on one with millions of both transfers and audit records, for
/// which `left` may have some already.
pub(crate) async fn run(setup: &Setup, left: Option<Database>) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(
        "Start-up",
        "From the start of the program until `/readyz` is answered with 200, and five times the same again, each after \
         the server was stopped with SIGTERM. On a new database the first start makes the schema and writes the demo's data; \
         on the large one, which has both the transfers of the large ledger and the records of the long audit trail, it is \
         the first after the server of the mode before was killed, or after the rows were written in bulk where that mode was \
         not measured. Memory is what is resident then.",
        &["server", "database", "first start, ms", "again, ms (min-max)", "memory, MiB"],
    );
    for server in [Server::Sqlite, Server::Postgres] {
        let started = async {
            let scratch = setup.scratch()?;
            let url = server.database(setup, scratch.path()).await?;
            let start = async || {
                Process::start(&setup.payment_server(&url), scratch.path(), &setup.server_core(0)).await
            };
            Starts::of(start).await
        };
        match started.await {
            Ok(starts) => starts.report(server, "new", server.key(), &mut findings),
            Err(error) => findings.failed(server.name(), &error),
        }
    }
    if let Err(error) = large(setup, left, &mut findings).await {
        findings.failed("the large database", &error);
    }
    Ok(findings)
}

/// Fills what `left` does not have, and starts the server on it.
async fn large(setup: &Setup, left: Option<Database>, findings: &mut Findings) -> anyhow::Result<()> {
    let mut database = match left {
        Some(database) => database,
        None => Database::new(setup).await?,
    };
    database.fill_records(setup.effort.rows).await?;
    database.fill_transfers(setup.effort.rows, setup.effort.rows)?;
    let holds = format!(
        "{rows} transfers and {rows} audit records, {} MiB",
        grouped(database.megabytes()),
        rows = grouped(setup.effort.rows),
    );
    let starts = Starts::of(async || database.start(setup).await).await?;
    starts.report(Server::Sqlite, &holds, "large", findings);
    Ok(())
}

/// How long it took, and what memory was used.
#[derive(Debug)]
struct Starts {
    first: u64,
    again: Spread,
    resident: Spread,
}

impl Starts {
    /// Starts a server, waits until it is ready and shuts it down, again and again.
    async fn of(start: impl AsyncFn() -> anyhow::Result<Process>) -> anyhow::Result<Self> {
        let mut micros = Vec::new();
        let mut resident = Vec::new();
        for _ in 0..=STARTS {
            let began = Instant::now();
            let process = start().await?;
            ready(&process).await?;
            micros.push(u64::try_from(began.elapsed().as_micros())?);
            resident.push(process.resident_kib()?);
            process.shut_down().await?;
        }
        let first = micros.first().copied().unwrap_or_default();
        Ok(Self { first, again: Spread::of(micros.into_iter().skip(1)), resident: Spread::of(resident) })
    }

    fn report(&self, server: Server, database: &str, key: &str, findings: &mut Findings) {
        findings.figure(format!("again_micros.{key}"), self.again.median);
        findings.row([
            server.name().to_owned(),
            database.to_owned(),
            thousandths(self.first, 1),
            self.again.thousandths(),
            thousandths(self.resident.median * 1_000 / 1_024, 1),
        ]);
    }
}

async fn ready(process: &Process) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut wire = Wire::connect(&process.address).await?;
    let request = get(&process.address, "/readyz");
    while wire.exchange(&request).await?.status != 200 {
        ensure!(Instant::now() < deadline, "the server does not get ready");
        tokio::task::yield_now().await;
    }
    Ok(())
}
