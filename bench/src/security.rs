//! Figures about security: what abandoned sessions hold, what a flood of wrong keys does to a good caller, and how long a
//! revoked key goes on.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use shared::{demo::BOB_API_KEY, headers::API_KEY};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    contender::Server,
    desk::operate,
    figures::percentile,
    http::{Wire, post},
    print,
    process::Process,
    session::{open_session, open_session_with},
    setup::{Effort, Places, Setup},
};

/// How many sessions are abandoned, and how many wrong keys are tried.
const SESSIONS: u32 = 10_000;
const WRONG_KEYS: u32 = 100_000;

/// Connections of the flood.
const FLOOD: u32 = 8;

/// How often a key is revoked.
const REVOCATIONS: usize = 20;

/// How many are opened before those, so that what the allocator takes at first is no session's.
const FIRST_SESSIONS: u32 = 1_000;

/// How long a session lives unused, and how long after that the sweep has come by for sure.
const IDLE: Duration = Duration::from_secs(20);
const SWEPT: Duration = Duration::from_secs(10);

/// Most memory that an idle session may take, in bytes.
const SESSION_BYTES_MAX: u64 = 1_024;

/// Measures everything, prints it, and fails where a session takes more than it may.
pub(crate) async fn run(binaries: &Path, places: &Places) -> anyhow::Result<()> {
    let setup = Setup::new(binaries, places, Effort::FULL)?;
    print(&revocation(&setup).await?)?;
    print(&wrong_keys(&setup).await?)?;
    print(&abandoned_sessions(&setup).await?)
}

