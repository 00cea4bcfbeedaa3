//! What there is to measure with: programs, a PostgreSQL, counterparts, cores; and how much effort is made.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::{findings::LeftOut, process::Program};

/// Where servers run, for every command that starts some.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Places {
    /// The folder, on a disk, in which databases are made.
    #[arg(long, default_value = "target/bench")]
    disk: PathBuf,
    /// The cores of the servers, with commas between them. The load generator stays where it was started, which must be
    /// on another one.
    #[arg(long, value_delimiter = ',', default_value = "0")]
    cores: Vec<u32>,
}

/// Everything that a mode needs.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The folder of the release binaries `server`, `client` and `bench`.
    pub(crate) binaries: PathBuf,
    /// The folder of the programs that Node.js runs, with what npm installed.
    pub(crate) counterparts: Option<PathBuf>,
    /// A PostgreSQL for this run alone, where databases are made.
    pub(crate) postgres: Option<String>,
    /// A folder on a disk, for scratch folders.
    pub(crate) disk: PathBuf,
    /// The cores of the servers.
    pub(crate) cores: Vec<u32>,
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
    pub(crate) fn new(binaries: &Path, places: &Places, effort: Effort) -> anyhow::Result<Self> {
        let disk = std::path::absolute(&places.disk).context("no path of a folder on a disk")?;
        std::fs::create_dir_all(&disk).with_context(|| format!("cannot make {}", disk.display()))?;
        Ok(Self {
            binaries: std::path::absolute(binaries).context("no path of binaries")?,
            counterparts: None,
            postgres: None,
            disk,
            cores: places.cores.clone(),
            effort,
            until: Instant::now(),
        })
    }

    /// A new folder on the disk to run in, which is gone when it is dropped. What is in memory alone, as the system's own
    /// folder for such things may be, waits for nothing.
    pub(crate) fn scratch(&self) -> anyhow::Result<TempDir> {
        let scratch = tempfile::tempdir_in(&self.disk).context("no scratch folder")?;
        // Server and client look for one from here upwards, and would find that of whoever measures.
        std::fs::write(scratch.path().join(".env"), "").context("cannot write an empty .env")?;
        Ok(scratch)
    }

    /// The payment server on a database, with the demo's data, nothing limited and every record of the audit kept.
    pub(crate) fn payment_server(&self, database: &str) -> Program {
        self.payment_command(database, &[])
    }

    /// One of the payment server's commands, likewise.
    pub(crate) fn payment_command(&self, database: &str, command: &[&str]) -> Program {
        Program::of(&self.binaries.join("server"), command).with(&[
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

    /// The core of the server number `number`: its own, as far as there are cores.
    pub(crate) fn server_core(&self, number: usize) -> String {
        let mut cores = self.cores.iter().cycle().skip(number % self.cores.len().max(1));
        cores.next().copied().unwrap_or_default().to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Effort, Setup};

    #[test]
    fn servers_share_cores_where_there_are_too_few() {
        let setup = Setup {
            binaries: "release".into(),
            counterparts: None,
            postgres: None,
            disk: "disk".into(),
            cores: vec![0, 2, 3],
            effort: Effort::QUICK,
            until: Instant::now(),
        };
        let cores: Vec<String> = (0..5).map(|number| setup.server_core(number)).collect();
        assert_eq!(cores, ["0", "2", "3", "0", "2"]);
    }
}
