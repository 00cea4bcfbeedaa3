//! SQL of payments.

use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Value};

use super::{
    failure::unavailable,
    ledger::{bad_column, currency},
};
use crate::{
    clock::UnixMillis,
    money::Amount,
    store::{
        BatchId, BatchStep, KeyId, NewPayment, PaymentChange, PaymentFilter, PaymentId, PaymentStatus, Side,
        StoreError, StoredPayment, TransferId, UserId, Walk,
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

pub(super) fn by_id(connection: &Connection, id: &PaymentId) -> Result<Option<StoredPayment>, StoreError> {
    connection
        .prepare_cached(select_payments!("WHERE p.id = ?1"))
        .and_then(|mut statement| statement.query_row([&id.0], read).optional())
        .map_err(unavailable("read a payment"))
}

pub(super) fn of_batch(connection: &Connection, id: &BatchId) -> Result<Vec<StoredPayment>, StoreError> {
    let run = || -> rusqlite::Result<Vec<StoredPayment>> {
        let mut statement =
            connection.prepare_cached(select_payments!("WHERE p.batch = ?1 ORDER BY p.step"))?;
        statement.query_map([&id.0], read)?.collect()
    };
    run().map_err(unavailable("read a batch"))
}

/// The newest first: along each walk `limit` steps at most, and of those the newest.
pub(super) fn page(
    connection: &Connection,
    filter: &PaymentFilter,
    limit: u32,
) -> rusqlite::Result<Vec<StoredPayment>> {
    let mut values = vec![Value::from(filter.before.unwrap_or(i64::MAX)), Value::from(limit)];
    let key = filter.idempotency_key.as_ref().map(|key| {
        values.push(Value::from(key.clone()));
        format!(" AND idempotency_key = ?{}", values.len())
    });
    let mut steps = |walk: Walk| {
        let mut conditions = "seq < ?1".to_owned();
        if let Some(status) = walk.status {
            conditions.push_str(&format!(" AND status = '{}'", status.as_str()));
        }
        conditions.push_str(key.as_deref().unwrap_or_default());
        match walk.side {
            Side::All => {}
            Side::Payer(user) => {
                values.push(Value::from(user.0));
                conditions.push_str(&format!(" AND payer = ?{}", values.len()));
            }
            // In the words of the index, which has nothing else.
            Side::Payee(user) => {
                values.push(Value::from(user.0));
                conditions.push_str(&format!(" AND payee = ?{} AND transfer_id IS NOT NULL", values.len()));
            }
        }
        format!("SELECT * FROM (SELECT seq FROM payments WHERE {conditions} ORDER BY seq DESC LIMIT ?2)")
    };
    let wanted: Vec<_> = filter.walks().into_iter().map(&mut steps).collect();
    let rest = format!("WHERE p.seq IN ({}) ORDER BY p.seq DESC LIMIT ?2", wanted.join(" UNION ALL "));
    let mut statement = connection.prepare_cached(&format!("{}{rest}", select_payments!("")))?;
    statement.query_map(rusqlite::params_from_iter(values), read)?.collect()
}

pub(super) fn overdue(
    connection: &Connection,
    now: UnixMillis,
    limit: u32,
) -> rusqlite::Result<Vec<PaymentId>> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM payments
         WHERE status IN ('requires_confirmation', 'requires_action') AND expires_at <= ?1
         ORDER BY expires_at LIMIT ?2",
    )?;
    statement.query_map(params![now.as_millis(), limit], |row| row.get(0).map(PaymentId))?.collect()
}

pub(super) fn stalled(
    connection: &Connection,
    since: UnixMillis,
    limit: u32,
) -> rusqlite::Result<Vec<StoredPayment>> {
    let mut statement = connection.prepare_cached(select_payments!(
        "WHERE p.status = 'processing' AND p.changed_at < ?1 ORDER BY p.changed_at LIMIT ?2"
    ))?;
    statement.query_map(params![since.as_millis(), limit], read)?.collect()
}

