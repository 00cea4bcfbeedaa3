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

use super::{
    pgbench,
    rounds::{errors, interleaved, own_share, rate, spread},
};
use crate::{
    ask::{Ask, result},
    contender::Server,
    desk::{Payer, payers},
    figures::{Spread, grouped},
    findings::Findings,
    http::Wire,
    load::{Round, Tally, measure},
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
            "errors",
            "load's own CPU a payment, µs",
        ],
    );
    let name = |who: Who| who.name().to_owned();
    let run = async |who| match who {
        Who::Server(server) => round(setup, server).await.map(Took::Round),
        Who::Pgbench => pgbench::round(setup, PAYERS).await.map(Took::Rate),
    };
    let who = [Who::Server(Server::Sqlite), Who::Server(Server::Postgres), Who::Pgbench];
    for (who, took) in interleaved(setup, &mut findings, who, name, run).await {
        row(&mut findings, who, took);
    }
    Ok(findings)
}

/// Who pays.
#[derive(Debug, Clone, Copy)]
enum Who {
    Server(Server),
    Pgbench,
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::Server(server) => server.name(),
            Self::Pgbench => "pgbench, the same statements on PostgreSQL",
        }
    }
}

/// What a round came to: all of it, or the payments a second alone.
enum Took {
    Round(Round),
    Rate(u64),
}

fn row(findings: &mut Findings, who: Who, took: Vec<Took>) {
    let (mut rounds, mut rates) = (Vec::new(), Vec::new());
    for one in took {
        match one {
            Took::Round(round) => rounds.push(round),
            Took::Rate(rate) => rates.push(rate),
        }
    }
    let name = who.name().to_owned();
    let Who::Server(server) = who else {
        let speed = Spread::of(rates);
        findings.figure("a_second.pgbench", speed.median);
        let none = || "-".to_owned();
        return findings.row([name, speed.whole(), none(), none(), none(), none(), none()]);
    };
    let speed = rate(findings, server, &rounds);
    let wrong = errors(findings, server.key(), &name, &rounds);
    findings.row([
        name,
        speed,
        spread(&rounds, Round::cpu_nanos).thousandths(),
        grouped(spread(&rounds, |round| round.within(500)).median),
        grouped(spread(&rounds, |round| round.within(990)).median),
        wrong,
        own_share(&rounds),
    ]);
}

async fn round(setup: &Setup, server: Server) -> anyhow::Result<Round> {
    let scratch = setup.scratch()?;
    let database = server.database(setup, scratch.path()).await?;
    let process = start(setup, &database, scratch.path()).await?;
    let payers = payers(setup, &database, PAYERS).await?;
    let amount = Arc::new(AtomicU64::new(1));
    // As long as pgbench: each connection has its statements planned by then.
    drive(&process, &payers, &amount, Duration::from_secs(pgbench::WARM)).await?;
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
        let till = Till { wire, session, payer, address: process.address.clone(), id: 0 };
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
    /// The JSON-RPC id of the latest request.
    id: u64,
}

impl Till {
    /// One payment after the other; how long each took.
    async fn pay(mut self, amount: Arc<AtomicU64>, until: Instant) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        loop {
            let start = Instant::now();
            if start >= until {
                return Ok(tally);
            }
            let cents = amount.fetch_add(1, Ordering::Relaxed);
            let ended = self.create_and_confirm(cents).await;
            tally.count(&mut self.wire, start, ended).await?;
        }
    }

    async fn create_and_confirm(&mut self, cents: u64) -> anyhow::Result<()> {
        let (payee, amount) = (self.payer.payee.clone(), format!("{}.{:02}", cents / 100, cents % 100));
        let order = format!(r#"{{"to":"{payee}","amount":{amount}}}"#);
        let created = self.call("createPayment", &order).await?;
        let handle = created.get("paymentId").and_then(Value::as_str).context("no handle")?;
        let paid = self.call("confirmPayment", &format!(r#"{{"paymentId":"{handle}"}}"#)).await?;
        let amount: f64 = amount.parse()?;
        for (payment, status) in [(&created, "requires_confirmation"), (&paid, "succeeded")] {
            let text = |member| payment.get(member).and_then(Value::as_str);
            let is_right = text("paymentId") == Some(handle)
                && text("to") == Some(&*payee)
                && text("status") == Some(status)
                && payment.get("amount").and_then(Value::as_f64) == Some(amount);
            ensure!(is_right, "a payment of {amount} to {payee}: {payment}");
        }
        Ok(())
    }

    async fn call(&mut self, tool: &str, arguments: &str) -> anyhow::Result<Value> {
        let (key, session) = (&*self.payer.key, Some(&*self.session));
        let ask = Ask { key, session, ..Ask::tool(tool, arguments) };
        self.id += 1;
        let request = ask.request(&self.address, self.id);
        let answer = self.wire.exchange(&request).await?;
        ensure!(answer.status == 200, "{tool} was answered with {}: {}", answer.status, answer.body);
        let mut result = result(answer.body, self.id)?;
        let content = result.get_mut("structuredContent").map(Value::take);
        content.with_context(|| format!("{tool} was answered with {result}"))
    }
}
