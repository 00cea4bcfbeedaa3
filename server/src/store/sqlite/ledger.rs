//! SQL of the ledger.

use std::sync::Arc;

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension as _, Row, params, types::FromSqlError};

use super::{
    failure::unavailable,
    known_accounts::{Account, KnownAccounts},
};
use crate::{
    money::{Amount, Currency},
    store::{AccountBalance, NewTransfer, PostedTransfer, StoreError, TransferId, UserId},
};

macro_rules! select_transfers {
    ($rest:literal) => {
        concat!("SELECT t.id, t.from_user, t.to_user, t.amount_minor, t.date FROM transfers t ", $rest)
    };
}

pub(super) fn post(connection: &Connection, transfer: &NewTransfer) -> Result<PostedTransfer, StoreError> {
    let accounts = KnownAccounts::default();
    if let Some(id) = transfer.id
        && let Some(posted) = by_id(connection, &accounts, id).map_err(unavailable("post a transfer"))?
    {
        return if is_same(connection, &accounts, transfer, &posted)? {
            Ok(posted)
        } else {
            Err(StoreError::TransferExists(id))
        };
    }
    let [payer, payee] =
        [balance(connection, &accounts, transfer.from)?, balance(connection, &accounts, transfer.to)?];
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
        from: Arc::clone(&payer.username),
        to: Arc::clone(&payee.username),
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
    accounts: &KnownAccounts,
    transfer: &NewTransfer,
    posted: &PostedTransfer,
) -> Result<bool, StoreError> {
    Ok(account(connection, accounts, transfer.from)?.username == posted.from
        && account(connection, accounts, transfer.to)?.username == posted.to
        && transfer.amount == posted.amount
        && transfer.date == posted.date)
}

fn account(
    connection: &Connection,
    accounts: &KnownAccounts,
    user: UserId,
) -> Result<Arc<Account>, StoreError> {
    accounts
        .find(connection, user)
        .map_err(unavailable("read an account"))?
        .ok_or_else(|| StoreError::NoSuchAccount(user.0.to_string()))
}

fn by_id(
    connection: &Connection,
    accounts: &KnownAccounts,
    id: TransferId,
) -> rusqlite::Result<Option<PostedTransfer>> {
    connection
        .prepare_cached(select_transfers!("WHERE t.id = ?1"))?
        .query_row([id.0], |row| read(connection, accounts, row))
        .optional()
}

/// The number of the newest transfer in the order in which they were posted; 0 where there is none.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT COALESCE (MAX (seq), 0) FROM transfers")?
        .query_row([], |row| row.get(0))
}

pub(super) fn balance(
    connection: &Connection,
    accounts: &KnownAccounts,
    user: UserId,
) -> Result<AccountBalance, StoreError> {
    let account = account(connection, accounts, user)?;
    let minor = connection
        .prepare_cached(
            "SELECT balance_minor FROM entries WHERE user_id = ?1 ORDER BY transfer_seq DESC LIMIT 1",
        )
        .and_then(|mut statement| statement.query_row([user.0], |row| row.get(0)).optional())
        .map_err(unavailable("read a balance"))?;
    let balance = Amount::from_minor(minor.unwrap_or_default(), account.currency);
    Ok(AccountBalance { username: account.username.clone(), balance })
}

pub(super) fn transfers(
    connection: &Connection,
    accounts: &KnownAccounts,
    user: UserId,
    limit: u32,
) -> rusqlite::Result<Vec<PostedTransfer>> {
    let mut statement = connection.prepare_cached(select_transfers!(
        "JOIN entries e ON e.transfer_seq = t.seq WHERE e.user_id = ?1 ORDER BY e.transfer_seq LIMIT ?2"
    ))?;
    statement.query_map(params![user.0, limit], |row| read(connection, accounts, row))?.collect()
}

pub(super) fn latest(
    connection: &Connection,
    accounts: &KnownAccounts,
    user: UserId,
    limit: u32,
) -> rusqlite::Result<Vec<PostedTransfer>> {
    let mut statement = connection.prepare_cached(select_transfers!(
        "JOIN entries e ON e.transfer_seq = t.seq
         WHERE e.user_id = ?1 ORDER BY e.date DESC, e.transfer_seq DESC LIMIT ?2"
    ))?;
    statement.query_map(params![user.0, limit], |row| read(connection, accounts, row))?.collect()
}

/// The newest between two days, the earliest of them first.
pub(super) fn newest_between(
    connection: &Connection,
    accounts: &KnownAccounts,
    user: UserId,
    (first, last): (Date, Date),
    limit: u32,
) -> rusqlite::Result<Vec<PostedTransfer>> {
    let mut statement = connection.prepare_cached(select_transfers!(
        "JOIN entries e ON e.transfer_seq = t.seq
         WHERE e.user_id = ?1 AND e.date BETWEEN ?2 AND ?3 ORDER BY e.date DESC, e.transfer_seq DESC LIMIT ?4"
    ))?;
    let newest = statement.query_map(params![user.0, first.to_string(), last.to_string(), limit], |row| {
        read(connection, accounts, row)
    })?;
    let mut found = newest.collect::<rusqlite::Result<Vec<_>>>()?;
    found.reverse();
    Ok(found)
}

/// A transfer, whose currency is that of both accounts.
fn read(
    connection: &Connection,
    accounts: &KnownAccounts,
    row: &Row<'_>,
) -> rusqlite::Result<PostedTransfer> {
    let of = |column| {
        accounts.find(connection, UserId(row.get(column)?))?.ok_or(rusqlite::Error::QueryReturnedNoRows)
    };
    let (payer, payee) = (of(1)?, of(2)?);
    Ok(PostedTransfer {
        id: TransferId(row.get(0)?),
        from: Arc::clone(&payer.username),
        to: Arc::clone(&payee.username),
        amount: Amount::from_minor(row.get(3)?, payer.currency),
        date: text(row, 4)?.parse().map_err(|error: jiff::Error| bad_column(4, error))?,
    })
}

pub(super) fn currency(row: &Row<'_>, column: usize) -> rusqlite::Result<Currency> {
    let code = text(row, column)?;
    Currency::from_code(code)
        .ok_or_else(|| bad_column(column, format!("`{code}` is no currency of this program")))
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    row.get_ref(column)?.as_str().map_err(|error: FromSqlError| bad_column(column, error))
}

/// A text that is not what its column may hold.
pub(super) fn bad_column(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}