/// Starts the payment server on a new database of SQLite, whose URL it returns too.
async fn start(
    setup: &Setup,
    folder: &Path,
    more: &[(&'static str, &str)],
) -> anyhow::Result<(Process, String)> {
    let database = Server::Sqlite.database(setup, folder).await?;
    let program = setup.payment_server(&database).with(&[("RUST_LOG", "error")]).with(more);
    Ok((Process::start(&program, folder, &setup.server_core(0)).await?, database))
}

/// 10,000 sessions are opened and never used again; and as many again when those have ended, which find their memory.
async fn abandoned_sessions(setup: &Setup) -> anyhow::Result<String> {
    let folder = setup.scratch()?;
    let idle = IDLE.as_secs().to_string();
    let settings = [("MAX_SESSIONS_PER_KEY", "100000"), ("SESSION_IDLE_SECS", &idle)];
    let (process, _) = start(setup, folder.path(), &settings).await?;
    let mut began = Instant::now();
    abandon(&process, FIRST_SESSIONS).await?;
    let mut text = String::new();
    for round in 1..=2 {
        let before = process.resident_kib()?;
        let millis = abandon(&process, SESSIONS).await?;
        sleep(Duration::from_secs(1)).await;
        let with = process.resident_kib()?;
        ensure!(began.elapsed() < IDLE, "it took so long to open the sessions that the first have ended");
        let each = with.saturating_sub(before) * 1_024 / u64::from(SESSIONS);
        sleep(IDLE + SWEPT).await;
        let after = process.resident_kib()?;
        text.push_str(&format!(
            "abandoned sessions, round {round}   {SESSIONS} opened in {millis} ms: {before} KiB before, {with} KiB with \
             them ({each} bytes each), {after} KiB after they ended\n",
        ));
        ensure!(each <= SESSION_BYTES_MAX, "an idle session takes {each} bytes\n{text}");
        began = Instant::now();
    }
    process.stop().await?;
    Ok(text)
}

/// Opens so many sessions on one connection, and returns how many milliseconds that took.
async fn abandon(process: &Process, sessions: u32) -> anyhow::Result<u128> {
    let began = Instant::now();
    let mut wire = Wire::connect(&process.address).await?;
    for _ in 0..sessions {
        open_session(&mut wire, &process.address).await?;
    }
    Ok(began.elapsed().as_millis())
}

/// One caller with a good key, alone and then beside a flood of wrong ones from the same address.
async fn wrong_keys(setup: &Setup) -> anyhow::Result<String> {
    let folder = setup.scratch()?;
    let (process, _) = start(setup, folder.path(), &[("RATE_LIMIT", "on")]).await?;
    let mut wire = Wire::connect(&process.address).await?;
    let session = open_session(&mut wire, &process.address).await?;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let request = post(&process.address, &[(API_KEY, BOB_API_KEY), ("mcp-session-id", &session)], body);
    let alone = good_calls(&mut wire, &request, 5_000).await?;

    let mut lanes = JoinSet::new();
    let started = Instant::now();
    for lane in 0..FLOOD {
        let address = process.address.clone();
        lanes.spawn(async move { flood(&address, lane).await });
    }
    let mut statuses = (0_u64, 0_u64);
    let mut beside = Vec::new();
    while !lanes.is_empty() {
        beside.extend(good_calls(&mut wire, &request, 100).await?);
        while let Some(lane) = lanes.try_join_next() {
            let (refused, limited) = lane??;
            statuses = (statuses.0 + refused, statuses.1 + limited);
        }
    }
    let seconds = started.elapsed().as_secs_f32();
    beside.sort_unstable();
    process.stop().await?;
    Ok(format!(
        "wrong keys                   {WRONG_KEYS} in {seconds:.1} s from the good caller's address: {} answered 401, {} \
         answered 429. The good caller, never refused: p50 {} µs and p99 {} µs alone, p50 {} µs and p99 {} µs beside \
         them ({} calls)\n",
        statuses.0,
        statuses.1,
        percentile(&alone, 50),
        percentile(&alone, 99),
        percentile(&beside, 50),
        percentile(&beside, 99),
        beside.len(),
    ))
}

/// How long calls took, ascending, in microseconds; each must be answered.
async fn good_calls(wire: &mut Wire, request: &[u8], most: usize) -> anyhow::Result<Vec<u64>> {
    let mut latencies = Vec::new();
    while latencies.len() < most {
        let start = Instant::now();
        let answer = wire.exchange(request).await?;
        ensure!(answer.status == 200, "the good caller was answered with {}: {}", answer.status, answer.body);
        latencies.push(u64::try_from(start.elapsed().as_micros())?);
        // As a person's client would: not in a loop as tight as the flood's.
        sleep(Duration::from_millis(1)).await;
    }
    latencies.sort_unstable();
    Ok(latencies)
}

/// One connection's share of wrong keys, no two the same: how many were answered with 401 and how many with 429.
async fn flood(address: &str, lane: u32) -> anyhow::Result<(u64, u64)> {
    let mut wire = Wire::connect(address).await?;
    let mut statuses = (0, 0);
    for number in 0..WRONG_KEYS / FLOOD {
        let key = format!("a-wrong-key-that-is-well-formed-{lane}-{number:08}");
        let request = post(address, &[(API_KEY, &key)], r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        match wire.exchange(&request).await?.status {
            401 => statuses.0 += 1,
            429 => statuses.1 += 1,
            status => anyhow::bail!("a wrong key was answered with {status}"),
        }
    }
    Ok(statuses)
}

/// From the moment that the operator's command is done until an open stream has ended, and whether the next call after
/// that moment is refused.
async fn revocation(setup: &Setup) -> anyhow::Result<String> {
    let folder = setup.scratch()?;
    let (process, database) = start(setup, folder.path(), &[("RATE_LIMIT", "on")]).await?;
    let mut streams = Vec::new();
    let mut calls = Vec::new();
    for _ in 0..REVOCATIONS {
        let create = ["keys", "create", "--user", "bob", "--role", "customer"];
        let made = operate(setup, &database, &create).await?;
        let key = made.get("key").and_then(|key| key.as_str()).context("no key")?;
        let id = made.get("id").and_then(|id| id.as_str()).context("no id")?;
        let mut wire = Wire::connect(&process.address).await?;
        let session = open_session_with(&mut wire, &process.address, key).await?;
        let mut stream = open_stream(&process.address, key, &session).await?;
        let ended = tokio::spawn(async move {
            // The last chunk ends the stream; the connection may go on.
            let (mut buffer, mut end) = ([0; 4_096], Vec::new());
            while !end.ends_with(b"0\r\n\r\n")
                && let Ok(read @ 1..) = stream.read(&mut buffer).await
            {
                end.extend_from_slice(buffer.get(..read).unwrap_or_default());
            }
            Instant::now()
        });
        operate(setup, &database, &["keys", "revoke", id]).await?;
        let done = Instant::now();
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let request = post(&process.address, &[(API_KEY, key), ("mcp-session-id", &session)], body);
        let answer = wire.exchange(&request).await?;
        ensure!(answer.status == 401, "the next call was answered with {}", answer.status);
        calls.push(u64::try_from(done.elapsed().as_micros())?);
        let ended = timeout(Duration::from_secs(5), ended).await.context("a stream goes on")??;
        streams.push(u64::try_from(ended.saturating_duration_since(done).as_micros())?);
    }
    process.stop().await?;
    streams.sort_unstable();
    calls.sort_unstable();
    Ok(format!(
        "revocation                   {REVOCATIONS} keys, from the end of `server keys revoke`: the next call is refused \
         (answer after {} µs), an open stream has ended after {} ms (median) and {} ms (most)\n",
        percentile(&calls, 50),
        percentile(&streams, 50) / 1_000,
        streams.last().copied().unwrap_or_default() / 1_000,
    ))
}

/// A GET stream, whose head has arrived.
async fn open_stream(address: &str, key: &str, session: &str) -> anyhow::Result<TcpStream> {
    use tokio::io::AsyncWriteExt as _;
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /mcp HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{API_KEY}: {key}\r\n\
         mcp-session-id: {session}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = [0; 1_024];
    let read =
        timeout(Duration::from_secs(30), stream.read(&mut head)).await.context("no stream in time")??;
    ensure!(head.get(..read).is_some_and(|head| head.starts_with(b"HTTP/1.1 200")), "no stream");
    Ok(stream)
}
