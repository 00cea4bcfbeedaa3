//! A batch that is kept already: assessed as a whole, and paid or failed as a whole.

use async_trait::async_trait;

use super::{Batch, paying::payees};
use crate::{
    clock::UnixMillis,
    money::Amount,
    payments::{
        PaymentError, Payments, Refusal,
        confirming::{Unapproved, assessed},
        desk::Actor,
        execution::{begin, compensate, settle, step},
        terms::Intent,
    },
    risk::Assessment,
    store::{BatchId, Ending, KeyId, PaymentStatus, StoreError, StoredPayment, Transaction, Work, transact},
};

impl Payments {
    /// Pays a batch that nobody could be asked about and that its owner approves now. Where it cannot be paid it waits on,
    /// as it can be later, unless the risk service was asked and it fails after that.
    ///
    /// # Errors
    /// [`Refusal`], and then nothing was paid; the store's.
    pub async fn approve_batch(&self, actor: Actor, batch: Batch) -> Result<Batch, PaymentError> {
        let now = UnixMillis::now();
        can_be_approved(&batch, now)?;
        if total(&batch.payments).is_some_and(|total| self.must_assess(total)) {
            transact(&*self.store, Begin { id: batch.id.clone(), key: actor.key.clone(), now }).await??;
            return self.process_batch(actor, batch, None).await;
        }
        Ok(transact(&*self.store, SettleAll { actor, id: batch.id, now, is_begun: false }).await??)
    }

    /// Has a batch assessed by its sum, and pays it or lets it fail.
    pub(in crate::payments) async fn process_batch(
        &self,
        actor: Actor,
        batch: Batch,
        trace: Option<[u8; 16]>,
    ) -> Result<Batch, PaymentError> {
        let Some(assessment) = batch.assessment(trace) else { return Ok(batch) };
        let verdict = assessed(self.risk.as_ref(), &assessment).await;
        self.settle_batch(actor, batch.id, verdict).await
    }

    /// Pays a batch that was assessed, or lets it fail. May be done again by whoever finds it unfinished.
    pub(in crate::payments) async fn settle_batch(
        &self,
        actor: Actor,
        id: BatchId,
        verdict: Result<(), Unapproved>,
    ) -> Result<Batch, PaymentError> {
        let now = UnixMillis::now();
        let unapproved = match verdict {
            Ok(()) => {
                let settling = SettleAll { actor: actor.clone(), id: id.clone(), now, is_begun: true };
                match transact(&*self.store, settling).await? {
                    Ok(batch) => return Ok(batch),
                    Err(refusal) => Unapproved { refusal, is_reserved: self.risk.is_some() },
                }
            }
            Err(unapproved) => unapproved,
        };
        let refusal = unapproved.refusal.clone();
        match transact(&*self.store, FailAll { actor, id: id.clone(), unapproved, now }).await? {
            // Somebody else was quicker, and paid it or let it fail.
            Some(payments) => Ok(Batch { id, payments, is_replayed: true }),
            None => Err(refusal.into()),
        }
    }
}

impl Batch {
    /// What is asked about it, where there is anything in it.
    pub(in crate::payments) fn assessment(&self, trace: Option<[u8; 16]>) -> Option<Assessment> {
        let (first, amount) = (self.payments.first()?, total(&self.payments)?);
        let (from, to) = (first.from.clone(), payees(&self.payments));
        Some(Assessment { payment: self.id.0.clone(), from, to, amount, trace })
    }
}

/// Whether nobody has decided about it, and there is time left to.
fn can_be_approved(batch: &Batch, now: UnixMillis) -> Result<(), Refusal> {
    if batch.payments.iter().any(|payment| !payment.status().is_undecided()) {
        let text = format!("the batch is {}, and cannot be approved any more.", batch.status().as_str());
        return Err(Refusal::InvalidState(text));
    }
    if batch.payments.iter().any(|payment| payment.payment.expires_at <= now) {
        return Err(Refusal::Expired(batch.id.0.clone()));
    }
    Ok(())
}

/// Why one payment of a batch of so many is refused, as the whole batch is.
fn in_place(refusal: &Refusal, payment: &StoredPayment, of: usize) -> Refusal {
    let place = payment.payment.step.as_ref().map_or(0, |step| step.step);
    let what = format!("{} to {}", payment.payment.amount.with_code(), payment.to);
    refusal.in_step(place, u32::try_from(of).unwrap_or(u32::MAX), what)
}

