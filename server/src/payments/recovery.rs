//! What must happen although nobody asks for it: payments that nobody confirmed expire, payments whose server died while
//! they were processed are finished, and exposure that is not needed is given back.
//!
//! Every server on a store may do all of it at any time: each step is taken once, by whoever comes first.

use std::time::Duration;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use shared::mcp::ProtocolVersion;

use super::{
    Batch, PaymentError, Payments,
    confirming::{asked, assessment},
    desk::Actor,
    execution::step,
};
use crate::{
    clock::UnixMillis,
    risk::{Assessment, RiskError},
    store::{
        AuditRecord, Ending, Outcome, PaymentId, PaymentStatus, StoreError, StoredPayment, Transaction, Work,
        transact,
    },
};

/// How much of a kind one sweep does.
const PORTION: u32 = 100;

/// After how long a payment that is being processed was left behind: longer than whoever processes it may take.
const STALLED_AFTER: Duration = Duration::from_secs(60);

/// How long giving back waits after it failed; doubled each time, up to an hour.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// How many payments expired.
    pub expired: u32,
    /// How many payments that were left behind were finished.
    pub resumed: u32,
    /// How many reservations were given back.
    pub released: u32,
    /// Whether there may be more that can be done at once.
    pub has_more: bool,
}

impl Payments {
    /// Does what is due by `now`: a portion of each kind, so that none of them waits for however much there is of the others.
    /// One payment whose turn fails does not keep the others from theirs; it is tried again with the next sweep.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the store does not say what is due.
    pub async fn sweep(&self, now: UnixMillis) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        self.expire(now, &mut swept).await?;
        self.finish(now, &mut swept).await?;
        self.give_back(now, &mut swept).await?;
        Ok(swept)
    }

    async fn expire(&self, now: UnixMillis, swept: &mut Swept) -> Result<(), StoreError> {
        let overdue = self.store.overdue_payments(now, PORTION).await?;
        for id in &overdue {
            match transact(&*self.store, Expire { id: id.clone(), now }).await {
                Ok(is_done) => swept.expired = swept.expired.saturating_add(u32::from(is_done)),
                Err(error) => left(id, &error),
            }
        }
        swept.has_more |= is_full(overdue.len()) && swept.expired > 0;
        Ok(())
    }

    async fn finish(&self, now: UnixMillis, swept: &mut Swept) -> Result<(), StoreError> {
        let since = now.as_millis().saturating_sub(i64::try_from(STALLED_AFTER.as_millis()).unwrap_or(0));
        let stalled = self.store.stalled_payments(UnixMillis::from_millis(since), now, PORTION).await?;
        let (found, mut over) = (stalled.len(), 0_u32);
        for payment in stalled {
            let id = payment.id().clone();
            match self.resume(payment).await {
                Ok(true) => swept.resumed = swept.resumed.saturating_add(1),
                // So do the others, until the risk service is asked again.
                Ok(false) => return Ok(()),
                Err(PaymentError::Store(error)) => {
                    left(&id, &error);
                    continue;
                }
                // It has failed, and is over as well.
                Err(PaymentError::Refused(refusal)) => {
                    tracing::info!(%refusal, "a payment that was left behind could not be finished");
                }
            }
            over = over.saturating_add(1);
        }
        swept.has_more |= is_full(found) && over > 0;
        Ok(())
    }

    /// Finishes a payment, or the batch that it is of. Says whether it is over: where the risk service is left alone it waits on,
    /// as nobody waits for it.
    async fn resume(&self, payment: StoredPayment) -> Result<bool, PaymentError> {
        let record = record("the server", "server: resumed", &payment)?;
        let actor = Actor { user: payment.payment.payer, key: None, record };
        let Some(place) = payment.payment.step.clone() else {
            let verdict = asked(self.risk.as_ref(), &assessment(&payment, None)).await;
            let Some(verdict) = verdict else { return Ok(false) };
            return self.settle(actor, payment.id().clone(), verdict).await.map(|_| true);
        };
        let payments = self.store.batch(&place.batch).await?;
        // The first of them that is found finishes all.
        if payments.iter().all(|payment| payment.status() != PaymentStatus::Processing) {
            return Ok(true);
        }
        let batch = Batch { id: place.batch, payments, is_replayed: false };
        let Some(assessment) = batch.assessment(None) else { return Ok(true) };
        let Some(verdict) = asked(self.risk.as_ref(), &assessment).await else { return Ok(false) };
        self.settle_batch(actor, batch.id, verdict).await.map(|_| true)
    }

    async fn give_back(&self, now: UnixMillis, swept: &mut Swept) -> Result<(), StoreError> {
        let Some(gate) = &self.risk else { return Ok(()) };
        let owed = self.store.due_compensations(now, PORTION).await?;
        let found = owed.len();
        for due in owed {
            let assessment = Assessment {
                payment: due.handle.clone(),
                from: due.from,
                to: due.to,
                amount: due.amount,
                trace: None,
            };
            let retry_at = match gate.assessor.release(&assessment).await {
                Ok(()) => None,
                // Nobody was asked, so that it counts as no attempt. Nor would anybody be about the others.
                Err(RiskError::Open) => return Ok(()),
                Err(error @ (RiskError::Unavailable(_) | RiskError::Nonsense(_))) => {
                    tracing::debug!(%error, attempts = due.attempts, "exposure was not given back yet");
                    let wait = RETRY_AFTER.saturating_mul(2_u32.saturating_pow(due.attempts.min(10)));
                    Some(now.plus(wait.min(Duration::from_hours(1))))
                }
            };
            match self.store.settle_compensation(&due.handle, retry_at).await {
                Ok(()) => swept.released = swept.released.saturating_add(u32::from(retry_at.is_none())),
                Err(error) => left(&PaymentId(due.handle), &error),
            }
        }
        swept.has_more |= is_full(found) && swept.released > 0;
        Ok(())
    }
}

