//! A statement: what was on an account when a month began, what moved, and what was on it when it ended.

use std::sync::Arc;

use crate::{
    money::Amount,
    store::{Month, MonthlyTransfers, PostedTransfer, StoreError},
};

/// What happened on an account in a month. Opening, in and out make up the closing, exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Which month.
    pub month: Month,
    /// Whose account it is.
    pub username: Arc<str>,
    /// What was on it when the month began.
    pub opening: Amount,
    /// What came in.
    pub paid_in: Amount,
    /// What went out, above zero.
    pub paid_out: Amount,
    /// What was on it when the month ended.
    pub closing: Amount,
    /// What moved, earliest first.
    pub transfers: Vec<PostedTransfer>,
    /// Whether earlier ones are left out of these: they are in the sums all the same.
    pub is_truncated: bool,
}

impl Statement {
    /// The statement that these transfers make up.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] when a sum leaves the range of whole minor units.
    pub(super) fn of(month: Month, monthly: MonthlyTransfers) -> Result<Self, StoreError> {
        let MonthlyTransfers { username, opening, transfers, earlier } = monthly;
        let sum = |earlier: i64, counts: &dyn Fn(&PostedTransfer) -> bool| -> Result<i64, StoreError> {
            let mut amounts = transfers.iter().filter(|one| counts(one)).map(|one| one.amount.minor());
            amounts.try_fold(earlier, i64::checked_add).ok_or(StoreError::OutOfRange)
        };
        let paid_in = sum(earlier.map_or(0, |sums| sums.paid_in_minor), &|one| *one.to == *username)?;
        let paid_out = sum(earlier.map_or(0, |sums| sums.paid_out_minor), &|one| *one.from == *username)?;
        let closing = opening.minor().checked_add(paid_in).and_then(|sum| sum.checked_sub(paid_out));
        let amount = |minor| Amount::from_minor(minor, opening.currency());
        Ok(Self {
            month,
            opening,
            paid_in: amount(paid_in),
            paid_out: amount(paid_out),
            closing: amount(closing.ok_or(StoreError::OutOfRange)?),
            username,
            transfers,
            is_truncated: earlier.is_some(),
        })
    }
}
