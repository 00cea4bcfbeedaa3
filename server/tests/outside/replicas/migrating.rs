//! Programs that bring the schema up to date at the same moment: one of them does it, and the others wait for it.

use std::{path::Path, process::Child, time::Duration};

use rusqlite::Connection;

use super::settings;
use crate::support::{
    PATIENCE, eventually,
    postgres::{Connected, Postgres},
    process::command,
};

/// How many migrate at once.
const PROGRAMS: usize = 6;

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
    let lock = "SELECT pg_advisory_lock (hashtextextended (current_schema ()::text || '/schema', 0))";
    beside.execute(lock).await;
    let folder = tempfile::tempdir().unwrap();
    let programs = begin(folder.path(), &settings(&postgres.url()));
    let waiting = "SELECT count (*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    eventually("all of them wait", async || beside.number(waiting).await == i64::try_from(PROGRAMS).unwrap())
        .await;
    beside.execute("SELECT pg_advisory_unlock_all ()").await;
    one_did_it(programs);
}

/// Whether a process has the file open.
#[cfg(target_os = "linux")]
fn has_open(process: u32, file: &Path) -> bool {
    let Ok(open) = std::fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    open.flatten().any(|one| std::fs::read_link(one.path()).is_ok_and(|path| path == file))
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_programs_migrate_sqlite_at_once_and_say_what_they_did() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().canonicalize().unwrap().join("payments.db");
    // Held, so that all of them have come before one of them begins.
    let beside = Connection::open(&file).unwrap();
    beside.busy_timeout(PATIENCE).unwrap();
    beside.pragma_update(None, "journal_mode", "WAL").unwrap();
    beside.execute_batch("BEGIN IMMEDIATE").unwrap();
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
