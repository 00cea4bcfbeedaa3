//! Payments.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use tokio_postgres::{Row, types::ToSql};

use super::{
    PostgresStore,
    attempts::Attempts,
    claims,
    connections::{in_time, let_go},
    failure::Failure,
    rows::{Parameters, cell, currency, execute, number, row, rows, storable, time, word},
    spending, transaction,
};
use crate::{
    clock::UnixMillis,
    money::Amount,
    store::{
        BatchId, BatchStep, Compensation, ErasedWork, IdempotencyClaim, KeyId, NewPayment, PaymentChange,
        PaymentFilter, PaymentId, PaymentPolicy, PaymentStore, Side, StoreError, StoredPayment, TransferId,
        UserId, Walk,
    },
};

macro_rules! select_payments {
    ($rest:literal) => {
        concat!(
            "SELECT p.seq, p.id, p.batch, p.step, p.payer, p.payee, p.key_id, p.lineage, p.amount_minor,
                 p.currency, p.memo, p.status, p.created_at, p.expires_at, p.changed_at, p.refunded_minor,
                 p.transfer_id, p.duplicate_of, p.idempotency_key, p.failure, p.confirmed_by, payer.username,
                 payee.username
             FROM payments p
             JOIN accounts payer ON payer.user_id = p.payer
             JOIN accounts payee ON payee.user_id = p.payee ",
            $rest
        )
    };
}

#[async_trait]
impl PaymentStore for PostgresStore {
    async fn run(&self, work: Arc<dyn ErasedWork>) -> Result<(), StoreError> {
        transaction::run(self, work).await
    }

    async fn payment(&self, id: &PaymentId) -> Result<Option<StoredPayment>, StoreError> {
        read!(self, "read a payment", |client| by_id(client, id).await)
    }

    async fn payments(&self, filter: PaymentFilter, limit: u32) -> Result<Vec<StoredPayment>, StoreError> {
        read!(self, "read payments", |client| page(client, &filter, limit).await)
    }

    async fn batch(&self, id: &BatchId) -> Result<Vec<StoredPayment>, StoreError> {
        read!(self, "read a batch", |client| {
            let all = select_payments!("WHERE p.batch = $1 ORDER BY p.step");
            rows(client, all, &[&id.0]).await?.iter().map(read_payment).collect()
        })
    }

    async fn overdue_payments(&self, now: UnixMillis, limit: u32) -> Result<Vec<PaymentId>, StoreError> {
        read!(self, "read overdue payments", |client| {
            let overdue = "SELECT id FROM payments
                           WHERE status IN ('requires_confirmation', 'requires_action') AND expires_at <= $1
                           ORDER BY expires_at LIMIT $2";
            let found = rows(client, overdue, &[&now.as_millis(), &i64::from(limit)]).await?;
            found.iter().map(|row| cell(row, 0).map(PaymentId)).collect()
        })
    }

