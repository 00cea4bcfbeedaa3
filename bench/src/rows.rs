//! Rows by the million, straight into a database file that no server has open.

mod records;
mod transfers;

use std::path::Path;

use anyhow::Context as _;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{process::Process, setup::Setup};

/// A database file in a folder of its own, on the disk that is measured.
#[derive(Debug)]
pub(crate) struct Database {
    folder: TempDir,
    /// How many were added of each.
    transfers: u64,
    records: u64,
}

impl Database {
    /// A new one, with the schema and the demo's data that the server makes when it starts.
    pub(crate) async fn new(setup: &Setup) -> anyhow::Result<Self> {
        let folder = setup.scratch()?;
        let database = Self { folder, transfers: 0, records: 0 };
        database.start(setup).await?.stop().await?;
        Ok(database)
    }

    /// Starts the payment server on it, on the first core. The sessions of every round stay in it.
    pub(crate) async fn start(&self, setup: &Setup) -> anyhow::Result<Process> {
        let program = setup.payment_server(&self.url()).with(&[("MAX_SESSIONS_PER_KEY", "100000")]);
        Process::start(&program, self.folder.path(), &setup.server_core(0)).await
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("sqlite://{}", self.file().display())
    }

    /// How large the file is, in MiB.
    pub(crate) fn megabytes(&self) -> u64 {
        std::fs::metadata(self.file()).map_or(0, |metadata| metadata.len() / 1_048_576)
    }

    /// Adds transfers between Bob and Alice, there and back, so that both have what they had, until there are as many, an even
    /// number; as many a day as `most` of them need to take all the days there are.
    pub(crate) fn fill_transfers(&mut self, wanted: u64, most: u64) -> anyhow::Result<()> {
        if wanted > self.transfers {
            transfers::add(&open(&self.file())?, wanted - self.transfers, most)?;
            self.transfers = wanted;
        }
        Ok(())
    }

    /// Adds as many audit records of Bob's, one a millisecond, unless that was done before.
    pub(crate) fn fill_records(&mut self, wanted: u64) -> anyhow::Result<()> {
        if wanted > 0 && self.records == 0 {
            records::add(&open(&self.file())?, wanted)?;
            self.records = wanted;
        }
        Ok(())
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("payments.db")
    }
}

/// Opens the file for writing much at once: nothing waits for the disk, nothing is taken back, and nobody asks whether what
/// is written is right.
fn open(file: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    connection.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA cache_size = -1000000; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;
         PRAGMA ignore_check_constraints = ON;",
    )?;
    Ok(connection)
}

/// Triggers and indexes that were taken away, to be made again as they were.
#[derive(Debug)]
#[must_use]
struct Paused {
    made_by: Vec<String>,
}

impl Paused {
    /// Takes away those of some tables.
    fn tables(connection: &Connection, tables: &[&str]) -> anyhow::Result<Self> {
        let mut made_by = Vec::new();
        for table in tables {
            let mut statement = connection.prepare(
                "SELECT type, name, sql FROM sqlite_schema
                 WHERE tbl_name = ?1 AND type IN ('index', 'trigger') AND sql IS NOT NULL",
            )?;
            let found = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let found: Vec<(String, String, String)> = found.collect::<rusqlite::Result<_>>()?;
            for (kind, name, sql) in found {
                connection.execute_batch(&format!("DROP {kind} {name}"))?;
                made_by.push(sql);
            }
        }
        Ok(Self { made_by })
    }

    /// Makes them again, and leaves the file as a server expects it.
    fn resume(self, connection: &Connection) -> anyhow::Result<()> {
        for sql in self.made_by {
            connection.execute_batch(&sql)?;
        }
        connection.execute_batch("PRAGMA journal_mode = WAL;")?;
        Ok(())
    }
}
