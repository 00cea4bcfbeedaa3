//! Where payments are made: what they need, and on whose behalf.

use std::{fmt, sync::Arc};

use super::{PaymentError, Refusal};
use crate::{
    clock::UnixMillis,
    identity::{Permission, PermissionSet},
    money::Amount,
    risk::{self, RiskAssessor, RiskSettings, RiskSettingsError, Threshold},
    store::{
        AccountState, AuditRecord, KeyId, Outcome, PaymentFilter, PaymentId, PaymentPolicy, Store,
        StoreError, StoredPayment, Transaction, UserId,
    },
};

/// Who is asked before much money moves.
#[derive(Debug, Clone)]
pub struct RiskGate {
    /// Who is asked.
    pub assessor: Arc<dyn RiskAssessor>,
    /// From which amount on.
    pub threshold: Threshold,
}

impl RiskGate {
    /// The risk service behind these settings, if there are any. Nothing is sent yet.
    ///
    /// # Errors
    /// [`RiskSettingsError`].
    pub fn open(settings: Option<&RiskSettings>) -> Result<Option<Self>, RiskSettingsError> {
        let Some(settings) = settings else { return Ok(None) };
        Ok(Some(Self { assessor: risk::assessor(settings)?, threshold: settings.threshold }))
    }
}

/// Payments of one store. Clones share it.
#[derive(Clone)]
pub struct Payments {
    pub(super) store: Arc<dyn Store>,
    pub(super) risk: Option<RiskGate>,
}

/// Who does something, and what the audit trail is told when it is done: the record is committed with the effect.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Whose account it is.
    pub user: UserId,
    /// With which key; `None` for an operator on the command line.
    pub key: Option<KeyId>,
    /// The record, as it stands if it succeeds.
    pub record: AuditRecord,
}

impl Actor {
    /// Holds the accounts of these users, its own among them, and its key. Whether the key lives and may do this: it may have
    /// ended or been narrowed since the request was let in. Then the accounts, and what the key may pay; `None` where there is
    /// no key.
    pub(super) async fn may(
        &self,
        permission: Permission,
        users: &[UserId],
        transaction: &mut dyn Transaction,
        now: UnixMillis,
    ) -> Result<Result<(Vec<AccountState>, Option<PaymentPolicy>), Refusal>, StoreError> {
        let Some(id) = &self.key else { return Ok(Ok((transaction.lock_accounts(users).await?, None))) };
        let (accounts, found) = transaction.hold(users, id).await?;
        let living = found.filter(|(key, _)| key.ended(now).is_none());
        Ok(match living {
            Some((key, policy)) if PermissionSet::from_bits(key.permissions).contains(permission) => {
                Ok((accounts, Some(policy)))
            }
            Some(_) => {
                Err(Refusal::PermissionDenied(format!("the key does not have {permission} any more.")))
            }
            None => Err(Refusal::PermissionDenied("the key has ended. Use another key.".to_owned())),
        })
    }
}

impl Actor {
    /// Records that what it did came to nothing, where nobody else does: a tool's call is recorded by the engine, however it
    /// ends.
    pub(super) async fn note_failure(&self, transaction: &mut dyn Transaction) -> Result<(), StoreError> {
        if self.key.is_some() {
            return Ok(());
        }
        let record = AuditRecord { outcome: Outcome::ToolError, ..self.record.clone() };
        transaction.append_audit(&record).await
    }
}

impl fmt::Debug for Payments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payments").field("risk", &self.risk).finish_non_exhaustive()
    }
}

impl Payments {
    /// Payments that `store` keeps. Without a gate nobody is asked about risk.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, risk: Option<RiskGate>) -> Self {
        Self { store, risk }
    }

    /// The payment with this handle, if the user may see it. Another's is not found, like one that never was.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]; the store's.
    pub async fn find(&self, user: UserId, id: &PaymentId) -> Result<StoredPayment, PaymentError> {
        let found = self.store.payment(id).await?.filter(|payment| payment.is_visible_to(user));
        found.ok_or_else(|| not_found(id).into())
    }

    /// The newest payments that the user may see.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list(
        &self,
        user: UserId,
        filter: PaymentFilter,
        limit: u32,
    ) -> Result<Vec<StoredPayment>, StoreError> {
        let filter = PaymentFilter { visible_to: Some(user), ..filter };
        self.store.payments(filter, limit).await
    }

    /// What a key may pay.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn policy(&self, key: &KeyId) -> Result<PaymentPolicy, StoreError> {
        self.store.policy(key).await
    }

    pub(super) fn must_assess(&self, amount: Amount) -> bool {
        self.risk.as_ref().is_some_and(|gate| gate.threshold.should_assess(amount))
    }
}

pub(super) fn not_found(id: &PaymentId) -> Refusal {
    Refusal::NotFound(format!(
        "there is no payment {id} of this user. Use a paymentId that createPayment or listPayments returned."
    ))
}
