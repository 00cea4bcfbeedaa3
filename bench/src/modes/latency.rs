//! How long a call takes at half of the rate that a server can take at most, its callers not waiting for one another.
//!
//! Now and then a virtual machine stands still for some 50 ms, and then one call in a hundred of two seconds has waited for it,
//! whoever answers. So each round is cut into slices, and a figure is the median of all slices: a moment in which the machine
//! stands still is in one or two of them.

use super::rounds::{Rounds, errors, interleaved, own_share, spread};
use crate::{
    ask::Era,
    contender::Server,
    figures::{grouped, ratio, thousandths},
    findings::Findings,
    load::{Lanes, Round},
    setup::Setup,
};

/// How many slices a round has.
const SLICES: u32 = 20;

/// Finds each server's own highest rate, and sends half of it.
pub(crate) async fn run(setup: &Setup) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(
        "Latency at half the highest rate",
        "Read calls in sessions, each sent when it is due and not when the one before it is answered, at half of what the \
         same server answered a second at most just before. A call that waits for its connection is counted from when it \
         was due. The load generator looks at the clock until a call is due, so its core is always busy. Every round is cut into \
         twenty slices, and a figure is the median of all slices: a moment in which the machine stands still counts in its own.",
        &[
            "server",
            "calls/s sent",
            "p50, µs (min-max)",
            "p99, µs (min-max)",
            "p99.9, µs",
            "errors",
            "load's own CPU a call, µs",
            "x bare's p99",
        ],
    );
    let servers = [Server::Bare, Server::Sqlite, Server::Rmcp];
    let name = |server: Server| server.name().to_owned();
    let run = async |server| round(setup, server).await;
    let done = interleaved(setup, &mut findings, servers, name, run).await;
    let done = done.into_iter().map(|(server, rounds)| (server, rounds.concat()));
    let done: Rounds<Server, Round> = done.collect();
    let p99 = |rounds: &[Round]| spread(rounds, |round| round.within(990));
    let bare = done.iter().find(|(server, _)| *server == Server::Bare);
    let bare = bare.map_or(0, |(_, rounds)| p99(rounds).median);
    for (server, rounds) in &done {
        findings.figure(format!("p99_micros.{}", server.key()), p99(rounds).median);
        let wrong = errors(&mut findings, server.key(), server.name(), rounds);
        findings.row([
            server.name().to_owned(),
            grouped(spread(rounds, Round::a_second).median),
            spread(rounds, |round| round.within(500)).whole(),
            p99(rounds).whole(),
            grouped(spread(rounds, |round| round.within(999)).median),
            wrong,
            own_share(rounds),
            thousandths(ratio(p99(rounds).median, bare), 2),
        ]);
    }
    Ok(findings)
}

async fn round(setup: &Setup, server: Server) -> anyhow::Result<Vec<Round>> {
    let scratch = setup.scratch()?;
    let process = server.start(setup, scratch.path(), &[("MAX_SESSIONS_PER_KEY", "10000")]).await?;
    let open = || Lanes::open(server, Era::Sessions, &process.address);
    open().await?.drive(&process, server.warms_for(setup)).await?;
    let most = open().await?.drive(&process, setup.effort.warm).await?.a_second();
    let slices = open().await?.pace(&process, setup.effort.time, most / 2, SLICES).await;
    process.stop().await?;
    slices
}
