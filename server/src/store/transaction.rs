//! Work on money in one transaction: written once, by whoever knows the rules, for every engine.
//!
//! A [`Work`] reads and writes through a [`Transaction`] and says at the end whether what it did is to be kept. It may
//! be run more than once, when work of others was in its way, so it keeps nothing outside the transaction. It takes
//! what it needs in this order, so that two pieces of work never wait for each other: payments, then accounts, then
//! keys.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{
    AccountState, AuditRecord, BatchId, Compensation, IdempotencyRecord, KeyId, NewPayment, NewTransfer,
    PaymentChange, PaymentId, PaymentPolicy, PostedTransfer, Store, StoreError, StoredKey, StoredPayment,
    UserId,
};
use crate::{clock::UnixMillis, money::Amount};

/// Accounts, and a key and what it may pay.
pub type Held = (Vec<AccountState>, Option<(StoredKey, PaymentPolicy)>);

/// One transaction, while it runs.
#[async_trait]
pub trait Transaction: Send {
    /// The number of the user of this name.
    async fn user_named(&mut self, username: &str) -> Result<Option<UserId>, StoreError>;

    /// The accounts of these users, in the order of their numbers; nobody else changes them until the end.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`].
    async fn lock_accounts(&mut self, users: &[UserId]) -> Result<Vec<AccountState>, StoreError>;

    /// The same, and then the key of this id and what it may pay. There is no way to a key alone, and its own user is to be
    /// among the users: those who work with one key take turns on that account. If they held the key beside each other, there
    /// might always be one who does, and nobody could revoke it.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`].
    async fn hold(&mut self, users: &[UserId], key: &KeyId) -> Result<Held, StoreError>;

    /// Whoever has this name, if somebody has; their account and that of `payer`; and the key of this id with what it may
    /// pay.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`] of the payer's.
    async fn hold_with_named(
        &mut self,
        payer: UserId,
        name: &str,
        key: &KeyId,
    ) -> Result<(Option<UserId>, Held), StoreError> {
        let named = self.user_named(name).await?;
        let users: Vec<_> = [Some(payer), named].into_iter().flatten().collect();
        Ok((named, self.hold(&users, key).await?))
    }

    /// The payment with this handle; nobody else changes it until the end.
    async fn lock_payment(&mut self, id: &PaymentId) -> Result<Option<StoredPayment>, StoreError>;

    /// The payments of a batch, in its order; nobody else changes them until the end.
    async fn lock_batch(&mut self, id: &BatchId) -> Result<Vec<StoredPayment>, StoreError>;

    /// Keeps a new payment. While it is open its amount is set aside on the payer's account.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the handle is another's.
    async fn insert_payment(&mut self, payment: &NewPayment) -> Result<StoredPayment, StoreError>;

    /// Keeps a new payment, as a possible duplicate of what [`Transaction::similar_payment`] finds.
    ///
    /// # Errors
    /// As [`Transaction::insert_payment`].
    async fn insert_beside_similar(
        &mut self,
        payment: NewPayment,
        since: UnixMillis,
    ) -> Result<StoredPayment, StoreError> {
        let (payer, payee, amount) = (payment.payer, payment.payee, payment.amount);
        let duplicate_of = self.similar_payment(payer, payee, amount, since).await?;
        self.insert_payment(&NewPayment { duplicate_of, ..payment }).await
    }

    /// Moves a payment on.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when there is no such step from where it is.
    async fn change_payment(&mut self, change: &PaymentChange) -> Result<(), StoreError>;

    /// Posts a transfer, as [`super::LedgerStore::post`].
    async fn post(&mut self, transfer: &NewTransfer) -> Result<PostedTransfer, StoreError>;

