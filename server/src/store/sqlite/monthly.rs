//! SQL of what happened on an account month by month.

use jiff::civil::Date;
use rusqlite::{Connection, params};

use super::{failure::unavailable, known_accounts::KnownAccounts, ledger};
use crate::{
    money::Amount,
    store::{EarlierTransfers, Month, MonthlyTransfers, StoreError, UserId},
};

pub(super) fn transfers(
    connection: &Connection,
    accounts: &KnownAccounts,
    user: UserId,
    month: Month,
    limit: u32,
) -> Result<MonthlyTransfers, StoreError> {
    let failed = unavailable("read a month");
    // One look at everything: what comes in between is in all of it or in none.
    let transaction = connection.unchecked_transaction().map_err(&failed)?;
    let account = ledger::balance(connection, accounts, user)?;
    let before: i64 = connection
        .prepare_cached(
            "SELECT COALESCE (SUM (sum_minor), 0) FROM account_months WHERE user_id = ?1 AND month < ?2",
        )
        .and_then(|mut statement| statement.query_row(params![user.0, month.to_string()], |row| row.get(0)))
        .map_err(&failed)?;
    let days = (month.first_day(), month.last_day());
    let transfers = ledger::newest_between(connection, accounts, user, days, limit).map_err(&failed)?;
    let is_whole = u32::try_from(transfers.len()).is_ok_and(|count| count < limit);
    let earlier = if is_whole { None } else { earlier(connection, user, days, limit).map_err(&failed)? };
    transaction.finish().map_err(&failed)?;
    let opening = Amount::from_minor(before, account.balance.currency());
    Ok(MonthlyTransfers { username: account.username, opening, transfers, earlier })
}

/// What those between two days come to that are earlier than the `limit` newest.
fn earlier(
    connection: &Connection,
    user: UserId,
    (first, last): (Date, Date),
    limit: u32,
) -> rusqlite::Result<Option<EarlierTransfers>> {
    let mut statement = connection.prepare_cached(
        "SELECT SUM (MAX (amount_minor, 0)), SUM (MAX (-amount_minor, 0)) FROM (
             SELECT amount_minor FROM entries WHERE user_id = ?1 AND date BETWEEN ?2 AND ?3
             ORDER BY date DESC, transfer_seq DESC LIMIT -1 OFFSET ?4)",
    )?;
    statement.query_row(params![user.0, first.to_string(), last.to_string(), limit], |row| {
        let sums: (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        let of = |(paid_in_minor, paid_out_minor)| EarlierTransfers { paid_in_minor, paid_out_minor };
        Ok(sums.0.zip(sums.1).map(of))
    })
}

pub(super) fn months(connection: &Connection, user: UserId) -> rusqlite::Result<Vec<Month>> {
    let mut statement = connection
        .prepare_cached("SELECT month FROM account_months WHERE user_id = ?1 ORDER BY month DESC")?;
    let months = statement.query_map([user.0], |row| {
        let text: String = row.get(0)?;
        text.parse().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
        })
    })?;
    months.collect()
}

pub(super) fn peers(connection: &Connection, user: UserId) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT a.username FROM account_peers p JOIN accounts a ON a.user_id = p.peer_id
         WHERE p.user_id = ?1 ORDER BY a.username",
    )?;
    statement.query_map([user.0], |row| row.get(0))?.collect()
}
