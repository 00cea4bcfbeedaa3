//! The ledger, as it is kept: double entry in whole minor units, append-only.

use std::{fmt, str::FromStr, sync::Arc};

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
    pub from: Arc<str>,
    /// The payee's name.
    pub to: Arc<str>,
    /// How much, more than zero.
    pub amount: Amount,
    /// The business date.
    pub date: Date,
}

/// An account and what is on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountBalance {
    /// Whose it is.
    pub username: Arc<str>,
    /// The sum of its entries; may be below zero.
    pub balance: Amount,
}

/// A calendar month, from the year 0 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(Date);

/// The text names no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a month is written YYYY-MM, such as 2024-03")]
pub struct NotAMonth;

impl Month {
    /// The month that a date is in.
    #[must_use]
    pub fn of(date: Date) -> Self {
        Self(date.first_of_month())
    }

    /// Its first day.
    #[must_use]
    pub const fn first_day(self) -> Date {
        self.0
    }

    /// Its last day.
    #[must_use]
    pub fn last_day(self) -> Date {
        self.0.last_of_month()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let (year, month) = text.split_once('-').ok_or(NotAMonth)?;
        let is_written_so = year.len() == 4 && month.len() == 2;
        let digits = year.bytes().chain(month.bytes()).all(|byte| byte.is_ascii_digit());
        let parsed = (year.parse::<i16>(), month.parse::<i8>());
        match parsed {
            (Ok(year), Ok(month)) if is_written_so && digits => {
                Date::new(year, month, 1).map(Self).map_err(|_| NotAMonth)
            }
            _ => Err(NotAMonth),
        }
    }
}

/// What happened on an account in one month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthlyTransfers {
    /// Whose account it is.
    pub username: Arc<str>,
    /// What was on it when the month began, by date.
    pub opening: Amount,
    /// The month's newest transfers, no more than were asked for, by date, earliest first; on one date the first posted first.
    pub transfers: Vec<PostedTransfer>,
    /// What the earlier ones come to, where there are more.
    pub earlier: Option<EarlierTransfers>,
}

/// What transfers of an account come to that are not named one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlierTransfers {
    /// What came in, in minor units.
    pub paid_in_minor: i64,
    /// What went out, in minor units, above zero.
    pub paid_out_minor: i64,
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

    /// What happened on the user's account in a month, of its transfers the `limit` newest. Its cost depends on those and on
    /// the number of months before it; where there are more, their amounts are added up.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], [`StoreError::OutOfRange`], [`StoreError::Unavailable`].
    async fn month(&self, user: UserId, month: Month, limit: u32) -> Result<MonthlyTransfers, StoreError>;

    /// The months in which the user paid or was paid, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn months(&self, user: UserId) -> Result<Vec<Month>, StoreError>;

    /// The names of everybody whom the user paid or was paid by, in order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn peers(&self, user: UserId) -> Result<Vec<String>, StoreError>;

    /// The first `limit` transfers from or to the user, in the order in which they were posted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn transfers(&self, user: UserId, limit: u32) -> Result<Vec<PostedTransfer>, StoreError>;

    /// The user's `limit` newest transfers by date, newest first; on one date the last posted first. Its cost depends
    /// on `limit` alone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn latest_transfers(&self, user: UserId, limit: u32) -> Result<Vec<PostedTransfer>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_read_as_it_is_written_and_in_no_other_form() {
        for text in ["2024-03", "0001-12", "9999-01"] {
            assert_eq!(text.parse::<Month>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "2024",
            "2024-3",
            "2024-13",
            "2024-00",
            "24-03",
            "+024-03",
            "2024-03-01",
            "2024-0\u{663}",
            " 2024-03",
        ] {
            assert_eq!(text.parse::<Month>(), Err(NotAMonth), "{text}");
        }
    }
}
