//! Sessions that are opened and left alone: what each holds in memory.

use std::time::Instant;

use crate::{
    contender::Server,
    figures::{grouped, ratio, thousandths},
    findings::{Findings, TOO_LATE},
    http::Wire,
    load::{CONNECTIONS, Tally, measure},
    process::Process,
    session::open_session,
    setup::Setup,
};

/// Opens sessions by the thousands and compares what the process holds before and after.
pub(crate) async fn run(setup: &Setup) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(
        "Idle sessions",
        "Sessions that are opened and never used again, after some that were opened before for the allocator's sake: the resident memory that the \
         process has gained, for each of them.",
        &[
            "server",
            "idle sessions",
            "opened in, s",
            "memory before, MiB",
            "memory after, MiB",
            "bytes a session",
        ],
    );
    let most = setup.effort.sessions;
    let servers = [
        (Server::Sqlite, 1_000, vec![most / 10, most - most / 10]),
        (Server::Postgres, 1_000, vec![(most / 20).min(2_000)]),
        (Server::Rmcp, 1_000, vec![(most / 5).min(5_000)]),
        (Server::FastMcp, 128, vec![(most / 200).clamp(64, 256)]),
    ];
    for (server, first, lots) in servers {
        let measured = if Instant::now() > setup.until {
            Err(TOO_LATE.into())
        } else {
            one(setup, server, first, &lots, &mut findings).await
        };
        if let Err(error) = measured {
            findings.failed(server.name(), &error);
        }
    }
    Ok(findings)
}

async fn one(
    setup: &Setup,
    server: Server,
    first: u32,
    lots: &[u32],
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let scratch = setup.scratch()?;
    let caps = [("MAX_SESSIONS_PER_KEY", "1000000"), ("MAX_SESSIONS", "1000000")];
    let process = server.start(setup, scratch.path(), &caps).await?;
    // FastMCP takes a second to open a session, whoever asks.
    let at_once = if server == Server::FastMcp { 4 * CONNECTIONS } else { CONNECTIONS };
    open(&process, first, at_once).await?;
    let before = process.resident_kib()?;
    let (mut idle, mut millis) = (0, 0);
    for lot in lots {
        millis += open(&process, *lot, at_once).await?;
        idle += lot;
        let after = process.resident_kib()?;
        let each = after.saturating_sub(before) * 1_024 / u64::from(idle.max(1));
        findings.figure(format!("session_bytes.{}", server.key()), each);
        findings.row([
            server.name().to_owned(),
            grouped(u64::from(idle)),
            thousandths(millis, 1),
            thousandths(ratio(before, 1_024), 1),
            thousandths(ratio(after, 1_024), 1),
            grouped(each),
        ]);
    }
    process.stop().await
}

/// Opens so many sessions on so many connections, and returns how many milliseconds that took.
async fn open(process: &Process, sessions: u32, at_once: u32) -> anyhow::Result<u64> {
    let lanes = (0..at_once).map(|lane| {
        let (address, mine) = (process.address.clone(), (sessions + lane) / at_once);
        async move {
            let mut wire = Wire::connect(&address).await?;
            for _ in 0..mine {
                open_session(&mut wire, &address).await?;
            }
            Ok(Tally::default())
        }
    });
    let round = measure(process, lanes.collect()).await?;
    Ok(u64::try_from(round.elapsed.as_millis())?)
}
