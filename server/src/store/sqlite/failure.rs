//! What SQLite says, in the words of the store.

use rusqlite::{Error, ErrorCode};

use crate::store::StoreError;

/// What SQLite refuses means either that the database cannot be used at this moment or that it holds what it must not;
/// `doing` says what for.
pub(super) fn unavailable(doing: &str) -> impl Fn(Error) -> StoreError + '_ {
    move |error| {
        if is_corrupt(&error) {
            StoreError::Corrupt(format!("{doing}: {error}"))
        } else {
            StoreError::Unavailable { reason: doing.to_owned(), source: Some(Box::new(error)) }
        }
    }
}

/// Whether waiting would not help: a rule of the schema was broken, or the file is damaged.
fn is_corrupt(error: &Error) -> bool {
    matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
    ) || matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// The store does nothing at this moment, for this reason.
pub(super) fn refused(reason: &str) -> StoreError {
    StoreError::Unavailable { reason: reason.to_owned(), source: None }
}

/// The store was closed, or its writer is gone.
pub(super) fn closed() -> StoreError {
    refused("the store is closed")
}
