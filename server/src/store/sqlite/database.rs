//! Opening a database: its file, its settings, its schema.

use std::{
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig};

use super::{SqliteLocation, failure::unavailable};
use crate::store::{Migration, StoreError};

/// Statements a connection keeps compiled.
const CACHED_STATEMENTS: usize = 64;

/// The most that the log keeps of its size once it is written back.
const LOG_BYTES: i64 = 16 * 1024 * 1024;

/// How long to wait before a database that another process is setting up is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// What the header of our databases says about whose they are: `MCPP`.
const APPLICATION_ID: i64 = 0x4d43_5050;

/// The schema, one step a version; the first step makes version 1.
pub(super) const MIGRATIONS: [&str; 19] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_abilities.sql"),
    include_str!("migrations/0003_sealing.sql"),
    include_str!("migrations/0004_months_and_peers.sql"),
    include_str!("migrations/0005_key_lifecycle.sql"),
    include_str!("migrations/0006_audit_chain.sql"),
    include_str!("migrations/0007_services.sql"),
    include_str!("migrations/0008_payments.sql"),
    include_str!("migrations/0009_sealing_turns.sql"),
    include_str!("migrations/0010_idempotency_claims.sql"),
    include_str!("migrations/0011_long_tables.sql"),
    include_str!("migrations/0012_audit_appends.sql"),
    include_str!("migrations/0013_plain_rules.sql"),
    include_str!("migrations/0014_audit_blocks.sql"),
    include_str!("migrations/0015_policy_revisions.sql"),
    include_str!("migrations/0016_peppers.sql"),
    include_str!("migrations/0017_confirming_keys.sql"),
    include_str!("migrations/0018_key_revisions.sql"),
    include_str!("migrations/0019_audit_packs.sql"),
];

/// Opens a connection, creating the database if it is not there. `patience`: how long it waits for a lock of another
/// process, now and later.
pub(super) fn open(location: &SqliteLocation, patience: Duration) -> Result<Connection, StoreError> {
    let connection = match location {
        SqliteLocation::Memory => {
            Connection::open_in_memory().map_err(unavailable("open a database in memory"))?
        }
        SqliteLocation::File(path) => {
            create_privately(path)?;
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags(path, flags)
                .map_err(unavailable(&format!("open the database {}", path.display())))?
        }
    };
    let failed = unavailable("set up the database");
    connection.busy_timeout(patience).map_err(&failed)?;
    // Before anything is changed: it may be another program's.
    look_at(&connection)?;
    configure(&connection, patience).map_err(&failed)?;
    Ok(connection)
}

fn configure(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // SQL that reached us by a hole could not switch off what protects the file.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A plan that depends on the value of a bound LIMIT is made anew with every call, which costs more than the call.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    write_ahead(connection, patience)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "recursive_triggers", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// Has the writer keep what undoes one statement in a single piece of memory, instead of in pieces of 1 KiB. SQLite does so where
/// temporary files are allowed, and makes one of what is larger than `SQLITE_STMTJRNL_SPILL`: 4,084 pages, of which a thousand
/// sessions that end at once among half a million change 2,000. Compiled without our flags it would make one of every 64 KiB,
/// so then nothing is changed.
pub(super) fn undo_in_one_piece(connection: &Connection) -> Result<(), StoreError> {
    let is_compiled_so = "SELECT sqlite_compileoption_used ('STMTJRNL_SPILL=16777216')";
    let set = || -> rusqlite::Result<()> {
        if connection.query_row(is_compiled_so, [], |row| row.get(0))? {
            connection.pragma_update(None, "temp_store", "FILE")?;
        }
        Ok(())
    };
    set().map_err(unavailable("set up the writer"))
}

/// Has a commit of the writer return when it is in the log. `super::disk` has the disk confirm it; what SQLite itself needs
/// to be there before the log is begun anew or written back, the disk confirms to SQLite.
pub(super) fn commit_to_the_log(connection: &Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(unavailable("set up the writer"))
}

/// Writes back what a process that died has left in the log, so that what is written from now on follows nothing that the disk
/// may not have: after it has failed to write, what was read back from its cache is not there after the loss of power, and
/// whatever follows in the log is lost with it. Where others use the database it waits for nobody.
pub(super) fn write_back(connection: &Connection) -> Result<(), StoreError> {
    let write = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    write.map_err(unavailable("write back the log of the database"))
}

/// Switches to the write-ahead log, in which readers and the writer do not wait for each other. SQLite does not wait
/// for another process that does the same, so this does.
fn write_ahead(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    let give_up = Instant::now() + patience;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_busy(&error) && Instant::now() < give_up => thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Creates folder and file so that their owner alone can read them.
///
/// A file that is there is not opened: a process that closes a file loses every lock that it has on it, also those of its
/// connections (<https://sqlite.org/howtocorrupt.html>, 2.2), and another program would then take itself for the last to use
/// the database and remove the log that this one writes.
fn create_privately(path: &Path) -> Result<(), StoreError> {
    let failed = |doing: &str, error: io::Error| StoreError::Unavailable {
        reason: format!("{doing} {}", path.display()),
        source: Some(Box::new(error)),
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|error| failed("create the folder of", error))?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed("create the database", error))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Brings the schema to this program's version. Two programs may do so at once.
///
/// # Errors
/// [`StoreError::Corrupt`] when the database is of a newer program or of another one; [`StoreError::Unavailable`].
pub(super) fn migrate(connection: &mut Connection) -> Result<Migration, StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(unavailable("lock the database to migrate it"))?;
    let done = version(&transaction)?;
    let migration = Migration { before: done, now: MIGRATIONS.len() };
    if done == MIGRATIONS.len() {
        return Ok(migration);
    }
    for step in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(step).map_err(unavailable("migrate the database"))?;
    }
    let version = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    transaction
        .pragma_update(None, "application_id", APPLICATION_ID)
        .and_then(|()| transaction.pragma_update(None, "user_version", version))
        .map_err(unavailable("write the version of the schema"))?;
    transaction.commit().map_err(unavailable("commit the migration"))?;
    Ok(migration)
}

