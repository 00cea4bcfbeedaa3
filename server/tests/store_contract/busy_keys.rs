//! Keys with which somebody always works, on PostgreSQL: whoever changes one waits for what holds it now, and not for whatever
//! comes next.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use server::{
    clock::UnixMillis,
    payments::{
        Actor, BatchItem, BatchOrder, Consent, PaymentError, PaymentOrder, Payments, RefundOrder, RiskGate,
    },
    risk::{Assessment, RiskAssessor, RiskError, Threshold, Verdict},
    store::{
        KeyId, KeyStore as _, PaymentId, PaymentPolicy, PaymentStatus, PaymentStore as _, Store, UserId,
        postgres::PostgresStore,
    },
};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use super::{
    audit::record,
    changes::KeyChanges as _,
    engines::{Schema, key, people},
    postgres_itself::open,
};

#[derive(Debug)]
struct Approves;

#[async_trait::async_trait]
impl RiskAssessor for Approves {
    async fn assess(&self, _: &Assessment) -> Result<Verdict, RiskError> {
        Ok(Verdict::Approved)
    }

    async fn release(&self, _: &Assessment) -> Result<(), RiskError> {
        Ok(())
    }
}

/// Payments of which those of five dollars and more are assessed.
fn payments(store: &Arc<PostgresStore>) -> Payments {
    let gate = RiskGate { assessor: Arc::new(Approves), threshold: Threshold::from_major(5) };
    Payments::new(Arc::<PostgresStore>::clone(store) as Arc<dyn Store>, Some(gate))
}

fn actor(key: &str, user: i64) -> Actor {
    Actor { user: UserId(user), key: Some(KeyId(key.to_owned())), record: record(1) }
}

async fn created(payments: &Payments, amount: &str) -> Result<PaymentId, PaymentError> {
    let (to, amount) = ("user2".to_owned(), amount.to_owned());
    let order = PaymentOrder { to, amount, currency: None, memo: None, idempotency_key: None };
    let (created, _) = payments.create(actor("a", 1), KeyId("a".to_owned()), order).await?;
    Ok(created.id().clone())
}

