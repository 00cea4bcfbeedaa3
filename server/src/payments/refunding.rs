//! Giving back what one was paid, whole or in part, and never more than that.

use async_trait::async_trait;

use super::{
    PaymentError, Payments, Refusal,
    creating::{KEPT, check_key, fingerprint},
    desk::{Actor, not_found},
    execution::date_of,
    terms::bearable,
};
use crate::{
    clock::UnixMillis,
    identity::Permission,
    money::Amount,
    store::{
        Ending, IdempotencyRecord, KeyId, NewTransfer, PaymentChange, PaymentId, PaymentPolicy,
        PaymentStatus, StoreError, StoredPayment, Transaction, UserId, Work, transact,
    },
};

/// The tool whose idempotency keys these are.
const TOOL: &str = "refundPayment";

/// A refund, as it was asked for.
#[derive(Debug, Clone)]
pub struct RefundOrder {
    /// Of which payment.
    pub payment: PaymentId,
    /// How much, in major units, as it was written; all that is left of it where nothing is said.
    pub amount: Option<String>,
    /// The caller's own name for it, by which a repetition is recognised.
    pub idempotency_key: Option<String>,
}

/// What stands before a refund.
#[derive(Debug, Clone)]
pub enum RefundOutlook {
    /// The payee must be asked, with this text.
    Ask(String),
    /// The key's policy lets it through.
    Automatic,
    /// The idempotency key was used before; this is how the payment stands.
    Before(Box<StoredPayment>),
}

/// What came of a refund.
#[derive(Debug, Clone)]
pub enum Refunded {
    /// It was given back, or before, which the flag says; this is how the payment stands.
    Done(Box<StoredPayment>, bool),
    /// Nothing: the payee must be asked first, which the outlook may not have known.
    Ask,
}

impl Payments {
    /// What stands before a refund.
    ///
    /// # Errors
    /// As [`Self::refund`].
    pub async fn refund_outlook(
        &self,
        user: UserId,
        key: &KeyId,
        order: &RefundOrder,
    ) -> Result<RefundOutlook, PaymentError> {
        let id = &order.payment;
        if let Some(key) = &order.idempotency_key {
            check_key(key)?;
            let look = Look { user, key: key.clone(), fingerprint: order.fingerprint() };
            if transact(&*self.store, look).await?? {
                return Ok(RefundOutlook::Before(Box::new(self.find(user, id).await?)));
            }
        }
        let payment = self.find(user, id).await?;
        let amount = refundable(&payment, user, order.amount.as_deref())?;
        if !asks(&self.store.policy(key).await?, &payment, amount) {
            return Ok(RefundOutlook::Automatic);
        }
        Ok(RefundOutlook::Ask(format!(
            "Give {} of the payment {id} back to {}?\nIt was {}.",
            amount.with_code(),
            payment.from,
            payment.payment.amount.with_code()
        )))
    }

    /// Gives back some of a payment that the actor was paid, or all that is left of it: what a person accepted, or as long
    /// as nobody needs to be asked about it. With an idempotency key that was used before, returns how the payment stands.
    ///
    /// # Errors
    /// [`Refusal`], with nothing changed; the store's.
    pub async fn refund(
        &self,
        actor: Actor,
        order: RefundOrder,
        is_accepted: bool,
    ) -> Result<Refunded, PaymentError> {
        if let Some(key) = &order.idempotency_key {
            check_key(key)?;
        }
        let work = Refund { actor, order, is_accepted, now: UnixMillis::now() };
        Ok(transact(&*self.store, work).await??)
    }
}

/// How much would be given back, if it may be.
fn refundable(payment: &StoredPayment, user: UserId, amount: Option<&str>) -> Result<Amount, Refusal> {
    let terms = &payment.payment;
    if terms.payee != user {
        let text = "only the payee of a payment can refund it. Ask the payee to.";
        return Err(Refusal::PermissionDenied(text.to_owned()));
    }
    let left = terms.amount.minor().saturating_sub(payment.refunded_minor);
    let left = Amount::from_minor(left, terms.amount.currency());
    if left.minor() == 0 {
        let text = "all of the payment was refunded already. Nothing is left to refund.";
        return Err(Refusal::InvalidState(text.to_owned()));
    }
    let wanted = match amount {
        Some(text) => Amount::read(text, left.currency())
            .map_err(|error| Refusal::InvalidAmount(format!("{error}. Correct `amount` and call again.")))?,
        None => left,
    };
    if wanted.minor() > left.minor() {
        let text = format!("{} of the payment can be refunded at most. Refund less.", left.with_code());
        return Err(Refusal::LimitExceeded(text));
    }
    Ok(wanted)
}

