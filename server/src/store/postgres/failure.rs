//! What PostgreSQL says, in the words of the store.

use deadpool_postgres::PoolError;
use tokio_postgres::{Error, error::SqlState};

use crate::store::StoreError;

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// What the engine said.
    Engine(Error),
    /// What the store says, and no other attempt would change.
    Refused(StoreError),
    /// Others were in the way in a manner that only another attempt shows: it is to be begun again.
    InTheWay,
    /// The database did not answer in time.
    Late,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl Failure {
    /// Whether the same work may succeed when it is begun again, and nothing of it was kept: it met the work of others.
    pub(super) fn is_worth_another_attempt(&self) -> bool {
        match self {
            Self::Engine(error) => error.code().is_some_and(|code| {
                [
                    SqlState::T_R_SERIALIZATION_FAILURE,
                    SqlState::T_R_DEADLOCK_DETECTED,
                    SqlState::UNIQUE_VIOLATION,
                ]
                .contains(code)
            }),
            Self::InTheWay => true,
            Self::Refused(_) | Self::Late => false,
        }
    }

    /// Whether the same connection would fail again, and another one might not.
    pub(super) fn is_of_its_connection(&self) -> bool {
        match self {
            Self::Late => true,
            Self::Engine(error) => error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION),
            Self::InTheWay | Self::Refused(_) => false,
        }
    }

    /// In the words of the store; `doing` says what for.
    pub(super) fn told(self, doing: &str) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Engine(error) if error.code().is_none_or(|code| !is_corrupt(code)) => {
                StoreError::Unavailable { reason: doing.to_owned(), source: Some(Box::new(error)) }
            }
            failure @ (Self::Engine(_) | Self::InTheWay | Self::Late) => failure.hint(doing),
        }
    }

    /// The same without what the engine said, for whoever cannot have the failure itself.
    pub(super) fn hint(&self, doing: &str) -> StoreError {
        match self {
            Self::Refused(error) => refused(&error.to_string()),
            Self::InTheWay => refused(&format!("{doing}: the work of others was in the way again and again")),
            Self::Late => refused(&format!("{doing}: the database did not answer in time")),
            Self::Engine(error) => match error.code() {
                Some(code) if *code == SqlState::NUMERIC_VALUE_OUT_OF_RANGE => StoreError::OutOfRange,
                Some(code) if is_corrupt(code) => StoreError::Corrupt(format!("{doing}: {}", said(error))),
                Some(_) | None => refused(doing),
            },
        }
    }
}

/// Whether waiting would not help: a rule of the schema was broken, or what is on the disk is damaged.
fn is_corrupt(code: &SqlState) -> bool {
    let breaks_a_rule = code.code().starts_with("23") || code.code().starts_with("22");
    breaks_a_rule
        || [
            SqlState::RAISE_EXCEPTION,
            SqlState::DATA_CORRUPTED,
            SqlState::INDEX_CORRUPTED,
            SqlState::UNDEFINED_TABLE,
            SqlState::UNDEFINED_COLUMN,
        ]
        .contains(code)
}

fn said(error: &Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |told| told.message().to_owned())
}

/// There is no connection to be had.
pub(super) fn unreachable(error: PoolError) -> StoreError {
    match error {
        PoolError::Closed => closed(),
        PoolError::Timeout(_) => refused("wait for a connection to the database"),
        error => StoreError::Unavailable {
            reason: "connect to the database".to_owned(),
            source: Some(Box::new(error)),
        },
    }
}

/// The store does nothing at this moment, for this reason.
pub(super) fn refused(reason: &str) -> StoreError {
    StoreError::Unavailable { reason: reason.to_owned(), source: None }
}

/// The store was closed.
pub(super) fn closed() -> StoreError {
    refused("the store is closed")
}