pub(super) fn similar(
    connection: &Connection,
    payer: UserId,
    payee: UserId,
    amount: Amount,
    since: UnixMillis,
) -> Result<Option<PaymentId>, StoreError> {
    connection
        .prepare_cached(
            "SELECT id FROM payments
             WHERE payer = ?1 AND payee = ?2 AND amount_minor = ?3 AND created_at >= ?4
               AND status <> 'declined' AND status <> 'canceled' AND status <> 'expired' AND status <> 'failed'
             ORDER BY created_at DESC, seq DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            let parameters = params![payer.0, payee.0, amount.minor(), since.as_millis()];
            statement.query_row(parameters, |row| row.get(0).map(PaymentId)).optional()
        })
        .map_err(unavailable("look for a similar payment"))
}

/// Keeps a new payment between accounts of these names.
pub(super) fn insert(
    connection: &Connection,
    payment: &NewPayment,
    (from, to): (String, String),
) -> Result<StoredPayment, StoreError> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO payments (id, batch, step, payer, payee, key_id, lineage, amount_minor, currency, memo,
                 status, created_at, expires_at, changed_at, duplicate_of, idempotency_key, failure)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?12, ?14, ?15, ?16)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                payment.id.0,
                payment.step.as_ref().map(|step| &step.batch.0),
                payment.step.as_ref().map(|step| step.step),
                payment.payer.0,
                payment.payee.0,
                payment.key.0,
                payment.lineage.0,
                payment.amount.minor(),
                payment.amount.currency().code(),
                payment.memo,
                payment.status.as_str(),
                payment.created_at.as_millis(),
                payment.expires_at.as_millis(),
                payment.duplicate_of.as_ref().map(|id| &id.0),
                payment.idempotency_key,
                payment.failure,
            ])
        });
    if let Err(error) = inserted {
        return Err(match by_id(connection, &payment.id)? {
            Some(_) => StoreError::Taken(format!("there is a payment {} already", payment.id)),
            None => unavailable("keep a payment")(error),
        });
    }
    let seq = connection.last_insert_rowid();
    Ok(StoredPayment {
        seq,
        from,
        to,
        refunded_minor: 0,
        changed_at: payment.created_at,
        transfer: None,
        confirmed_by: None,
        payment: payment.clone(),
    })
}

pub(super) fn change(connection: &Connection, change: &PaymentChange) -> Result<(), StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE payments SET status = ?2, changed_at = ?3, refunded_minor = ?4,
                 transfer_id = COALESCE (?5, transfer_id), failure = COALESCE (?6, failure),
                 confirmed_by = COALESCE (?7, confirmed_by)
             WHERE id = ?1",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                change.id.0,
                change.status.as_str(),
                change.at.as_millis(),
                change.refunded_minor,
                change.transfer.map(|id| id.0),
                change.failure,
                change.confirmed_by.as_ref().map(|key| &key.0),
            ])
        })
        .map_err(unavailable("change a payment"))?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Corrupt(format!("there is no payment {}", change.id))) }
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredPayment> {
    let batch: Option<String> = row.get(2)?;
    let status: String = row.get(11)?;
    let payment = NewPayment {
        id: PaymentId(row.get(1)?),
        step: match batch {
            Some(batch) => Some(BatchStep { batch: BatchId(batch), step: row.get(3)? }),
            None => None,
        },
        payer: UserId(row.get(4)?),
        payee: UserId(row.get(5)?),
        key: KeyId(row.get(6)?),
        lineage: KeyId(row.get(7)?),
        amount: Amount::from_minor(row.get(8)?, currency(row, 9)?),
        memo: row.get(10)?,
        status: status.parse::<PaymentStatus>().map_err(|error| bad_column(11, error))?,
        created_at: UnixMillis::from_millis(row.get(12)?),
        expires_at: UnixMillis::from_millis(row.get(13)?),
        duplicate_of: row.get::<_, Option<String>>(17)?.map(PaymentId),
        idempotency_key: row.get(18)?,
        failure: row.get(19)?,
    };
    Ok(StoredPayment {
        seq: row.get(0)?,
        payment,
        from: row.get(21)?,
        to: row.get(22)?,
        refunded_minor: row.get(15)?,
        changed_at: UnixMillis::from_millis(row.get(14)?),
        transfer: row.get::<_, Option<i64>>(16)?.map(TransferId),
        confirmed_by: row.get::<_, Option<String>>(20)?.map(KeyId),
    })
}
