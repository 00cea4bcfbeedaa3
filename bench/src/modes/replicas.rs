//! Several servers on one PostgreSQL database: what they answer together.

use tokio::task::JoinSet;

use super::rounds::{errors, interleaved};
use crate::{
    ask::Era,
    contender::Server,
    figures::{Spread, grouped, thousandths},
    findings::Findings,
    load::{Lanes, Round},
    process::Process,
    setup::Setup,
};

/// How many servers there are.
const REPLICAS: [usize; 3] = [1, 2, 4];

/// Read calls on one, two and four servers.
pub(crate) async fn run(setup: &Setup) -> anyhow::Result<Findings> {
    let said = format!(
        "Read calls in sessions, on 32 connections to each of several servers on one database. Each server has a core of its \
         own as far as there are cores: here {} for all servers and PostgreSQL, and one for the load.",
        setup.cores.len()
    );
    let head = [
        "servers",
        "calls/s in all (min-max)",
        "CPU a call, µs (min-max)",
        "slowest p50, µs",
        "slowest p99, µs",
        "errors",
        "load's own CPU a call, µs",
    ];
    let mut findings = Findings::new("Replicas on PostgreSQL", &said, &head);
    let name = |replicas| format!("{replicas} servers");
    let run = async |replicas| round(setup, replicas).await;
    for (replicas, rounds) in interleaved(setup, &mut findings, REPLICAS, name, run).await {
        let all = |figure: &dyn Fn(&[Round]) -> u64| {
            Spread::of(rounds.iter().map(|round: &Vec<Round>| figure(round)))
        };
        let speed = all(&|round| round.iter().map(Round::a_second).sum());
        let a_call = |round: &[Round], micros: u64| {
            let calls: u64 = round.iter().map(Round::calls).sum();
            (micros * 1_000).checked_div(calls).unwrap_or_default()
        };
        let cpu = all(&|round| a_call(round, round.iter().map(|one| one.server_cpu_micros).sum()));
        // The load of all servers comes from one process, at the same time.
        let own =
            all(&|round| a_call(round, round.iter().map(|one| one.own_cpu_micros).max().unwrap_or_default()));
        let slowest = |share| {
            let slowest = all(&|round| round.iter().map(|one| one.within(share)).max().unwrap_or_default());
            grouped(slowest.median)
        };
        findings.figure(format!("a_second.{replicas}"), speed.median);
        let wrong = errors(&mut findings, &replicas.to_string(), &name(replicas), rounds.iter().flatten());
        findings.row([
            replicas.to_string(),
            speed.whole(),
            cpu.thousandths(),
            slowest(500),
            slowest(990),
            wrong,
            thousandths(own.median, 1),
        ]);
    }
    Ok(findings)
}

/// One round of so many servers at once.
async fn round(setup: &Setup, replicas: usize) -> anyhow::Result<Vec<Round>> {
    let scratch = setup.scratch()?;
    let database = setup.new_database().await?;
    let mut servers = Vec::new();
    for number in 0..replicas {
        let program = setup.payment_server(&database);
        servers.push(Process::start(&program, scratch.path(), &setup.server_core(number)).await?);
    }
    for server in &servers {
        let warm = Lanes::open(Server::Postgres, Era::Sessions, &server.address).await?;
        warm.drive(server, Server::Postgres.warms_for(setup)).await?;
    }
    // All at once: a connection that waits for other servers' connections is closed.
    let mut opening = JoinSet::new();
    for server in servers {
        opening.spawn(async move {
            let lanes = Lanes::open(Server::Postgres, Era::Sessions, &server.address).await?;
            anyhow::Ok((lanes, server))
        });
    }
    let opened: anyhow::Result<Vec<_>> = opening.join_all().await.into_iter().collect();
    let mut together = JoinSet::new();
    for (lanes, server) in opened? {
        let time = setup.effort.time;
        together.spawn(async move {
            let round = lanes.drive(&server, time).await?;
            server.stop().await?;
            anyhow::Ok(round)
        });
    }
    together.join_all().await.into_iter().collect()
}
