//! SQL of what stands around payments: accounts as they are locked, policies, budgets, idempotency, compensations.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{failure::unavailable, keys, ledger};
use crate::{
    clock::UnixMillis,
    money::{Amount, Currency},
    store::{
        AccountState, Compensation, IdempotencyRecord, KeyId, PaymentPolicy, PolicyChange, StoreError, UserId,
    },
};

/// How many expired idempotency keys are forgotten whenever one is kept: more than come, so that they never pile up.
const FORGOTTEN_AT_ONCE: u32 = 8;

pub(super) fn user_named(connection: &Connection, username: &str) -> Result<Option<UserId>, StoreError> {
    connection
        .prepare_cached("SELECT user_id FROM accounts WHERE username = ?1")
        .and_then(|mut statement| statement.query_row([username], |row| row.get(0).map(UserId)).optional())
        .map_err(unavailable("look for a user"))
}

pub(super) fn account(connection: &Connection, user: UserId) -> Result<AccountState, StoreError> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(AccountState {
            user,
            username: row.get(0)?,
            balance: Amount::from_minor(row.get(3)?, ledger::currency(row, 1)?),
            credit_limit_minor: row.get(2)?,
            reserved_minor: row.get(4)?,
        })
    };
    connection
        .prepare_cached(
            "SELECT username, currency, credit_limit_minor,
                 COALESCE ((SELECT balance_minor FROM entries WHERE user_id = ?1
                            ORDER BY transfer_seq DESC LIMIT 1), 0),
                 COALESCE ((SELECT reserved_minor FROM account_reservations WHERE user_id = ?1), 0)
             FROM accounts WHERE user_id = ?1",
        )
        .and_then(|mut statement| statement.query_row([user.0], read).optional())
        .map_err(unavailable("read an account"))?
        .ok_or_else(|| StoreError::NoSuchAccount(user.0.to_string()))
}

pub(super) fn policy(connection: &Connection, lineage: &KeyId) -> Result<PaymentPolicy, StoreError> {
    let read = connection
        .prepare_cached(
            "SELECT automatic_below_minor, maximum_minor, day_budget_minor, payees
             FROM payment_policies WHERE lineage = ?1",
        )
        .and_then(|mut statement| statement.query_row([&lineage.0], |row| keys::policy(row, 0)).optional());
    read.map(Option::flatten).map(Option::unwrap_or_default).map_err(unavailable("read what a key may pay"))
}

/// The first key of the line that this one is of.
pub(super) fn lineage(connection: &Connection, key: &KeyId) -> Result<Option<KeyId>, StoreError> {
    connection
        .prepare_cached("SELECT lineage FROM api_keys WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([&key.0], |row| row.get(0).map(KeyId)).optional())
        .map_err(unavailable("read a key"))
}

pub(super) fn change_policy(
    connection: &Connection,
    key: &KeyId,
    change: PolicyChange,
) -> Result<(), StoreError> {
    let Some(lineage) = lineage(connection, key)? else { return Ok(()) };
    if change == PolicyChange::default() {
        return Ok(());
    }
    let mut policy = policy(connection, &lineage)?;
    change.apply(&mut policy);
    connection
        .prepare_cached(
            "INSERT INTO payment_policies
                 (lineage, automatic_below_minor, maximum_minor, day_budget_minor, payees)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (lineage) DO UPDATE SET automatic_below_minor = ?2, maximum_minor = ?3,
                 day_budget_minor = ?4, payees = ?5",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                lineage.0,
                policy.automatic_below_minor,
                policy.maximum_minor,
                policy.day_budget_minor,
                policy.payees.join(" "),
            ])
        })
        .map_err(unavailable("write what a key may pay"))?;
    Ok(())
}

pub(super) fn spent(connection: &Connection, lineage: &KeyId, since: UnixMillis) -> Result<i64, StoreError> {
    connection
        .prepare_cached(
            "SELECT COALESCE (sum (spent_minor), 0) FROM spendings WHERE lineage = ?1 AND minute >= ?2",
        )
        .and_then(|mut statement| {
            let minute = since.minute();
            statement.query_row(params![lineage.0, minute], |row| row.get(0))
        })
        .map_err(unavailable("read a budget"))
}

