//! Work on money. It runs at READ COMMITTED and locks what it decides on before it reads it, payments first, then accounts
//! by their numbers, then keys: so every decision rests on what is there, and two pieces of work wait for each other in one
//! direction only. What the locks do not cover, such as an idempotency key that two bring at once, a unique index refuses,
//! and the work is begun again.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::{GenericClient as _, Object, Pool};
use scopeguard::ScopeGuard;
use tokio::sync::Semaphore;

use super::{
    PostgresStore,
    attempts::Attempts,
    audit,
    connections::{free, in_time, place},
    failure::{Failure, refused},
    ledger, payments,
    sent::Sent,
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

/// How work begins. Its statements look for one thing by its key, whatever their values are, and are planned once; for lists,
/// a plan that does not know what is rare would be the wrong one.
const BEGIN: &str = "START TRANSACTION; SET LOCAL plan_cache_mode = force_generic_plan";

/// Runs work to its end, also when whoever asked for it has gone away.
pub(super) async fn run(store: &PostgresStore, work: Arc<dyn ErasedWork>) -> Result<(), StoreError> {
    let (pool, places) = (store.pool.clone(), Arc::clone(&store.money));
    let running = tokio::spawn(to_its_end(pool, places, work));
    let ended = running.await.unwrap_or_else(|_| Err(refused("the work broke off")));
    if ended? {
        store.behind.something_arrived();
    }
    Ok(())
}

/// Whether what it did was kept.
async fn to_its_end(
    pool: Pool,
    places: Arc<Semaphore>,
    work: Arc<dyn ErasedWork>,
) -> Result<bool, StoreError> {
    let mut attempts = Attempts::default();
    loop {
        match attempt(&pool, &places, &*work).await {
            Err(failure) if attempts.go_on_after(&failure).await => {}
            done => return done.map_err(|failure| failure.told("work on money")),
        }
    }
}

/// The same, once. Afterwards there is nothing left of it on any connection.
async fn attempt(pool: &Pool, places: &Semaphore, work: &dyn ErasedWork) -> Result<bool, Failure> {
    let _place = place(places).await?;
    // While there may be a transaction on it, a connection that is dropped is closed: nobody is given half of one.
    let client = scopeguard::guard(free(pool).await?, |client| drop(Object::take(client)));
    let done = in_time(whole(&client, work)).await;
    let is_idle = match &done {
        Ok(_) => true,
        Err(failure) if failure.is_of_its_connection() => false,
        Err(_) => in_time(batch(&client, "ROLLBACK")).await.is_ok(),
    };
    if is_idle {
        // Others may use it.
        drop(ScopeGuard::into_inner(client));
    }
    done
}

/// All of it; returns whether what the work did was kept.
async fn whole(client: &Object, work: &dyn ErasedWork) -> Result<bool, Failure> {
    let mut transaction =
        PostgresTransaction { client, sent: Sent::default(), failure: None, accounts: Vec::new() };
    transaction.sent.send(batch(client, BEGIN)).await;
    let told = work.run(&mut transaction).await;
    // What failed inside counts, whatever the work made of it: nothing of this transaction can be kept.
    if let Some(failure) = transaction.failure.take() {
        return Err(failure);
    }
    let is_kept = told?;
    let sent = &mut transaction.sent;
    if is_kept {
        sent.beside(batch(client, "COMMIT")).await?;
        // Where the engine refused something, the commit undoes all, and does not say so.
        sent.answered().await?;
    } else {
        sent.beside(batch(client, "ROLLBACK")).await?;
    }
    Ok(is_kept)
}

async fn batch(client: &Object, sql: &str) -> Result<(), Failure> {
    Ok(client.batch_execute(sql).await?)
}

struct PostgresTransaction<'a> {
    client: &'a Object,
    /// What nobody needs the outcome of before the end.
    sent: Sent<'a>,
    /// What the engine refused first.
    failure: Option<Failure>,
    /// The accounts as they were read last. They are locked.
    accounts: Vec<AccountState>,
}

impl<'a> PostgresTransaction<'a> {
    /// Waits for the outcome of `step`. Whatever breaks the transaction is kept, for whoever has to decide whether to begin
    /// again.
    async fn told<T>(
        &mut self,
        doing: &str,
        step: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, StoreError> {
        match self.sent.beside(step).await {
            Ok(output) => Ok(output),
            Err(Failure::Refused(error)) => Err(error),
            Err(failure) => {
                let told = failure.hint(doing);
                self.failure.get_or_insert(failure);
                Err(told)
            }
        }
    }

    /// Sends what `sql` asks for, which is all that `write` does. It is known to the connection by then, so that it is sent
    /// before whatever comes next.
    async fn send(
        &mut self,
        doing: &str,
        sql: &str,
        write: impl Future<Output = Result<(), Failure>> + Send + 'a,
    ) -> Result<(), StoreError> {
        let client = self.client;
        self.told(doing, async { Ok(client.prepare_cached(sql).await?) }).await?;
        self.sent.send(write).await;
        Ok(())
    }
}

#[async_trait]
impl Transaction for PostgresTransaction<'_> {
    async fn user_named(&mut self, username: &str) -> Result<Option<UserId>, StoreError> {
        let step = spending::user_named(self.client, username);
        self.told("look for a user", step).await
    }

