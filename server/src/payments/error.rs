//! Why a payment is not made, in words that a model can act on.

use crate::store::StoreError;

/// Why what was asked of a payment was not done. Its text begins with a stable code and a colon, then says what is wrong
/// and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The amount is none that can be paid.
    #[error("invalid_amount: {0}")]
    InvalidAmount(String),
    /// The account has another currency.
    #[error("invalid_currency: the account is in {0}. Leave `currency` out, or pay in {0}.")]
    InvalidCurrency(&'static str),
    /// The payee, the memo or the list is none that can be used.
    #[error("invalid_argument: {0}")]
    InvalidArgument(String),
    /// There is nothing of that name that the caller may see.
    #[error("not_found: {0}")]
    NotFound(String),
    /// The caller may see it and may not do that.
    #[error("permission_denied: {0}")]
    PermissionDenied(String),
    /// The account does not hold enough, its credit included.
    #[error(
        "insufficient_funds: {available} can be spent at most, and this needs {needed}. Pay less, or ask the user to \
         cancel other open payments first."
    )]
    InsufficientFunds {
        /// What can be spent.
        available: String,
        /// What was wanted.
        needed: String,
    },
    /// A limit of the key.
    #[error("limit_exceeded: {0}")]
    LimitExceeded(String),
    /// The budget of the key.
    #[error("limit_exceeded: {0}")]
    BudgetExceeded(String),
    /// The same idempotency key came with other arguments.
    #[error(
        "idempotency_key_reused: this idempotencyKey was used in the last 24 hours with other arguments. Use the same \
         arguments to see what came of it, or another key for another payment."
    )]
    KeyReused,
    /// Another call under the same idempotency key has not ended.
    #[error(
        "idempotency_key_in_flight: a call with this idempotencyKey is still being handled. Wait for its answer, then \
         repeat it with the same key to see what came of it, or look with listPayments."
    )]
    KeyInFlight,
    /// Nobody confirmed it in time.
    #[error("expired: {0} was not confirmed within 24 hours, and nothing was paid. Create a new payment.")]
    Expired(String),
    /// Its state does not allow it.
    #[error("invalid_state: {0}")]
    InvalidState(String),
    /// The risk service said no.
    #[error(
        "risk_refused: the risk service refused this payment ({0}). Nothing was paid. Tell the user; do not retry."
    )]
    RiskRefused(String),
    /// The risk service does not answer, or answers nonsense.
    #[error(
        "risk_unavailable: this payment must be assessed, and the risk service does not answer. Nothing was paid and the \
         payment has failed. Create a new payment later."
    )]
    RiskUnavailable,
    /// One step of a batch failed.
    #[error("{code}: step {step} of {of} ({what}) failed: {reason} Nothing of the batch was paid.")]
    BatchStep {
        /// The code of what failed.
        code: String,
        /// Which step, from 1.
        step: u32,
        /// Of how many.
        of: u32,
        /// What the step would have paid.
        what: String,
        /// Why it failed.
        reason: String,
    },
}

impl Refusal {
    /// Its stable code.
    #[must_use]
    pub fn code(&self) -> String {
        let text = self.to_string();
        text.split_once(':').map_or_else(String::new, |(code, _)| code.to_owned())
    }

    /// The same, as the failure of one step of a batch.
    #[must_use]
    pub fn in_step(&self, step: u32, of: u32, what: String) -> Self {
        let text = self.to_string();
        let (code, reason) = text.split_once(": ").unwrap_or(("failed", &text));
        Self::BatchStep { code: code.to_owned(), step, of, what, reason: reason.to_owned() }
    }
}

/// Why there is no answer about a payment.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// A rule says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