/// Gives back a cent of a payment after the other, until it is refused.
async fn give_back(payments: Payments, payment: PaymentId, rounds: Arc<Semaphore>) -> PaymentError {
    loop {
        let (payment, amount) = (payment.clone(), Some("0.01".to_owned()));
        let order = RefundOrder { payment, amount, idempotency_key: None };
        if let Err(error) = payments.refund(actor("c", 2), order, true).await {
            return error;
        }
        rounds.add_permits(1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_which_somebody_always_works_is_limited_and_revoked_at_once() {
    let Some(schema) = Schema::create().await else { return };
    let (one, two) = (Arc::new(open(&schema).await), open(&schema).await);
    people(&*one, 2).await;
    one.put_key(key("a", 1, 1)).await.unwrap();
    one.put_key(key("c", 2, 3)).await.unwrap();
    let payments = Payments::new(Arc::<PostgresStore>::clone(&one) as Arc<dyn Store>, None);
    let (mut working, rounds) = (JoinSet::new(), Arc::new(Semaphore::new(0)));
    for _ in 0..8 {
        let id = created(&payments, "100.00").await.unwrap();
        payments.decide(actor("a", 1), &id, Consent::Accepted, None).await.unwrap();
        working.spawn(give_back(payments.clone(), id, Arc::clone(&rounds)));
    }
    rounds.acquire_many(100).await.unwrap().forget();
    let id = KeyId("c".to_owned());
    let policy = PaymentPolicy { maximum_minor: Some(5), ..PaymentPolicy::default() };
    let limited = timeout(Duration::from_secs(2), two.change_policy(&id, policy.into())).await;
    assert!(matches!(limited, Ok(Ok(Some(())))), "{limited:?}");
    let revoked = timeout(Duration::from_secs(2), two.revoke_key(&id, UnixMillis::now())).await;
    assert!(matches!(revoked, Ok(Ok(Some(_)))), "{revoked:?}");
    for error in working.join_all().await {
        let PaymentError::Refused(refusal) = error else { panic!("{error:?}") };
        assert_eq!(refusal.code(), "permission_denied");
    }
    one.close().await.unwrap();
    two.close().await.unwrap();
    schema.drop().await;
}

/// Something to do with a key of a user about a payment, and how that stands until it is done.
struct Doing {
    name: &'static str,
    user: i64,
    key: &'static str,
    payment: PaymentId,
    status: PaymentStatus,
    work: BoxFuture<'static, Result<(), PaymentError>>,
}

/// Everything that takes a key.
async fn everything(payments: &Payments) -> Result<Vec<Doing>, PaymentError> {
    let mut all = Vec::new();
    let mut add = |name, (user, key), payment: &PaymentId, status, work| {
        all.push(Doing { name, user, key, payment: payment.clone(), status, work });
    };
    let waits = PaymentStatus::RequiresConfirmation;

    let (own, id) = (payments.clone(), created(payments, "1.00").await?);
    let about = id.clone();
    let work = async move { own.cancel(actor("a", 1), &about).await.map(drop) };
    add("cancel", (1, "a"), &id, waits, Box::pin(work) as BoxFuture<'static, _>);

    let (own, id) = (payments.clone(), created(payments, "1.01").await?);
    payments.decide(actor("a", 1), &id, Consent::Accepted, None).await?;
    let order = RefundOrder { payment: id.clone(), amount: None, idempotency_key: None };
    let work = async move { own.refund(actor("c", 2), order, true).await.map(drop) };
    add("refund", (2, "c"), &id, PaymentStatus::Succeeded, Box::pin(work));

    for (name, amount, key) in [
        ("confirm with another key", "1.02", "b"),
        ("have assessed", "5.00", "a"),
        ("have assessed with another key", "5.01", "b"),
    ] {
        let (own, id) = (payments.clone(), created(payments, amount).await?);
        let about = id.clone();
        let work = async move { own.decide(actor(key, 1), &about, Consent::Accepted, None).await.map(drop) };
        add(name, (1, key), &id, waits, Box::pin(work));
    }

    let item = |amount: &str| BatchItem {
        to: "user2".to_owned(),
        amount: amount.to_owned(),
        memo: None,
        after: Vec::new(),
    };
    let items = vec![item("3.00"), item("4.00")];
    let (key, progress) = (KeyId("a".to_owned()), Arc::new(|_| ()));
    let order = BatchOrder { key, items, idempotency_key: None, progress };
    let unasked = PaymentStatus::RequiresAction;
    let (own, batch) = (payments.clone(), payments.keep_batch(&actor("a", 1), &order, unasked).await?);
    let id = batch.payments[0].id().clone();
    let work = async move { own.approve_batch(actor("a", 1), batch).await.map(drop) };
    add("approve a batch", (1, "a"), &id, unasked, Box::pin(work));
    Ok(all)
}

/// So those who work with one key take turns, and between two of them it is nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_the_account_of_a_user_holds_no_key_of_theirs() {
    let Some(schema) = Schema::create().await else { return };
    let store = Arc::new(open(&schema).await);
    people(&*store, 2).await;
    for (id, user, seed) in [("a", 1, 1), ("b", 1, 2), ("c", 2, 3)] {
        store.put_key(key(id, user, seed)).await.unwrap();
    }
    for Doing { name, user, key, payment, status, work } in everything(&payments(&store)).await.unwrap() {
        let account = ["accounts", "account_reservations"]
            .map(|table| format!("SELECT FROM {table} WHERE user_id = {user} FOR UPDATE"));
        let (holding, client) = schema.hold(&account.join(";")).await;
        let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
        let waiting = format!(
            "SELECT count(*)::text FROM pg_locks WHERE NOT granted AND {pid} = ANY (pg_blocking_pids (pid))"
        );
        let working = tokio::spawn(work);
        let until_it_waits = async { while schema.ask(&waiting).await == "0" {} };
        timeout(Duration::from_secs(5), until_it_waits).await.expect(name);
        let free =
            schema.attempt(&format!("SELECT FROM api_keys WHERE id = '{key}' FOR UPDATE NOWAIT")).await;
        assert_eq!(free, Ok(()), "{name}");
        let standing = async || store.payment(&payment).await.unwrap().unwrap().status();
        assert_eq!(standing().await, status, "{name}");
        drop(client);
        holding.await.unwrap();
        working.await.unwrap().expect(name);
        assert_ne!(standing().await, status, "{name}");
    }
    store.close().await.unwrap();
    schema.drop().await;
}
