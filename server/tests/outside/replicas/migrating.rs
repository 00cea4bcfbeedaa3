//! Programs that bring the schema up to date at the same moment: one of them does it, and the others wait for it.

use std::{
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::settings;
use crate::support::{
    PATIENCE, eventually,
    postgres::{Connected, Postgres},
    process::command,
};

/// How many migrate at once.
const PROGRAMS: usize = 6;

/// What the one that migrates holds.
const LOCK: &str = "SELECT pg_advisory_lock (hashtextextended (current_schema ()::text || '/schema', 0))";

/// How many wait for that.
const WAITING: &str = "SELECT count (*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";

/// Programs that migrate; each of them runs.
fn begin(folder: &Path, set: &[(&str, &str)]) -> Vec<Child> {
    (0..PROGRAMS).map(|_| command(folder, &["migrate"], set).spawn().unwrap()).collect()
}

/// That one of them did it, and the others say that it was done.
fn one_did_it(programs: Vec<Child>) {
    let told: Vec<_> = programs
        .into_iter()
        .map(|program| {
            let ended = program.wait_with_output().unwrap();
            assert!(ended.status.success(), "{ended:?}");
            String::from_utf8(ended.stdout).unwrap()
        })
        .collect();
    let many = |words: &str| told.iter().filter(|told| told.contains(words)).count();
    assert_eq!((many("was empty"), many("stays as it is")), (1, PROGRAMS - 1), "{told:?}");
    assert!(told.iter().all(|told| !told.contains("payments:")), "a password is told: {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_programs_migrate_postgresql_at_once_and_say_what_they_did() {
    let Some(postgres) = Postgres::start() else { return };
    let beside = Connected::to(&postgres).await;
    // Held, so that all of them have come before one of them begins.
    beside.execute(LOCK).await;
    let folder = tempfile::tempdir().unwrap();
    let programs = begin(folder.path(), &settings(&postgres.url()));
    eventually("all of them wait", async || beside.number(WAITING).await == i64::try_from(PROGRAMS).unwrap())
        .await;
    beside.execute("SELECT pg_advisory_unlock_all ()").await;
    one_did_it(programs);
}

/// Tells a server to stop that waits for its database: it does so at once, and in order.
fn stops_at_once(mut server: Child) {
    let began = Instant::now();
    let told = Command::new("kill").arg("-TERM").arg(server.id().to_string()).status();
    assert!(told.unwrap().success());
    while server.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(10));
    }
    // One that still runs ends of this.
    let _ = server.kill();
    let ended = server.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_waits_for_postgresql_to_be_migrated_stops_when_it_is_told_to() {
    let Some(postgres) = Postgres::start() else { return };
    let beside = Connected::to(&postgres).await;
    beside.execute(LOCK).await;
    let folder = tempfile::tempdir().unwrap();
    let server = command(folder.path(), &["serve"], &settings(&postgres.url())).spawn().unwrap();
    eventually("it waits", async || beside.number(WAITING).await == 1).await;
    stops_at_once(server);
    eventually("nobody waits any more", async || beside.number(WAITING).await == 0).await;
}

/// Whether a process has the file open.
#[cfg(target_os = "linux")]
fn has_open(process: u32, file: &Path) -> bool {
    let Ok(open) = std::fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    open.flatten().any(|one| std::fs::read_link(one.path()).is_ok_and(|path| path == file))
}

/// A new database in a file that nobody else may write to.
#[cfg(target_os = "linux")]
fn held(file: &Path) -> Connection {
    let beside = Connection::open(file).unwrap();
    beside.busy_timeout(PATIENCE).unwrap();
    beside.pragma_update(None, "journal_mode", "WAL").unwrap();
    beside.execute_batch("BEGIN IMMEDIATE").unwrap();
    beside
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_waits_for_sqlite_to_be_migrated_stops_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().canonicalize().unwrap().join("payments.db");
    let _beside = held(&file);
    let set = [("DATABASE_URL", "sqlite://payments.db")];
    let server = command(folder.path(), &["serve"], &set).spawn().unwrap();
    eventually("it has the file open", async || has_open(server.id(), &file)).await;
    stops_at_once(server);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_programs_migrate_sqlite_at_once_and_say_what_they_did() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().canonicalize().unwrap().join("payments.db");
    // Held, so that all of them have come before one of them begins.
    let beside = held(&file);
    let programs = begin(folder.path(), &[("DATABASE_URL", "sqlite://payments.db")]);
    eventually("all of them have the file open", async || {
        programs.iter().all(|program| has_open(program.id(), &file))
    })
    .await;
    // From the open file to the lock it is a moment.
    tokio::time::sleep(Duration::from_millis(100)).await;
    beside.execute_batch("ROLLBACK").unwrap();
    one_did_it(programs);
}
