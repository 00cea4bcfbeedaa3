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
    risk::{Assessment, RiskError, Verdict},
    store::{Ending, PaymentId, PaymentStatus, StoreError, StoredPayment, Transaction, Work, transact},
};

impl Payments {
    /// Has a payment assessed that was accepted, and moves the money or lets it fail. Says whether somebody else was quicker.
    pub(in crate::payments) async fn process(
        &self,
        actor: Actor,
        payment: StoredPayment,
        trace: Option<[u8; 16]>,
    ) -> Result<(StoredPayment, bool), PaymentError> {
        let verdict = assessed(self.risk.as_ref(), &assessment(&payment, trace)).await;
        self.settle(actor, payment.id().clone(), verdict).await
    }

    /// Moves the money of a payment that was assessed, or lets it fail. May be done again by whoever finds it unfinished; says
    /// whether somebody else was quicker.
    pub(in crate::payments) async fn settle(
        &self,
        actor: Actor,
        id: PaymentId,
        verdict: Result<(), Unapproved>,
    ) -> Result<(StoredPayment, bool), PaymentError> {
        let settle = Settle { actor, id, verdict, now: UnixMillis::now() };
        Ok(transact(&*self.store, settle).await??)
    }
}

/// What is asked about a payment.
pub(in crate::payments) fn assessment(payment: &StoredPayment, trace: Option<[u8; 16]>) -> Assessment {
    Assessment {
        payment: payment.id().0.clone(),
        from: payment.from.clone(),
        to: payment.to.clone(),
        amount: payment.payment.amount,
        trace,
    }
}

/// What the risk service says of a payment that is to be assessed; `None` where it is left alone for a while and nothing was
/// sent. A server that has none, and finds what another one left behind, approves nothing.
pub(in crate::payments) async fn asked(
    gate: Option<&RiskGate>,
    assessment: &Assessment,
) -> Option<Result<(), Unapproved>> {
    let Some(gate) = gate else {
        tracing::warn!("a payment is to be assessed, and this server knows no risk service");
        return Some(Err(Unapproved::unavailable()));
    };
    match gate.assessor.assess(assessment).await {
        Ok(Verdict::Approved) => Some(Ok(())),
        Ok(Verdict::Refused { reason }) => {
            Some(Err(Unapproved { refusal: Refusal::RiskRefused(reason), is_reserved: false }))
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a payment could not be assessed");
            match error {
                RiskError::Open => None,
                RiskError::Unavailable(_) | RiskError::Nonsense(_) => Some(Err(Unapproved::unavailable())),
            }
        }
    }
}

/// The same for whoever cannot wait: a service that is left alone approves nothing.
pub(in crate::payments) async fn assessed(
    gate: Option<&RiskGate>,
    assessment: &Assessment,
) -> Result<(), Unapproved> {
    asked(gate, assessment).await.unwrap_or_else(|| Err(Unapproved::unavailable()))
}

/// Why it is not approved, and whether exposure may be reserved all the same.
#[derive(Debug, Clone)]
pub(in crate::payments) struct Unapproved {
    pub(in crate::payments) refusal: Refusal,
    pub(in crate::payments) is_reserved: bool,
}

impl Unapproved {
    /// There is no verdict. Nobody knows what is reserved, also where nothing was sent now: a server that died may have asked
    /// before.
    const fn unavailable() -> Self {
        Self { refusal: Refusal::RiskUnavailable, is_reserved: true }
    }
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
