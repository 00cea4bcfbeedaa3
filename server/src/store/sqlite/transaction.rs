//! Work on money, run by the writer. It is the only one that writes, so nothing needs to be locked, and no work is ever
//! in another's way.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use rusqlite::Connection;

use super::{
    audit,
    failure::{closed, refused, unavailable},
    job::Records,
    known_policies::KnownPolicies,
    ledger, payments,
    seats::Seat,
    spending,
};
use crate::{
    clock::UnixMillis,
    money::Amount,
    store::{
        AccountState, AuditRecord, BatchId, Compensation, ErasedWork, Held, IdempotencyRecord, KeyId,
        NewPayment, NewTransfer, PaymentChange, PaymentId, PostedTransfer, StoreError, StoredPayment,
        Transaction, UserId,
    },
};

/// Runs work on the writer's connection, whose thread holds the seat already.
pub(super) fn run(
    seat: &Seat,
    known: &KnownPolicies,
    work: &Arc<dyn ErasedWork>,
    records: Records<'_>,
) -> Result<bool, StoreError> {
    let mut transaction = SqliteTransaction { seat: Arc::clone(seat), known, accounts: Vec::new(), records };
    // Every step is done when it returns, so the work never waits.
    let done = work.run(&mut transaction).now_or_never();
    done.unwrap_or_else(|| Err(refused("the work waited for something else than the database")))
}

struct SqliteTransaction<'a> {
    seat: Seat,
    known: &'a KnownPolicies,
    /// The accounts as they were read last. Nobody else writes in the meantime.
    accounts: Vec<AccountState>,
    records: Records<'a>,
}

impl SqliteTransaction<'_> {
    fn on<T>(&self, step: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let held = self.seat.lock();
        let connection = held.borrow();
        step(connection.as_ref().ok_or_else(closed)?)
    }
}

#[async_trait]
impl Transaction for SqliteTransaction<'_> {
    async fn user_named(&mut self, username: &str) -> Result<Option<UserId>, StoreError> {
        self.on(|connection| spending::user_named(connection, username))
    }

    async fn lock_accounts(&mut self, users: &[UserId]) -> Result<Vec<AccountState>, StoreError> {
        let mut users = users.to_vec();
        users.sort_unstable();
        users.dedup();
        let accounts: Vec<_> = self
            .on(|connection| users.into_iter().map(|user| spending::account(connection, user)).collect())?;
        self.accounts.clone_from(&accounts);
        Ok(accounts)
    }

    async fn hold(&mut self, users: &[UserId], key: &KeyId) -> Result<Held, StoreError> {
        let accounts = self.lock_accounts(users).await?;
        let found = self.on(|connection| {
            self.known.look(connection, key).map_err(unavailable("read a key and what it may pay"))
        })?;
        Ok((accounts, found.map(|found| (*found).clone())))
    }

    async fn lock_payment(&mut self, id: &PaymentId) -> Result<Option<StoredPayment>, StoreError> {
        self.on(|connection| payments::by_id(connection, id))
    }

    async fn lock_batch(&mut self, id: &BatchId) -> Result<Vec<StoredPayment>, StoreError> {
        self.on(|connection| payments::of_batch(connection, id))
    }

    async fn insert_payment(&mut self, payment: &NewPayment) -> Result<StoredPayment, StoreError> {
        let known = |user| self.accounts.iter().find(|account| account.user == user);
        let name = |connection: &Connection, user| match known(user) {
            Some(account) => Ok(account.username.clone()),
            None => spending::account(connection, user).map(|account| account.username),
        };
        self.on(|connection| {
            let names = (name(connection, payment.payer)?, name(connection, payment.payee)?);
            payments::insert(connection, payment, names)
        })
    }

    async fn change_payment(&mut self, change: &PaymentChange) -> Result<(), StoreError> {
        self.on(|connection| payments::change(connection, change))
    }

    async fn post(&mut self, transfer: &NewTransfer) -> Result<PostedTransfer, StoreError> {
        // What it does to them is not in what was read.
        let accounts = std::mem::take(&mut self.accounts);
        let known = |user| AccountState::on_one(&accounts, user);
        self.on(|connection| match (transfer.id, known(transfer.from), known(transfer.to)) {
            (None, Some(payer), Some(payee)) => ledger::post_between(connection, transfer, &payer, &payee),
            _ => ledger::post(connection, transfer),
        })
    }

    async fn similar_payment(
        &mut self,
        payer: UserId,
        payee: UserId,
        amount: Amount,
        since: UnixMillis,
    ) -> Result<Option<PaymentId>, StoreError> {
        self.on(|connection| payments::similar(connection, payer, payee, amount, since))
    }

    async fn idempotency_record(
        &mut self,
        user: UserId,
        tool: &str,
        key: &str,
        now: UnixMillis,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        self.on(|connection| spending::idempotency_record(connection, user, tool, key, now))
    }

    async fn put_idempotency_record(
        &mut self,
        record: &IdempotencyRecord,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.on(|connection| spending::put_idempotency_record(connection, record, now))
    }

    async fn spent(&mut self, lineage: &KeyId, since: UnixMillis) -> Result<i64, StoreError> {
        self.on(|connection| spending::spent(connection, lineage, since))
    }

    async fn spend(&mut self, lineage: &KeyId, at: UnixMillis, minor: i64) -> Result<(), StoreError> {
        self.on(|connection| spending::spend(connection, lineage, at, minor))
    }

    async fn compensate(&mut self, compensation: &Compensation) -> Result<(), StoreError> {
        self.on(|connection| spending::compensate(connection, compensation))
    }

    async fn append_audit(&mut self, record: &AuditRecord) -> Result<(), StoreError> {
        match &mut self.records {
            Some(records) => {
                records.push(record.clone());
                Ok(())
            }
            None => self.on(|connection| audit::append(connection, &[record])),
        }
    }
}
