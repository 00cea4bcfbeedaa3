//! Taking a payment back before anything moved.

use async_trait::async_trait;

use super::{PaymentError, Payments, Refusal, desk::Actor, desk::not_found, execution::step};
use crate::{
    clock::UnixMillis,
    identity::Permission,
    store::{
        BatchId, Ending, PaymentId, PaymentStatus, StoreError, StoredPayment, Transaction, Work, transact,
    },
};

impl Payments {
    /// Cancels a payment of the actor's that is still undecided, and with it the batch that it is part of, of which all is
    /// paid or nothing; cancelling twice is cancelling once, and then returns `true`.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Expired`], [`Refusal::InvalidState`] where it is too late; the store's.
    pub async fn cancel(&self, actor: Actor, id: &PaymentId) -> Result<(StoredPayment, bool), PaymentError> {
        let place = self.store.payment(id).await?.and_then(|payment| payment.payment.step);
        let batch = place.map(|place| place.batch);
        let work = Cancel { actor, id: id.clone(), batch, now: UnixMillis::now() };
        Ok(transact(&*self.store, work).await??)
    }
}

struct Cancel {
    actor: Actor,
    id: PaymentId,
    /// The batch that it is part of.
    batch: Option<BatchId>,
    now: UnixMillis,
}

#[async_trait]
impl Work for Cancel {
    type Output = Result<(StoredPayment, bool), Refusal>;

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<Self::Output>, StoreError> {
        let payments = match &self.batch {
            // In its order, so that no two who cancel it wait for each other.
            Some(batch) => transaction.lock_batch(batch).await?,
            None => transaction.lock_payment(&self.id).await?.into_iter().collect(),
        };
        let own = payments.iter().find(|payment| payment.id() == &self.id);
        let Some(payment) = own.filter(|payment| payment.payment.payer == self.actor.user) else {
            return Ok(Ending::Undo(Err(not_found(&self.id))));
        };
        let refused =
            |text: &str| Ok(Ending::Undo(Err(Refusal::InvalidState(format!("the payment {text}")))));
        match payment.status() {
            PaymentStatus::RequiresConfirmation | PaymentStatus::RequiresAction => {}
            PaymentStatus::Canceled => return Ok(Ending::Undo(Ok((payment.clone(), true)))),
            PaymentStatus::Expired => return Ok(Ending::Undo(Err(Refusal::Expired(self.id.0.clone())))),
            PaymentStatus::Processing => {
                return refused("is being executed and cannot be canceled. Look at it with getPayment.");
            }
            PaymentStatus::Succeeded | PaymentStatus::Refunded | PaymentStatus::PartiallyRefunded => {
                return refused(
                    "is paid and cannot be canceled. The payee can refund it with refundPayment.",
                );
            }
            PaymentStatus::Declined | PaymentStatus::Failed => {
                return refused("has ended already, and nothing was paid.");
            }
        }
        let users = [self.actor.user];
        if let Err(refusal) = self.actor.may(Permission::PaymentsWrite, &users, transaction, self.now).await?
        {
            return Ok(Ending::Undo(Err(refusal)));
        }
        let canceled = step(transaction, payment, PaymentStatus::Canceled, self.now, None).await?;
        let beside = payments.iter().filter(|other| other.id() != &self.id && other.status().is_undecided());
        for other in beside {
            step(transaction, other, PaymentStatus::Canceled, self.now, None).await?;
        }
        transaction.append_audit(&self.actor.record).await?;
        Ok(Ending::Keep(Ok((canceled, false))))
    }
}
