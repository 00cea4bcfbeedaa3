//! Promises of payments as they are found: batches, lists, what somebody must look after; and of policies.

use std::sync::Arc;

use server::store::{
    BatchId, BatchStep, Ending, KeyId, NewPayment, PaymentFilter, PaymentId, PaymentPolicy, PaymentStatus,
    PolicyChange, Store, StoredPayment, UserId,
};

use super::{
    changes::KeyChanges as _,
    engines::{key, people},
    payments::{at, keep, payment, step, work},
};

pub(crate) async fn a_batch_keeps_its_order(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    let batch = BatchId("batch_1".to_owned());
    for step in [2, 1, 3] {
        let step_of = Some(BatchStep { batch: batch.clone(), step });
        let id = format!("pay_{step}");
        keep(&*store, NewPayment { step: step_of, ..payment(&id, 1, 2, 10) }).await.unwrap();
    }
    let steps = |payments: Vec<StoredPayment>| {
        payments.into_iter().map(|one| one.payment.step.unwrap().step).collect::<Vec<_>>()
    };
    assert_eq!(steps(store.batch(&batch).await.unwrap()), [1, 2, 3]);
    let locked = work(&*store, move |transaction| {
        let batch = batch.clone();
        Box::pin(async move { transaction.lock_batch(&batch).await.map(Ending::Keep) })
    });
    assert_eq!(steps(locked.await.unwrap()), [1, 2, 3]);
    assert!(store.batch(&BatchId("batch_2".to_owned())).await.unwrap().is_empty());
}

pub(crate) async fn payments_are_listed_for_whoever_may_see_them(store: Arc<dyn Store>) {
    people(&*store, 3).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    for (id, payer, payee, paid) in [
        ("pay_1", 1, 2, true),
        ("pay_2", 1, 2, false),
        ("pay_3", 2, 1, false),
        ("pay_4", 2, 1, true),
        ("pay_5", 3, 2, true),
    ] {
        let named = ["pay_2", "pay_4"].contains(&id).then(|| "my key".to_owned());
        let kept = keep(&*store, NewPayment { idempotency_key: named, ..payment(id, payer, payee, 10) });
        let kept = kept.await.unwrap();
        if paid {
            step(&*store, &kept, PaymentStatus::Succeeded).await.unwrap();
        }
    }
    let list = async |filter: PaymentFilter, limit| -> Vec<String> {
        let found = store.payments(filter, limit).await.unwrap();
        found.into_iter().map(|one| one.payment.id.0).collect()
    };
    let all = PaymentFilter::default();
    assert_eq!(list(all.clone(), 9).await, ["pay_5", "pay_4", "pay_3", "pay_2", "pay_1"]);
    let of_one = PaymentFilter { visible_to: Some(UserId(1)), ..all.clone() };
    assert_eq!(list(of_one.clone(), 9).await, ["pay_4", "pay_2", "pay_1"]);
    assert_eq!(list(of_one.clone(), 2).await, ["pay_4", "pay_2"]);
    let after = store.payment(&PaymentId("pay_4".to_owned())).await.unwrap().unwrap().seq;
    assert_eq!(list(PaymentFilter { before: Some(after), ..of_one.clone() }, 9).await, ["pay_2", "pay_1"]);
    let paid = Some(PaymentStatus::Succeeded);
    assert_eq!(list(PaymentFilter { status: paid, ..of_one.clone() }, 9).await, ["pay_4", "pay_1"]);
    let named = Some("my key".to_owned());
    // The first user was paid under a key of that name, which is not that user's.
    assert_eq!(list(PaymentFilter { idempotency_key: named.clone(), ..of_one }, 9).await, ["pay_2"]);
    assert_eq!(
        list(PaymentFilter { idempotency_key: named.clone(), ..all.clone() }, 9).await,
        ["pay_4", "pay_2"]
    );
    let others = PaymentFilter { visible_to: Some(UserId(3)), idempotency_key: named, ..all };
    assert!(list(others, 9).await.is_empty());
}

