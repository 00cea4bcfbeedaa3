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
    /// How the calls ended; how long they took is ascending.
    pub(crate) tally: Tally,
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
    /// The same costs, with these calls.
    fn of(self, mut tally: Tally) -> Self {
        tally.micros.sort_unstable();
        Self { tally, ..self }
    }

    /// One of so many equal parts of what it took.
    fn part(&self, of: u32) -> Self {
        Self {
            tally: Tally::default(),
            elapsed: self.elapsed / of,
            server_cpu_micros: self.server_cpu_micros / u64::from(of),
            own_cpu_micros: self.own_cpu_micros / u64::from(of),
            resident_kib: self.resident_kib,
        }
    }

    /// How many calls were answered rightly.
    pub(crate) fn calls(&self) -> u64 {
        u64::try_from(self.tally.micros.len()).unwrap_or(u64::MAX)
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
        let at = self.tally.micros.len() * thousandths / 1_000;
        let at = at.min(self.tally.micros.len().saturating_sub(1));
        self.tally.micros.get(at).copied().unwrap_or_default()
    }
}

/// How calls ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// How long each call took that was answered rightly, in microseconds.
    micros: Vec<u64>,
    /// How many were not answered, or wrongly.
    pub(crate) errors: u64,
    /// What was wrong with the first of them.
    pub(crate) wrong: Option<String>,
}

impl Tally {
    /// Counts a call that began, or was due, at `since`. After one that went wrong the connection is made anew.
    pub(crate) async fn count(
        &mut self,
        wire: &mut Wire,
        since: Instant,
        ended: anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Err(error) = ended else {
            self.micros.push(u64::try_from(since.elapsed().as_micros())?);
            return Ok(());
        };
        self.errors += 1;
        let wrong = format!("{error:#}");
        let gone = format!("the server is gone, after: {wrong}");
        self.wrong.get_or_insert(wrong);
        wire.reconnect().await.context(gone)
    }

    fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        self.errors += other.errors;
        self.wrong = self.wrong.take().or(other.wrong);
    }
}

/// Runs lanes, which tell how their calls ended, and measures what they cost a server.
pub(crate) async fn measure<Lane>(process: &Process, lanes: Vec<Lane>) -> anyhow::Result<Round>
where
    Lane: Future<Output = anyhow::Result<Tally>> + Send + 'static,
{
    let (cost, told) = cost(process, lanes).await?;
    let mut tally = Tally::default();
    told.into_iter().for_each(|lane| tally.add(lane));
    Ok(cost.of(tally))
}

/// Runs lanes and measures what they cost: a round without calls, and what each of them tells.
async fn cost<Lane, Told>(process: &Process, lanes: Vec<Lane>) -> anyhow::Result<(Round, Vec<Told>)>
where
    Lane: Future<Output = anyhow::Result<Told>> + Send + 'static,
    Told: Send + 'static,
{
    let (cpu, own, start) = (process.cpu_micros()?, own_cpu_micros()?, Instant::now());
    let mut tasks = tokio::task::JoinSet::new();
    for lane in lanes {
        tasks.spawn(lane);
    }
    let mut told = Vec::new();
    while let Some(lane) = tasks.join_next().await {
        told.push(lane.context("a lane ended early")??);
    }
    let elapsed = start.elapsed();
    let cost = Round {
        tally: Tally::default(),
        elapsed,
        server_cpu_micros: process.cpu_micros()?.saturating_sub(cpu),
        own_cpu_micros: own_cpu_micros()?.saturating_sub(own),
        resident_kib: process.resident_kib()?,
    };
    Ok((cost, told))
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
    /// has waited since it was due. Each of the `slices` of that time is a round for itself.
    pub(crate) async fn pace(
        self,
        process: &Process,
        time: Duration,
        rate: u64,
        slices: u32,
    ) -> anyhow::Result<Vec<Round>> {
        let every = Duration::from_nanos(1_000_000_000 / rate.max(1));
        // By then every lane is there.
        let start = Instant::now() + Duration::from_millis(10);
        let lanes = self.lanes.into_iter().zip(0_u32..).map(|((wire, works), lane)| {
            let pace =
                Pace { start, first: start + every * lane, every: every * CONNECTIONS, slice: time / slices };
            keep_pace(wire, works, pace, slices)
        });
        let (cost, told) = cost(process, lanes.collect()).await?;
        let (cost, mut tallies) = (cost.part(slices), vec![Tally::default(); usize::try_from(slices)?]);
        for lane in told {
            tallies.iter_mut().zip(lane).for_each(|(tally, of_lane)| tally.add(of_lane));
        }
        Ok(tallies.into_iter().map(|tally| cost.clone().of(tally)).collect())
    }
}

