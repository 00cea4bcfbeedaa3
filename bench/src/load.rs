//! Keeps a number of connections busy with prepared requests and checks every answer.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{
    ask::{Era, Work},
    contender::{Server, prepare},
    http::Wire,
    process::{Process, own_cpu_micros},
};

/// How many connections are kept busy.
pub(crate) const CONNECTIONS: u32 = 32;

/// What a while of work cost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Round {
    /// How long each call took, in microseconds, ascending; every one of them was answered rightly.
    pub(crate) latencies_micros: Vec<u64>,
    /// How long it all took.
    pub(crate) elapsed: Duration,
    /// CPU time of the server, in microseconds.
    pub(crate) server_cpu_micros: u64,
    /// CPU time of the load generator, in microseconds.
    pub(crate) own_cpu_micros: u64,
    /// Memory of the server afterwards, in KiB.
    pub(crate) resident_kib: u64,
}

impl Round {
    /// How many calls there were.
    pub(crate) fn calls(&self) -> u64 {
        u64::try_from(self.latencies_micros.len()).unwrap_or(u64::MAX)
    }

    /// How many of them a second.
    pub(crate) fn a_second(&self) -> u64 {
        let micros = u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX);
        (self.calls() * 1_000_000).checked_div(micros).unwrap_or_default()
    }

    /// CPU time of the server for each of them, in nanoseconds.
    pub(crate) fn cpu_nanos(&self) -> u64 {
        (self.server_cpu_micros * 1_000).checked_div(self.calls()).unwrap_or_default()
    }

    /// CPU time of the load generator for each of them, in nanoseconds.
    pub(crate) fn own_nanos(&self) -> u64 {
        (self.own_cpu_micros * 1_000).checked_div(self.calls()).unwrap_or_default()
    }

    /// The latency that so many of a thousand calls stayed within, in microseconds.
    pub(crate) fn within(&self, thousandths: usize) -> u64 {
        let at = self.latencies_micros.len() * thousandths / 1_000;
        let at = at.min(self.latencies_micros.len().saturating_sub(1));
        self.latencies_micros.get(at).copied().unwrap_or_default()
    }
}

/// Runs lanes, which return their latencies, and measures what they cost a server.
pub(crate) async fn measure<Lane>(process: &Process, lanes: Vec<Lane>) -> anyhow::Result<Round>
where
    Lane: Future<Output = anyhow::Result<Vec<u64>>> + Send + 'static,
{
    let (cpu, own, start) = (process.cpu_micros()?, own_cpu_micros()?, Instant::now());
    let mut tasks = tokio::task::JoinSet::new();
    for lane in lanes {
        tasks.spawn(lane);
    }
    let mut round = Round::default();
    while let Some(lane) = tasks.join_next().await {
        round.latencies_micros.extend(lane.context("a lane ended early")??);
    }
    round.elapsed = start.elapsed();
    round.server_cpu_micros = process.cpu_micros()?.saturating_sub(cpu);
    round.own_cpu_micros = own_cpu_micros()?.saturating_sub(own);
    round.resident_kib = process.resident_kib()?;
    round.latencies_micros.sort_unstable();
    Ok(round)
}

/// Connections that are prepared: each works for itself.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Vec<(Wire, Vec<Work>)>,
}

impl Lanes {
    /// These.
    pub(crate) const fn of(lanes: Vec<(Wire, Vec<Work>)>) -> Self {
        Self { lanes }
    }

    /// Connects and prepares all of them.
    pub(crate) async fn open(server: Server, era: Era, address: &str) -> anyhow::Result<Self> {
        // At once: there are servers that take a second to open a session.
        let mut opening = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let address = address.to_owned();
            opening.spawn(async move {
                let mut wire = Wire::connect(&address).await?;
                let works = prepare(server, era, &mut wire, &address).await?;
                anyhow::Ok((wire, works))
            });
        }
        let lanes: anyhow::Result<_> = opening.join_all().await.into_iter().collect();
        Ok(Self { lanes: lanes? })
    }

    /// Keeps every one of them busy for a while.
    pub(crate) async fn drive(self, process: &Process, time: Duration) -> anyhow::Result<Round> {
        let until = Instant::now() + time;
        let lanes = self.lanes.into_iter().map(|(wire, works)| keep_busy(wire, works, until)).collect();
        measure(process, lanes).await
    }

    /// Sends `rate` calls a second in all, evenly, whether the answers have come or not: what waits for its connection
    /// has waited since it was due.
    pub(crate) async fn pace(self, process: &Process, time: Duration, rate: u64) -> anyhow::Result<Round> {
        let start = Instant::now();
        let every = Duration::from_nanos(1_000_000_000 / rate.max(1));
        let lanes = self.lanes.into_iter().zip(0_u32..).map(|((wire, works), lane)| {
            let due = start + every * lane;
            keep_pace(wire, works, due, every * CONNECTIONS, start + time)
        });
        measure(process, lanes.collect()).await
    }
}

/// The ids of a connection's calls, each of the same width.
const IDS: Range<u64> = 200_000_000..999_999_999;

/// The prepared requests in turn, one after the other.
async fn keep_busy(mut wire: Wire, works: Vec<Work>, until: Instant) -> anyhow::Result<Vec<u64>> {
    let mut latencies = Vec::new();
    let mut request = Vec::new();
    for (id, work) in IDS.zip(works.iter().cycle()) {
        let start = Instant::now();
        if start >= until {
            break;
        }
        work.call(&mut wire, id, &mut request).await?;
        latencies.push(u64::try_from(start.elapsed().as_micros())?);
    }
    Ok(latencies)
}

/// The prepared requests in turn, each when it is due.
async fn keep_pace(
    mut wire: Wire,
    works: Vec<Work>,
    first: Instant,
    every: Duration,
    until: Instant,
) -> anyhow::Result<Vec<u64>> {
    let mut latencies = Vec::new();
    let mut request = Vec::new();
    let mut due = first;
    for (id, work) in IDS.zip(works.iter().cycle()) {
        if due >= until {
            break;
        }
        // A timer would be late by up to a millisecond; the generator has a core to itself.
        while Instant::now() < due {
            tokio::task::yield_now().await;
        }
        work.call(&mut wire, id, &mut request).await?;
        latencies.push(u64::try_from(due.elapsed().as_micros())?);
        due += every;
    }
    Ok(latencies)
}
