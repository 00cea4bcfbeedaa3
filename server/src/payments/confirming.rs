//! From a prepared payment to one that is paid: a person's word, the risk service's, and then one transaction.

mod settling;

use async_trait::async_trait;

pub(super) use self::settling::{Unapproved, asked, assessed, assessment};
use super::{
    PaymentError, Payments, Refusal,
    desk::{Actor, not_found},
    execution::{begin, hold, pay, step},
    terms::{Intent, available},
};
use crate::{
    clock::UnixMillis,
    money::Amount,
    store::{
        Ending, KeyId, PaymentId, PaymentPolicy, PaymentStatus, StoreError, StoredPayment, Transaction,
        UserId, Work, transact,
    },
};

/// What came of a payment about which nobody was asked.
#[derive(Debug, Clone)]
pub enum Unasked {
    /// Its keys let it through, or it was decided before, which the flag says; this is how it stands.
    Decided(Box<StoredPayment>, bool),
    /// Somebody must be asked about this; nothing was changed.
    Ask(Box<StoredPayment>),
}

/// What was said of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Yes.
    Accepted,
    /// No.
    Declined,
    /// The client cannot ask.
    CannotBeAsked,
}

/// How a decision went.
enum Decided {
    /// It is as it should be.
    Done(StoredPayment),
    /// It was decided before.
    Before(StoredPayment),
    /// The risk service is asked next.
    Assess(StoredPayment),
    /// Somebody is asked next, about this.
    Ask(StoredPayment),
}

impl Payments {
    /// Confirms a payment of the actor's where nobody needs to be asked. The actor's may be another key than the payment
    /// was prepared with: then it must be within what either may pay, and nobody is unasked whom one of them would ask,
    /// as both are when it is paid.
    ///
    /// # Errors
    /// [`Refusal`]; the store's.
    pub async fn confirm_unasked(
        &self,
        actor: Actor,
        id: &PaymentId,
        trace: Option<[u8; 16]>,
    ) -> Result<Unasked, PaymentError> {
        Ok(match self.decided(&actor, id, None).await? {
            Decided::Done(payment) => Unasked::Decided(Box::new(payment), false),
            Decided::Before(payment) => Unasked::Decided(Box::new(payment), true),
            Decided::Assess(payment) => {
                let (payment, was_before) = self.process(actor, payment, trace).await?;
                Unasked::Decided(Box::new(payment), was_before)
            }
            Decided::Ask(payment) => Unasked::Ask(Box::new(payment)),
        })
    }

    /// The words in which a person is asked: all of them from what is kept.
    ///
    /// # Errors
    /// The store's.
    pub async fn question(&self, payment: &StoredPayment) -> Result<String, PaymentError> {
        let terms = &payment.payment;
        let mut text = format!("Pay {} to {}?", terms.amount.with_code(), payment.to);
        if let Some(memo) = &terms.memo {
            text.push_str(&format!("\nMemo: {memo}"));
        }
        if let Some(similar) = &terms.duplicate_of {
            text.push_str(&self.repeated(similar).await?);
        }
        let left = self.left_after(terms.payer).await?;
        text.push_str(&format!("\nAfter this {} can still be spent.", left.with_code()));
        Ok(text)
    }

    /// The line about another payment that the one in question seems to repeat: it may have been asked about long after.
    async fn repeated(&self, similar: &PaymentId) -> Result<String, PaymentError> {
        let mut line = format!(
            "\nPossible duplicate: {similar} to the same payee over the same amount was made within the ten minutes before \
             this one."
        );
        let standing = self.store.payment(similar).await?.map(|similar| {
            let is_overdue =
                similar.status().is_undecided() && similar.payment.expires_at <= UnixMillis::now();
            if is_overdue { PaymentStatus::Expired } else { similar.status() }
        });
        if let Some(ended) = standing.filter(|status| !status.is_open() && !status.is_paid()) {
            line.push_str(&format!(" It came to nothing: {}.", ended.as_str()));
        }
        Ok(line)
    }

