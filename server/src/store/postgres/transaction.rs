//! Work on money. It runs at READ COMMITTED and locks what it decides on before it reads it, payments first and then
//! accounts by their numbers: so every decision rests on what is there, and two pieces of work wait for each other in one
//! direction only. What the locks do not cover, such as an idempotency key that two bring at once, a unique index refuses,
//! and the work is begun again.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::{Pool, Transaction as EngineTransaction};

use super::{
    PostgresStore,
    attempts::Attempts,
    audit,
    connections::{free, in_time, let_go},
    failure::{Failure, refused},
    keys, ledger, payments,
    rows::{Parameters, one_after_the_other},
    spending,
};
use crate::{
    clock::UnixMillis,
    money::Amount,
    store::{
        AccountState, AuditRecord, BatchId, Compensation, ErasedWork, IdempotencyRecord, KeyId, NewPayment,
        NewTransfer, PaymentChange, PaymentId, PaymentPolicy, PostedTransfer, StoreError, StoredKey,
        StoredPayment, Transaction, UserId,
    },
};

/// Runs work to its end, also when whoever asked for it has gone away.
pub(super) async fn run(store: &PostgresStore, work: Arc<dyn ErasedWork>) -> Result<(), StoreError> {
    let running = tokio::spawn(to_its_end(store.pool.clone(), work));
    let ended = running.await.unwrap_or_else(|_| Err(refused("the work broke off")));
    if ended? {
        store.behind.something_arrived();
    }
    Ok(())
}

/// Whether what it did was kept.
async fn to_its_end(pool: Pool, work: Arc<dyn ErasedWork>) -> Result<bool, StoreError> {
    let mut attempts = Attempts::default();
    loop {
        let mut client = free(&pool).await?;
        let done = in_time(async {
            let engine = client.transaction().await?;
            let mut transaction = PostgresTransaction { engine, failure: None, accounts: Vec::new() };
            let told = work.run(&mut transaction).await;
            // What failed inside counts, whatever the work made of it: nothing of this transaction can be kept.
            if let Some(failure) = transaction.failure {
                return Err(failure);
            }
            let is_kept = told?;
            if is_kept {
                transaction.engine.commit().await?;
            } else {
                transaction.engine.rollback().await?;
            }
            Ok(is_kept)
        })
        .await;
        let_go(client, done.as_ref().err());
        match done {
            Err(failure) if attempts.go_on_after(&failure).await => {}
            done => return done.map_err(|failure| failure.told("work on money")),
        }
    }
}

struct PostgresTransaction<'a> {
    engine: EngineTransaction<'a>,
    /// What the engine refused first.
    failure: Option<Failure>,
    /// The accounts as they were read last. They are locked.
    accounts: Vec<AccountState>,
}

impl PostgresTransaction<'_> {
    /// What a step came to. Whatever breaks the transaction is kept, for whoever has to decide whether to begin again.
    fn told<T>(&mut self, doing: &str, step: Result<T, Failure>) -> Result<T, StoreError> {
        match step {
            Ok(output) => Ok(output),
            Err(Failure::Refused(error)) => Err(error),
            Err(failure) => {
                let told = failure.hint(doing);
                self.failure.get_or_insert(failure);
                Err(told)
            }
        }
    }
}

#[async_trait]
impl Transaction for PostgresTransaction<'_> {
    async fn user_named(&mut self, username: &str) -> Result<Option<UserId>, StoreError> {
        let step = spending::user_named(&self.engine, username).await;
        self.told("look for a user", step)
    }

    async fn lock_accounts(&mut self, users: &[UserId]) -> Result<Vec<AccountState>, StoreError> {
        let step = spending::accounts(&self.engine, users).await;
        let accounts = self.told("lock accounts", step)?;
        self.accounts.clone_from(&accounts);
        Ok(accounts)
    }

    async fn key(&mut self, id: &KeyId) -> Result<Option<(StoredKey, PaymentPolicy)>, StoreError> {
        let step = async {
            let parameters: Parameters<'_> = &[&id.0];
            let (held, policy) =
                one_after_the_other(&self.engine, (keys::HOLD, parameters), (spending::POLICY, parameters))
                    .await?;
            let Some(key) = held.first() else { return Ok(None) };
            Ok(Some((keys::read_key(key)?, spending::read_policy(policy.first())?)))
        }
        .await;
        self.told("read a key", step)
    }

    async fn lock_payment(&mut self, id: &PaymentId) -> Result<Option<StoredPayment>, StoreError> {
        let step = payments::lock(&self.engine, id).await;
        self.told("lock a payment", step)
    }

    async fn lock_batch(&mut self, id: &BatchId) -> Result<Vec<StoredPayment>, StoreError> {
        let step = payments::lock_batch(&self.engine, id).await;
        self.told("lock a batch", step)
    }

    async fn insert_payment(&mut self, payment: &NewPayment) -> Result<StoredPayment, StoreError> {
        let step = payments::insert(&self.engine, payment).await;
        self.told("keep a payment", step)
    }

    async fn change_payment(&mut self, change: &PaymentChange) -> Result<(), StoreError> {
        let step = payments::change(&self.engine, change).await;
        self.told("change a payment", step)
    }

    async fn post(&mut self, transfer: &NewTransfer) -> Result<PostedTransfer, StoreError> {
        // What it does to them is not in what was read.
        let accounts = std::mem::take(&mut self.accounts);
        let known = |user| AccountState::on_one(&accounts, user);
        let step = match (transfer.id, known(transfer.from), known(transfer.to)) {
            (None, Some(payer), Some(payee)) => {
                ledger::post_between(&self.engine, transfer, &payer, &payee).await
            }
            _ => ledger::post(&self.engine, transfer).await,
        };
        self.told("post a transfer", step)
    }

    async fn similar_payment(
        &mut self,
        payer: UserId,
        payee: UserId,
        amount: Amount,
        since: UnixMillis,
    ) -> Result<Option<PaymentId>, StoreError> {
        let step = payments::similar(&self.engine, payer, payee, amount, since).await;
        self.told("look for a similar payment", step)
    }

    async fn idempotency_record(
        &mut self,
        user: UserId,
        tool: &str,
        key: &str,
        now: UnixMillis,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let step = spending::idempotency_record(&self.engine, user, tool, key, now).await;
        self.told("read an idempotency key", step)
    }

    async fn put_idempotency_record(
        &mut self,
        record: &IdempotencyRecord,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let step = spending::put_idempotency_record(&self.engine, record, now).await;
        self.told("keep an idempotency key", step)
    }

    async fn spent(&mut self, lineage: &KeyId, since: UnixMillis) -> Result<i64, StoreError> {
        let step = spending::spent(&self.engine, lineage, since).await;
        self.told("read a budget", step)
    }

    async fn spend(&mut self, lineage: &KeyId, at: UnixMillis, minor: i64) -> Result<(), StoreError> {
        let step = spending::spend(&self.engine, lineage, at, minor).await;
        self.told("write a budget", step)
    }

    async fn compensate(&mut self, compensation: &Compensation) -> Result<(), StoreError> {
        let step = spending::compensate(&self.engine, compensation).await;
        self.told("keep a compensation", step)
    }

    async fn append_audit(&mut self, record: &AuditRecord) -> Result<(), StoreError> {
        let step = audit::arrive(&self.engine, &[record]).await;
        self.told("append to the audit trail", step)
    }
}
