//! From a prepared payment to one that is paid: a person's word, the risk service's, and then one transaction.

use async_trait::async_trait;

use super::{
    PaymentError, Payments, Refusal,
    desk::{Actor, RiskGate, not_found},
    execution::{compensate, settle, step},
    terms::{Intent, available},
};
use crate::{
    clock::UnixMillis,
    money::Amount,
    risk::{Assessment, Verdict},
    store::{
        Ending, KeyId, PaymentId, PaymentPolicy, PaymentStatus, StoreError, StoredKey, StoredPayment,
        Transaction, UserId, Work, transact,
    },
};

/// What stands before a decision about a payment.
#[derive(Debug, Clone)]
pub enum Outlook {
    /// Somebody must be asked, with this text.
    Ask(StoredPayment, String),
    /// The key's policy lets it through.
    Automatic(StoredPayment),
    /// It was decided before; this is how it stands.
    Decided(StoredPayment),
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
}

impl Payments {
    /// What there is to ask about a payment of the user's that somebody with this key would confirm. It may be another
    /// key than the payment was prepared with: then it must be within what either may pay, and nobody is unasked whom
    /// one of them would ask.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Expired`], [`Refusal::PermissionDenied`], [`Refusal::LimitExceeded`];
    /// [`Refusal::InvalidState`] for one of a batch; the store's.
    pub async fn outlook(&self, user: UserId, key: &KeyId, id: &PaymentId) -> Result<Outlook, PaymentError> {
        let found = self.store.prepared(id).await?.filter(|(payment, _)| payment.payment.payer == user);
        let (payment, with) = found.ok_or_else(|| not_found(id))?;
        if payment.status() == PaymentStatus::Expired
            || (payment.status().is_undecided() && payment.payment.expires_at <= UnixMillis::now())
        {
            return Err(Refusal::Expired(id.0.clone()).into());
        }
        if !payment.status().is_undecided() {
            return Ok(Outlook::Decided(payment));
        }
        alone(&payment)?;
        let mut unasked_below = asks_from(with, &payment)?;
        if payment.payment.key != *key {
            unasked_below = unasked_below.min(asks_from(self.store.key_and_policy(key).await?, &payment)?);
        }
        // What looks like a payment that was made already is never let through unasked.
        if payment.payment.amount.minor() < unasked_below && payment.payment.duplicate_of.is_none() {
            return Ok(Outlook::Automatic(payment));
        }
        let text = self.question(&payment).await?;
        Ok(Outlook::Ask(payment, text))
    }

    /// The words in which a person is asked: all of them from what is kept.
    async fn question(&self, payment: &StoredPayment) -> Result<String, PaymentError> {
        let terms = &payment.payment;
        let mut text = format!("Pay {} to {}?", terms.amount.with_code(), payment.to);
        if let Some(memo) = &terms.memo {
            text.push_str(&format!("\nMemo: {memo}"));
        }
        if let Some(similar) = &terms.duplicate_of {
            text.push_str(&format!(
                "\nPossible duplicate: {similar} to the same payee over the same amount was made within the last ten \
                 minutes."
            ));
        }
        let left = self.left_after(terms.payer).await?;
        text.push_str(&format!("\nAfter this {} can still be spent.", left.with_code()));
        Ok(text)
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
        let decide = Decide {
            actor: actor.clone(),
            id: id.clone(),
            consent,
            payments: self.clone(),
            now: UnixMillis::now(),
        };
        match transact(&*self.store, decide).await?? {
            Decided::Done(payment) => Ok((payment, false)),
            Decided::Before(payment) => Ok((payment, true)),
            Decided::Assess(payment) => self.process(actor, payment, trace).await,
        }
    }

    /// Has a payment assessed that was accepted, and moves the money or lets it fail. May be done again by whoever finds
    /// it unfinished; says whether somebody else was quicker.
    pub(super) async fn process(
        &self,
        actor: Actor,
        payment: StoredPayment,
        trace: Option<[u8; 16]>,
    ) -> Result<(StoredPayment, bool), PaymentError> {
        let assessment = Assessment {
            payment: payment.id().0.clone(),
            from: payment.from.clone(),
            to: payment.to.clone(),
            amount: payment.payment.amount,
            trace,
        };
        let verdict = assessed(self.risk.as_ref(), &assessment).await;
        let settle = Settle { actor, id: payment.id().clone(), verdict, now: UnixMillis::now() };
        Ok(transact(&*self.store, settle).await??)
    }
}

/// From which amount on a key asks, in minor units, if it may pay this at all.
fn asks_from(found: Option<(StoredKey, PaymentPolicy)>, payment: &StoredPayment) -> Result<i64, Refusal> {
    let (_, policy) = Intent::of(payment).fitting(found, UnixMillis::now())?;
    Ok(policy.automatic_below_minor)
}

/// Whether it is a payment by itself: those of a batch are decided together.
fn alone(payment: &StoredPayment) -> Result<(), Refusal> {
    let Some(step) = &payment.payment.step else { return Ok(()) };
    Err(Refusal::InvalidState(format!(
        "the payment is step {} of the batch {}, of which all is paid or nothing. Have its owner approve the batch with \
         `server payments approve`, or create the batch again with a client that can ask.",
        step.step, step.batch
    )))
}

/// What the risk service says; without one, everything is approved.
pub(super) async fn assessed(gate: Option<&RiskGate>, assessment: &Assessment) -> Result<(), Unapproved> {
    let Some(gate) = gate else { return Ok(()) };
    match gate.assessor.assess(assessment).await {
        Ok(Verdict::Approved) => Ok(()),
        Ok(Verdict::Refused { reason }) => {
            Err(Unapproved { refusal: Refusal::RiskRefused(reason), is_reserved: false })
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a payment could not be assessed");
            // Nobody knows, also where it was not asked now: a server that died may have asked before.
            Err(Unapproved { refusal: Refusal::RiskUnavailable, is_reserved: true })
        }
    }
}

