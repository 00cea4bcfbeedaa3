//! Payments, as they are kept: what each is, and between which states it moves.

use std::fmt;

use async_trait::async_trait;

use super::{AccountBalance, KeyId, StoreError, TransferId, UserId, transaction::ErasedWork};
use crate::{clock::UnixMillis, money::Amount};

mod claim;
mod policy;
mod status;
mod walk;

pub use claim::IdempotencyClaim;
pub use policy::{PaymentPolicy, PolicyChange};
pub use status::{NotAStatus, PaymentStatus};
pub(in crate::store) use walk::{Side, Walk};

/// A payment's handle, `pay_…`: made by the server, known to the payer and, once it is paid, to the payee.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentId(pub String);

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The handle of payments that are paid together or not at all, `batch_…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub String);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A payment's place in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchStep {
    /// The batch.
    pub batch: BatchId,
    /// Which of its payments, from 1, in the order in which they were asked for.
    pub step: u32,
}

/// A payment that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPayment {
    /// Its handle.
    pub id: PaymentId,
    /// Where it is one of several.
    pub step: Option<BatchStep>,
    /// Who pays.
    pub payer: UserId,
    /// Who is paid; another than the payer.
    pub payee: UserId,
    /// With which key it was asked for.
    pub key: KeyId,
    /// The first of the keys that replaced each other up to that one; budgets are kept for it.
    pub lineage: KeyId,
    /// How much; more than zero.
    pub amount: Amount,
    /// What the payer wrote, cleaned.
    pub memo: Option<String>,
    /// The first status.
    pub status: PaymentStatus,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it ends unless it is confirmed.
    pub expires_at: UnixMillis,
    /// A recent payment of the same payer to the same payee over the same amount.
    pub duplicate_of: Option<PaymentId>,
    /// What the caller named it by.
    pub idempotency_key: Option<String>,
    /// Why it failed, in words for the payer.
    pub failure: Option<String>,
}

/// A payment as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPayment {
    /// Its place in the order in which payments were made.
    pub seq: i64,
    /// What it was made with; `status` and `failure` are those of now.
    pub payment: NewPayment,
    /// The payer's name.
    pub from: String,
    /// The payee's name.
    pub to: String,
    /// How much of it was given back, in minor units.
    pub refunded_minor: i64,
    /// When it changed last.
    pub changed_at: UnixMillis,
    /// What moved the money.
    pub transfer: Option<TransferId>,
    /// With which key it was confirmed, if it was assessed after that; `None` for an operator's word, and where it was
    /// confirmed on a server of before this was kept.
    pub confirmed_by: Option<KeyId>,
}

impl StoredPayment {
    /// Its handle.
    #[must_use]
    pub const fn id(&self) -> &PaymentId {
        &self.payment.id
    }

    /// How far it has come.
    #[must_use]
    pub const fn status(&self) -> PaymentStatus {
        self.payment.status
    }

    /// Whether the user may see it: the payer always, the payee once it is paid.
    #[must_use]
    pub fn is_visible_to(&self, user: UserId) -> bool {
        self.payment.payer == user || (self.payment.payee == user && self.status().is_paid())
    }
}

/// What becomes of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentChange {
    /// Which one.
    pub id: PaymentId,
    /// Its next status.
    pub status: PaymentStatus,
    /// When.
    pub at: UnixMillis,
    /// How much of it is given back by now, in minor units.
    pub refunded_minor: i64,
    /// What moved the money, where it did.
    pub transfer: Option<TransferId>,
    /// Why it failed, where it did.
    pub failure: Option<String>,
    /// With which key it was confirmed, where it is assessed next.
    pub confirmed_by: Option<KeyId>,
}

/// Which of somebody's payments are wanted, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Those that this user may see; everybody's where nothing is said.
    pub visible_to: Option<UserId>,
    /// Those with this status.
    pub status: Option<PaymentStatus>,
    /// Those that were asked for under this idempotency key. Keys are the payer's: with `visible_to`, what that user was
    /// paid under a key of that name is not among them.
    pub idempotency_key: Option<String>,
    /// Those that were made before this one.
    pub before: Option<i64>,
}

/// An account in a transaction that may change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountState {
    /// Whose it is.
    pub user: UserId,
    /// That user's name.
    pub username: String,
    /// What is on it.
    pub balance: Amount,
    /// How far below zero it may go, in minor units.
    pub credit_limit_minor: i64,
    /// How much of it open payments have set aside, in minor units.
    pub reserved_minor: i64,
}

impl AccountState {
    /// What is on the account of `user`, if it is among these.
    pub(in crate::store) fn on_one(accounts: &[Self], user: UserId) -> Option<AccountBalance> {
        let account = accounts.iter().find(|account| account.user == user)?;
        Some(AccountBalance { username: account.username.as_str().into(), balance: account.balance })
    }
}

/// What a caller named by a key of its own, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Whose account; the scope of the key, with the tool.
    pub user: UserId,
    /// The tool that was called.
    pub tool: String,
    /// The caller's key.
    pub key: String,
    /// SHA-256 of what was asked.
    pub fingerprint: [u8; 32],
    /// The handle of what came of it: a payment's or a batch's.
    pub handle: String,
    /// Until when it is kept.
    pub expires_at: UnixMillis,
}

/// Exposure that the risk service may have reserved for a payment that failed, and that is to be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compensation {
    /// For what it was reserved: a payment's handle or a batch's.
    pub handle: String,
    /// Who would have paid.
    pub from: String,
    /// Who would have been paid.
    pub to: String,
    /// How much.
    pub amount: Amount,
    /// How often giving it back was tried.
    pub attempts: u32,
    /// When to try next.
    pub due_at: UnixMillis,
}

/// Payments, and the transactions in which money moves.
#[async_trait]
pub trait PaymentStore: Send + Sync {
    /// Runs work in one transaction: everything that it does happens, or nothing. It survives the loss of power once
    /// this returns. Where other work was in the way it is run again from the start. Call [`super::transact`] rather
    /// than this: it hands out what the work came to.
    ///
    /// # Errors
    /// What the work returned, with nothing changed; [`StoreError::Unavailable`].
    async fn run(&self, work: std::sync::Arc<dyn ErasedWork>) -> Result<(), StoreError>;

    /// The payment with this handle.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn payment(&self, id: &PaymentId) -> Result<Option<StoredPayment>, StoreError>;

    /// The newest `limit` payments that the filter lets through, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn payments(&self, filter: PaymentFilter, limit: u32) -> Result<Vec<StoredPayment>, StoreError>;

    /// The payments of a batch, in its order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn batch(&self, id: &BatchId) -> Result<Vec<StoredPayment>, StoreError>;

    /// At most `limit` of the payments that wait for somebody's word and should have ended by `now`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn overdue_payments(&self, now: UnixMillis, limit: u32) -> Result<Vec<PaymentId>, StoreError>;

    /// At most `limit` of the payments that are being processed, and have been for longer than it is from `since` to `now`:
    /// whoever did so may have died. Where servers share a store their clocks may be apart, and it is the database's that
    /// tells how long that is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn stalled_payments(
        &self,
        since: UnixMillis,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<StoredPayment>, StoreError>;

    /// At most `limit` of the compensations that are due by `now`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn due_compensations(&self, now: UnixMillis, limit: u32) -> Result<Vec<Compensation>, StoreError>;

    /// Notes how giving back went: done, or to be tried again at `retry_at`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn settle_compensation(&self, handle: &str, retry_at: Option<UnixMillis>)
    -> Result<(), StoreError>;

    /// Takes an idempotency key for a call, or keeps it for longer, unless another call has it: for as long as it is from
    /// `now` to `until`, or until the call releases it. Where servers share a store their clocks may be apart, and it is the
    /// database's that tells when that is over. Says whether the call has it. It need not survive the loss of power.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn claim_idempotency_key(
        &self,
        claim: &IdempotencyClaim,
        until: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, StoreError>;

    /// Lets go of what the call has claimed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn release_idempotency_key(&self, claim: &IdempotencyClaim) -> Result<(), StoreError>;

    /// What a key may pay; the default where nothing was set.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn policy(&self, key: &KeyId) -> Result<PaymentPolicy, StoreError>;
}
