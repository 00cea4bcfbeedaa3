//! Read calls: the balance and the latest transactions in turn, on connections that stay open.

use anyhow::Context as _;

use super::rounds::{errors, interleaved, own_share, rate, spread};
use crate::{
    ask::Era,
    contender::Server,
    figures::{Spread, ratio, thousandths},
    findings::Findings,
    load::{Lanes, Round},
    setup::Setup,
};

const HEAD: [&str; 9] = [
    "server",
    "CPU a call, µs (min-max)",
    "x bare",
    "calls/s (min-max)",
    "p50, µs",
    "p99, µs",
    "errors",
    "load's own CPU a call, µs",
    "memory, MiB",
];

/// Calls in sessions, or as near to them as a server comes.
pub(crate) async fn in_sessions(setup: &Setup) -> anyhow::Result<Findings> {
    let findings = Findings::new(
        "Read calls in open sessions",
        "`getAccountBalance` and `getLatestTransactions` in turn, on 32 connections with a session each (revision \
         2025-11-25; the TypeScript SDK v2 keeps no sessions). Every answer is checked. The ceiling is axum, which \
         checks the key, reads one JSON body and writes the tool's answer: no protocol beyond that, no session, no store. \
         Below it the same with our store alone: it reads from it, and appends the record of each call.",
        &HEAD,
    );
    let contenders = [
        (Server::Bare, Era::Sessions),
        (Server::Stored, Era::Sessions),
        (Server::Sqlite, Era::Sessions),
        (Server::Postgres, Era::Sessions),
        (Server::Rmcp, Era::Sessions),
        (Server::FastMcp, Era::Sessions),
        (Server::Sdk2, Era::Sessionless),
    ];
    compare(setup, findings, &contenders).await
}

/// Calls of the revision that knows no sessions.
pub(crate) async fn modern(setup: &Setup) -> anyhow::Result<Findings> {
    let findings = Findings::new(
        "Modern stateless calls",
        "The same two tools under revision 2026-07-28, each request by itself, on 32 connections. FastMCP does not speak \
         it.",
        &HEAD,
    );
    let contenders = [
        (Server::Bare, Era::Modern),
        (Server::Stored, Era::Modern),
        (Server::Sqlite, Era::Modern),
        (Server::Postgres, Era::Modern),
        (Server::RmcpStateless, Era::Modern),
        (Server::Sdk2, Era::Modern),
    ];
    compare(setup, findings, &contenders).await
}

/// Measures the contenders in interleaved rounds.
async fn compare(
    setup: &Setup,
    mut findings: Findings,
    contenders: &[(Server, Era)],
) -> anyhow::Result<Findings> {
    let name = |(server, _): (Server, Era)| server.name().to_owned();
    let run = async |(server, era)| round(setup, server, era).await;
    let done = interleaved(setup, &mut findings, contenders.iter().copied(), name, run).await;
    let bare = done.iter().find(|((server, _), _)| *server == Server::Bare);
    let (_, bare) = bare.context("the ceiling could not be measured")?;
    let ceiling = Spread::of(bare.iter().map(Round::cpu_nanos)).median;
    for ((server, _), rounds) in &done {
        row(&mut findings, *server, rounds, ceiling);
    }
    Ok(findings)
}

async fn round(setup: &Setup, server: Server, era: Era) -> anyhow::Result<Round> {
    let scratch = setup.scratch()?;
    let process = server.start(setup, scratch.path(), &[]).await?;
    Lanes::open(server, era, &process.address).await?.drive(&process, server.warms_for(setup)).await?;
    let round = Lanes::open(server, era, &process.address).await?.drive(&process, setup.effort.time).await?;
    process.stop().await?;
    Ok(round)
}

fn row(findings: &mut Findings, server: Server, rounds: &[Round], ceiling: u64) {
    let cpu = spread(rounds, Round::cpu_nanos);
    let speed = rate(findings, server, rounds);
    let [p50, p99] = [500, 990].map(|share| spread(rounds, |round| round.within(share)));
    findings.figure(format!("cpu_nanos.{}", server.key()), cpu.median);
    let wrong = errors(findings, server.key(), server.name(), rounds);
    findings.row([
        server.name().to_owned(),
        cpu.thousandths(),
        thousandths(ratio(cpu.median, ceiling), 2),
        speed,
        p50.median.to_string(),
        p99.median.to_string(),
        wrong,
        own_share(rounds),
        thousandths(ratio(spread(rounds, |round| round.resident_kib).median, 1_024), 1),
    ]);
}