fn total(payments: &[StoredPayment]) -> Option<Amount> {
    let currency = payments.first()?.payment.amount.currency();
    let minor = payments.iter().map(|payment| payment.payment.amount.minor()).fold(0, i64::saturating_add);
    Some(Amount::from_minor(minor, currency))
}

/// Moves all of them to being processed, if they still can be.
struct Begin {
    id: BatchId,
    key: Option<KeyId>,
    now: UnixMillis,
}

#[async_trait]
impl Work for Begin {
    type Output = Result<(), Refusal>;

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<Self::Output>, StoreError> {
        let payments = transaction.lock_batch(&self.id).await?;
        let batch = Batch { id: self.id.clone(), payments, is_replayed: false };
        if let Err(refusal) = can_be_approved(&batch, self.now) {
            return Ok(Ending::Undo(Err(refusal)));
        }
        for payment in &batch.payments {
            // What its key may pay can change again, so that nothing fails for that.
            let terms = &payment.payment;
            let (_, found) = transaction.hold(&[terms.payer], &terms.key).await?;
            if let Err(refusal) = Intent::of(payment).fitting(found, self.now) {
                return Ok(Ending::Undo(Err(in_place(&refusal, payment, batch.payments.len()))));
            }
            begin(transaction, payment, self.key.as_ref(), self.now).await?;
        }
        Ok(Ending::Keep(Ok(())))
    }
}

/// Pays all of them, or none.
struct SettleAll {
    actor: Actor,
    id: BatchId,
    now: UnixMillis,
    /// It is being processed, and whoever pays it now began to. Otherwise nobody else may have.
    is_begun: bool,
}

#[async_trait]
impl Work for SettleAll {
    type Output = Result<Batch, Refusal>;

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<Self::Output>, StoreError> {
        let payments = transaction.lock_batch(&self.id).await?;
        let mut users: Vec<_> =
            payments.iter().flat_map(|one| [one.payment.payer, one.payment.payee]).collect();
        users.sort_unstable();
        users.dedup();
        transaction.lock_accounts(&users).await?;
        if payments.iter().all(|payment| payment.status().is_paid()) {
            return Ok(Ending::Undo(Ok(Batch { id: self.id.clone(), payments, is_replayed: true })));
        }
        let batch = Batch { id: self.id.clone(), payments, is_replayed: false };
        if !self.is_begun
            && let Err(refusal) = can_be_approved(&batch, self.now)
        {
            return Ok(Ending::Undo(Err(refusal)));
        }
        let payments = batch.payments;
        let of = payments.len();
        let mut paid = Vec::with_capacity(payments.len());
        for payment in payments {
            if payment.status().is_paid() {
                paid.push(payment);
                continue;
            }
            if !payment.status().is_open() {
                let text = "the batch has ended already. Look at it with listPayments.";
                return Ok(Ending::Undo(Err(Refusal::InvalidState(text.to_owned()))));
            }
            match settle(transaction, &payment, self.now).await? {
                Ok(payment) => paid.push(payment),
                Err(refusal) => return Ok(Ending::Undo(Err(in_place(&refusal, &payment, of)))),
            }
        }
        transaction.append_audit(&self.actor.record).await?;
        Ok(Ending::Keep(Ok(Batch { id: self.id.clone(), payments: paid, is_replayed: false })))
    }
}

/// Lets all of them fail, for one reason. Where none of them can any more, it comes to them as they are.
struct FailAll {
    actor: Actor,
    id: BatchId,
    unapproved: Unapproved,
    now: UnixMillis,
}

#[async_trait]
impl Work for FailAll {
    type Output = Option<Vec<StoredPayment>>;

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<Self::Output>, StoreError> {
        let payments = transaction.lock_batch(&self.id).await?;
        let open: Vec<_> = payments.iter().filter(|payment| payment.status().is_open()).collect();
        if open.is_empty() {
            return Ok(Ending::Undo(Some(payments)));
        }
        for payment in &open {
            let reason = Some(&self.unapproved.refusal);
            step(transaction, payment, PaymentStatus::Failed, self.now, reason).await?;
        }
        self.actor.note_failure(transaction).await?;
        if self.unapproved.is_reserved
            && let (Some(first), Some(amount)) = (payments.first(), total(&payments))
        {
            let to = payees(&payments);
            compensate(transaction, &self.id.0, (&first.from, &to), amount, self.now).await?;
        }
        Ok(Ending::Keep(None))
    }
}
