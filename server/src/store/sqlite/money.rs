//! Payments and the ledger in SQLite: each piece of work is a part of a group that the writer commits, and what is read counts
//! when the disk has confirmed it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use async_trait::async_trait;
use rusqlite::Connection;

use super::{
    SqliteStore, claims,
    failure::{closed, refused, unavailable},
    job::{Durability, Records, awaited},
    known_money::Known,
    ledger, monthly, payments, spending, transaction,
};
use crate::{
    clock::UnixMillis,
    store::{
        AccountBalance, BatchId, Compensation, ErasedWork, IdempotencyClaim, KeyId, LedgerStore, Month,
        MonthlyTransfers, NewTransfer, PaymentFilter, PaymentId, PaymentPolicy, PaymentStore, PostedTransfer,
        StoreError, StoredPayment, UserId,
    },
};

#[async_trait]
impl PaymentStore for SqliteStore {
    async fn run(&self, work: Arc<dyn ErasedWork>) -> Result<(), StoreError> {
        let (seat, known) = (Arc::clone(&self.writing), Arc::clone(&self.known_policies));
        let work =
            move |_: &Connection, records: Records<'_>| transaction::run(&seat, &known, &work, records);
        let (job, answered) = awaited(Durability::Power, |is_kept| *is_kept, work);
        self.queue.push(job).await?;
        let done = answered.await.unwrap_or_else(|_| Err(refused("the writer stopped before it answered")));
        done.map(|_| ())
    }

    async fn payment(&self, id: &PaymentId) -> Result<Option<StoredPayment>, StoreError> {
        self.read_confirmed(|connection| payments::by_id(connection, id)).await?
    }

    async fn payments(&self, filter: PaymentFilter, limit: u32) -> Result<Vec<StoredPayment>, StoreError> {
        self.read_confirmed(|connection| payments::page(connection, &filter, limit))
            .await?
            .map_err(unavailable("read payments"))
    }

    async fn batch(&self, id: &BatchId) -> Result<Vec<StoredPayment>, StoreError> {
        self.read_confirmed(|connection| payments::of_batch(connection, id)).await?
    }

    async fn overdue_payments(&self, now: UnixMillis, limit: u32) -> Result<Vec<PaymentId>, StoreError> {
        self.read_confirmed(|connection| payments::overdue(connection, now, limit))
            .await?
            .map_err(unavailable("read overdue payments"))
    }

    async fn stalled_payments(
        &self,
        since: UnixMillis,
        _now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<StoredPayment>, StoreError> {
        self.read_confirmed(|connection| payments::stalled(connection, since, limit))
            .await?
            .map_err(unavailable("read stalled payments"))
    }

    async fn due_compensations(&self, now: UnixMillis, limit: u32) -> Result<Vec<Compensation>, StoreError> {
        self.read_confirmed(|connection| spending::due_compensations(connection, now, limit))
            .await?
            .map_err(unavailable("read compensations"))
    }

    async fn settle_compensation(
        &self,
        handle: &str,
        retry_at: Option<UnixMillis>,
    ) -> Result<(), StoreError> {
        let (handle, now) = (handle.to_owned(), UnixMillis::now());
        let settle =
            move |connection: &Connection| spending::settle_compensation(connection, &handle, now, retry_at);
        self.write(Durability::Power, settle).await
    }

    async fn claim_idempotency_key(
        &self,
        claim: &IdempotencyClaim,
        until: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let claim = claim.clone();
        let take = move |connection: &Connection| claims::take(connection, &claim, until, now);
        self.write(Durability::Process, take).await
    }

    async fn release_idempotency_key(&self, claim: &IdempotencyClaim) -> Result<(), StoreError> {
        let claim = claim.clone();
        self.write(Durability::Process, move |connection| claims::release(connection, &claim)).await
    }

    async fn policy(&self, key: &KeyId) -> Result<PaymentPolicy, StoreError> {
        self.read(|connection| match spending::lineage(connection, key)? {
            Some(lineage) => spending::policy(connection, &lineage),
            None => Ok(PaymentPolicy::default()),
        })?
    }
}

impl SqliteStore {
    /// Money as it is known, or else as it is read, and known from then on.
    async fn known<T: Clone>(
        &self,
        find: impl Fn(&Known) -> Option<T>,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
        keep: impl FnOnce(&mut Known, T),
    ) -> Result<T, StoreError> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        if let Some(found) = self.known_money.find(Instant::now(), &find) {
            return Ok(found);
        }
        let look = self.known_money.look();
        let newest = self.read(ledger::newest)?.map_err(unavailable("read the newest transfer"))?;
        let look = self.known_money.confirm(look, newest);
        if let Some(found) = self.known_money.find(Instant::now(), find) {
            return Ok(found);
        }
        let found = self.read_confirmed(read).await??;
        self.known_money.remember(look, |known| keep(known, found.clone()));
        Ok(found)
    }
}

#[async_trait]
impl LedgerStore for SqliteStore {
    async fn post(&self, transfer: NewTransfer) -> Result<PostedTransfer, StoreError> {
        self.write(Durability::Power, move |connection| ledger::post(connection, &transfer)).await
    }

    async fn balance(&self, user: UserId) -> Result<AccountBalance, StoreError> {
        let read = |connection: &Connection| ledger::balance(connection, &self.known_accounts, user);
        self.known(|known| known.balance(user), read, |known, balance| known.keep_balance(user, balance))
            .await
    }

    async fn month(&self, user: UserId, month: Month, limit: u32) -> Result<MonthlyTransfers, StoreError> {
        self.read_confirmed(|connection| {
            monthly::transfers(connection, &self.known_accounts, user, month, limit)
        })
        .await?
    }

    async fn months(&self, user: UserId) -> Result<Vec<Month>, StoreError> {
        self.read_confirmed(|connection| monthly::months(connection, user))
            .await?
            .map_err(unavailable("read the months"))
    }

    async fn peers(&self, user: UserId) -> Result<Vec<String>, StoreError> {
        self.read_confirmed(|connection| monthly::peers(connection, user))
            .await?
            .map_err(unavailable("read the peers"))
    }

    async fn transfers(&self, user: UserId, limit: u32) -> Result<Vec<PostedTransfer>, StoreError> {
        self.read_confirmed(|connection| ledger::transfers(connection, &self.known_accounts, user, limit))
            .await?
            .map_err(unavailable("read transfers"))
    }

    async fn latest_transfers(&self, user: UserId, limit: u32) -> Result<Vec<PostedTransfer>, StoreError> {
        let read = |connection: &Connection| {
            ledger::latest(connection, &self.known_accounts, user, limit)
                .map_err(unavailable("read transfers"))
        };
        let keep = |known: &mut Known, latest| known.keep_latest(user, limit, latest);
        self.known(|known| known.latest(user, limit), read, keep).await
    }
}
