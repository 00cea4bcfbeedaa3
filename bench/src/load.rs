//! Keeps a number of connections busy with prepared requests and checks every answer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::{
    contender::{Contender, ID_DIGITS, Work},
    http::Wire,
    process::{Process, own_cpu_micros},
};

/// What one round cost.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    /// How many calls were made; every one of them was answered rightly.
    pub(crate) calls: u64,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// CPU time of the server, in microseconds.
    pub(crate) server_cpu_micros: u64,
    /// CPU time of the load generator, in microseconds.
    pub(crate) own_cpu_micros: u64,
    /// How long each call took, in microseconds, ascending.
    pub(crate) latencies_micros: Vec<u64>,
    /// Memory of the server afterwards, in KiB.
    pub(crate) resident_kib: u64,
}

/// Drives `calls` calls through `connections` connections.
pub(crate) async fn drive(
    contender: Contender,
    process: &Process,
    connections: u32,
    calls: u32,
) -> anyhow::Result<Round> {
    let mut lanes = Vec::new();
    for lane in 0..connections {
        let mut wire = Wire::connect(&process.address).await?;
        let works = contender.prepare(&mut wire, &process.address).await?;
        lanes.push((lane, wire, works));
    }
    let each = (calls / connections).max(1);
    let (cpu, own, start) = (process.cpu_micros()?, own_cpu_micros()?, Instant::now());
    let mut tasks = tokio::task::JoinSet::new();
    for (lane, wire, works) in lanes {
        tasks.spawn(run_lane(lane, wire, works, each));
    }
    let mut latencies_micros = Vec::new();
    while let Some(lane) = tasks.join_next().await {
        latencies_micros.extend(lane.context("a lane ended early")??);
    }
    let elapsed = start.elapsed();
    let (server_cpu_micros, own_cpu_micros) = (process.cpu_micros()? - cpu, own_cpu_micros()? - own);
    latencies_micros.sort_unstable();
    let calls = u64::from(each) * u64::from(connections);
    let resident_kib = process.resident_kib()?;
    Ok(Round { calls, elapsed, server_cpu_micros, own_cpu_micros, latencies_micros, resident_kib })
}

/// One connection's share: the prepared requests in turn, each under an id of its own.
async fn run_lane(lane: u32, mut wire: Wire, works: Vec<Work>, calls: u32) -> anyhow::Result<Vec<u64>> {
    let mut latencies = Vec::new();
    let mut request = Vec::new();
    for (call, work) in (0..calls).zip(works.iter().cycle()) {
        let id = 100_000_000 + u64::from(lane) * 500_000 + u64::from(call);
        let digits = id.to_string();
        ensure!(digits.len() == ID_DIGITS, "too many calls for the width of an id");
        request.clear();
        request.extend_from_slice(&work.before_id);
        request.extend_from_slice(digits.as_bytes());
        request.extend_from_slice(&work.after_id);
        let start = Instant::now();
        let answer = wire.exchange(&request).await?;
        latencies.push(u64::try_from(start.elapsed().as_micros())?);
        check(&answer, id, &work.expected)?;
    }
    Ok(latencies)
}

fn check(answer: &crate::http::Answer<'_>, id: u64, expected: &Value) -> anyhow::Result<()> {
    ensure!(answer.status == 200, "a call was answered with {}: {}", answer.status, answer.body);
    let message: Value = serde_json::from_str(answer.body)?;
    ensure!(message.get("id").and_then(Value::as_u64) == Some(id), "another call's answer: {}", answer.body);
    ensure!(message.get("result") == Some(expected), "a wrong answer: {}", answer.body);
    Ok(())
}
