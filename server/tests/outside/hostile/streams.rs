//! Ten thousand streams, against the real program: everybody else is served meanwhile, and what they took comes back.
#![cfg(target_os = "linux")]

use std::{fs, net::SocketAddr};

use serde_json::json;

use super::assert_served;
use crate::support::{
    client::{ALICE, BOB, Client},
    eventually,
    process::Program,
    wire::{Ask, Wire},
};

/// How many streams are opened in a round.
const STREAMS: usize = 10_000;

/// How many rounds there are at most.
const ROUNDS_MAX: usize = 10;

/// As many as a session may have (`http.rs` of the engine's streams); more sessions share the rest.
const OF_A_SESSION: usize = 32;

/// How many streams the descriptors of this process allow at once.
fn allowed_at_once() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let soft: usize = files.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX);
    soft.saturating_sub(500).min(STREAMS)
}

/// What a line of a process's status says, as a number.
fn status_of(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
}

fn open_files(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

/// Opens `count` streams and returns them with the sessions they belong to.
async fn open(address: SocketAddr, count: usize) -> (Vec<Client>, Vec<Wire>) {
    let (mut sessions, mut streams): (Vec<Client>, Vec<Wire>) = (Vec::new(), Vec::new());
    while streams.len() < count {
        if streams.len() % OF_A_SESSION == 0 {
            sessions.push(Client::open(address, ALICE).await);
        }
        let owner = sessions.last().unwrap();
        let mut stream = Wire::connect(address).await;
        stream.write(&owner.dress(Ask::get()).bytes(address)).await;
        assert_eq!(stream.head().await.status, 200, "stream {}", streams.len());
        streams.push(stream);
    }
    (sessions, streams)
}

/// Whether a round left next to nothing behind. The first ones grow what is kept for reuse; half a KiB of each stream that
/// stays, in every round, is a leak.
fn has_settled(resident: &[u64]) -> bool {
    matches!(resident, [.., before, last] if last.saturating_sub(*before) < 5_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_streams_keep_nobody_waiting_and_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(
        folder.path(),
        &[("DATABASE_URL", "sqlite::memory:"), ("RATE_LIMIT", "off"), ("MALLOC_TRIM_THRESHOLD_", "131072")],
    );
    let bob = Client::open(program.address, BOB).await;
    assert_served(&bob).await;
    let (files, at_once) = (open_files(program.id()), allowed_at_once());
    if at_once < STREAMS {
        eprintln!("only {at_once} streams at once: this process may not have more files open");
    }
    let mut resident = Vec::new();
    while resident.len() < ROUNDS_MAX && !has_settled(&resident) {
        let mut opened = 0;
        while opened < STREAMS {
            let (sessions, streams) = open(program.address, at_once.min(STREAMS - opened)).await;
            opened += streams.len();
            for _ in 0..10 {
                assert_served(&bob).await;
            }
            // Half of them go in order, the others just go.
            for session in sessions.iter().step_by(2) {
                assert_eq!(session.end().await.status, 204);
            }
            drop(streams);
            for session in sessions.iter().skip(1).step_by(2) {
                assert_eq!(session.end().await.status, 204);
            }
        }
        eventually("closing what nobody reads", || async { open_files(program.id()) <= files + 8 }).await;
        resident.push(status_of(program.id(), "VmRSS"));
        assert_served(&bob).await;
    }
    eprintln!("resident after each round, in KiB: {resident:?}");
    assert!(has_settled(&resident), "memory stays: {resident:?} KiB");
    let rows = bob.result("getAllTransactions", json!({})).await;
    assert_eq!(rows["structuredContent"]["transactions"].as_array().unwrap().len(), 5);
    program.signal("TERM");
    let ended = program.ended();
    assert!(ended.status.success(), "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}
