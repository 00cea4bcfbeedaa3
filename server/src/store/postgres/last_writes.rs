//! The writes of a transaction that nobody needs the outcome of: they are sent with its commit, without waiting for each.
//!
//! PostgreSQL takes what it is sent one after the other. Where one of them fails, it refuses those that follow, and what
//! it is told to commit it undoes.

use deadpool_postgres::{GenericClient, Object};
use futures_util::future::{join, try_join_all};
use tokio_postgres::{Error, Statement};

use super::{
    audit::{self, Arrays},
    failure::Failure,
    spending,
};
use crate::{
    clock::UnixMillis,
    store::{AuditRecord, KeyId},
};

/// The most that are sent at once: others wait for them. So few futures are polled, and with that sent, in their order.
const MOST: usize = 8;

/// One of them.
#[derive(Debug)]
pub(super) enum LastWrite {
    /// Add to what a line of keys has spent.
    Spend { lineage: KeyId, at: UnixMillis, minor: i64 },
    /// Append to the audit trail.
    Audit(Box<AuditRecord>),
}

impl LastWrite {
    const fn sql(&self) -> &'static str {
        match self {
            Self::Spend { .. } => spending::SPEND,
            Self::Audit(_) => audit::ARRIVE,
        }
    }

    /// It is sent when this is polled first.
    async fn send(&self, client: &Object, statement: &Statement) -> Result<u64, Error> {
        match self {
            Self::Spend { lineage, at, minor } => {
                client.execute(statement, &[&lineage.0, &at.minute(), minor]).await
            }
            Self::Audit(record) => {
                let arrays = Arrays::of(std::iter::once(&**record));
                client.execute(statement, &arrays.parameters()).await
            }
        }
    }
}

/// Sends the writes, in their order, and waits for all.
pub(super) async fn send(client: &Object, writes: &[LastWrite]) -> Result<(), Failure> {
    for some in writes.chunks(MOST) {
        let statements = prepared(client, some).await?;
        try_join_all(some.iter().zip(&statements).map(|(write, statement)| write.send(client, statement)))
            .await?;
    }
    Ok(())
}

/// Sends the writes, in their order, and then the commit, and waits for all. Where it fails before the commit is sent, the
/// transaction goes on, and is the caller's to undo.
pub(super) async fn commit(client: &Object, writes: &[LastWrite]) -> Result<(), Failure> {
    let (before, last) = writes.split_at(writes.len().saturating_sub(MOST));
    send(client, before).await?;
    // From here on nothing waits for an answer before the commit is on its way.
    let statements = prepared(client, last).await?;
    let writing =
        try_join_all(last.iter().zip(&statements).map(|(write, statement)| write.send(client, statement)));
    let (written, committed) = join(writing, client.batch_execute("COMMIT")).await;
    written?;
    Ok(committed?)
}

async fn prepared(client: &Object, writes: &[LastWrite]) -> Result<Vec<Statement>, Error> {
    let mut statements = Vec::with_capacity(writes.len());
    for write in writes {
        statements.push(client.prepare_cached(write.sql()).await?);
    }
    Ok(statements)
}