    /// Posts a new transfer and moves the payment on that it pays, with the transfer as what moved the money.
    ///
    /// # Errors
    /// Those of both.
    async fn pay(
        &mut self,
        transfer: &NewTransfer,
        change: PaymentChange,
    ) -> Result<PostedTransfer, StoreError> {
        let posted = self.post(transfer).await?;
        self.change_payment(&PaymentChange { transfer: Some(posted.id), ..change }).await?;
        Ok(posted)
    }

    /// The newest payment from `payer` to `payee` over `amount` that was made since then and is open or paid.
    async fn similar_payment(
        &mut self,
        payer: UserId,
        payee: UserId,
        amount: Amount,
        since: UnixMillis,
    ) -> Result<Option<PaymentId>, StoreError>;

    /// What was named so before, unless that is too long ago.
    async fn idempotency_record(
        &mut self,
        user: UserId,
        tool: &str,
        key: &str,
        now: UnixMillis,
    ) -> Result<Option<IdempotencyRecord>, StoreError>;

    /// Keeps what was named so. What has expired by `now` is forgotten.
    ///
    /// # Errors
    /// Where another did so at this moment, the engine runs the work again.
    async fn put_idempotency_record(
        &mut self,
        record: &IdempotencyRecord,
        now: UnixMillis,
    ) -> Result<(), StoreError>;

    /// How much the keys of this line have spent or set aside since then, in minor units; whole minutes are counted.
    async fn spent(&mut self, lineage: &KeyId, since: UnixMillis) -> Result<i64, StoreError>;

    /// Adds to what the keys of this line have spent at that time; less than zero takes it back.
    async fn spend(&mut self, lineage: &KeyId, at: UnixMillis, minor: i64) -> Result<(), StoreError>;

    /// Keeps that exposure is to be given back.
    async fn compensate(&mut self, compensation: &Compensation) -> Result<(), StoreError>;

    /// Appends to the audit trail: the record is there if and only if the rest is.
    async fn append_audit(&mut self, record: &AuditRecord) -> Result<(), StoreError>;
}

/// What becomes of what a work did. Both hand on what it came to.
#[derive(Debug)]
pub enum Ending<T> {
    /// It is committed.
    Keep(T),
    /// It is undone.
    Undo(T),
}

/// Something to do in one transaction.
#[async_trait]
pub trait Work: Send + Sync + 'static {
    /// What it comes to.
    type Output: Send + 'static;

    /// Does it. May be called again after it ended in any way.
    ///
    /// # Errors
    /// Whatever the transaction returns; then nothing is kept.
    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<Self::Output>, StoreError>;
}

/// [`Work`] whose output is not known here.
#[async_trait]
pub trait ErasedWork: Send + Sync {
    /// Does it; says whether what it did is to be kept.
    ///
    /// # Errors
    /// As [`Work::run`].
    async fn run(&self, transaction: &mut dyn Transaction) -> Result<bool, StoreError>;
}

impl std::fmt::Debug for dyn ErasedWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

struct Erased<W: Work> {
    work: W,
    output: Mutex<Option<W::Output>>,
}

#[async_trait]
impl<W: Work> ErasedWork for Erased<W> {
    async fn run(&self, transaction: &mut dyn Transaction) -> Result<bool, StoreError> {
        let (is_kept, output) = match self.work.run(transaction).await? {
            Ending::Keep(output) => (true, output),
            Ending::Undo(output) => (false, output),
        };
        *self.output.lock() = Some(output);
        Ok(is_kept)
    }
}

/// Runs work in one transaction of `store`, and returns what it came to.
///
/// # Errors
/// As [`super::PaymentStore::run`].
pub async fn transact<W: Work>(store: &dyn Store, work: W) -> Result<W::Output, StoreError> {
    let work = Arc::new(Erased { work, output: Mutex::new(None) });
    store.run(Arc::<Erased<W>>::clone(&work)).await?;
    let output = work.output.lock().take();
    output.ok_or_else(|| StoreError::Unavailable {
        reason: "the transaction ended without its work".to_owned(),
        source: None,
    })
}