/// Whether a portion was as large as one may be: then there may be more.
fn is_full(found: usize) -> bool {
    u32::try_from(found).is_ok_and(|found| found >= PORTION)
}

fn left(payment: &PaymentId, error: &StoreError) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(%payment, error, "what is due of a payment could not be done, and is left for the next sweep");
}

/// What the audit trail is told of something that was done with a payment other than by a tool.
///
/// # Errors
/// [`StoreError::Unavailable`] where there is no randomness for a request id.
pub fn record(who: &str, what: &str, payment: &StoredPayment) -> Result<AuditRecord, StoreError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| StoreError::Unavailable {
        reason: "there is no randomness for a request id".to_owned(),
        source: None,
    })?;
    Ok(AuditRecord {
        at: UnixMillis::now(),
        request_id: HEXLOWER.encode(&id).into(),
        user: payment.payment.payer,
        username: payment.from.clone(),
        key: payment.payment.key.clone(),
        session: None,
        protocol: ProtocolVersion::LATEST,
        client: who.into(),
        tool: what.to_owned().into(),
        arguments_digest: Sha256::digest(payment.id().0.as_bytes()).into(),
        rule: "operator".into(),
        outcome: Outcome::Ok,
        duration_us: 0,
        trace: None,
    })
}

struct Expire {
    id: PaymentId,
    now: UnixMillis,
}

#[async_trait]
impl Work for Expire {
    type Output = bool;

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<bool>, StoreError> {
        match transaction.lock_payment(&self.id).await? {
            Some(payment) if payment.status().is_undecided() && payment.payment.expires_at <= self.now => {
                step(transaction, &payment, PaymentStatus::Expired, self.now, None).await?;
                Ok(Ending::Keep(true))
            }
            Some(_) | None => Ok(Ending::Undo(false)),
        }
    }
}