    /// What can be spent beside everything that is open; the amount in question is set aside already.
    pub(super) async fn left_after(&self, payer: UserId) -> Result<Amount, PaymentError> {
        struct Look(UserId);
        #[async_trait]
        impl Work for Look {
            type Output = Option<Amount>;
            async fn run(
                &self,
                transaction: &mut dyn Transaction,
            ) -> Result<Ending<Self::Output>, StoreError> {
                let accounts = transaction.lock_accounts(&[self.0]).await?;
                Ok(Ending::Undo(accounts.first().map(available)))
            }
        }
        let left = transact(&*self.store, Look(payer)).await?;
        left.ok_or_else(|| StoreError::NoSuchAccount(payer.0.to_string()).into())
    }

    /// Does what was said of a payment, and returns how it stands, and whether that was decided before. Whoever comes
    /// second moves nothing.
    ///
    /// # Errors
    /// [`Refusal`]; the store's.
    pub async fn decide(
        &self,
        actor: Actor,
        id: &PaymentId,
        consent: Consent,
        trace: Option<[u8; 16]>,
    ) -> Result<(StoredPayment, bool), PaymentError> {
        match self.decided(&actor, id, Some(consent)).await? {
            Decided::Done(payment) => Ok((payment, false)),
            // There is something to ask only where nobody was asked.
            Decided::Before(payment) | Decided::Ask(payment) => Ok((payment, true)),
            Decided::Assess(payment) => self.process(actor, payment, trace).await,
        }
    }

    async fn decided(
        &self,
        actor: &Actor,
        id: &PaymentId,
        consent: Option<Consent>,
    ) -> Result<Decided, PaymentError> {
        let decide = Decide {
            actor: actor.clone(),
            id: id.clone(),
            consent,
            payments: self.clone(),
            now: UnixMillis::now(),
        };
        Ok(transact(&*self.store, decide).await??)
    }
}

/// Whether keys that ask from this amount on, in minor units, let a payment through unasked. What looks like a payment that
/// was made already is never let through.
fn is_unasked(payment: &StoredPayment, asks_from: i64) -> bool {
    payment.payment.amount.minor() < asks_from && payment.payment.duplicate_of.is_none()
}

/// Whether it is a payment by itself: those of a batch are decided together.
fn alone(payment: &StoredPayment) -> Result<(), Refusal> {
    let Some(step) = &payment.payment.step else { return Ok(()) };
    Err(Refusal::InvalidState(format!(
        "the payment is step {} of the batch {}, of which all is paid or nothing. Have its owner approve the batch with \
         `server payments approve`, or cancel it with cancelPayment, all of it, and create it again with a client that can \
         ask.",
        step.step, step.batch
    )))
}

/// What the key with which a payment is confirmed may pay, if it may pay this: what it may not pay is not its to confirm.
/// `None` where the payment was prepared with the same one, or there is no key.
async fn may_confirm(
    transaction: &mut dyn Transaction,
    key: Option<&KeyId>,
    payment: &StoredPayment,
    now: UnixMillis,
) -> Result<Result<Option<PaymentPolicy>, Refusal>, StoreError> {
    let Some(key) = key.filter(|key| **key != payment.payment.key) else {
        return Ok(Ok(None));
    };
    // With all that it is paid with, in the order in which whoever pays it takes that.
    let terms = &payment.payment;
    let (_, found) = transaction.hold(&[terms.payer, terms.payee], key).await?;
    // The line that prepared it has counted it, whichever of its keys did.
    let is_of_its_line = found.as_ref().is_some_and(|(key, _)| key.lineage == payment.payment.lineage);
    let own = Intent::of(payment);
    let intent = Intent { counted_at: own.counted_at.filter(|_| is_of_its_line), ..own };
    Ok(intent.allowed(transaction, found, now).await?.map(|(_, policy)| Some(policy)))
}

struct Decide {
    actor: Actor,
    id: PaymentId,
    /// `None` where nobody was asked.
    consent: Option<Consent>,
    payments: Payments,
    now: UnixMillis,
}

impl Decide {
    /// From which amount on its keys ask, if they may pay it, before anybody else is asked; where not, it is left as it is.
    async fn may_go_on(
        &self,
        transaction: &mut dyn Transaction,
        payment: &StoredPayment,
    ) -> Result<Result<i64, Refusal>, StoreError> {
        let asks_from = match may_confirm(transaction, self.actor.key.as_ref(), payment, self.now).await? {
            Ok(policy) => policy.map_or(i64::MAX, |policy| policy.automatic_below_minor),
            Err(refusal) => return Ok(Err(refusal)),
        };
        // What is paid at once is looked at then.
        if !self.payments.must_assess(payment.payment.amount) {
            return Ok(Ok(asks_from));
        }
        let terms = &payment.payment;
        let (_, found) = transaction.hold(&[terms.payer, terms.payee], &terms.key).await?;
        let fitting = Intent::of(payment).fitting(found, self.now);
        Ok(fitting.map(|(_, policy)| asks_from.min(policy.automatic_below_minor)))
    }

