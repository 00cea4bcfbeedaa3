//! Several payments that are paid together or not at all.
//!
//! Before anybody is asked, the whole batch is carried out in a transaction that is then undone: whatever would fail is
//! known, and so is the sum. After the person's word it is carried out once more, for good. If a step fails then (another
//! payment was quicker), everything is undone, and the batch is kept as one that failed, with the step and the reason.

mod order;
mod paying;
mod settling;

use std::sync::Arc;

use self::{
    order::in_order,
    paying::{Mode, Paid, Pay},
};
use super::{PaymentError, Payments, Refusal, creating::check_key, desk::Actor, handle};
use crate::{
    clock::UnixMillis,
    money::Amount,
    store::{BatchId, KeyId, PaymentStatus, StoredPayment, UserId, transact},
};

/// Most payments in one batch.
const STEPS_MAX: usize = 100;

/// How many payments a question names; the sum is of all of them.
const NAMED_MAX: usize = 20;

/// One payment of a batch, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchItem {
    /// The payee's name.
    pub to: String,
    /// The amount in major units, as it was written.
    pub amount: String,
    /// What the payer wrote.
    pub memo: Option<String>,
    /// Which other payments of the batch come before it, by their place from 1.
    pub after: Vec<u32>,
}

/// What a batch would come to.
#[derive(Debug, Clone)]
pub struct BatchPlan {
    /// The sum.
    pub total: Amount,
    /// What a person is asked; `None` where the key's policy lets every payment through.
    pub question: Option<String>,
}

/// A batch and its payments, in the order in which they were asked for.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its handle.
    pub id: BatchId,
    /// The payments.
    pub payments: Vec<StoredPayment>,
    /// Whether it was there before.
    pub is_replayed: bool,
}

impl Batch {
    /// Where its payments stand, together: the first of them that is not paid, else paid.
    #[must_use]
    pub fn status(&self) -> PaymentStatus {
        let unpaid = self.payments.iter().map(StoredPayment::status).find(|status| !status.is_paid());
        unpaid.unwrap_or(PaymentStatus::Succeeded)
    }
}

/// Called with the number of steps that were looked at; may be called again from the start.
pub type Progress = Arc<dyn Fn(u32) + Send + Sync>;

/// A batch, as it was asked for.
#[derive(Clone)]
pub struct BatchOrder {
    /// With which key.
    pub key: KeyId,
    /// The payments.
    pub items: Vec<BatchItem>,
    /// The caller's own name for it.
    pub idempotency_key: Option<String>,
    /// Who hears how far it is.
    pub progress: Progress,
}

impl std::fmt::Debug for BatchOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchOrder").field("items", &self.items).finish_non_exhaustive()
    }
}

/// What a look at a batch found.
#[derive(Debug, Clone)]
pub enum BatchOutlook {
    /// It can be carried out.
    Plan(BatchPlan),
    /// It was, before.
    Before(Batch),
}

impl Payments {
    /// What a batch would come to; nothing is kept.
    ///
    /// # Errors
    /// [`Refusal`] of the list as a whole or of its first step that fails; the store's.
    pub async fn plan_batch(&self, actor: &Actor, order: &BatchOrder) -> Result<BatchOutlook, PaymentError> {
        match self.pay(actor, order, Mode::Dry).await? {
            Paid::Plan(plan) => Ok(BatchOutlook::Plan(plan)),
            Paid::Before(batch) | Paid::Kept(batch) => Ok(BatchOutlook::Before(batch)),
        }
    }

    /// Carries a batch out that a person accepted (or that no person needed to).
    ///
    /// # Errors
    /// [`Refusal`], and then nothing was paid; the store's.
    pub async fn pay_batch(
        &self,
        actor: &Actor,
        order: &BatchOrder,
        plan: &BatchPlan,
        trace: Option<[u8; 16]>,
    ) -> Result<Batch, PaymentError> {
        if self.must_assess(plan.total) {
            return match self.pay(actor, order, Mode::Process).await? {
                Paid::Before(batch) => Ok(batch),
                Paid::Kept(batch) => self.process_batch(actor.clone(), batch, trace).await,
                Paid::Plan(_) => Err(unplanned()),
            };
        }
        match self.pay(actor, order, Mode::Pay).await {
            Ok(Paid::Before(batch) | Paid::Kept(batch)) => Ok(batch),
            Ok(Paid::Plan(_)) => Err(unplanned()),
            Err(PaymentError::Refused(refusal @ Refusal::BatchStep { .. })) => {
                self.pay(actor, order, Mode::Keep(PaymentStatus::Failed, Some(refusal.clone()))).await?;
                Err(refusal.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps a batch that a person declined, or that nobody could be asked about.
    ///
    /// # Errors
    /// As [`Self::plan_batch`].
    pub async fn keep_batch(
        &self,
        actor: &Actor,
        order: &BatchOrder,
        status: PaymentStatus,
    ) -> Result<Batch, PaymentError> {
        match self.pay(actor, order, Mode::Keep(status, None)).await? {
            Paid::Before(batch) | Paid::Kept(batch) => Ok(batch),
            Paid::Plan(_) => Err(unplanned()),
        }
    }

    /// The batch with this handle, if it is the user's.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; the store's.
    pub async fn find_batch(&self, user: UserId, id: &BatchId) -> Result<Batch, PaymentError> {
        let payments = self.store.batch(id).await?;
        if payments.is_empty() || payments.iter().any(|payment| payment.payment.payer != user) {
            return Err(Refusal::NotFound(format!("there is no batch {id} of this user")).into());
        }
        Ok(Batch { id: id.clone(), payments, is_replayed: false })
    }

    async fn pay(&self, actor: &Actor, order: &BatchOrder, mode: Mode) -> Result<Paid, PaymentError> {
        if let Some(key) = &order.idempotency_key {
            check_key(key)?;
        }
        let sequence = in_order(&order.items)?;
        let now = UnixMillis::now();
        let ids = order.items.iter().map(|_| handle::payment(now)).collect::<Result<Vec<_>, _>>()?;
        let work = Pay {
            actor: actor.clone(),
            order: order.clone(),
            sequence,
            batch: handle::batch(now)?,
            ids,
            mode,
            now,
        };
        Ok(transact(&*self.store, work).await??)
    }
}

/// A mode that keeps came back with a plan: the two would have to be mixed up here.
fn unplanned() -> PaymentError {
    Refusal::InvalidState("the batch was looked at and not carried out".to_owned()).into()
}