    async fn stalled_payments(
        &self,
        since: UnixMillis,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<StoredPayment>, StoreError> {
        let length = now.as_millis().saturating_sub(since.as_millis());
        read!(self, "read stalled payments", |client| {
            // A time that stands still within a statement can be looked up in an index.
            let stalled = select_payments!(
                "WHERE p.status = 'processing'
                     AND p.changed_at < (extract (epoch FROM statement_timestamp ()) * 1000)::bigint - $1
                 ORDER BY p.changed_at LIMIT $2"
            );
            let found = rows(client, stalled, &[&length, &i64::from(limit)]).await?;
            found.iter().map(read_payment).collect()
        })
    }

    async fn due_compensations(&self, now: UnixMillis, limit: u32) -> Result<Vec<Compensation>, StoreError> {
        read!(self, "read compensations", |client| spending::due_compensations(client, now, limit).await)
    }

    async fn settle_compensation(
        &self,
        handle: &str,
        retry_at: Option<UnixMillis>,
    ) -> Result<(), StoreError> {
        let now = UnixMillis::now();
        transact!(self, "settle a compensation", |transaction| {
            spending::settle_compensation(&transaction, handle, now, retry_at).await
        })
    }

    async fn claim_idempotency_key(
        &self,
        claim: &IdempotencyClaim,
        until: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        transact!(self, "claim an idempotency key", |transaction| {
            claims::take(&transaction, claim, until, now).await
        })
    }

    async fn release_idempotency_key(&self, claim: &IdempotencyClaim) -> Result<(), StoreError> {
        transact!(self, "release an idempotency key", |transaction| {
            claims::release(&transaction, claim).await
        })
    }

    async fn policy(&self, key: &KeyId) -> Result<PaymentPolicy, StoreError> {
        read!(self, "read what a key may pay", |client| spending::policy(client, key).await)
    }
}

const BY_ID: &str = select_payments!("WHERE p.id = $1");

async fn by_id(client: &impl GenericClient, id: &PaymentId) -> Result<Option<StoredPayment>, Failure> {
    let found = row(client, BY_ID, &[&storable(&id.0)]).await?;
    found.as_ref().map(read_payment).transpose()
}

/// The payment, which nobody else changes until the transaction ends.
pub(super) async fn lock(
    transaction: &impl GenericClient,
    id: &PaymentId,
) -> Result<Option<StoredPayment>, Failure> {
    let wanted = select_payments!("WHERE p.id = $1 FOR NO KEY UPDATE OF p");
    row(transaction, wanted, &[&storable(&id.0)]).await?.as_ref().map(read_payment).transpose()
}

/// The payments of a batch, which nobody else changes until the transaction ends.
pub(super) async fn lock_batch(
    transaction: &impl GenericClient,
    id: &BatchId,
) -> Result<Vec<StoredPayment>, Failure> {
    let wanted = select_payments!("WHERE p.batch = $1 ORDER BY p.step FOR NO KEY UPDATE OF p");
    rows(transaction, wanted, &[&id.0]).await?.iter().map(read_payment).collect()
}

/// The newest first: along each walk `limit` steps at most, and of those the newest.
async fn page(
    client: &impl GenericClient,
    filter: &PaymentFilter,
    limit: u32,
) -> Result<Vec<StoredPayment>, Failure> {
    let (before, limit) = (filter.before.unwrap_or(i64::MAX), i64::from(limit));
    let key = filter.idempotency_key.as_deref().map(storable);
    let user = filter.visible_to.map(|user| user.0);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&before, &limit];
    let user_at = user.as_ref().map(|user| {
        parameters.push(user);
        parameters.len()
    });
    let key_at = key.as_ref().map(|key| {
        parameters.push(key);
        parameters.len()
    });
    let steps = |walk: Walk| {
        let mut conditions = "seq < $1".to_owned();
        if let Some(status) = walk.status {
            conditions.push_str(&format!(" AND status = '{}'", status.as_str()));
        }
        if let Some(at) = key_at {
            conditions.push_str(&format!(" AND idempotency_key = ${at}"));
        }
        if let Some(at) = user_at {
            let side = if matches!(walk.side, Side::Payee(_)) { "payee" } else { "payer" };
            conditions.push_str(&format!(" AND {side} = ${at}"));
        }
        format!("(SELECT seq FROM payments WHERE {conditions} ORDER BY seq DESC LIMIT $2)")
    };
    let wanted: Vec<_> = filter.walks().into_iter().map(steps).collect();
    let rest = format!("WHERE p.seq IN ({}) ORDER BY p.seq DESC LIMIT $2", wanted.join(" UNION ALL "));
    let found = rows(client, &format!("{}{rest}", select_payments!("")), &parameters).await?;
    found.iter().map(read_payment).collect()
}

/// The newest payment of a payer to a payee over an amount that was made since then and is open or paid.
macro_rules! similar {
    ($payer:literal, $payee:literal, $amount:literal, $since:literal) => {
        concat!(
            "SELECT s.id FROM payments s WHERE s.payer = ",
            $payer,
            " AND s.payee = ",
            $payee,
            " AND s.amount_minor = ",
            $amount,
            " AND s.created_at >= ",
            $since,
            " AND s.status NOT IN ('declined', 'canceled', 'expired', 'failed')
              ORDER BY s.created_at DESC, s.seq DESC LIMIT 1"
        )
    };
}

pub(super) async fn similar(
    transaction: &impl GenericClient,
    payer: UserId,
    payee: UserId,
    amount: Amount,
    since: UnixMillis,
) -> Result<Option<PaymentId>, Failure> {
    let newest = similar!("$1", "$2", "$3", "$4");
    let parameters: Parameters<'_> = &[&payer.0, &payee.0, &amount.minor(), &since.as_millis()];
    row(transaction, newest, parameters).await?.map(|row| cell(&row, 0).map(PaymentId)).transpose()
}

