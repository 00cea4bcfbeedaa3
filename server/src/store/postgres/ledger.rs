//! The ledger.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::{
    PostgresStore,
    attempts::Attempts,
    connections::{in_time, let_go},
    failure::Failure,
    rows::{Parameters, cell, currency, row, rows, storable, value, word},
};
use crate::{
    money::Amount,
    store::{
        AccountBalance, EarlierTransfers, LedgerStore, Month, MonthlyTransfers, NewTransfer, PaymentChange,
        PostedTransfer, StoreError, TransferId, UserId,
    },
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

#[async_trait]
impl LedgerStore for PostgresStore {
    async fn post(&self, transfer: NewTransfer) -> Result<PostedTransfer, StoreError> {
        transact!(self, "post a transfer", |transaction| post(&transaction, &transfer).await)
    }

    async fn balance(&self, user: UserId) -> Result<AccountBalance, StoreError> {
        read!(self, "read a balance", |client| balance(client, user).await)
    }

    async fn month(&self, user: UserId, month: Month, limit: u32) -> Result<MonthlyTransfers, StoreError> {
        // One look at everything: what comes in between is in all of it or in none.
        transact!(self, "read a month", |transaction| {
            transaction.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            transfers_of_month(&transaction, user, month, limit).await
        })
    }

    async fn months(&self, user: UserId) -> Result<Vec<Month>, StoreError> {
        read!(self, "read the months", |client| {
            let all = "SELECT month FROM account_months WHERE user_id = $1 ORDER BY month DESC";
            rows(client, all, &[&user.0]).await?.iter().map(|row| word(row, 0)).collect()
        })
    }

    async fn peers(&self, user: UserId) -> Result<Vec<String>, StoreError> {
        read!(self, "read the peers", |client| {
            let all = "SELECT a.username FROM account_peers p JOIN accounts a ON a.user_id = p.peer_id
                       WHERE p.user_id = $1 ORDER BY a.username";
            rows(client, all, &[&user.0]).await?.iter().map(|row| cell(row, 0)).collect()
        })
    }

    async fn transfers(&self, user: UserId, limit: u32) -> Result<Vec<PostedTransfer>, StoreError> {
        read!(self, "read transfers", |client| {
            let all = select_transfers!(
                "JOIN entries e ON e.transfer_seq = t.seq WHERE e.user_id = $1 ORDER BY e.transfer_seq LIMIT $2"
            );
            rows(client, all, &[&user.0, &i64::from(limit)]).await?.iter().map(read_transfer).collect()
        })
    }

    async fn latest_transfers(&self, user: UserId, limit: u32) -> Result<Vec<PostedTransfer>, StoreError> {
        read!(self, "read transfers", |client| {
            let latest = select_transfers!(
                "JOIN entries e ON e.transfer_seq = t.seq
                 WHERE e.user_id = $1 ORDER BY e.date DESC, e.transfer_seq DESC LIMIT $2"
            );
            rows(client, latest, &[&user.0, &i64::from(limit)]).await?.iter().map(read_transfer).collect()
        })
    }
}

async fn transfers_of_month(
    transaction: &impl GenericClient,
    user: UserId,
    month: Month,
    limit: u32,
) -> Result<MonthlyTransfers, Failure> {
    let account = balance(transaction, user).await?;
    let before = "SELECT COALESCE (sum (sum_minor), 0)::bigint FROM account_months
                  WHERE user_id = $1 AND month < $2";
    let before: i64 = value(transaction, before, &[&user.0, &month.to_string()]).await?;
    let between = select_transfers!(
        "JOIN entries e ON e.transfer_seq = t.seq
         WHERE e.user_id = $1 AND e.date BETWEEN $2 AND $3 ORDER BY e.date DESC, e.transfer_seq DESC LIMIT $4"
    );
    let (first, last, limit) =
        (month.first_day().to_string(), month.last_day().to_string(), i64::from(limit));
    let of: Parameters<'_> = &[&user.0, &first, &last, &limit];
    let found = rows(transaction, between, of).await?;
    let is_whole = i64::try_from(found.len()).is_ok_and(|count| count < limit);
    Ok(MonthlyTransfers {
        username: account.username,
        opening: Amount::from_minor(before, account.balance.currency()),
        transfers: found.iter().rev().map(read_transfer).collect::<Result<_, _>>()?,
        earlier: if is_whole { None } else { earlier(transaction, of).await? },
    })
}

/// What those of a user between two days come to that are earlier than so many of the newest.
async fn earlier(
    transaction: &impl GenericClient,
    of: Parameters<'_>,
) -> Result<Option<EarlierTransfers>, Failure> {
    let sums =
        "SELECT sum (greatest (amount_minor, 0))::bigint, sum (greatest (-amount_minor, 0))::bigint FROM (
                    SELECT amount_minor FROM entries WHERE user_id = $1 AND date BETWEEN $2 AND $3
                    ORDER BY date DESC, transfer_seq DESC OFFSET $4) earlier";
    let Some(sums) = row(transaction, sums, of).await? else { return Ok(None) };
    let (paid_in, paid_out): (Option<i64>, Option<i64>) = (cell(&sums, 0)?, cell(&sums, 1)?);
    let of = |(paid_in_minor, paid_out_minor)| EarlierTransfers { paid_in_minor, paid_out_minor };
    Ok(paid_in.zip(paid_out).map(of))
}