/// The ids of a connection's calls, each of the same width.
const IDS: Range<u64> = 200_000_000..999_999_999;

/// The prepared requests in turn, one after the other.
async fn keep_busy(mut wire: Wire, works: Vec<Work>, until: Instant) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut request = Vec::new();
    for (id, work) in IDS.zip(works.iter().cycle()) {
        let start = Instant::now();
        if start >= until {
            break;
        }
        let ended = work.call(&mut wire, id, &mut request).await;
        tally.count(&mut wire, start, ended).await?;
    }
    Ok(tally)
}

/// When a connection's calls are due.
struct Pace {
    start: Instant,
    first: Instant,
    every: Duration,
    slice: Duration,
}

/// The prepared requests in turn, each when it is due; how those of each slice ended.
async fn keep_pace(mut wire: Wire, works: Vec<Work>, pace: Pace, slices: u32) -> anyhow::Result<Vec<Tally>> {
    let mut tallies = vec![Tally::default(); usize::try_from(slices)?];
    let mut request = Vec::new();
    let mut calls = IDS.zip(works.iter().cycle());
    let mut due = pace.first;
    for (tally, slice) in tallies.iter_mut().zip(1..) {
        while due < pace.start + pace.slice * slice
            && let Some((id, work)) = calls.next()
        {
            // A timer would be late by up to a millisecond; the generator has a core to itself.
            while Instant::now() < due {
                tokio::task::yield_now().await;
            }
            let ended = work.call(&mut wire, id, &mut request).await;
            tally.count(&mut wire, due, ended).await?;
            due += pace.every;
        }
    }
    Ok(tallies)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::{Duration, Instant},
    };

    use axum::{Router, http::StatusCode, response::IntoResponse as _, routing::any};
    use serde_json::{Value, json};

    use super::keep_busy;
    use crate::{
        ask::{Ask, Work},
        http::Wire,
    };

    /// Every tenth answer is an error, and every other tenth a wrong one.
    #[tokio::test]
    async fn what_goes_wrong_is_counted_and_the_lane_goes_on() {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let answer = async |asked: String| {
            let asked: Value = serde_json::from_str(&asked).expect("JSON");
            let told = |text| {
                json!({"jsonrpc": "2.0", "result": text, "id": asked["id"]}).to_string().into_response()
            };
            match CALLS.fetch_add(1, Ordering::Relaxed) % 10 {
                4 => (StatusCode::INTERNAL_SERVER_ERROR, "out of order").into_response(),
                9 => told("something else"),
                _ => told("right"),
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(axum::serve(listener, Router::new().route("/mcp", any(answer))).into_future());
        let mut wire = Wire::connect(&address).await.expect("a connection");
        let work =
            Work::learn(&mut wire, &Ask::tool("tool", "{}"), &address, "right").await.expect("an answer");
        let until = Instant::now() + Duration::from_millis(300);
        let tally = keep_busy(wire, vec![work], until).await.expect("a server that is there");
        let all = tally.errors + u64::try_from(tally.micros.len()).expect("a number");
        assert!(all > 20 && tally.errors.abs_diff(all / 5) <= 1, "{} of {all}", tally.errors);
        assert!(tally.wrong.is_some_and(|wrong| wrong.contains("500: out of order")));
    }
}
