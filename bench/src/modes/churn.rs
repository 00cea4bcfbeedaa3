//! Session churn: initialize, initialized, DELETE, again and again.

use std::time::Instant;

use anyhow::ensure;
use shared::{
    demo::BOB_API_KEY,
    headers::{API_KEY, SESSION_ID},
};

use super::rounds::{errors, interleaved, own_share, rate, spread};
use crate::{
    contender::Server,
    figures::grouped,
    findings::Findings,
    http::{Wire, request},
    load::{CONNECTIONS, Round, Tally, measure},
    process::Process,
    session::open_session,
    setup::Setup,
};

/// Opens and ends sessions on 32 connections.
pub(crate) async fn run(setup: &Setup) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(
        "Session churn",
        "`initialize`, `notifications/initialized` and `DELETE`, on 32 connections. The payment server's sessions are \
         durable: they are committed before the answer is sent, and outlive the server however it ends; on SQLite the \
         loss of power can take the last of them along. The bare server answers the three requests and keeps nothing: what it \
         takes is what they cost as HTTP and JSON.",
        &[
            "server",
            "sessions/s (min-max)",
            "CPU a session, µs (min-max)",
            "p50, µs",
            "p99, µs",
            "errors",
            "load's own CPU a session, µs",
        ],
    );
    let servers = [Server::Bare, Server::Sqlite, Server::Postgres, Server::Rmcp, Server::FastMcp];
    let name = |server: Server| server.name().to_owned();
    let run = async |server| round(setup, server).await;
    for (server, rounds) in interleaved(setup, &mut findings, servers, name, run).await {
        let speed = rate(&mut findings, server, &rounds);
        let wrong = errors(&mut findings, server.key(), server.name(), &rounds);
        findings.row([
            server.name().to_owned(),
            speed,
            spread(&rounds, Round::cpu_nanos).thousandths(),
            grouped(spread(&rounds, |round| round.within(500)).median),
            grouped(spread(&rounds, |round| round.within(990)).median),
            wrong,
            own_share(&rounds),
        ]);
    }
    Ok(findings)
}

async fn round(setup: &Setup, server: Server) -> anyhow::Result<Round> {
    let scratch = setup.scratch()?;
    let process = server.start(setup, scratch.path(), &[]).await?;
    drive(&process, Instant::now() + server.warms_for(setup)).await?;
    let round = drive(&process, Instant::now() + setup.effort.time).await?;
    process.stop().await?;
    Ok(round)
}

async fn drive(process: &Process, until: Instant) -> anyhow::Result<Round> {
    let lanes = (0..CONNECTIONS).map(|_| churn(process.address.clone(), until)).collect();
    measure(process, lanes).await
}

async fn churn(address: String, until: Instant) -> anyhow::Result<Tally> {
    let mut wire = Wire::connect(&address).await?;
    let mut tally = Tally::default();
    loop {
        let start = Instant::now();
        if start >= until {
            return Ok(tally);
        }
        let ended = open_and_end(&mut wire, &address).await;
        tally.count(&mut wire, start, ended).await?;
    }
}

async fn open_and_end(wire: &mut Wire, address: &str) -> anyhow::Result<()> {
    let session = open_session(wire, address).await?;
    let end = request("DELETE", address, &[(API_KEY, BOB_API_KEY), (SESSION_ID, &session)], "");
    let answer = wire.exchange(&end).await?;
    ensure!((200..300).contains(&answer.status), "DELETE was answered with {}", answer.status);
    Ok(())
}
