//! Preparing a payment: checked, its amount set aside, and nothing moved.

use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::{
    PaymentError, Payments, Refusal,
    desk::Actor,
    handle,
    terms::{Wish, agree, similar_since},
};
use crate::{
    clock::UnixMillis,
    store::{
        Ending, IdempotencyRecord, KeyId, NewPayment, PaymentId, PaymentStatus, StoreError, StoredPayment,
        Transaction, Work, transact,
    },
};

/// How long a payment waits for its confirmation, and an idempotency key is kept.
pub(super) const KEPT: Duration = Duration::from_hours(24);

/// The tool whose idempotency keys these are.
const TOOL: &str = "createPayment";

/// Longest idempotency key, in characters.
const KEY_MAX: usize = 128;

/// A payment, as it was asked for.
#[derive(Debug, Clone)]
pub struct PaymentOrder {
    /// The payee's name.
    pub to: String,
    /// The amount in major units, as it was written.
    pub amount: String,
    /// The currency's code, where it was named.
    pub currency: Option<String>,
    /// What the payer wrote.
    pub memo: Option<String>,
    /// The caller's own name for it, by which a repetition is recognised.
    pub idempotency_key: Option<String>,
}

/// A payment and whether it was there before.
pub(super) type Made = Result<(StoredPayment, bool), Refusal>;

impl Payments {
    /// Prepares a payment; with an idempotency key that was used before, returns what came of it then, and `true`.
    ///
    /// # Errors
    /// [`Refusal`], with nothing kept; the store's.
    pub async fn create(
        &self,
        actor: Actor,
        key: KeyId,
        order: PaymentOrder,
    ) -> Result<(StoredPayment, bool), PaymentError> {
        if let Some(key) = &order.idempotency_key {
            check_key(key)?;
        }
        let now = UnixMillis::now();
        let is_named = order.idempotency_key.is_some();
        let work = Create { actor, key, order, id: handle::payment(now)?, now };
        Ok(self.named(is_named, work).await??)
    }

    /// Does what may be named by an idempotency key. Its record is looked for before its turn has come, so what it is refused
    /// for may be what it came to itself: a repetition that was sent before the first call had ended. So then it is done once
    /// more, and finds that.
    pub(super) async fn named<T, W>(&self, is_named: bool, work: W) -> Result<Result<T, Refusal>, StoreError>
    where
        W: Work<Output = Result<T, Refusal>> + Clone,
    {
        if !is_named {
            return transact(&*self.store, work).await;
        }
        match transact(&*self.store, work.clone()).await? {
            Err(_) => transact(&*self.store, work).await,
            outcome => Ok(outcome),
        }
    }
}

/// Whether a text can be an idempotency key: visible ASCII, of bounded length.
pub(super) fn check_key(key: &str) -> Result<(), Refusal> {
    if !key.is_empty() && key.len() <= KEY_MAX && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let text = format!("`idempotencyKey` must be 1 to {KEY_MAX} visible ASCII characters. Use a fresh UUID.");
    Err(Refusal::InvalidArgument(text))
}

/// SHA-256 over parts, each after its length.
pub(super) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[derive(Clone)]
struct Create {
    actor: Actor,
    key: KeyId,
    order: PaymentOrder,
    id: PaymentId,
    now: UnixMillis,
}

impl Create {
    fn fingerprint(&self) -> [u8; 32] {
        let order = &self.order;
        let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
        fingerprint(
            [&order.to, &order.amount, &or_none(&order.currency), &or_none(&order.memo)].map(String::as_str),
        )
    }

    /// What came of it before, where it was asked for before.
    async fn before(&self, transaction: &mut dyn Transaction) -> Result<Option<Made>, StoreError> {
        let Some(key) = &self.order.idempotency_key else { return Ok(None) };
        let known = transaction.idempotency_record(self.actor.user, TOOL, key, self.now).await?;
        let Some(known) = known else { return Ok(None) };
        if known.fingerprint != self.fingerprint() {
            return Ok(Some(Err(Refusal::KeyReused)));
        }
        let first = transaction.lock_payment(&PaymentId(known.handle)).await?;
        let first = first.ok_or_else(|| StoreError::Corrupt("a key names no payment".to_owned()))?;
        Ok(Some(Ok((first, true))))
    }
}

#[async_trait]
impl Work for Create {
    type Output = Made;

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<Made>, StoreError> {
        if let Some(before) = self.before(transaction).await? {
            return Ok(Ending::Undo(before));
        }
        let wish = Wish {
            to: self.order.to.clone(),
            amount: self.order.amount.clone(),
            currency: self.order.currency.clone(),
            memo: self.order.memo.clone(),
        };
        let terms = match agree(transaction, &wish, self.actor.user, &self.key, self.now).await? {
            Ok(terms) => terms,
            Err(refusal) => return Ok(Ending::Undo(Err(refusal))),
        };
        let payment = NewPayment {
            id: self.id.clone(),
            step: None,
            payer: self.actor.user,
            payee: terms.payee,
            key: self.key.clone(),
            lineage: terms.lineage.clone(),
            amount: terms.amount,
            memo: terms.memo,
            status: PaymentStatus::RequiresConfirmation,
            created_at: self.now,
            expires_at: self.now.plus(KEPT),
            duplicate_of: None,
            idempotency_key: self.order.idempotency_key.clone(),
            failure: None,
        };
        let made = transaction.insert_beside_similar(payment, similar_since(self.now)).await?;
        transaction.spend(&terms.lineage, self.now, terms.amount.minor()).await?;
        if let Some(key) = &self.order.idempotency_key {
            let record = IdempotencyRecord {
                user: self.actor.user,
                tool: TOOL.to_owned(),
                key: key.clone(),
                fingerprint: self.fingerprint(),
                handle: self.id.0.clone(),
                expires_at: self.now.plus(KEPT),
            };
            transaction.put_idempotency_record(&record, self.now).await?;
        }
        transaction.append_audit(&self.actor.record).await?;
        Ok(Ending::Keep(Ok((made, false))))
    }
}
