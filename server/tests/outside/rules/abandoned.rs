//! Rule 10: sessions that nobody ends cost nothing in the end.
#![cfg(target_os = "linux")]

use std::{fs, time::Duration};

use crate::support::{
    client::{ALICE, BOB, Client, NEWEST, initialize},
    process::Program,
    wire::{Ask, Wire},
};

const SESSIONS: usize = 10_000;

/// Resident memory of the process, in KiB.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Opens this many sessions with Bob's key and never ends one.
async fn abandon(program: &Program, number: usize) {
    let mut wire = Wire::connect(program.address).await;
    let bytes = Ask::post(initialize(NEWEST)).key(BOB).bytes(program.address);
    for _ in 0..number {
        wire.write(&bytes).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// Whether so few sessions are left within 20 seconds, in which `meanwhile` is done again and again.
async fn come_down_to(program: &Program, left: usize, meanwhile: impl AsyncFn()) -> bool {
    let line = format!(" {left}");
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        meanwhile().await;
        let metrics = Ask::bare("GET").to("/metrics").send(program.address).await.body;
        if metrics.lines().any(|metric| metric.starts_with("payments_sessions ") && metric.ends_with(&line)) {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_10_ten_thousand_abandoned_sessions_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let set = [
        // What it logs is none of its sessions'.
        ("RUST_LOG", "info"),
        ("RATE_LIMIT", "off"),
        ("MAX_SESSIONS_PER_KEY", "10000"),
        ("SESSION_IDLE_SECS", "4"),
    ];
    let program = Program::start(folder.path(), &set);
    // What as many leave in the allocator and in the caches of the database is no session's.
    abandon(&program, SESSIONS).await;
    assert!(come_down_to(&program, 0, async || ()).await, "abandoned sessions are still open");
    let before = resident(program.id());
    abandon(&program, SESSIONS).await;
    let alice = Client::open(program.address, ALICE).await;
    // Alice's session is in use, and so it stays.
    let ping = async || assert_eq!(alice.ping().await.status, 200);
    assert!(come_down_to(&program, 1, ping).await, "abandoned sessions are still open");
    let after = resident(program.id());
    let most = before + 4 * 1_024;
    assert!(after <= most, "{before} KiB before and {after} KiB after {SESSIONS} sessions had ended");
}
