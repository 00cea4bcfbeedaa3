//! Whether a payment is a risk that may be taken: somebody else is asked before money moves.
//!
//! Whoever pays knows a [`RiskAssessor`] and two rules. What is not approved is not paid: a refusal, silence and nonsense
//! all end the payment before anything is done. And whatever was reserved for a payment that is not made is given back
//! with [`RiskAssessor::release`].
//!
//! [`assessor`] makes the one there is: another MCP server (`server risk`), asked through the client that this project
//! is a reference for, with a service's credentials.

mod answer;
mod attempt;
mod breaker;
mod remote;
mod settings;

use std::fmt;

use async_trait::async_trait;

use crate::money::Amount;

pub use self::{
    remote::assessor,
    settings::{BreakerSettings, RiskCredentials, RiskSettings, RiskSettingsError},
};

/// What is asked about: one payment that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The payment's handle. Whoever asks again with the same handle gets the same answer, and nothing is reserved twice.
    pub payment: String,
    /// Who would pay, by name.
    pub from: String,
    /// Who would be paid, by name.
    pub to: String,
    /// How much.
    pub amount: Amount,
    /// The trace that the payment is part of, which is carried on: the audit trails of both servers name it.
    pub trace: Option<[u8; 16]>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The payment may be made. Exposure is reserved for it until it is released, or for a day.
    Approved,
    /// The payment must not be made. Nothing is reserved for it.
    Refused {
        /// Why, in words for people. They are the other server's, without what would harm a terminal, and of bounded
        /// length.
        reason: String,
    },
}

/// Why there is no verdict. Whatever it is, the payment is not made; nothing but what a server left behind waits until there is
/// one, where it is [`Self::Open`].
///
/// Of [`Self::Unavailable`] and [`Self::Nonsense`] nobody knows whether something was reserved. Before [`Self::Open`]
/// nothing was sent, but somebody else may have asked about the same payment before. In each case the exposure of a payment
/// that failed is released, now or later.
#[derive(Debug, thiserror::Error)]
pub enum RiskError {
    /// The risk service cannot be reached, is silent, failed, or does not take our credentials, also when it was asked
    /// again. Try again later.
    #[error("the risk service does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It answered with something that is no verdict on this payment. Somebody has to look at it; the text is for the
    /// log.
    #[error("the risk service answered with something that is no verdict: {0}")]
    Nonsense(String),
    /// It failed so often that it is left alone for a while. Try again later.
    #[error("the risk service failed several times and is not asked for a while")]
    Open,
}

/// Somebody who assesses payments. Every method may be called by any number of tasks at once, and dropped at any time.
#[async_trait]
pub trait RiskAssessor: Send + Sync + fmt::Debug {
    /// Asks whether the payment may be made, and reserves exposure for it if it may. Asking again is asking once.
    ///
    /// # Errors
    /// [`RiskError`]: then the payment must not be made.
    async fn assess(&self, request: &Assessment) -> Result<Verdict, RiskError>;

    /// Gives back what was reserved for a payment that is not made. Doing so twice, or for a payment that was never
    /// assessed, is fine. A payment is not approved any more after that: a question that was overtaken on the way reserves
    /// nothing.
    ///
    /// # Errors
    /// [`RiskError`]: then what was reserved still counts, for a day at most. Try again later.
    async fn release(&self, request: &Assessment) -> Result<(), RiskError>;
}

/// From which amount on payments are assessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    major: u32,
}

impl Threshold {
    /// From this many major units on, whatever the currency; 0 for every payment.
    #[must_use]
    pub const fn from_major(major: u32) -> Self {
        Self { major }
    }

    /// Whether a payment of this amount is assessed. One that cannot be compared is.
    #[must_use]
    pub fn should_assess(self, amount: Amount) -> bool {
        let least = Amount::from_major(i64::from(self.major), amount.currency());
        least.is_none_or(|least| amount.minor() >= least.minor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    #[test]
    fn payments_at_the_threshold_and_above_are_assessed() {
        let assessed = |major, minor| {
            Threshold::from_major(major).should_assess(Amount::from_minor(minor, Currency::USD))
        };
        assert_eq!([9_999, 10_000, 10_001].map(|minor| assessed(100, minor)), [false, true, true]);
        assert!(assessed(0, 1) && assessed(u32::MAX, i64::MAX) && !assessed(1, 99));
    }
}
