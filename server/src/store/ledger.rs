//! The ledger, as it is kept: double entry in whole minor units, append-only.

use std::fmt;

use async_trait::async_trait;
use jiff::civil::Date;

use super::{StoreError, UserId};
use crate::money::Amount;

/// A transfer's public number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(pub i64);

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Money that is to move once, from one account to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransfer {
    /// Its number, more than zero, chosen by the caller so that a repetition is recognised; `None` takes the one after
    /// the greatest.
    pub id: Option<TransferId>,
    /// Whose account is debited.
    pub from: UserId,
    /// Whose account is credited; another than `from`.
    pub to: UserId,
    /// How much; more than zero, in the currency of both accounts.
    pub amount: Amount,
    /// The business date, not before the year 0.
    pub date: Date,
}

/// A transfer that was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostedTransfer {
    /// Its number.
    pub id: TransferId,
    /// The payer's name.
    pub from: String,
    /// The payee's name.
    pub to: String,
    /// How much, more than zero.
    pub amount: Amount,
    /// The business date.
    pub date: Date,
}

/// An account and what is on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountBalance {
    /// Whose it is.
    pub username: String,
    /// The sum of its entries; may be below zero.
    pub balance: Amount,
}

/// Accounts, transfers and their entries. Every transfer has two entries whose sum is zero, and an account's balance is
/// the sum of its entries; the engine enforces both, and that nothing posted is ever changed or removed.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// Posts a transfer: both entries and both balances, together or not at all. Posting the same transfer again (same
    /// id, same contents) returns the first one and moves nothing.
    ///
    /// It enforces no limit on what an account may owe: that is a rule of money and lives in `payments`.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], [`StoreError::TransferExists`], [`StoreError::OutOfRange`] (an amount or number
    /// that is not positive, an overflow, a currency that is not the accounts', an account that pays itself),
    /// [`StoreError::Unavailable`].
    async fn post(&self, transfer: NewTransfer) -> Result<PostedTransfer, StoreError>;

    /// What is on the user's account. Its cost does not depend on how many transfers there are.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], [`StoreError::Unavailable`].
    async fn balance(&self, user: UserId) -> Result<AccountBalance, StoreError>;

    /// Every transfer from or to the user, in the order in which they were posted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn transfers(&self, user: UserId) -> Result<Vec<PostedTransfer>, StoreError>;

    /// The user's `limit` newest transfers by date, newest first; on one date the last posted first. Its cost depends
    /// on `limit` alone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn latest_transfers(&self, user: UserId, limit: u32) -> Result<Vec<PostedTransfer>, StoreError>;
}