pub(crate) async fn payments_that_somebody_must_look_after_are_found(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    for (id, expires, status) in [
        ("pay_1", 5_000, None),
        ("pay_2", 4_000, Some(PaymentStatus::RequiresAction)),
        ("pay_3", 3_000, Some(PaymentStatus::Canceled)),
        ("pay_4", 3_000, Some(PaymentStatus::Processing)),
    ] {
        let kept = keep(&*store, NewPayment { expires_at: at(expires), ..payment(id, 1, 2, 10) });
        let kept = kept.await.unwrap();
        if let Some(status) = status {
            step(&*store, &kept, status).await.unwrap();
        }
    }
    let overdue = async |now, limit| store.overdue_payments(at(now), limit).await.unwrap();
    assert_eq!(overdue(5_000, 9).await, ["pay_2", "pay_1"].map(|id| PaymentId(id.to_owned())));
    assert_eq!(overdue(4_999, 9).await.len(), 1);
    assert_eq!(overdue(5_000, 1).await.len(), 1);
    // By the database's clock, where it is that which counts, it is processed since now.
    let stalled = async |since, now| store.stalled_payments(at(since), at(now), 9).await.unwrap();
    assert!(stalled(2_000, 3_600_000).await.is_empty(), "it changed at that moment");
    let stalled = stalled(2_001, 2_000).await;
    assert_eq!(stalled.iter().map(|one| one.payment.id.0.as_str()).collect::<Vec<_>>(), ["pay_4"]);
}

pub(crate) async fn a_policy_is_the_whole_lines(store: Arc<dyn Store>) {
    people(&*store, 1).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    let next = server::store::StoredKey { lineage: KeyId("a".to_owned()), ..key("b", 1, 2) };
    store.put_key(next).await.unwrap();
    let (one, other) = (KeyId("a".to_owned()), KeyId("b".to_owned()));
    assert_eq!(store.policy(&one).await.unwrap(), PaymentPolicy::default());
    let policy = PaymentPolicy {
        automatic_below_minor: 1_000,
        maximum_minor: Some(5_000),
        day_budget_minor: None,
        payees: vec!["user2".to_owned(), "user3".to_owned()],
    };
    assert_eq!(store.change_policy(&other, policy.clone().into()).await.unwrap(), Some(()));
    assert_eq!(store.policy(&one).await.unwrap(), policy);
    assert_eq!(store.change_policy(&KeyId("z".to_owned()), policy.clone().into()).await.unwrap(), None);
    let seen = work(&*store, move |transaction| {
        let one = one.clone();
        Box::pin(async move { transaction.hold(&[UserId(1)], &one).await.map(Ending::Keep) })
    });
    assert_eq!(seen.await.unwrap().1.map(|(_, policy)| policy), Some(policy));
}

pub(crate) async fn of_two_changes_of_a_policy_at_once_neither_is_lost(store: Arc<dyn Store>) {
    people(&*store, 1).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    let id = KeyId("a".to_owned());
    for n in 1..=20 {
        let one = PolicyChange { maximum_minor: Some(Some(n)), ..PolicyChange::default() };
        let payees = Some(vec![format!("user{n}")]);
        let other = PolicyChange { day_budget_minor: Some(Some(n)), payees, ..PolicyChange::default() };
        let (one, other) = tokio::join!(store.change_policy(&id, one), store.change_policy(&id, other));
        assert_eq!((one.unwrap(), other.unwrap()), (Some(()), Some(())));
        let both = PaymentPolicy {
            maximum_minor: Some(n),
            day_budget_minor: Some(n),
            payees: vec![format!("user{n}")],
            ..PaymentPolicy::default()
        };
        assert_eq!(store.policy(&id).await.unwrap(), both);
    }
    let no_limit = PolicyChange { maximum_minor: Some(None), ..PolicyChange::default() };
    store.change_policy(&id, no_limit).await.unwrap().unwrap();
    let left = store.policy(&id).await.unwrap();
    assert_eq!((left.maximum_minor, left.day_budget_minor), (None, Some(20)));
}
