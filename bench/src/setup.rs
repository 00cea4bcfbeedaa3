//! What there is to measure with: programs, a PostgreSQL, counterparts, cores; and how much effort is made.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{findings::LeftOut, process::Program};

/// Everything that a mode needs.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The folder of the release binaries `server`, `client` and `bench`.
    pub(crate) binaries: PathBuf,
    /// The folder of the programs that Node.js runs, with what npm installed.
    pub(crate) counterparts: Option<PathBuf>,
    /// A PostgreSQL for this run alone, where databases are made.
    pub(crate) postgres: Option<String>,
    /// A folder on a disk.
    pub(crate) disk: PathBuf,
    /// How much is done.
    pub(crate) effort: Effort,
    /// From when on no more rounds are begun.
    pub(crate) until: Instant,
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How often each contender runs.
    pub(crate) rounds: u32,
    /// How long it is kept busy each time.
    pub(crate) time: Duration,
    /// How long before that, unmeasured: caches, allocator and branch predictor get warm, and a compiler at run time
    /// compiles.
    pub(crate) warm: Duration,
    /// How many rows a large table has.
    pub(crate) rows: u64,
    /// How many sessions are left idle.
    pub(crate) sessions: u32,
}

impl Effort {
    /// What the page is made from.
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        time: Duration::from_millis(2_000),
        warm: Duration::from_millis(800),
        rows: 10_000_000,
        sessions: 100_000,
    };

    /// For every day: two rounds, of which the greater figure counts.
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        time: Duration::from_millis(500),
        warm: Duration::from_millis(400),
        rows: 100_000,
        sessions: 10_000,
    };
}

impl Setup {
    /// With neither counterparts nor a PostgreSQL.
    pub(crate) fn of(binaries: PathBuf, disk: PathBuf, effort: Effort) -> Self {
        Self { binaries, counterparts: None, postgres: None, disk, effort, until: Instant::now() }
    }

    /// The payment server on a database, with the demo's data, nothing limited and every record of the audit kept.
    pub(crate) fn payment_server(&self, database: &str) -> Program {
        Program::of(&self.binaries.join("server"), &[]).with(&[
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("DATABASE_URL", database),
            ("RATE_LIMIT", "off"),
            ("RUST_LOG", "warn"),
        ])
    }

    /// A program that Node.js runs.
    pub(crate) fn counterpart(&self, file: &str, argument: &str) -> anyhow::Result<Program> {
        let folder =
            self.counterparts.as_ref().ok_or(LeftOut("Node.js or its packages cannot be had here"))?;
        let file = folder.join(file).display().to_string();
        Ok(Program::of("node".as_ref(), &[&file, argument]).with(&[
            (shared::demo::BOB_KEY_VARIABLE, shared::demo::BOB_API_KEY),
            (shared::demo::ALICE_KEY_VARIABLE, shared::demo::ALICE_API_KEY),
            ("NODE_ENV", "production"),
        ]))
    }

    /// Makes an empty database and returns its URL.
    pub(crate) async fn new_database(&self) -> anyhow::Result<String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let url = self.postgres.as_ref().ok_or(LeftOut("there is no PostgreSQL here"))?;
        let name = format!("bench_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        let connection = tokio::spawn(connection);
        client.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        drop(client);
        connection.await??;
        let (server, _) = url.rsplit_once('/').context("the URL names no database")?;
        Ok(format!("{server}/{name}"))
    }

    /// The core of the server number `number`: never the last one, which the load generator has.
    pub(crate) fn server_core(&self, number: usize) -> String {
        (number % cores().saturating_sub(1).max(1)).to_string()
    }
}

/// How many cores the machine has; this process itself may use one of them only.
pub(crate) fn cores() -> usize {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cpus.lines().filter(|line| line.starts_with("processor")).count()
}