/// Whether a key asks before it gives back so much of a payment. What was given back of it before counts, so that nothing is
/// given back unasked in parts that would be asked about as a whole.
const fn asks(policy: &PaymentPolicy, payment: &StoredPayment, amount: Amount) -> bool {
    payment.refunded_minor.saturating_add(amount.minor()) >= policy.automatic_below_minor
}

impl RefundOrder {
    fn fingerprint(&self) -> [u8; 32] {
        fingerprint([self.payment.0.as_str(), self.amount.as_deref().unwrap_or_default()])
    }
}

/// Whether a refund was asked for before.
struct Look {
    user: UserId,
    key: String,
    fingerprint: [u8; 32],
}

#[async_trait]
impl Work for Look {
    type Output = Result<bool, Refusal>;

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<Self::Output>, StoreError> {
        let known = transaction.idempotency_record(self.user, TOOL, &self.key, UnixMillis::now()).await?;
        Ok(Ending::Undo(match known {
            None => Ok(false),
            Some(known) if known.fingerprint == self.fingerprint => Ok(true),
            Some(_) => Err(Refusal::KeyReused),
        }))
    }
}

struct Refund {
    actor: Actor,
    order: RefundOrder,
    is_accepted: bool,
    now: UnixMillis,
}

impl Refund {
    fn record(&self) -> Option<IdempotencyRecord> {
        let key = self.order.idempotency_key.clone()?;
        Some(IdempotencyRecord {
            user: self.actor.user,
            tool: TOOL.to_owned(),
            key,
            fingerprint: self.order.fingerprint(),
            handle: self.order.payment.0.clone(),
            expires_at: self.now.plus(KEPT),
        })
    }

    async fn give_back(
        &self,
        transaction: &mut dyn Transaction,
        payment: &StoredPayment,
        amount: Amount,
    ) -> Result<StoredPayment, StoreError> {
        let terms = &payment.payment;
        let (from, to, date) = (terms.payee, terms.payer, date_of(self.now));
        transaction.post(&NewTransfer { id: None, from, to, amount, date }).await?;
        let refunded_minor = payment.refunded_minor.saturating_add(amount.minor());
        let is_all = refunded_minor == terms.amount.minor();
        let status = if is_all { PaymentStatus::Refunded } else { PaymentStatus::PartiallyRefunded };
        let change = PaymentChange {
            id: self.order.payment.clone(),
            status,
            at: self.now,
            refunded_minor,
            transfer: None,
            failure: None,
            confirmed_by: None,
        };
        transaction.change_payment(&change).await?;
        let mut refunded = payment.clone();
        refunded.refunded_minor = refunded_minor;
        refunded.payment.status = status;
        refunded.changed_at = self.now;
        Ok(refunded)
    }
}

#[async_trait]
impl Work for Refund {
    type Output = Result<Refunded, Refusal>;

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<Self::Output>, StoreError> {
        let (user, id) = (self.actor.user, &self.order.payment);
        let payment = transaction.lock_payment(id).await?;
        let Some(payment) = payment.filter(|payment| payment.is_visible_to(user)) else {
            return Ok(Ending::Undo(Err(not_found(id))));
        };
        if let Some(record) = self.record()
            && let Some(known) = transaction.idempotency_record(user, TOOL, &record.key, self.now).await?
        {
            let is_same = known.fingerprint == record.fingerprint;
            let before = || Refunded::Done(Box::new(payment), true);
            return Ok(Ending::Undo(if is_same { Ok(before()) } else { Err(Refusal::KeyReused) }));
        }
        let amount = match refundable(&payment, user, self.order.amount.as_deref()) {
            Ok(amount) => amount,
            Err(refusal) => return Ok(Ending::Undo(Err(refusal))),
        };
        let users = [payment.payment.payer, user];
        let accounts = match self.actor.may(Permission::PaymentsRefund, &users, transaction, self.now).await?
        {
            // The policy may be another than the one in whose light nobody was asked.
            Ok((_, Some(policy))) if !self.is_accepted && asks(&policy, &payment, amount) => {
                return Ok(Ending::Undo(Ok(Refunded::Ask)));
            }
            Ok((accounts, _)) => accounts,
            Err(refusal) => return Ok(Ending::Undo(Err(refusal))),
        };
        if let Some(own) = accounts.iter().find(|account| account.user == user)
            && let Err(refusal) = bearable(own, amount)
        {
            return Ok(Ending::Undo(Err(refusal)));
        }
        let refunded = self.give_back(transaction, &payment, amount).await?;
        if let Some(record) = self.record() {
            transaction.put_idempotency_record(&record, self.now).await?;
        }
        transaction.append_audit(&self.actor.record).await?;
        Ok(Ending::Keep(Ok(Refunded::Done(Box::new(refunded), false))))
    }
}
