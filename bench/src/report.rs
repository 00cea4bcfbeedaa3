//! Rounds, medians and the table.

use anyhow::Context as _;

use crate::{
    RunArguments,
    contender::Contender,
    load::{Round, drive},
};

/// Measures every contender in interleaved rounds and prints the table.
pub(crate) async fn run(arguments: &RunArguments) -> anyhow::Result<()> {
    let mut rounds: Vec<(Contender, Vec<Round>)> =
        Contender::ALL.into_iter().map(|contender| (contender, Vec::new())).collect();
    for _ in 0..arguments.rounds {
        for (contender, done) in &mut rounds {
            let scratch = tempfile::tempdir().context("no scratch folder")?;
            let process = contender.start(&arguments.binaries, scratch.path()).await?;
            // The first calls warm caches, the allocator and the branch predictor.
            drive(*contender, &process, arguments.connections, arguments.calls / 10).await?;
            done.push(drive(*contender, &process, arguments.connections, arguments.calls).await?);
            process.stop().await?;
        }
    }
    print(&table(&rounds))
}

/// The table, in Markdown.
fn table(rounds: &[(Contender, Vec<Round>)]) -> String {
    let ceiling = rounds
        .iter()
        .find(|(contender, _)| *contender == Contender::Bare)
        .map_or(0, |(_, rounds)| median(&mut cpu_nanos(rounds)));
    let mut text = String::from(
        "| server | CPU a call, µs (min-max) | x bare | calls/s | p50, µs | p99, µs | load's own CPU a call, µs | RSS, KiB |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for (contender, rounds) in rounds {
        let mut cpu = cpu_nanos(rounds);
        let middle = median(&mut cpu);
        let (least, most) =
            (cpu.first().copied().unwrap_or_default(), cpu.last().copied().unwrap_or_default());
        let mut own: Vec<u64> =
            rounds.iter().map(|round| round.own_cpu_micros * 1_000 / round.calls).collect();
        let mut speed: Vec<u64> = rounds.iter().map(calls_a_second).collect();
        let mut p50: Vec<u64> = rounds.iter().map(|round| percentile(round, 50)).collect();
        let mut p99: Vec<u64> = rounds.iter().map(|round| percentile(round, 99)).collect();
        let mut memory: Vec<u64> = rounds.iter().map(|round| round.resident_kib).collect();
        let row = format!(
            "| {} | {} ({}-{}) | {} | {} | {} | {} | {} | {} |\n",
            contender.name(),
            thousandths(middle, 1),
            thousandths(least, 1),
            thousandths(most, 1),
            thousandths((middle * 1_000).checked_div(ceiling).unwrap_or_default(), 2),
            median(&mut speed),
            median(&mut p50),
            median(&mut p99),
            thousandths(median(&mut own), 1),
            median(&mut memory),
        );
        text.push_str(&row);
    }
    text
}

fn cpu_nanos(rounds: &[Round]) -> Vec<u64> {
    rounds.iter().map(|round| round.server_cpu_micros * 1_000 / round.calls).collect()
}

fn calls_a_second(round: &Round) -> u64 {
    let micros = u64::try_from(round.elapsed.as_micros()).unwrap_or(u64::MAX);
    (round.calls * 1_000_000).checked_div(micros).unwrap_or_default()
}

/// The latency that `percent` of the calls stayed within.
fn percentile(round: &Round, percent: usize) -> u64 {
    sorted_percentile(&round.latencies_micros, percent)
}

/// The value that `percent` of the ascending values stay within.
pub(crate) fn sorted_percentile(ascending: &[u64], percent: usize) -> u64 {
    let at = (ascending.len() * percent / 100).min(ascending.len().saturating_sub(1));
    ascending.get(at).copied().unwrap_or_default()
}

/// Sorts, and returns the middle one.
fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A number of thousandths with `places` decimal places.
fn thousandths(value: u64, places: u32) -> String {
    let unit = 10_u64.pow(3_u32.saturating_sub(places));
    let rounded = (value + unit / 2) / unit;
    let scale = 10_u64.pow(places);
    format!("{}.{:0width$}", rounded / scale, rounded % scale, width = usize::try_from(places).unwrap_or(0))
}

/// Writes to the standard output.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    std::io::stdout().lock().write_all(text.as_bytes()).context("cannot print the table")
}
