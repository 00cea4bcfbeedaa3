//! Statements and rows: every statement is prepared once a connection, and every cell is read into a type.

use std::borrow::Cow;

use deadpool_postgres::GenericClient;
use futures_util::future::try_join_all;
use tokio_postgres::{
    Row,
    types::{FromSql, ToSql},
};

use super::failure::Failure;
use crate::{clock::UnixMillis, money::Currency, store::StoreError};

/// What is bound to the places of a statement.
pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

pub(super) async fn rows(
    client: &impl GenericClient,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Vec<Row>, Failure> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, parameters).await?)
}

pub(super) async fn row(
    client: &impl GenericClient,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Option<Row>, Failure> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query_opt(&statement, parameters).await?)
}

/// Statements of which each is sent before the one ahead of it is answered: it begins when that has ended, and sees what is
/// there then.
pub(super) async fn in_turn<const N: usize>(
    client: &impl GenericClient,
    asked: [(&str, Parameters<'_>); N],
) -> Result<[Vec<Row>; N], Failure> {
    let mut statements = Vec::with_capacity(N);
    for (sql, _) in asked {
        statements.push(client.prepare_cached(sql).await?);
    }
    // Whichever is polled first is sent first.
    let sent = statements.iter().zip(asked).map(|(statement, (_, given))| client.query(statement, given));
    let answers = try_join_all(sent).await?;
    answers.try_into().map_err(|_| corrupt("an answer is missing"))
}

/// How many rows it touched.
pub(super) async fn execute(
    client: &impl GenericClient,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<u64, Failure> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.execute(&statement, parameters).await?)
}

/// The one cell of the one row that a statement always has.
pub(super) async fn value<T: for<'a> FromSql<'a>>(
    client: &impl GenericClient,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<T, Failure> {
    let found = row(client, sql, parameters).await?;
    cell(&found.ok_or_else(|| corrupt("a row is missing"))?, 0)
}

pub(super) fn cell<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Failure> {
    row.try_get(column).map_err(|error| corrupt(&error.to_string()))
}

pub(super) fn time(row: &Row, column: usize) -> Result<UnixMillis, Failure> {
    cell(row, column).map(UnixMillis::from_millis)
}

pub(super) fn bytes<const N: usize>(row: &Row, column: usize) -> Result<[u8; N], Failure> {
    let found: &[u8] = cell(row, column)?;
    found.try_into().map_err(|_| corrupt(&format!("column {column} has {} bytes, not {N}", found.len())))
}

pub(super) fn optional_bytes<const N: usize>(row: &Row, column: usize) -> Result<Option<[u8; N]>, Failure> {
    match cell::<Option<&[u8]>>(row, column)? {
        None => Ok(None),
        Some(_) => bytes(row, column).map(Some),
    }
}

/// A text that is one of those which `T` knows.
pub(super) fn word<T: std::str::FromStr<Err: std::fmt::Display>>(
    row: &Row,
    column: usize,
) -> Result<T, Failure> {
    let text: &str = cell(row, column)?;
    text.parse().map_err(|error| corrupt(&format!("`{text}`: {error}")))
}

/// A whole number that fits into `T`.
pub(super) fn number<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<T, Failure> {
    let found: i64 = cell(row, column)?;
    T::try_from(found).map_err(|_| corrupt(&format!("column {column} holds {found}")))
}

pub(super) fn currency(row: &Row, column: usize) -> Result<Currency, Failure> {
    let code: &str = cell(row, column)?;
    Currency::from_code(code).ok_or_else(|| corrupt(&format!("`{code}` is no currency of this program")))
}

/// A text as PostgreSQL takes it: all but one character, in whose place something else stands.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// The parts of a text with spaces between them.
pub(super) fn words(row: &Row, column: usize) -> Result<Vec<String>, Failure> {
    let text: &str = cell(row, column)?;
    Ok(text.split(' ').filter(|one| !one.is_empty()).map(str::to_owned).collect())
}

pub(super) fn corrupt(what: &str) -> Failure {
    Failure::Refused(StoreError::Corrupt(what.to_owned()))
}
