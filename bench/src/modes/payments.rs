//! Payments: created, confirmed and on disk, 64 at once.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::pgbench;
use crate::{
    ask::{Ask, result},
    contender::Server,
    desk::{Payer, payers},
    figures::{Spread, grouped},
    findings::Findings,
    http::Wire,
    load::{Round, measure},
    process::Process,
    session::open_session_with,
    setup::Setup,
};

/// How many payments are under way at once, and by how many payers.
const AT_ONCE: usize = 64;
const PAYERS: u32 = 16;

/// Pays on SQLite and on PostgreSQL.
pub(crate) async fn run(setup: &Setup) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(
        "Payments",
        "`createPayment` and `confirmPayment`, both answered from a database that has written them to the disk: 64 at once, \
         by 16 payers with a key that is not asked below an amount, no two payments of a payer the same. What is committed \
         at the same time shares one wait for the disk. Beside it `pgbench` with the statements of a payment \
         (`bench/sql/payment.sql`), on as many connections as the server opens.",
        &[
            "server",
            "payments/s (min-max)",
            "CPU a payment, µs (min-max)",
            "p50, µs",
            "p99, µs",
            "load's own CPU a payment, µs",
        ],
    );
    let mut done = [Server::Sqlite, Server::Postgres].map(|server| (server, Vec::new()));
    let mut statements = Vec::new();
    for _ in 0..setup.effort.rounds {
        for (server, rounds) in &mut done {
            match round(setup, *server).await {
                Ok(round) => rounds.push(round),
                Err(error) => findings.failed(server.name(), &error),
            }
        }
        match pgbench::round(setup, PAYERS).await {
            Ok(speed) => statements.push(speed),
            Err(error) => findings.failed("pgbench", &error),
        }
    }
    for (server, rounds) in done.iter().filter(|(_, rounds)| !rounds.is_empty()) {
        let spread = |figure: &dyn Fn(&Round) -> u64| Spread::of(rounds.iter().map(figure));
        let speed = spread(&Round::a_second);
        findings.figure(format!("a_second.{}", server.key()), speed.median);
        findings.row([
            server.name().to_owned(),
            speed.whole(),
            spread(&Round::cpu_nanos).thousandths(),
            grouped(spread(&|round| round.within(500)).median),
            grouped(spread(&|round| round.within(990)).median),
            grouped(spread(&Round::own_nanos).median / 1_000),
        ]);
    }
    if !statements.is_empty() {
        let speed = Spread::of(statements);
        findings.figure("a_second.pgbench", speed.median);
        let none = || "-".to_owned();
        let name = "pgbench, the same statements on PostgreSQL".to_owned();
        findings.row([name, speed.whole(), none(), none(), none(), none()]);
    }
    Ok(findings)
}

async fn round(setup: &Setup, server: Server) -> anyhow::Result<Round> {
    // On the disk that the code is on: what is in memory alone, as a scratch folder may be, waits for nothing.
    let scratch = tempfile::tempdir_in(&setup.disk).context("no scratch folder")?;
    let database = server.database(setup, scratch.path()).await?;
    let process = start(setup, &database, scratch.path()).await?;
    let payers = payers(setup, &database, PAYERS).await?;
    let amount = Arc::new(AtomicU64::new(1));
    drive(&process, &payers, &amount, setup.effort.warm).await?;
    let round = drive(&process, &payers, &amount, setup.effort.time).await?;
    process.stop().await?;
    Ok(round)
}

async fn start(setup: &Setup, database: &str, scratch: &Path) -> anyhow::Result<Process> {
    Process::start(&setup.payment_server(database), scratch, &setup.server_core(0)).await
}

async fn drive(
    process: &Process,
    payers: &[Payer],
    amount: &Arc<AtomicU64>,
    time: Duration,
) -> anyhow::Result<Round> {
    let mut lanes = Vec::new();
    for payer in payers.iter().cycle().take(AT_ONCE) {
        let mut wire = Wire::connect(&process.address).await?;
        let session = open_session_with(&mut wire, &process.address, &payer.key).await?;
        lanes.push((wire, session, payer.clone()));
    }
    let until = Instant::now() + time;
    let lanes = lanes.into_iter().map(|(wire, session, payer)| {
        let till = Till { wire, session, payer, address: process.address.clone() };
        till.pay(Arc::clone(amount), until)
    });
    measure(process, lanes.collect()).await
}

/// One connection that pays.
struct Till {
    wire: Wire,
    session: String,
    payer: Payer,
    address: String,
}

impl Till {
    /// One payment after the other; how long each took.
    async fn pay(mut self, amount: Arc<AtomicU64>, until: Instant) -> anyhow::Result<Vec<u64>> {
        let mut latencies = Vec::new();
        loop {
            let start = Instant::now();
            if start >= until {
                return Ok(latencies);
            }
            let cents = amount.fetch_add(1, Ordering::Relaxed);
            let order =
                format!(r#"{{"to":"{}","amount":{}.{:02}}}"#, self.payer.payee, cents / 100, cents % 100);
            let created = self.call("createPayment", &order).await?;
            let handle = created.get("paymentId").and_then(Value::as_str).context("no handle")?;
            let paid = self.call("confirmPayment", &format!(r#"{{"paymentId":"{handle}"}}"#)).await?;
            let status = paid.get("status").and_then(Value::as_str);
            ensure!(status == Some("succeeded"), "a payment ended as {paid}");
            latencies.push(u64::try_from(start.elapsed().as_micros())?);
        }
    }

    async fn call(&mut self, tool: &str, arguments: &str) -> anyhow::Result<Value> {
        let (key, session) = (&*self.payer.key, Some(&*self.session));
        let ask = Ask { key, session, ..Ask::tool(tool, arguments) };
        let request = ask.request(&self.address, "111111111");
        let answer = self.wire.exchange(&request).await?;
        ensure!(answer.status == 200, "{tool} was answered with {}: {}", answer.status, answer.body);
        let mut result = result(answer.body)?;
        let content = result.get_mut("structuredContent").map(Value::take);
        content.with_context(|| format!("{tool} was answered with {result}"))
    }
}
