//! The audit trail: an inbox that every transaction writes to without waiting for another, and the chain that one server
//! at a time moves the inbox to. Whoever reads the trail first moves what has arrived.

use std::borrow::Cow;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Object, Transaction};
use scopeguard::ScopeGuard;
use tokio_postgres::{Row, types::ToSql};

use super::{
    PostgresStore,
    connections::{free, guarded, in_time, let_go},
    failure::Failure,
    migrations::{lock, try_lock},
    rows::{bytes, cell, execute, optional_bytes, row, rows, storable, time, value, word},
};
use crate::{
    clock::UnixMillis,
    store::{
        AuditEntry, AuditFilter, AuditRecord, AuditStore, ChainHash, KeyId, SessionHash, StoreError, UserId,
        audit::first_after,
    },
};

/// How many records one transaction moves.
const MOVED_AT_ONCE: i64 = 2_000;

macro_rules! columns {
    () => {
        "at, request_id, user_id, username, key_id, session_hash, protocol, client, tool, arguments_digest, rule,
         outcome, duration_us, trace_id"
    };
}

/// Arrays of `unnest`, one a column, from this parameter on.
macro_rules! arrays {
    () => {
        "$1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[],
         $9::text[], $10::bytea[], $11::text[], $12::text[], $13::bigint[], $14::bytea[]"
    };
}

#[async_trait]
impl AuditStore for PostgresStore {
    async fn append_audit(&self, record: AuditRecord) -> Result<(), StoreError> {
        self.behind.append(record).await
    }

    async fn flush_audit(&self) -> Result<(), StoreError> {
        self.behind.flush().await
    }

    async fn audit_page(
        &self,
        filter: AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.chain().await?;
        read!(self, "read the audit trail", |client| page(client, &filter, before, limit).await)
    }

    async fn audit_after(&self, after: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        const AFTER: &str = concat!(
            "SELECT ",
            columns!(),
            ", seq, hash FROM audit_records WHERE seq >= $1 ORDER BY seq LIMIT $2"
        );
        let Some(first) = first_after(after) else { return Ok(Vec::new()) };
        self.chain().await?;
        read!(self, "read the audit trail", |client| {
            rows(client, AFTER, &[&first, &i64::from(limit)]).await?.iter().map(read_entry).collect()
        })
    }
}