    /// Goes on to pay it, where nobody has said no.
    async fn accept(
        &self,
        transaction: &mut dyn Transaction,
        payment: &StoredPayment,
    ) -> Result<Ending<Result<Decided, Refusal>>, StoreError> {
        let asks_from = match self.may_go_on(transaction, payment).await? {
            Ok(asks_from) => asks_from,
            Err(refusal) => return Ok(Ending::Undo(Err(refusal))),
        };
        let must_ask = |asks_from| self.consent.is_none() && !is_unasked(payment, asks_from);
        let ask = || Ok(Ending::Undo(Ok(Decided::Ask(payment.clone()))));
        if self.payments.must_assess(payment.payment.amount) {
            if must_ask(asks_from) {
                return ask();
            }
            let processing = begin(transaction, payment, self.actor.key.as_ref(), self.now).await?;
            return Ok(Ending::Keep(Ok(Decided::Assess(processing))));
        }
        let paid = match hold(transaction, payment, self.now).await? {
            // Its own key may pay it, so that there is something to ask.
            Ok(held) if must_ask(asks_from.min(held.policy.automatic_below_minor)) => return ask(),
            Ok(held) => pay(transaction, payment, &held, self.now).await?,
            Err(refusal) => Err(refusal),
        };
        match paid {
            Ok(paid) => {
                transaction.append_audit(&self.actor.record).await?;
                Ok(Ending::Keep(Ok(Decided::Done(paid))))
            }
            Err(refusal @ (Refusal::InsufficientFunds { .. } | Refusal::BudgetExceeded(_))) => {
                let failed = PaymentStatus::Failed;
                step(transaction, payment, failed, self.now, Some(&refusal)).await?;
                self.actor.note_failure(transaction).await?;
                Ok(Ending::Keep(Err(refusal)))
            }
            // Its key may not pay it any more, which can change again.
            Err(refusal) => Ok(Ending::Undo(Err(refusal))),
        }
    }

    /// Notes that it is not paid: by somebody's word, or as long as nobody could be asked.
    async fn withhold(
        &self,
        transaction: &mut dyn Transaction,
        payment: &StoredPayment,
        status: PaymentStatus,
    ) -> Result<Ending<Result<Decided, Refusal>>, StoreError> {
        let withheld = step(transaction, payment, status, self.now, None).await?;
        transaction.append_audit(&self.actor.record).await?;
        Ok(Ending::Keep(Ok(Decided::Done(withheld))))
    }
}

#[async_trait]
impl Work for Decide {
    type Output = Result<Decided, Refusal>;

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<Self::Output>, StoreError> {
        let payment = transaction.lock_payment(&self.id).await?;
        let Some(payment) = payment.filter(|payment| payment.payment.payer == self.actor.user) else {
            return Ok(Ending::Undo(Err(not_found(&self.id))));
        };
        if payment.status() == PaymentStatus::Expired {
            return Ok(Ending::Undo(Err(Refusal::Expired(self.id.0.clone()))));
        }
        if !payment.status().is_undecided() {
            return Ok(Ending::Undo(Ok(Decided::Before(payment))));
        }
        if payment.payment.expires_at <= self.now {
            step(transaction, &payment, PaymentStatus::Expired, self.now, None).await?;
            return Ok(Ending::Keep(Err(Refusal::Expired(self.id.0.clone()))));
        }
        if let Err(refusal) = alone(&payment) {
            return Ok(Ending::Undo(Err(refusal)));
        }
        match self.consent {
            None | Some(Consent::Accepted) => self.accept(transaction, &payment).await,
            Some(Consent::Declined) => self.withhold(transaction, &payment, PaymentStatus::Declined).await,
            Some(Consent::CannotBeAsked) if payment.status() == PaymentStatus::RequiresAction => {
                Ok(Ending::Undo(Ok(Decided::Before(payment))))
            }
            Some(Consent::CannotBeAsked) => {
                self.withhold(transaction, &payment, PaymentStatus::RequiresAction).await
            }
        }
    }
}
