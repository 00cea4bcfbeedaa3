//! The schema, brought up to date under a lock: of several servers that start at once one does it.

use deadpool_postgres::{Object, Transaction};

use super::{
    failure::Failure,
    rows::{execute, value},
};
use crate::store::{Migration, StoreError};

/// The schema, one step a version; the first step makes version 1.
const MIGRATIONS: [&str; 11] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_audit.sql"),
    include_str!("migrations/0003_payments.sql"),
    include_str!("migrations/0004_session_mail.sql"),
    include_str!("migrations/0005_sealing_turns.sql"),
    include_str!("migrations/0006_idempotency_claims.sql"),
    include_str!("migrations/0007_long_tables.sql"),
    include_str!("migrations/0008_payments_by_status.sql"),
    include_str!("migrations/0009_peppers.sql"),
    include_str!("migrations/0010_confirming_keys.sql"),
    include_str!("migrations/0011_key_revisions.sql"),
];

/// Brings the schema to this program's version.
///
/// # Errors
/// [`StoreError::Corrupt`] when it is of a newer program or of another one.
pub(super) async fn migrate(client: &mut Object) -> Result<Migration, Failure> {
    // Most starts find it up to date, and then need no right to change it.
    if value::<bool>(client, "SELECT to_regclass ('schema_versions') IS NOT NULL", &[]).await? {
        let version = version(client).await?;
        if version == MIGRATIONS.len() {
            return Ok(told(version));
        }
    }
    let transaction = client.transaction().await?;
    // However long another server's migration takes, and this one.
    transaction.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
    lock(&transaction, "schema").await?;
    prepare(&transaction).await?;
    let before = version(&transaction).await?;
    for (step, number) in MIGRATIONS.iter().zip(1_i64..).skip(before) {
        transaction.batch_execute(step).await?;
        let note = "INSERT INTO schema_versions (version, applied_at) VALUES ($1, now ())";
        execute(&transaction, note, &[&number]).await?;
    }
    transaction.commit().await?;
    Ok(told(before))
}

fn told(before: usize) -> Migration {
    Migration { before, now: MIGRATIONS.len() }
}

/// Makes the table of versions in a schema that is empty or ours.
async fn prepare(transaction: &Transaction<'_>) -> Result<(), Failure> {
    let is_ours = "SELECT to_regclass ('schema_versions') IS NOT NULL";
    if value::<bool>(transaction, is_ours, &[]).await? {
        return Ok(());
    }
    let is_anothers = "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = current_schema ())";
    if value::<bool>(transaction, is_anothers, &[]).await? {
        return Err(Failure::Refused(StoreError::Corrupt(
            "it is the database of another program: give this one another DATABASE_URL".to_owned(),
        )));
    }
    transaction
        .batch_execute(
            "CREATE TABLE schema_versions (version bigint PRIMARY KEY, applied_at timestamptz NOT NULL)",
        )
        .await?;
    Ok(())
}

/// How many steps the schema has behind it.
async fn version(client: &impl deadpool_postgres::GenericClient) -> Result<usize, Failure> {
    let found: i64 = value(client, "SELECT COALESCE (max (version), 0) FROM schema_versions", &[]).await?;
    usize::try_from(found).ok().filter(|done| *done <= MIGRATIONS.len()).ok_or_else(|| {
        Failure::Refused(StoreError::Corrupt(format!(
            "its schema is version {found} and this program knows versions up to {}: start the newer program, or give \
             this one another DATABASE_URL",
            MIGRATIONS.len()
        )))
    })
}

/// Makes everybody wait who wants the lock of this name in this schema, until the transaction ends.
pub(super) async fn lock(transaction: &Transaction<'_>, name: &str) -> Result<(), Failure> {
    let lock =
        "SELECT pg_advisory_xact_lock (hashtextextended (current_schema ()::text || '/' || $1::text, 0))";
    let statement = transaction.prepare_cached(lock).await?;
    transaction.query_one(&statement, &[&name]).await?;
    Ok(())
}

/// Takes the lock of this name unless somebody has it.
pub(super) async fn try_lock(transaction: &Transaction<'_>, name: &str) -> Result<bool, Failure> {
    let lock =
        "SELECT pg_try_advisory_xact_lock (hashtextextended (current_schema ()::text || '/' || $1::text, 0))";
    value(transaction, lock, &[&name]).await
}