/// Why it is not approved, and whether exposure may be reserved all the same.
#[derive(Debug, Clone)]
pub(super) struct Unapproved {
    pub(super) refusal: Refusal,
    pub(super) is_reserved: bool,
}

struct Decide {
    actor: Actor,
    id: PaymentId,
    consent: Consent,
    payments: Payments,
    now: UnixMillis,
}

impl Decide {
    /// Whether its keys may pay it, before anybody else is asked; where not, it is left as it is.
    async fn may_go_on(
        &self,
        transaction: &mut dyn Transaction,
        payment: &StoredPayment,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let own = &payment.payment.key;
        // Another key of the same user's: what it may not pay is not its to confirm.
        if let Some(key) = self.actor.key.as_ref().filter(|key| *key != own)
            && let Err(refusal) = self.allowed(transaction, key, payment).await?
        {
            return Ok(Err(refusal));
        }
        // What is paid at once is looked at then.
        if !self.payments.must_assess(payment.payment.amount) {
            return Ok(Ok(()));
        }
        let found = transaction.key(own).await?;
        Ok(Intent::of(payment).fitting(found, self.now).map(|_| ()))
    }

    /// Whether a key may pay it, whichever it was prepared with.
    async fn allowed(
        &self,
        transaction: &mut dyn Transaction,
        key: &KeyId,
        payment: &StoredPayment,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let found = transaction.key(key).await?;
        // The line that prepared it has counted it, whichever of its keys did.
        let is_of_its_line = found.as_ref().is_some_and(|(key, _)| key.lineage == payment.payment.lineage);
        let own = Intent::of(payment);
        let intent = Intent { counted_at: own.counted_at.filter(|_| is_of_its_line), ..own };
        Ok(intent.allowed(transaction, found, self.now).await?.map(|_| ()))
    }

    async fn carry_out(
        &self,
        transaction: &mut dyn Transaction,
        payment: &StoredPayment,
    ) -> Result<Ending<Result<Decided, Refusal>>, StoreError> {
        let done = match self.consent {
            Consent::Declined => Decided::Done(
                step(transaction, payment, PaymentStatus::Declined, self.now, None, None).await?,
            ),
            Consent::CannotBeAsked if payment.status() == PaymentStatus::RequiresAction => {
                return Ok(Ending::Undo(Ok(Decided::Before(payment.clone()))));
            }
            Consent::CannotBeAsked => {
                let next = PaymentStatus::RequiresAction;
                Decided::Done(step(transaction, payment, next, self.now, None, None).await?)
            }
            Consent::Accepted if self.payments.must_assess(payment.payment.amount) => {
                let next = PaymentStatus::Processing;
                let processing = step(transaction, payment, next, self.now, None, None).await?;
                return Ok(Ending::Keep(Ok(Decided::Assess(processing))));
            }
            Consent::Accepted => match settle(transaction, payment, self.now).await? {
                Ok(paid) => Decided::Done(paid),
                Err(refusal @ (Refusal::InsufficientFunds { .. } | Refusal::BudgetExceeded(_))) => {
                    let failed = PaymentStatus::Failed;
                    step(transaction, payment, failed, self.now, None, Some(&refusal)).await?;
                    return Ok(Ending::Keep(Err(refusal)));
                }
                // Its key may not pay it any more, which can change again.
                Err(refusal) => return Ok(Ending::Undo(Err(refusal))),
            },
        };
        transaction.append_audit(&self.actor.record).await?;
        Ok(Ending::Keep(Ok(done)))
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
            step(transaction, &payment, PaymentStatus::Expired, self.now, None, None).await?;
            return Ok(Ending::Keep(Err(Refusal::Expired(self.id.0.clone()))));
        }
        if let Err(refusal) = alone(&payment) {
            return Ok(Ending::Undo(Err(refusal)));
        }
        if matches!(self.consent, Consent::Accepted)
            && let Err(refusal) = self.may_go_on(transaction, &payment).await?
        {
            return Ok(Ending::Undo(Err(refusal)));
        }
        self.carry_out(transaction, &payment).await
    }
}

/// The end of a payment that was assessed.
struct Settle {
    actor: Actor,
    id: PaymentId,
    verdict: Result<(), Unapproved>,
    now: UnixMillis,
}

#[async_trait]
impl Work for Settle {
    type Output = Result<(StoredPayment, bool), Refusal>;

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<Self::Output>, StoreError> {
        let Some(payment) = transaction.lock_payment(&self.id).await? else {
            return Ok(Ending::Undo(Err(not_found(&self.id))));
        };
        if payment.status() != PaymentStatus::Processing {
            return Ok(Ending::Undo(Ok((payment, true))));
        }
        let (refusal, is_reserved) = match &self.verdict {
            Ok(()) => match settle(transaction, &payment, self.now).await? {
                Ok(paid) => {
                    transaction.append_audit(&self.actor.record).await?;
                    return Ok(Ending::Keep(Ok((paid, false))));
                }
                Err(refusal) => (refusal, true),
            },
            Err(unapproved) => (unapproved.refusal.clone(), unapproved.is_reserved),
        };
        step(transaction, &payment, PaymentStatus::Failed, self.now, None, Some(&refusal)).await?;
        if is_reserved {
            let names = (payment.from.as_str(), payment.to.as_str());
            compensate(transaction, &self.id.0, names, payment.payment.amount, self.now).await?;
        }
        Ok(Ending::Keep(Err(refusal)))
    }
}