/// Locks accounts, in the order of their numbers, until the transaction ends. What is read of them after this is what they
/// are; a statement that locked and read at once would read what was there before it waited.
pub(super) const LOCK_ACCOUNTS: &str =
    "SELECT user_id FROM accounts WHERE user_id = ANY ($1) ORDER BY user_id FOR NO KEY UPDATE";

async fn lock_accounts(transaction: &impl GenericClient, users: &[UserId]) -> Result<(), Failure> {
    let users: Vec<_> = users.iter().map(|user| user.0).collect();
    rows(transaction, LOCK_ACCOUNTS, &[&users]).await.map(|_| ())
}

pub(super) async fn post(
    transaction: &impl GenericClient,
    transfer: &NewTransfer,
) -> Result<PostedTransfer, Failure> {
    if let Some(id) = transfer.id
        && let Some(posted) = by_id(transaction, id).await?
    {
        return if is_same(transaction, transfer, &posted).await? {
            Ok(posted)
        } else {
            Err(StoreError::TransferExists(id).into())
        };
    }
    lock_accounts(transaction, &[transfer.from, transfer.to]).await?;
    let payer = balance(transaction, transfer.from).await?;
    let payee = balance(transaction, transfer.to).await?;
    post_between(transaction, transfer, &payer, &payee).await
}

/// Posts a transfer that is not posted yet between two accounts on which this is, and which are locked.
pub(super) async fn post_between(
    transaction: &impl GenericClient,
    transfer: &NewTransfer,
    payer: &AccountBalance,
    payee: &AccountBalance,
) -> Result<PostedTransfer, Failure> {
    check(transfer, payer, payee)?;
    if let Some(id) = transfer.id {
        // The next number comes after this one.
        let pass =
            "SELECT setval ('transfer_ids', $1) FROM transfer_ids WHERE last_value < $1 OR NOT is_called";
        rows(transaction, pass, &[&id.0]).await?;
    }
    // The number that was chosen, or the next one. Nobody waits for whoever has the one before.
    let insert = "INSERT INTO transfers (id, from_user, to_user, amount_minor, currency, date)
                  VALUES (COALESCE ($1, nextval ('transfer_ids')), $2, $3, $4, $5, $6) RETURNING id";
    let parameters: Parameters<'_> = &[
        &transfer.id.map(|id| id.0),
        &transfer.from.0,
        &transfer.to.0,
        &transfer.amount.minor(),
        &transfer.amount.currency().code(),
        &transfer.date.to_string(),
    ];
    let id: i64 = value(transaction, insert, parameters).await.map_err(used_up)?;
    Ok(posted_as(TransferId(id), transfer, payer, payee))
}

