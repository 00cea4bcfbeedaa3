//! Builds of the payment server beside one another and beside the ceiling, in turns so short that whatever else the machine
//! does meets all of them: for whoever wants to know whether a change made a call cheaper.

use std::{path::PathBuf, time::Duration};

use tempfile::TempDir;

use crate::{
    ask::Era,
    contender::Server,
    figures::{Spread, ratio, thousandths},
    load::{Lanes, Round},
    print,
    process::Process,
    setup::{Effort, Places, Setup},
};

/// What to compare.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CompareArguments {
    /// Folders of release binaries: of each the `server`, of the first one also `bench` as the ceiling.
    #[arg(required = true)]
    binaries: Vec<PathBuf>,
    /// Calls of revision 2026-07-28 instead of calls in sessions.
    #[arg(long)]
    modern: bool,
    /// How often each has its turn.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    turns: u32,
    #[command(flatten)]
    places: Places,
}

/// How long a turn takes, and what comes before it unmeasured.
const TURN: Duration = Duration::from_millis(150);
const WARM: Duration = Duration::from_millis(50);

/// After so long everything is written that was gathered, which is part of what a call costs.
const AFTERWARDS: Duration = Duration::from_millis(150);

/// Measures read calls on SQLite, and prints what each costs, and how many times what the ceiling does in the same turn.
pub(crate) async fn run(arguments: &CompareArguments) -> anyhow::Result<()> {
    let mut servers = Vec::new();
    for (number, binaries) in arguments.binaries.iter().enumerate() {
        let setup = Setup::new(binaries, &arguments.places, Effort::QUICK)?;
        if number == 0 {
            servers.push(("bare axum".to_owned(), Server::Bare, start(&setup, Server::Bare).await?));
        }
        let started = start(&setup, Server::Sqlite).await?;
        servers.push((binaries.display().to_string(), Server::Sqlite, started));
    }
    let mut turns: Vec<Vec<u64>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..arguments.turns {
        for ((_, server, (process, _)), turns) in servers.iter().zip(&mut turns) {
            let era = if arguments.modern { Era::Modern } else { Era::Sessions };
            let open = || Lanes::open(*server, era, &process.address);
            open().await?.drive(process, WARM).await?;
            let lanes = open().await?;
            tokio::time::sleep(AFTERWARDS).await;
            let before = process.cpu_micros()?;
            let round = lanes.drive(process, TURN).await?;
            tokio::time::sleep(AFTERWARDS).await;
            let server_cpu_micros = process.cpu_micros()?.saturating_sub(before);
            if let Some(wrong) = round.tally.wrong {
                anyhow::bail!("a call went wrong: {wrong}");
            }
            turns.push(Round { server_cpu_micros, ..round }.cpu_nanos());
        }
    }
    print("| server | CPU a call, µs (min-max) | x bare (min-max) |\n|---|---|---|\n")?;
    let ceiling = turns.first().cloned().unwrap_or_default();
    for ((name, ..), turns) in servers.iter().zip(&turns) {
        let times = Spread::of(turns.iter().zip(&ceiling).map(|(nanos, bare)| ratio(*nanos, *bare)));
        let [middle, least, most] =
            [times.median, times.least, times.most].map(|times| thousandths(times, 2));
        let cpu = Spread::of(turns.iter().copied()).thousandths();
        print(&format!("| {name} | {cpu} | {middle} ({least}-{most}) |\n"))?;
    }
    for (.., (process, _scratch)) in servers {
        process.stop().await?;
    }
    Ok(())
}

/// Starts a server in a folder of its own.
async fn start(setup: &Setup, server: Server) -> anyhow::Result<(Process, TempDir)> {
    let scratch = setup.scratch()?;
    let process = server.start(setup, scratch.path(), &[("MAX_SESSIONS_PER_KEY", "1000000")]).await?;
    Ok((process, scratch))
}