impl PostgresStore {
    /// Moves everything that has arrived to the chain.
    async fn chain(&self) -> Result<(), StoreError> {
        loop {
            let mut client = guarded(free(&self.pool).await?);
            let done = in_time(move_some(&mut client, true)).await;
            let_go(ScopeGuard::into_inner(client), done.as_ref().err());
            match done.map_err(|failure| failure.told("chain the audit trail")) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                // It is not the trail itself that cannot be read.
                Err(StoreError::Corrupt(reason)) => {
                    return Err(StoreError::Unavailable { reason, source: None });
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The newest first. What is not asked for is not in the statement, so that each has a plan of its own.
async fn page(
    client: &impl GenericClient,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<AuditEntry>, Failure> {
    let (before, limit) = (before.unwrap_or(i64::MAX), i64::from(limit));
    let username = filter.username.as_deref().map(storable);
    let key = filter.key.as_ref().map(|key| storable(&key.0));
    let tool = filter.tool.as_deref().map(storable);
    let since = filter.since.map(UnixMillis::as_millis);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&before, &limit];
    let mut conditions = "seq < $1".to_owned();
    let wanted: [(&str, Option<&(dyn ToSql + Sync)>); 4] = [
        ("username =", username.as_ref().map(|value| value as _)),
        ("key_id =", key.as_ref().map(|value| value as _)),
        ("tool =", tool.as_ref().map(|value| value as _)),
        ("at >=", since.as_ref().map(|value| value as _)),
    ];
    for (condition, value) in wanted {
        if let Some(value) = value {
            parameters.push(value);
            conditions.push_str(&format!(" AND {condition} ${}", parameters.len()));
        }
    }
    if let Some(outcome) = filter.outcome {
        conditions.push_str(&format!(" AND outcome = '{}'", outcome.as_str()));
    }
    let page = format!(
        concat!("SELECT ", columns!(), ", seq, hash FROM audit_records WHERE {} ORDER BY seq DESC LIMIT $2"),
        conditions
    );
    rows(client, &page, &parameters).await?.iter().map(read_entry).collect()
}

/// Puts records into the inbox: [`Arrays`] of them.
pub(super) const ARRIVE: &str =
    concat!("INSERT INTO audit_inbox (", columns!(), ") SELECT * FROM unnest (", arrays!(), ")");

/// Puts records into the inbox.
pub(super) async fn arrive(client: &impl GenericClient, records: &[&AuditRecord]) -> Result<(), Failure> {
    let arrays = Arrays::of(records.iter().copied());
    execute(client, ARRIVE, &arrays.parameters()).await.map(|_| ())
}

/// Moves the oldest of the inbox to the chain; says whether there may be more. Where another server is at it, it waits for
/// its turn if it `insists`, and leaves it to that one if not.
pub(super) async fn move_some(client: &mut Object, insists: bool) -> Result<bool, Failure> {
    const OLDEST: &str =
        concat!("SELECT ", columns!(), ", arrival FROM audit_inbox ORDER BY arrival LIMIT $1");
    const CHAIN: &str = concat!(
        "INSERT INTO audit_records (",
        columns!(),
        ", seq, arrival, hash) SELECT * FROM unnest (",
        arrays!(),
        ", $15::bigint[], $16::bigint[], $17::bytea[])"
    );
    if !value::<bool>(client, "SELECT EXISTS (SELECT 1 FROM audit_inbox)", &[]).await? {
        return Ok(false);
    }
    let transaction = client.transaction().await?;
    if insists {
        lock(&transaction, "audit chain").await?;
    } else if !try_lock(&transaction, "audit chain").await? {
        return Ok(false);
    }
    let found = rows(&transaction, OLDEST, &[&MOVED_AT_ONCE]).await?;
    let (mut seq, mut hash) = last(&transaction).await?;
    let mut records = Vec::with_capacity(found.len());
    let (mut seqs, mut arrivals, mut hashes) = (Vec::new(), Vec::<i64>::new(), Vec::new());
    for row in &found {
        let record = read_record(row)?;
        seq = seq.saturating_add(1);
        hash = record.chained(seq, hash);
        seqs.push(seq);
        arrivals.push(cell(row, 14)?);
        hashes.push(hash.0);
        records.push(record);
    }
    let arrays = Arrays::of(records.iter());
    let hashes: Vec<_> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
    let mut parameters = arrays.parameters();
    parameters.extend([&seqs as &(dyn ToSql + Sync), &arrivals, &hashes]);
    execute(&transaction, CHAIN, &parameters).await?;
    execute(&transaction, "DELETE FROM audit_inbox WHERE arrival = ANY ($1)", &[&arrivals]).await?;
    transaction.commit().await?;
    Ok(i64::try_from(found.len()).is_ok_and(|moved| moved == MOVED_AT_ONCE))
}

/// The number and the hash of the chain's last record.
async fn last(transaction: &Transaction<'_>) -> Result<(i64, ChainHash), Failure> {
    let newest = "SELECT seq, hash FROM audit_records ORDER BY seq DESC LIMIT 1";
    match row(transaction, newest, &[]).await? {
        Some(row) => Ok((cell(&row, 0)?, ChainHash(bytes(&row, 1)?))),
        None => Ok((0, ChainHash::FIRST)),
    }
}

/// Records by columns.
pub(super) struct Arrays<'a> {
    times: Vec<i64>,
    requests: Vec<Cow<'a, str>>,
    users: Vec<i64>,
    usernames: Vec<Cow<'a, str>>,
    keys: Vec<Cow<'a, str>>,
    sessions: Vec<Option<&'a [u8]>>,
    protocols: Vec<&'static str>,
    clients: Vec<Cow<'a, str>>,
    tools: Vec<Cow<'a, str>>,
    digests: Vec<&'a [u8]>,
    rules: Vec<Cow<'a, str>>,
    outcomes: Vec<&'static str>,
    durations: Vec<i64>,
    traces: Vec<Option<&'a [u8]>>,
}

impl<'a> Arrays<'a> {
    pub(super) fn of(records: impl Iterator<Item = &'a AuditRecord> + Clone) -> Self {
        Self {
            times: records.clone().map(|record| record.at.as_millis()).collect(),
            requests: records.clone().map(|record| storable(&record.request_id)).collect(),
            users: records.clone().map(|record| record.user.0).collect(),
            usernames: records.clone().map(|record| storable(&record.username)).collect(),
            keys: records.clone().map(|record| storable(&record.key.0)).collect(),
            sessions: records
                .clone()
                .map(|record| record.session.as_ref().map(|hash| hash.0.as_slice()))
                .collect(),
            protocols: records.clone().map(|record| record.protocol.as_str()).collect(),
            clients: records.clone().map(|record| storable(&record.client)).collect(),
            tools: records.clone().map(|record| storable(&record.tool)).collect(),
            digests: records.clone().map(|record| record.arguments_digest.as_slice()).collect(),
            rules: records.clone().map(|record| storable(&record.rule)).collect(),
            outcomes: records.clone().map(|record| record.outcome.as_str()).collect(),
            durations: records.clone().map(|record| record.duration_us).collect(),
            traces: records.map(|record| record.trace.as_ref().map(<[u8; 16]>::as_slice)).collect(),
        }
    }

    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![
            &self.times,
            &self.requests,
            &self.users,
            &self.usernames,
            &self.keys,
            &self.sessions,
            &self.protocols,
            &self.clients,
            &self.tools,
            &self.digests,
            &self.rules,
            &self.outcomes,
            &self.durations,
            &self.traces,
        ]
    }
}

fn read_record(row: &Row) -> Result<AuditRecord, Failure> {
    Ok(AuditRecord {
        at: time(row, 0)?,
        request_id: cell::<String>(row, 1)?.into(),
        user: UserId(cell(row, 2)?),
        username: cell(row, 3)?,
        key: KeyId(cell(row, 4)?),
        session: optional_bytes(row, 5)?.map(SessionHash),
        protocol: word(row, 6)?,
        client: cell::<String>(row, 7)?.into(),
        tool: cell::<String>(row, 8)?.into(),
        arguments_digest: bytes(row, 9)?,
        rule: cell::<String>(row, 10)?.into(),
        outcome: word(row, 11)?,
        duration_us: cell(row, 12)?,
        trace: optional_bytes(row, 13)?,
    })
}

fn read_entry(row: &Row) -> Result<AuditEntry, Failure> {
    let hash = ChainHash(bytes(row, 15)?);
    Ok(AuditEntry { seq: cell(row, 14)?, record: read_record(row)?, hash: Some(hash) })
}