pub(super) fn spend(
    connection: &Connection,
    lineage: &KeyId,
    at: UnixMillis,
    minor: i64,
) -> Result<(), StoreError> {
    let sql = if minor < 0 {
        // What is forgotten has nothing to be given back to.
        "UPDATE spendings SET spent_minor = spent_minor + ?3 WHERE lineage = ?1 AND minute = ?2"
    } else {
        "INSERT INTO spendings (lineage, minute, spent_minor) VALUES (?1, ?2, ?3)
         ON CONFLICT (lineage, minute) DO UPDATE SET spent_minor = spent_minor + ?3"
    };
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(params![lineage.0, at.minute(), minor]))
        .map_err(unavailable("write a budget"))?;
    Ok(())
}

pub(super) fn idempotency_record(
    connection: &Connection,
    user: UserId,
    tool: &str,
    key: &str,
    now: UnixMillis,
) -> Result<Option<IdempotencyRecord>, StoreError> {
    connection
        .prepare_cached(
            "SELECT fingerprint, handle, expires_at FROM idempotency_records
             WHERE user_id = ?1 AND tool = ?2 AND key = ?3 AND expires_at > ?4",
        )
        .and_then(|mut statement| {
            let read = |row: &rusqlite::Row<'_>| {
                Ok(IdempotencyRecord {
                    user,
                    tool: tool.to_owned(),
                    key: key.to_owned(),
                    fingerprint: row.get(0)?,
                    handle: row.get(1)?,
                    expires_at: UnixMillis::from_millis(row.get(2)?),
                })
            };
            statement.query_row(params![user.0, tool, key, now.as_millis()], read).optional()
        })
        .map_err(unavailable("read an idempotency key"))
}

pub(super) fn put_idempotency_record(
    connection: &Connection,
    record: &IdempotencyRecord,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let run = || -> rusqlite::Result<usize> {
        connection
            .prepare_cached(
                "DELETE FROM idempotency_records WHERE (user_id, tool, key) IN (
                     SELECT user_id, tool, key FROM idempotency_records WHERE expires_at <= ?1 LIMIT ?2)",
            )?
            .execute(params![now.as_millis(), FORGOTTEN_AT_ONCE])?;
        // Its own of long ago may be among those that were not forgotten yet.
        connection
            .prepare_cached("DELETE FROM idempotency_records WHERE user_id = ?1 AND tool = ?2 AND key = ?3 AND expires_at <= ?4")?
            .execute(params![record.user.0, record.tool, record.key, now.as_millis()])?;
        connection
            .prepare_cached(
                "INSERT INTO idempotency_records (user_id, tool, key, fingerprint, handle, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                record.user.0,
                record.tool,
                record.key,
                record.fingerprint.as_slice(),
                record.handle,
                record.expires_at.as_millis(),
            ])
    };
    run().map(|_| ()).map_err(unavailable("keep an idempotency key"))
}

pub(super) fn compensate(connection: &Connection, compensation: &Compensation) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO compensations (handle, payer, payee, amount_minor, currency, attempts, due_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (handle) DO NOTHING",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                compensation.handle,
                compensation.from,
                compensation.to,
                compensation.amount.minor(),
                compensation.amount.currency().code(),
                compensation.attempts,
                compensation.due_at.as_millis(),
            ])
        })
        .map_err(unavailable("keep a compensation"))?;
    Ok(())
}

pub(super) fn due_compensations(
    connection: &Connection,
    now: UnixMillis,
    limit: u32,
) -> rusqlite::Result<Vec<Compensation>> {
    let mut statement = connection.prepare_cached(
        "SELECT handle, payer, payee, amount_minor, currency, attempts, due_at FROM compensations
         WHERE done_at IS NULL AND due_at <= ?1 ORDER BY due_at LIMIT ?2",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let currency: Currency = ledger::currency(row, 4)?;
        Ok(Compensation {
            handle: row.get(0)?,
            from: row.get(1)?,
            to: row.get(2)?,
            amount: Amount::from_minor(row.get(3)?, currency),
            attempts: row.get(5)?,
            due_at: UnixMillis::from_millis(row.get(6)?),
        })
    };
    statement.query_map(params![now.as_millis(), limit], read)?.collect()
}

pub(super) fn settle_compensation(
    connection: &Connection,
    handle: &str,
    now: UnixMillis,
    retry_at: Option<UnixMillis>,
) -> Result<(), StoreError> {
    let done_at = retry_at.is_none().then(|| now.as_millis());
    connection
        .prepare_cached(
            "UPDATE compensations SET attempts = attempts + 1, done_at = ?2, due_at = COALESCE (?3, due_at)
             WHERE handle = ?1 AND done_at IS NULL",
        )
        .and_then(|mut statement| {
            statement.execute(params![handle, done_at, retry_at.map(UnixMillis::as_millis)])
        })
        .map_err(unavailable("settle a compensation"))?;
    Ok(())
}
