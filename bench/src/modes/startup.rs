//! From the start of the program until it is ready to answer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::{
    contender::Server,
    figures::{Spread, thousandths},
    findings::Findings,
    http::{Wire, get},
    process::Process,
    setup::Setup,
};

/// How often it is started on each database: first on a new one, then on the same again.
const STARTS: usize = 5;

/// Starts the server on both databases.
pub(crate) async fn run(setup: &Setup) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(
        "Start-up",
        "From the start of the program until `/readyz` is answered with 200: on a new database, whose schema is made and \
         demo data written, and five times on the same again. Memory is what is resident then.",
        &["server", "new database, ms", "again, ms (min-max)", "memory, MiB"],
    );
    for server in [Server::Sqlite, Server::Postgres] {
        if let Err(error) = one(setup, server, &mut findings).await {
            findings.failed(server.name(), &error);
        }
    }
    Ok(findings)
}

async fn one(setup: &Setup, server: Server, findings: &mut Findings) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir().context("no scratch folder")?;
    let database = server.database(setup, scratch.path()).await?;
    let mut starts = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..=STARTS {
        let began = Instant::now();
        let program = setup.payment_server(&database);
        let process = Process::start(&program, scratch.path(), &setup.server_core(0)).await?;
        ready(&process).await?;
        starts.push(u64::try_from(began.elapsed().as_micros())?);
        resident.push(process.resident_kib()?);
        process.stop().await?;
    }
    let first = starts.first().copied().unwrap_or_default();
    let again = Spread::of(starts.into_iter().skip(1));
    findings.figure(format!("again_micros.{}", server.key()), again.median);
    findings.row([
        server.name().to_owned(),
        thousandths(first, 1),
        again.thousandths(),
        thousandths(Spread::of(resident).median * 1_000 / 1_024, 1),
    ]);
    Ok(())
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
