//! SQL of the ledger.

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::failure::unavailable;
use crate::{
    money::{Amount, Currency},
    store::{AccountBalance, NewTransfer, PostedTransfer, StoreError, TransferId, UserId},
};

macro_rules! select_transfers {
    ($rest:literal) => {
        concat!(
            "SELECT t.id, payer.username, payee.username, t.amount_minor, t.currency, t.date
             FROM transfers t
             JOIN accounts payer ON payer.user_id = t.from_user
             JOIN accounts payee ON payee.user_id = t.to_user ",
            $rest
        )
    };
}

pub(super) fn post(connection: &Connection, transfer: &NewTransfer) -> Result<PostedTransfer, StoreError> {
    if let Some(id) = transfer.id
        && let Some(posted) = by_id(connection, id).map_err(unavailable("post a transfer"))?
    {
        return if is_same(connection, transfer, &posted)? {
            Ok(posted)
        } else {
            Err(StoreError::TransferExists(id))
        };
    }
    let [payer, payee] = [balance(connection, transfer.from)?, balance(connection, transfer.to)?];
    post_between(connection, transfer, &payer, &payee)
}

/// Posts a transfer that is not posted yet between two accounts on which this is.
pub(super) fn post_between(
    connection: &Connection,
    transfer: &NewTransfer,
    payer: &AccountBalance,
    payee: &AccountBalance,
) -> Result<PostedTransfer, StoreError> {
    check(transfer, payer, payee)?;
    let id = match transfer.id {
        Some(id) => id,
        None => next_id(connection)?,
    };
    connection
        .prepare_cached(
            "INSERT INTO transfers (id, from_user, to_user, amount_minor, currency, date)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                id.0,
                transfer.from.0,
                transfer.to.0,
                transfer.amount.minor(),
                transfer.amount.currency().code(),
                transfer.date.to_string(),
            ])
        })
        .map_err(unavailable("post a transfer"))?;
    Ok(PostedTransfer {
        id,
        from: payer.username.clone(),
        to: payee.username.clone(),
        amount: transfer.amount,
        date: transfer.date,
    })
}

/// Refuses what the schema would refuse, in words that say why.
fn check(transfer: &NewTransfer, payer: &AccountBalance, payee: &AccountBalance) -> Result<(), StoreError> {
    let amount = transfer.amount;
    let is_numbered = transfer.id.is_none_or(|id| id.0 > 0);
    if amount.minor() <= 0 || transfer.from == transfer.to || !is_numbered || transfer.date.year() < 0 {
        return Err(StoreError::OutOfRange);
    }
    let fits = payer.balance.minor().checked_sub(amount.minor()).is_some()
        && payee.balance.minor().checked_add(amount.minor()).is_some()
        && payer.balance.currency() == amount.currency()
        && payee.balance.currency() == amount.currency();
    if fits { Ok(()) } else { Err(StoreError::OutOfRange) }
}

fn next_id(connection: &Connection) -> Result<TransferId, StoreError> {
    let newest: i64 = connection
        .prepare_cached("SELECT COALESCE (MAX (id), 0) FROM transfers")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(unavailable("number a transfer"))?;
    newest.checked_add(1).map(TransferId).ok_or(StoreError::OutOfRange)
}

fn is_same(
    connection: &Connection,
    transfer: &NewTransfer,
    posted: &PostedTransfer,
) -> Result<bool, StoreError> {
    Ok(balance(connection, transfer.from)?.username == posted.from
        && balance(connection, transfer.to)?.username == posted.to
        && transfer.amount == posted.amount
        && transfer.date == posted.date)
}

fn by_id(connection: &Connection, id: TransferId) -> rusqlite::Result<Option<PostedTransfer>> {
    connection.prepare_cached(select_transfers!("WHERE t.id = ?1"))?.query_row([id.0], read).optional()
}

pub(super) fn balance(connection: &Connection, user: UserId) -> Result<AccountBalance, StoreError> {
    connection
        .prepare_cached(
            "SELECT username, currency, COALESCE ((
                 SELECT balance_minor FROM entries WHERE user_id = ?1 ORDER BY transfer_seq DESC LIMIT 1), 0)
             FROM accounts WHERE user_id = ?1",
        )
        .and_then(|mut statement| {
            statement
                .query_row([user.0], |row| {
                    let balance = Amount::from_minor(row.get(2)?, currency(row, 1)?);
                    Ok(AccountBalance { username: row.get(0)?, balance })
                })
                .optional()
        })
        .map_err(unavailable("read a balance"))?
        .ok_or_else(|| StoreError::NoSuchAccount(user.0.to_string()))
}

pub(super) fn transfers(
    connection: &Connection,
    user: UserId,
    limit: u32,
) -> rusqlite::Result<Vec<PostedTransfer>> {
    let mut statement = connection.prepare_cached(select_transfers!(
        "JOIN entries e ON e.transfer_seq = t.seq WHERE e.user_id = ?1 ORDER BY e.transfer_seq LIMIT ?2"
    ))?;
    statement.query_map(params![user.0, limit], read)?.collect()
}

pub(super) fn latest(
    connection: &Connection,
    user: UserId,
    limit: u32,
) -> rusqlite::Result<Vec<PostedTransfer>> {
    let mut statement = connection.prepare_cached(select_transfers!(
        "JOIN entries e ON e.transfer_seq = t.seq
         WHERE e.user_id = ?1 ORDER BY e.date DESC, e.transfer_seq DESC LIMIT ?2"
    ))?;
    statement.query_map(params![user.0, limit], read)?.collect()
}

/// The newest between two days, the earliest of them first.
pub(super) fn newest_between(
    connection: &Connection,
    user: UserId,
    first: Date,
    last: Date,
    limit: u32,
) -> rusqlite::Result<Vec<PostedTransfer>> {
    let mut statement = connection.prepare_cached(select_transfers!(
        "JOIN entries e ON e.transfer_seq = t.seq
         WHERE e.user_id = ?1 AND e.date BETWEEN ?2 AND ?3 ORDER BY e.date DESC, e.transfer_seq DESC LIMIT ?4"
    ))?;
    let newest = statement.query_map(params![user.0, first.to_string(), last.to_string(), limit], read)?;
    let mut found = newest.collect::<rusqlite::Result<Vec<_>>>()?;
    found.reverse();
    Ok(found)
}

fn read(row: &Row<'_>) -> rusqlite::Result<PostedTransfer> {
    let date: String = row.get(5)?;
    Ok(PostedTransfer {
        id: TransferId(row.get(0)?),
        from: row.get(1)?,
        to: row.get(2)?,
        amount: Amount::from_minor(row.get(3)?, currency(row, 4)?),
        date: date.parse().map_err(|error: jiff::Error| bad_column(5, error))?,
    })
}

pub(super) fn currency(row: &Row<'_>, column: usize) -> rusqlite::Result<Currency> {
    let code: String = row.get(column)?;
    Currency::from_code(&code)
        .ok_or_else(|| bad_column(column, format!("`{code}` is no currency of this program")))
}

/// A text that is not what its column may hold.
pub(super) fn bad_column(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}
