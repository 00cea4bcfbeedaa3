//! The statements of a payment, sent by `pgbench`: what PostgreSQL takes where nobody asks for more than that.

use anyhow::{Context as _, ensure};

use crate::{
    contender::Server,
    desk::payers,
    process::{Process, Program},
    setup::Setup,
};

/// The statements: two transactions a payment, as the server makes them.
const STATEMENTS: &str = include_str!("../../sql/payment.sql");

/// As many connections as the server opens.
const CONNECTIONS: &str = "16";

/// How many payments a second `pgbench` makes on a new database.
pub(super) async fn round(setup: &Setup, payers_wanted: u32) -> anyhow::Result<u64> {
    let scratch = tempfile::tempdir().context("no scratch folder")?;
    let database = Server::Postgres.database(setup, scratch.path()).await?;
    let program = setup.payment_server(&database);
    Process::start(&program, scratch.path(), &setup.server_core(0)).await?.stop().await?;
    payers(setup, &database, payers_wanted).await?;
    let file = scratch.path().join("payment.sql");
    std::fs::write(&file, STATEMENTS)?;
    let (file, seconds) = (file.display().to_string(), setup.effort.time.as_secs().max(1).to_string());
    let arguments =
        ["-n", "-M", "prepared", "-c", CONNECTIONS, "-j", "1", "-T", &seconds, "-f", &file, &database];
    let output = Program::of("pgbench".as_ref(), &arguments).command(None).output().await?;
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    let speed = told.lines().find_map(|line| line.strip_prefix("tps = ")?.split('.').next()?.parse().ok());
    speed.with_context(|| format!("pgbench told no rate: {told}"))
}