/// Refuses a database that is not ours, or not yet. What another process sets up meanwhile is seen whole or not at all.
fn look_at(connection: &Connection) -> Result<(), StoreError> {
    let reading = connection.unchecked_transaction().map_err(unavailable("look at the database"))?;
    version(&reading).map(drop)
}

/// How many steps the schema has behind it, if it is ours. It is told by several reads, which must be of one transaction.
fn version(connection: &Connection) -> Result<usize, StoreError> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let failed = unavailable("read the version of the schema");
    let version = number("PRAGMA user_version").map_err(&failed)?;
    let application = number("PRAGMA application_id").map_err(&failed)?;
    let objects = number("SELECT count(*) FROM sqlite_schema").map_err(&failed)?;
    let is_empty = version == 0 && application == 0 && objects == 0;
    if !is_empty && application != APPLICATION_ID {
        return Err(StoreError::Corrupt(
            "it is the database of another program: give this one another DATABASE_URL".to_owned(),
        ));
    }
    usize::try_from(version).ok().filter(|done| *done <= MIGRATIONS.len()).ok_or_else(|| {
        StoreError::Corrupt(format!(
            "its schema is version {version} and this program knows versions up to {}: start the newer program, or \
             give this one another DATABASE_URL",
            MIGRATIONS.len()
        ))
    })
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

    use super::*;
    use crate::store::{Store as _, sqlite::SqliteStore};

    /// The kinds of lock that this process has on a file, and where they begin.
    fn locks(path: &Path) -> Vec<(String, u64)> {
        let (of, inode) = (std::process::id().to_string(), fs::metadata(path).unwrap().ino().to_string());
        let held = fs::read_to_string("/proc/locks").unwrap();
        let lock = |line: &str| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let is_ours = fields[4] == of && fields[5].rsplit(':').next() == Some(&inode);
            is_ours.then(|| (fields[3].to_owned(), fields[6].parse().unwrap()))
        };
        held.lines().filter(|line| !line.contains("->")).filter_map(lock).collect()
    }

    #[tokio::test]
    async fn an_open_database_is_locked_against_whoever_would_take_itself_for_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.db");
        for _ in 0..2 {
            let store = SqliteStore::open(&SqliteLocation::File(path.clone())).await.unwrap();
            // SQLite's SHARED lock (https://sqlite.org/lockingv3.html): where its 510 bytes begin.
            assert_eq!(locks(&path), [("READ".to_owned(), 0x4000_0002)]);
            store.close().await.unwrap();
            assert_eq!(locks(&path), []);
        }
    }

    #[test]
    fn a_database_that_is_being_set_up_elsewhere_is_no_other_program_s() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.db");
        let connection = Connection::open(&path).unwrap();
        let (location, mut is_begun) = (SqliteLocation::File(path), false);
        let meanwhile = move |context: AuthContext<'_>| {
            // Its marks were read, and its tables are about to be.
            if context.action == AuthAction::Select && !std::mem::replace(&mut is_begun, true) {
                let other = open(&location, Duration::from_millis(50));
                let _unless_it_has_to_wait = other.and_then(|mut other| migrate(&mut other));
            }
            Authorization::Allow
        };
        connection.authorizer(Some(meanwhile)).unwrap();
        look_at(&connection).unwrap();
    }
}
