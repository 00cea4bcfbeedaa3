//! Work on money. It runs at READ COMMITTED and locks what it decides on before it reads it, payments first and then
//! accounts by their numbers: so every decision rests on what is there, and two pieces of work wait for each other in one
//! direction only. What the locks do not cover, such as an idempotency key that two bring at once, a unique index refuses,
//! and the work is begun again.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::{Object, Pool};

use super::{
    PostgresStore,
    attempts::Attempts,
    connections::{free, in_time},
    failure::{Failure, refused},
    keys,
    last_writes::{self, LastWrite},
    ledger, payments,
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

/// How work begins. Its statements look for one thing by its key, whatever their values are, and are planned once; for lists,
/// a plan that does not know what is rare would be the wrong one.
const BEGIN: &str = "START TRANSACTION; SET LOCAL plan_cache_mode = force_generic_plan";

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
        let mut transaction = PostgresTransaction {
            engine: Begun::new(free(&pool).await?),
            last_writes: Vec::new(),
            failure: None,
            accounts: Vec::new(),
        };
        let done = in_time(transaction.whole(&*work)).await;
        if !matches!(done, Err(Failure::Late)) {
            transaction.engine.end(done.is_ok()).await;
        }
        match done {
            Err(failure) if attempts.go_on_after(&failure).await => {}
            done => return done.map_err(|failure| failure.told("work on money")),
        }
    }
}

/// A connection with a transaction on it. Dropped before its end the connection is closed: nobody is given half of one.
struct Begun(Option<Object>);

impl Begun {
    const fn new(client: Object) -> Self {
        Self(Some(client))
    }

    fn client(&self) -> Result<&Object, Failure> {
        self.0.as_ref().ok_or(Failure::Late)
    }

    /// Lets go of the connection, which others may use if nothing is left of the transaction.
    async fn end(&mut self, is_over: bool) {
        let Some(client) = &self.0 else { return };
        let is_over = is_over || in_time(async { Ok(client.batch_execute("ROLLBACK").await?) }).await.is_ok();
        if is_over {
            self.0 = None;
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

struct PostgresTransaction {
    engine: Begun,
    /// What is written when somebody reads again, or with the commit.
    last_writes: Vec<LastWrite>,
    /// What the engine refused first.
    failure: Option<Failure>,
    /// The accounts as they were read last. They are locked.
    accounts: Vec<AccountState>,
}

impl PostgresTransaction {
    /// All of it; returns whether what the work did was kept.
    async fn whole(&mut self, work: &dyn ErasedWork) -> Result<bool, Failure> {
        self.engine.client()?.batch_execute(BEGIN).await?;
        let told = work.run(self).await;
        // What failed inside counts, whatever the work made of it: nothing of this transaction can be kept.
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let is_kept = told?;
        let client = self.engine.client()?;
        if is_kept {
            last_writes::commit(client, &self.last_writes).await?;
        } else {
            client.batch_execute("ROLLBACK").await?;
        }
        Ok(is_kept)
    }

    /// The connection, on which all that was written so far is there to be read.
    async fn ready(&mut self) -> Result<&Object, Failure> {
        let writes = std::mem::take(&mut self.last_writes);
        let client = self.engine.client()?;
        last_writes::send(client, &writes).await?;
        Ok(client)
    }

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
impl Transaction for PostgresTransaction {
    async fn user_named(&mut self, username: &str) -> Result<Option<UserId>, StoreError> {
        let step = async { spending::user_named(self.ready().await?, username).await }.await;
        self.told("look for a user", step)
    }

    async fn lock_accounts(&mut self, users: &[UserId]) -> Result<Vec<AccountState>, StoreError> {
        let step = async { spending::accounts(self.ready().await?, users).await }.await;
        let accounts = self.told("lock accounts", step)?;
        self.accounts.clone_from(&accounts);
        Ok(accounts)
    }

    async fn key(&mut self, id: &KeyId) -> Result<Option<(StoredKey, PaymentPolicy)>, StoreError> {
        let step = async {
            let parameters: Parameters<'_> = &[&id.0];
            let (held, policy) = one_after_the_other(
                self.ready().await?,
                (keys::HOLD, parameters),
                (spending::POLICY, parameters),
            )
            .await?;
            let Some(key) = held.first() else { return Ok(None) };
            Ok(Some((keys::read_key(key)?, spending::read_policy(policy.first())?)))
        }
        .await;
        self.told("read a key", step)
    }

    async fn lock_payment(&mut self, id: &PaymentId) -> Result<Option<StoredPayment>, StoreError> {
        let step = async { payments::lock(self.ready().await?, id).await }.await;
        self.told("lock a payment", step)
    }

    async fn lock_batch(&mut self, id: &BatchId) -> Result<Vec<StoredPayment>, StoreError> {
        let step = async { payments::lock_batch(self.ready().await?, id).await }.await;
        self.told("lock a batch", step)
    }

    async fn insert_payment(&mut self, payment: &NewPayment) -> Result<StoredPayment, StoreError> {
        let step = async { payments::insert(self.ready().await?, payment).await }.await;
        self.told("keep a payment", step)
    }

    async fn change_payment(&mut self, change: &PaymentChange) -> Result<(), StoreError> {
        let step = async { payments::change(self.ready().await?, change).await }.await;
        self.told("change a payment", step)
    }

    async fn post(&mut self, transfer: &NewTransfer) -> Result<PostedTransfer, StoreError> {
        // What it does to them is not in what was read.
        let accounts = std::mem::take(&mut self.accounts);
        let known = |user| AccountState::on_one(&accounts, user);
        let step = async {
            let client = self.ready().await?;
            match (transfer.id, known(transfer.from), known(transfer.to)) {
                (None, Some(payer), Some(payee)) => {
                    ledger::post_between(client, transfer, &payer, &payee).await
                }
                _ => ledger::post(client, transfer).await,
            }
        }
        .await;
        self.told("post a transfer", step)
    }

    async fn similar_payment(
        &mut self,
        payer: UserId,
        payee: UserId,
        amount: Amount,
        since: UnixMillis,
    ) -> Result<Option<PaymentId>, StoreError> {
        let step = async { payments::similar(self.ready().await?, payer, payee, amount, since).await }.await;
        self.told("look for a similar payment", step)
    }

    async fn idempotency_record(
        &mut self,
        user: UserId,
        tool: &str,
        key: &str,
        now: UnixMillis,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let step =
            async { spending::idempotency_record(self.ready().await?, user, tool, key, now).await }.await;
        self.told("read an idempotency key", step)
    }

    async fn put_idempotency_record(
        &mut self,
        record: &IdempotencyRecord,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let step = async { spending::put_idempotency_record(self.ready().await?, record, now).await }.await;
        self.told("keep an idempotency key", step)
    }

    async fn spent(&mut self, lineage: &KeyId, since: UnixMillis) -> Result<i64, StoreError> {
        let step = async { spending::spent(self.ready().await?, lineage, since).await }.await;
        self.told("read a budget", step)
    }

    async fn spend(&mut self, lineage: &KeyId, at: UnixMillis, minor: i64) -> Result<(), StoreError> {
        self.last_writes.push(LastWrite::Spend { lineage: lineage.clone(), at, minor });
        Ok(())
    }

    async fn compensate(&mut self, compensation: &Compensation) -> Result<(), StoreError> {
        let step = async { spending::compensate(self.ready().await?, compensation).await }.await;
        self.told("keep a compensation", step)
    }

    async fn append_audit(&mut self, record: &AuditRecord) -> Result<(), StoreError> {
        self.last_writes.push(LastWrite::Audit(Box::new(record.clone())));
        Ok(())
    }
}
