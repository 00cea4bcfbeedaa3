//! What the risk service keeps: what it decided about each payment, and so how much each payer has at risk.

use std::fmt;

use async_trait::async_trait;

use super::{StoreError, UserId};
use crate::{clock::UnixMillis, money::Amount};

/// A payment as somebody asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// Which service asked. Each has payments and payers of its own.
    pub client: UserId,
    /// What that service calls the payment.
    pub payment: String,
    /// Who would pay.
    pub payer: String,
    /// Who would be paid.
    pub payee: String,
    /// How much.
    pub amount: Amount,
    /// When it was asked.
    pub at: UnixMillis,
}

/// What is too much, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExposureBounds {
    /// For one payment.
    pub payment_minor: i64,
    /// For all of a payer's that were approved since then and not released.
    pub payer_minor: i64,
    /// Since when they count.
    pub since: UnixMillis,
}

/// What was decided about a payment. It stays decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExposureDecision {
    /// It may be made; its amount counts as the payer's exposure.
    Approved,
    /// It is too large.
    OverPaymentBound,
    /// With it the payer would have too much at risk.
    OverPayerBound,
    /// It was given back, or given up before it was asked about.
    Released,
    /// Another payment has this name.
    Other,
}

/// Decisions about payments.
#[async_trait]
pub trait ExposureStore: Send + Sync + fmt::Debug {
    /// Decides about a payment and keeps the decision; the second time, and at once, the first decision is the answer.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was decided.
    async fn decide(
        &self,
        exposure: Exposure,
        bounds: ExposureBounds,
    ) -> Result<ExposureDecision, StoreError>;

    /// Gives back what was reserved for the payment of this name. It is not approved any more after that, also where it
    /// was not asked about before: a question that was overtaken reserves nothing.
    ///
    /// # Errors
    /// [`StoreError`]; then it still counts.
    async fn release(&self, exposure: Exposure) -> Result<(), StoreError>;
}