    async fn lock_accounts(&mut self, users: &[UserId]) -> Result<Vec<AccountState>, StoreError> {
        let step = spending::accounts(self.client, users);
        let accounts = self.told("lock accounts", step).await?;
        self.accounts.clone_from(&accounts);
        Ok(accounts)
    }

    async fn hold(&mut self, users: &[UserId], key: &KeyId) -> Result<Held, StoreError> {
        let step = spending::hold(self.client, users, key);
        let (accounts, key) = self.told("lock accounts", step).await?;
        self.accounts.clone_from(&accounts);
        Ok((accounts, key))
    }

    async fn hold_with_named(
        &mut self,
        payer: UserId,
        name: &str,
        key: &KeyId,
    ) -> Result<(Option<UserId>, Held), StoreError> {
        let step = spending::hold_with_named(self.client, payer, name, key);
        let (named, (accounts, key)) = self.told("lock accounts", step).await?;
        self.accounts.clone_from(&accounts);
        Ok((named, (accounts, key)))
    }

    async fn lock_payment(&mut self, id: &PaymentId) -> Result<Option<StoredPayment>, StoreError> {
        let step = payments::lock(self.client, id);
        self.told("lock a payment", step).await
    }

    async fn lock_batch(&mut self, id: &BatchId) -> Result<Vec<StoredPayment>, StoreError> {
        let step = payments::lock_batch(self.client, id);
        self.told("lock a batch", step).await
    }

    async fn insert_payment(&mut self, payment: &NewPayment) -> Result<StoredPayment, StoreError> {
        let step = payments::insert(self.client, payment, None);
        self.told("keep a payment", step).await
    }

    async fn insert_beside_similar(
        &mut self,
        payment: NewPayment,
        since: UnixMillis,
    ) -> Result<StoredPayment, StoreError> {
        let step = payments::insert(self.client, &payment, Some(since));
        self.told("keep a payment", step).await
    }

    async fn change_payment(&mut self, change: &PaymentChange) -> Result<(), StoreError> {
        // Not sent and left: where there is nothing to change, PostgreSQL sees nothing wrong and would commit the rest.
        let step = payments::change(self.client, change);
        self.told("change a payment", step).await
    }

    async fn post(&mut self, transfer: &NewTransfer) -> Result<PostedTransfer, StoreError> {
        // What it does to them is not in what was read.
        let accounts = std::mem::take(&mut self.accounts);
        let known = |user| AccountState::on_one(&accounts, user);
        let client = self.client;
        let step = async {
            match (transfer.id, known(transfer.from), known(transfer.to)) {
                (None, Some(payer), Some(payee)) => {
                    ledger::post_between(client, transfer, &payer, &payee).await
                }
                _ => ledger::post(client, transfer).await,
            }
        };
        self.told("post a transfer", step).await
    }

    async fn pay(
        &mut self,
        transfer: &NewTransfer,
        change: PaymentChange,
    ) -> Result<PostedTransfer, StoreError> {
        let known = |user| AccountState::on_one(&self.accounts, user);
        let (None, Some(payer), Some(payee)) = (transfer.id, known(transfer.from), known(transfer.to)) else {
            let posted = self.post(transfer).await?;
            self.change_payment(&PaymentChange { transfer: Some(posted.id), ..change }).await?;
            return Ok(posted);
        };
        // What it does to them is not in what was read.
        self.accounts.clear();
        let step = ledger::pay_between(self.client, transfer, &payer, &payee, &change);
        self.told("pay", step).await
    }

    async fn similar_payment(
        &mut self,
        payer: UserId,
        payee: UserId,
        amount: Amount,
        since: UnixMillis,
    ) -> Result<Option<PaymentId>, StoreError> {
        let step = payments::similar(self.client, payer, payee, amount, since);
        self.told("look for a similar payment", step).await
    }

    async fn idempotency_record(
        &mut self,
        user: UserId,
        tool: &str,
        key: &str,
        now: UnixMillis,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let step = spending::idempotency_record(self.client, user, tool, key, now);
        self.told("read an idempotency key", step).await
    }

    async fn put_idempotency_record(
        &mut self,
        record: &IdempotencyRecord,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let step = spending::put_idempotency_record(self.client, record, now);
        self.told("keep an idempotency key", step).await
    }

    async fn spent(&mut self, lineage: &KeyId, since: UnixMillis) -> Result<i64, StoreError> {
        let step = spending::spent(self.client, lineage, since);
        self.told("read a budget", step).await
    }

    async fn spend(&mut self, lineage: &KeyId, at: UnixMillis, minor: i64) -> Result<(), StoreError> {
        let (client, lineage) = (self.client, lineage.clone());
        let write = async move { spending::spend(client, &lineage, at, minor).await };
        self.send("add to a budget", spending::spending(minor), write).await
    }

    async fn compensate(&mut self, compensation: &Compensation) -> Result<(), StoreError> {
        let step = spending::compensate(self.client, compensation);
        self.told("keep a compensation", step).await
    }

    async fn append_audit(&mut self, record: &AuditRecord) -> Result<(), StoreError> {
        let (client, record) = (self.client, record.clone());
        let write = async move { audit::arrive(client, &[&record]).await };
        self.send("append to the audit trail", audit::ARRIVE, write).await
    }
}
