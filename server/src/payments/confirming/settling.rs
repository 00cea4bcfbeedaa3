//! The end of a payment that was accepted and has to be assessed: paid, or failed.

use async_trait::async_trait;

use super::may_confirm;
use crate::{
    clock::UnixMillis,
    payments::{
        PaymentError, Payments, Refusal,
        desk::{Actor, RiskGate, not_found},
        execution::{compensate, hold, pay, step},
    },
    risk::{Assessment, Verdict},
    store::{Ending, PaymentId, PaymentStatus, StoreError, StoredPayment, Transaction, Work, transact},
};

impl Payments {
    /// Has a payment assessed that was accepted, and moves the money or lets it fail. May be done again by whoever finds
    /// it unfinished; says whether somebody else was quicker.
    pub(in crate::payments) async fn process(
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

/// What the risk service says of a payment that is to be assessed. A server that has none, and finds what another one left
/// behind, approves nothing.
pub(in crate::payments) async fn assessed(
    gate: Option<&RiskGate>,
    assessment: &Assessment,
) -> Result<(), Unapproved> {
    let Some(gate) = gate else {
        tracing::warn!("a payment is to be assessed, and this server knows no risk service");
        return Err(Unapproved { refusal: Refusal::RiskUnavailable, is_reserved: true });
    };
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
pub(in crate::payments) struct Unapproved {
    pub(in crate::payments) refusal: Refusal,
    pub(in crate::payments) is_reserved: bool,
}

/// The end of a payment that was assessed.
struct Settle {
    actor: Actor,
    id: PaymentId,
    verdict: Result<(), Unapproved>,
    now: UnixMillis,
}

impl Settle {
    /// Moves the money, or says why it cannot be moved; then nothing is changed. Both keys must still be ones that may pay it,
    /// whoever finishes it: much may have been said about either while it was assessed.
    async fn pay(
        &self,
        transaction: &mut dyn Transaction,
        payment: &StoredPayment,
    ) -> Result<Result<StoredPayment, Refusal>, StoreError> {
        let held = match hold(transaction, payment, self.now).await? {
            Ok(held) => held,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match may_confirm(transaction, payment.confirmed_by.as_ref(), payment, self.now).await? {
            Ok(_) => pay(transaction, payment, &held, self.now).await,
            Err(refusal) => Ok(Err(refusal)),
        }
    }
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
            Ok(()) => match self.pay(transaction, &payment).await? {
                Ok(paid) => {
                    transaction.append_audit(&self.actor.record).await?;
                    return Ok(Ending::Keep(Ok((paid, false))));
                }
                Err(refusal) => (refusal, true),
            },
            Err(unapproved) => (unapproved.refusal.clone(), unapproved.is_reserved),
        };
        step(transaction, &payment, PaymentStatus::Failed, self.now, Some(&refusal)).await?;
        self.actor.note_failure(transaction).await?;
        if is_reserved {
            let names = (payment.from.as_str(), payment.to.as_str());
            compensate(transaction, &self.id.0, names, payment.payment.amount, self.now).await?;
        }
        Ok(Ending::Keep(Err(refusal)))
    }
}
