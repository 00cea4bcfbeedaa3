//! Rows by the million in a database file that no server has open.

mod records;
mod transfers;

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
            transfers::add(&self.file(), wanted - self.transfers, most)?;
            self.transfers = wanted;
        }
        Ok(())
    }

    /// Adds as many audit records of Bob's, one a millisecond, unless that was done before.
    pub(crate) async fn fill_records(&mut self, wanted: u64) -> anyhow::Result<()> {
        if wanted > 0 && self.records == 0 {
            records::add(self.file(), wanted).await?;
            self.records = wanted;
        }
        Ok(())
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("payments.db")
    }
}