/// Posts a new transfer between two accounts on which this is, and which are locked, and moves the payment on that it pays.
pub(super) async fn pay_between(
    transaction: &impl GenericClient,
    transfer: &NewTransfer,
    payer: &AccountBalance,
    payee: &AccountBalance,
    change: &PaymentChange,
) -> Result<PostedTransfer, Failure> {
    check(transfer, payer, payee)?;
    let pay = "WITH posted AS (
                   INSERT INTO transfers (id, from_user, to_user, amount_minor, currency, date)
                   VALUES (nextval ('transfer_ids'), $1, $2, $3, $4, $5) RETURNING id)
               UPDATE payments SET status = $7, changed_at = $8, refunded_minor = $9, transfer_id = posted.id,
                   failure = COALESCE ($10, failure)
               FROM posted WHERE payments.id = $6 RETURNING transfer_id";
    let parameters: Parameters<'_> = &[
        &transfer.from.0,
        &transfer.to.0,
        &transfer.amount.minor(),
        &transfer.amount.currency().code(),
        &transfer.date.to_string(),
        &change.id.0,
        &change.status.as_str(),
        &change.at.as_millis(),
        &change.refunded_minor,
        &change.failure.as_deref().map(storable),
    ];
    let paid = row(transaction, pay, parameters).await.map_err(used_up)?;
    let paid = paid.ok_or_else(|| StoreError::Corrupt(format!("there is no payment {}", change.id)))?;
    Ok(posted_as(TransferId(cell(&paid, 0)?), transfer, payer, payee))
}

fn posted_as(
    id: TransferId,
    transfer: &NewTransfer,
    payer: &AccountBalance,
    payee: &AccountBalance,
) -> PostedTransfer {
    let (from, to) = (Arc::clone(&payer.username), Arc::clone(&payee.username));
    PostedTransfer { id, from, to, amount: transfer.amount, date: transfer.date }
}

/// There is no greater number.
fn used_up(failure: Failure) -> Failure {
    match failure {
        Failure::Engine(error)
            if error.code() == Some(&tokio_postgres::error::SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED) =>
        {
            StoreError::OutOfRange.into()
        }
        other => other,
    }
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

async fn is_same(
    transaction: &impl GenericClient,
    transfer: &NewTransfer,
    posted: &PostedTransfer,
) -> Result<bool, Failure> {
    Ok(*balance(transaction, transfer.from).await?.username == *posted.from
        && *balance(transaction, transfer.to).await?.username == *posted.to
        && transfer.amount == posted.amount
        && transfer.date == posted.date)
}

async fn by_id(client: &impl GenericClient, id: TransferId) -> Result<Option<PostedTransfer>, Failure> {
    let found = row(client, select_transfers!("WHERE t.id = $1"), &[&id.0]).await?;
    found.as_ref().map(read_transfer).transpose()
}

pub(super) async fn balance(client: &impl GenericClient, user: UserId) -> Result<AccountBalance, Failure> {
    let wanted = "SELECT username, currency, COALESCE ((
                      SELECT balance_minor FROM entries WHERE user_id = $1 ORDER BY transfer_seq DESC LIMIT 1), 0)
                  FROM accounts WHERE user_id = $1";
    let found = row(client, wanted, &[&user.0]).await?;
    let found = found.ok_or_else(|| StoreError::NoSuchAccount(user.0.to_string()))?;
    let balance = Amount::from_minor(cell(&found, 2)?, currency(&found, 1)?);
    Ok(AccountBalance { username: cell::<String>(&found, 0)?.into(), balance })
}

fn read_transfer(row: &Row) -> Result<PostedTransfer, Failure> {
    Ok(PostedTransfer {
        id: TransferId(cell(row, 0)?),
        from: cell::<String>(row, 1)?.into(),
        to: cell::<String>(row, 2)?.into(),
        amount: Amount::from_minor(cell(row, 3)?, currency(row, 4)?),
        date: word(row, 5)?,
    })
}