/// Keeps a payment; where it is not said of what it is a duplicate, of the newest that is similar and was made `since` then.
pub(super) async fn insert(
    transaction: &impl GenericClient,
    payment: &NewPayment,
    since: Option<UnixMillis>,
) -> Result<StoredPayment, Failure> {
    const INSERT: &str = concat!(
        "
        INSERT INTO payments (id, batch, step, payer, payee, key_id, lineage, amount_minor, currency, memo, status,
            created_at, expires_at, changed_at, duplicate_of, idempotency_key, failure)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $12,
            COALESCE ($14, (",
        similar!("$4", "$5", "$8", "$17"),
        ")), $15, $16)
        ON CONFLICT (id) DO NOTHING
        RETURNING seq, (SELECT username FROM accounts WHERE user_id = payer),
            (SELECT username FROM accounts WHERE user_id = payee), memo, duplicate_of, idempotency_key, failure"
    );
    let parameters: Parameters<'_> = &[
        &payment.id.0,
        &payment.step.as_ref().map(|step| &step.batch.0),
        &payment.step.as_ref().map(|step| i64::from(step.step)),
        &payment.payer.0,
        &payment.payee.0,
        &payment.key.0,
        &payment.lineage.0,
        &payment.amount.minor(),
        &payment.amount.currency().code(),
        &payment.memo.as_deref().map(storable),
        &payment.status.as_str(),
        &payment.created_at.as_millis(),
        &payment.expires_at.as_millis(),
        &payment.duplicate_of.as_ref().map(|id| &id.0),
        &payment.idempotency_key.as_deref().map(storable),
        &payment.failure.as_deref().map(storable),
        &since.map(UnixMillis::as_millis),
    ];
    let Some(made) = row(transaction, INSERT, parameters).await? else {
        let taken = format!("there is a payment {} already", payment.id);
        return Err(StoreError::Taken(taken).into());
    };
    Ok(StoredPayment {
        seq: cell(&made, 0)?,
        from: cell(&made, 1)?,
        to: cell(&made, 2)?,
        refunded_minor: 0,
        changed_at: payment.created_at,
        transfer: None,
        confirmed_by: None,
        payment: NewPayment {
            memo: cell(&made, 3)?,
            duplicate_of: cell::<Option<String>>(&made, 4)?.map(PaymentId),
            idempotency_key: cell(&made, 5)?,
            failure: cell(&made, 6)?,
            ..payment.clone()
        },
    })
}

/// Moves a payment on: handle, status, time, minor units given back, transfer, failure, confirming key. Since when it is processed is told
/// by the database's clock, which is one for all servers: by the clock of a server that is ahead, it would be left behind.
const CHANGE: &str = "
    UPDATE payments SET status = $2, refunded_minor = $4,
        changed_at = CASE $2 WHEN 'processing' THEN (extract (epoch FROM clock_timestamp ()) * 1000)::bigint
            ELSE $3 END,
        transfer_id = COALESCE ($5, transfer_id), failure = COALESCE ($6, failure),
        confirmed_by = COALESCE ($7, confirmed_by)
    WHERE id = $1";

pub(super) async fn change(transaction: &impl GenericClient, change: &PaymentChange) -> Result<(), Failure> {
    let parameters: Parameters<'_> = &[
        &change.id.0,
        &change.status.as_str(),
        &change.at.as_millis(),
        &change.refunded_minor,
        &change.transfer.map(|id| id.0),
        &change.failure.as_deref().map(storable),
        &change.confirmed_by.as_ref().map(|key| &key.0),
    ];
    if execute(transaction, CHANGE, parameters).await? == 1 {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!("there is no payment {}", change.id)).into())
}

fn read_payment(row: &Row) -> Result<StoredPayment, Failure> {
    let payment = NewPayment {
        id: PaymentId(cell(row, 1)?),
        step: match cell(row, 2)? {
            Some(batch) => Some(BatchStep { batch: BatchId(batch), step: number(row, 3)? }),
            None => None,
        },
        payer: UserId(cell(row, 4)?),
        payee: UserId(cell(row, 5)?),
        key: KeyId(cell(row, 6)?),
        lineage: KeyId(cell(row, 7)?),
        amount: Amount::from_minor(cell(row, 8)?, currency(row, 9)?),
        memo: cell(row, 10)?,
        status: word(row, 11)?,
        created_at: time(row, 12)?,
        expires_at: time(row, 13)?,
        duplicate_of: cell::<Option<String>>(row, 17)?.map(PaymentId),
        idempotency_key: cell(row, 18)?,
        failure: cell(row, 19)?,
    };
    Ok(StoredPayment {
        seq: cell(row, 0)?,
        payment,
        from: cell(row, 21)?,
        to: cell(row, 22)?,
        refunded_minor: cell(row, 15)?,
        changed_at: time(row, 14)?,
        transfer: cell::<Option<i64>>(row, 16)?.map(TransferId),
        confirmed_by: cell::<Option<String>>(row, 20)?.map(KeyId),
    })
}
