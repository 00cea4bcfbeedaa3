//! Rows by the million, straight into a database file that no server has open.

use std::path::Path;

use anyhow::Context as _;
use rusqlite::Connection;

/// Opens the file for writing much at once: nothing waits for the disk, nothing is taken back, and nobody asks whether what
/// is written is right.
pub(super) fn open(file: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    connection.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA cache_size = -1000000; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;
         PRAGMA ignore_check_constraints = ON;",
    )?;
    Ok(connection)
}

/// How large the file is, in MiB.
pub(super) fn megabytes(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len() / 1_048_576)
}

/// Triggers and indexes that were taken away, to be made again as they were.
#[derive(Debug)]
#[must_use]
pub(super) struct Paused {
    made_by: Vec<String>,
}

impl Paused {
    /// Takes away those of some tables.
    pub(super) fn tables(connection: &Connection, tables: &[&str]) -> anyhow::Result<Self> {
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
    pub(super) fn resume(self, connection: &Connection) -> anyhow::Result<()> {
        for sql in self.made_by {
            connection.execute_batch(&sql)?;
        }
        connection.execute_batch("PRAGMA journal_mode = WAL;")?;
        Ok(())
    }
}
