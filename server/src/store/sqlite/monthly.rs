//! SQL of what happened on an account month by month.

use rusqlite::{Connection, params};

use super::{failure::unavailable, ledger};
use crate::{
    money::Amount,
    store::{Month, MonthlyTransfers, StoreError, UserId},
};

pub(super) fn transfers(
    connection: &Connection,
    user: UserId,
    month: Month,
    limit: u32,
) -> Result<MonthlyTransfers, StoreError> {
    let failed = unavailable("read a month");
    let account = ledger::balance(connection, user)?;
    let before: i64 = connection
        .prepare_cached(
            "SELECT COALESCE (SUM (sum_minor), 0) FROM account_months WHERE user_id = ?1 AND month < ?2",
        )
        .and_then(|mut statement| statement.query_row(params![user.0, month.to_string()], |row| row.get(0)))
        .map_err(&failed)?;
    let transfers =
        ledger::between(connection, user, month.first_day(), month.last_day(), limit).map_err(&failed)?;
    let opening = Amount::from_minor(before, account.balance.currency());
    Ok(MonthlyTransfers { username: account.username, opening, transfers })
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
