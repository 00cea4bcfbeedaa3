//! Several payments that are paid together or not at all.
//!
//! Before anybody is asked, the whole batch is carried out in a transaction that is then undone: whatever would fail is
//! known, and so is the sum. After the person's word it is carried out once more, for good. Where nobody had to be asked, that
//! holds only if it is still so then, and where somebody was, only if no more of it seems to repeat another payment than they
//! were told. If a step fails then (another payment was quicker), everything is undone, and the batch is
//! kept as one that failed, with the step and the reason.

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
    store::{BatchId, KeyId, PaymentStatus, StoredPayment, UserId},
};

/// Most payments in one batch.
const STEPS_MAX: usize = 100;

/// How many payments are named with their memos where a person is asked; the others are named without.
const MEMOS_MAX: usize = 20;

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
    /// How many of the payments seem to repeat another one, as the question says.
    pub duplicates: u32,
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

/// Called with the number of steps that were found good while a batch is carried out, which it is with all of them or with
/// none; may be called again from the start.
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

/// What came of a batch.
#[derive(Debug, Clone)]
pub enum BatchOutlook {
    /// Nothing yet: this is what it would come to.
    Plan(BatchPlan),
    /// It is kept, now or from before; how its payments stand says what came of it.
    Kept(Batch),
}

impl Payments {
    /// What a batch would come to; nothing is kept.
    ///
    /// # Errors
    /// [`Refusal`] of the list as a whole or of its first step that fails; the store's.
    pub async fn plan_batch(&self, actor: &Actor, order: &BatchOrder) -> Result<BatchOutlook, PaymentError> {
        Ok(match self.pay(actor, order, Mode::Dry).await? {
            Paid::Plan(plan) => BatchOutlook::Plan(plan),
            Paid::Before(batch) | Paid::Kept(batch) => BatchOutlook::Kept(batch),
        })
    }

    /// Carries out a batch that comes to `total`: one that a person accepted who was told of so many possible duplicates, or
    /// one about which nobody was asked. Where somebody must be asked about that all the same (a policy was changed, or one of
    /// its payments was made by then), nothing is done, and what it would come to has the question.
    ///
    /// # Errors
    /// [`Refusal`], and then nothing was paid; the store's.
    pub async fn pay_batch(
        &self,
        actor: &Actor,
        order: &BatchOrder,
        total: Amount,
        told: Option<u32>,
        trace: Option<[u8; 16]>,
    ) -> Result<BatchOutlook, PaymentError> {
        let must_assess = self.must_assess(total);
        let mode = if must_assess { Mode::Process { told } } else { Mode::Pay { told } };
        match self.pay(actor, order, mode).await {
            Ok(Paid::Plan(plan)) => Ok(BatchOutlook::Plan(plan)),
            Ok(Paid::Before(batch)) => Ok(BatchOutlook::Kept(batch)),
            Ok(Paid::Kept(batch)) if must_assess => {
                self.process_batch(actor.clone(), batch, trace).await.map(BatchOutlook::Kept)
            }
            Ok(Paid::Kept(batch)) => Ok(BatchOutlook::Kept(batch)),
            Err(PaymentError::Refused(refusal @ Refusal::BatchStep { .. })) => {
                self.fail_batch(actor, order, refusal).await
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps a batch that a person accepted, or about which nobody was asked, as one that failed.
    ///
    /// # Errors
    /// The `refusal`, unless somebody else was quicker; the store's.
    pub async fn fail_batch(
        &self,
        actor: &Actor,
        order: &BatchOrder,
        refusal: Refusal,
    ) -> Result<BatchOutlook, PaymentError> {
        let failed = Mode::Keep(PaymentStatus::Failed, Some(refusal.clone()));
        match self.pay(actor, order, failed).await {
            Ok(Paid::Before(batch)) => Ok(BatchOutlook::Kept(batch)),
            Ok(Paid::Kept(_) | Paid::Plan(_)) | Err(PaymentError::Refused(_)) => Err(refusal.into()),
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
        let is_named = order.idempotency_key.is_some();
        Ok(self.named(is_named, work).await??)
    }
}

/// A mode that keeps came back with a plan: the two would have to be mixed up here.
fn unplanned() -> PaymentError {
    Refusal::InvalidState("the batch was looked at and not carried out".to_owned()).into()
}
