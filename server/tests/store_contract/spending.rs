//! Promises of what stands around payments: budgets, idempotency, likeness, compensations.

use std::sync::Arc;

use server::{
    clock::UnixMillis,
    money::{Amount, Currency},
    store::{
        Compensation, Ending, IdempotencyClaim, IdempotencyRecord, KeyId, PaymentId, PaymentStatus, Store,
        StoreError, UserId,
    },
};

use super::{
    engines::people,
    payments::{at, keep, payment, work},
};

const MINUTE: i64 = 60_000;

async fn spend(store: &dyn Store, line: &'static str, ms: i64, minor: i64) -> Result<(), StoreError> {
    work(store, move |transaction| {
        Box::pin(
            async move { transaction.spend(&KeyId(line.to_owned()), at(ms), minor).await.map(Ending::Keep) },
        )
    })
    .await
}

async fn spent(store: &dyn Store, line: &'static str, since: i64) -> i64 {
    let sum = work(store, move |transaction| {
        Box::pin(async move { transaction.spent(&KeyId(line.to_owned()), at(since)).await.map(Ending::Undo) })
    });
    sum.await.unwrap()
}

pub(crate) async fn what_was_spent_is_summed_by_the_minute_and_can_be_taken_back(store: Arc<dyn Store>) {
    for (ms, minor) in [(MINUTE, 5), (2 * MINUTE - 1, 7), (2 * MINUTE, 11), (9 * MINUTE, 100)] {
        spend(&*store, "a", ms, minor).await.unwrap();
    }
    spend(&*store, "b", MINUTE, 1_000).await.unwrap();
    assert_eq!(spent(&*store, "a", 0).await, 123);
    assert_eq!(spent(&*store, "a", MINUTE + 1).await, 123, "whole minutes are counted");
    assert_eq!(spent(&*store, "a", 2 * MINUTE).await, 111);
    assert_eq!(spent(&*store, "a", 10 * MINUTE).await, 0);
    spend(&*store, "a", MINUTE, -12).await.unwrap();
    assert_eq!(spent(&*store, "a", 0).await, 111);
    let more = spend(&*store, "a", MINUTE, -1).await;
    assert!(matches!(more, Err(StoreError::Corrupt(_))), "nobody takes back what was not spent: {more:?}");
}

/// An engine may find out late that a budget is refused; whatever the work did before it, and after, is undone with it.
pub(crate) async fn work_whose_budget_is_refused_is_undone_wholly(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    spend(&*store, "a", MINUTE, 5).await.unwrap();
    for goes_on in [false, true] {
        let done = work(&*store, move |transaction| {
            Box::pin(async move {
                transaction.insert_payment(&payment("pay_1", 1, 2, 10)).await?;
                transaction.spend(&KeyId("b".to_owned()), at(MINUTE), 7).await?;
                transaction.spend(&KeyId("a".to_owned()), at(MINUTE), -6).await?;
                if goes_on {
                    transaction.insert_payment(&payment("pay_2", 1, 2, 10)).await?;
                }
                Ok(Ending::Keep(()))
            })
        });
        let told = done.await;
        assert!(matches!(told, Err(StoreError::Corrupt(_))), "goes on: {goes_on}: {told:?}");
        for id in ["pay_1", "pay_2"] {
            let kept = store.payment(&PaymentId(id.to_owned())).await.unwrap();
            assert!(kept.is_none(), "goes on: {goes_on}: {kept:?}");
        }
        assert_eq!((spent(&*store, "a", 0).await, spent(&*store, "b", 0).await), (5, 0));
    }
}

pub(crate) async fn what_was_spent_days_ago_is_forgotten_when_more_is_spent(store: Arc<dyn Store>) {
    const DAY: i64 = 24 * 60 * MINUTE;
    for (line, ms) in [("a", 0), ("a", MINUTE), ("b", 0), ("a", 2 * DAY)] {
        spend(&*store, line, ms, 5).await.unwrap();
    }
    assert_eq!(spent(&*store, "a", 0).await, 15, "what may still be taken back is there");
    spend(&*store, "a", 2 * DAY + MINUTE, 5).await.unwrap();
    assert_eq!(spent(&*store, "a", 0).await, 15);
    assert_eq!(spent(&*store, "b", 0).await, 5, "another line's is its own");
    for _ in 0..2 {
        spend(&*store, "a", 0, -5).await.unwrap();
        assert_eq!(spent(&*store, "a", 0).await, 15, "what is forgotten is taken back without a word");
    }
}

pub(crate) async fn of_a_hundred_payments_at_once_a_budget_lets_ten_through(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    let mut paying = tokio::task::JoinSet::new();
    for number in 0..100 {
        let store = Arc::clone(&store);
        paying.spawn(async move {
            let pay = work(&*store, move |transaction| {
                Box::pin(async move {
                    transaction.lock_accounts(&[UserId(1), UserId(2)]).await?;
                    let line = KeyId("a".to_owned());
                    if transaction.spent(&line, at(0)).await? + 10 > 100 {
                        return Ok(Ending::Undo(false));
                    }
                    let payment = payment(&format!("pay_{number}"), 1, 2, 10);
                    transaction.insert_payment(&payment).await?;
                    transaction.spend(&line, at(1_000 + number % 3 * MINUTE), 10).await?;
                    Ok(Ending::Keep(true))
                })
            });
            pay.await.unwrap()
        });
    }
    let paid = paying.join_all().await.into_iter().filter(|paid| *paid).count();
    assert_eq!((paid, spent(&*store, "a", 0).await), (10, 100));
}

fn named(key: &str, handle: &str, expires: i64) -> IdempotencyRecord {
    IdempotencyRecord {
        user: UserId(1),
        tool: "createPayment".to_owned(),
        key: key.to_owned(),
        fingerprint: [4; 32],
        handle: handle.to_owned(),
        expires_at: at(expires),
    }
}

async fn put(store: &dyn Store, record: IdempotencyRecord, now: UnixMillis) -> Result<(), StoreError> {
    work(store, move |transaction| {
        let record = record.clone();
        Box::pin(async move { transaction.put_idempotency_record(&record, now).await.map(Ending::Keep) })
    })
    .await
}

async fn look(
    store: &dyn Store,
    (user, tool, key): (i64, &'static str, &'static str),
    now: i64,
) -> Option<IdempotencyRecord> {
    let found = work(store, move |transaction| {
        Box::pin(async move {
            transaction.idempotency_record(UserId(user), tool, key, at(now)).await.map(Ending::Undo)
        })
    });
    found.await.unwrap()
}

pub(crate) async fn what_was_named_is_found_by_its_name_until_it_expires(store: Arc<dyn Store>) {
    people(&*store, 2).await;
    let odd = "k \0 '\" \u{1f600}";
    let record = named(odd, "pay_1", 5_000);
    put(&*store, record.clone(), at(1_000)).await.unwrap();
    let name = (1, "createPayment", odd);
    assert_eq!(look(&*store, name, 4_999).await, Some(record));
    assert_eq!(look(&*store, name, 5_000).await, None);
    assert_eq!(look(&*store, (2, "createPayment", odd), 1_000).await, None);
    assert_eq!(look(&*store, (1, "refundPayment", odd), 1_000).await, None);
    assert_eq!(look(&*store, (1, "createPayment", "k"), 1_000).await, None);
    put(&*store, named(odd, "pay_2", 9_000), at(5_000)).await.unwrap();
    assert_eq!(look(&*store, name, 5_000).await.unwrap().handle, "pay_2");
    let twice = put(&*store, named(odd, "pay_3", 9_000), at(5_001)).await;
    assert!(twice.is_err(), "one name has one meaning");
    assert_eq!(look(&*store, name, 5_001).await.unwrap().handle, "pay_2");
}

pub(crate) async fn of_many_who_name_the_same_at_once_one_does_it_and_the_others_find_it(
    store: Arc<dyn Store>,
) {
    people(&*store, 2).await;
    let mut naming = tokio::task::JoinSet::new();
    for number in 0..20 {
        let store = Arc::clone(&store);
        naming.spawn(async move {
            let id = format!("pay_{number}");
            let create = work(&*store, move |transaction| {
                let id = id.clone();
                Box::pin(async move {
                    let known =
                        transaction.idempotency_record(UserId(1), "createPayment", "k", at(1_000)).await?;
                    if let Some(known) = known {
                        return Ok(Ending::Undo(known.handle));
                    }
                    transaction.insert_payment(&payment(&id, 1, 2, 10)).await?;
                    transaction.put_idempotency_record(&named("k", &id, 5_000), at(1_000)).await?;
                    Ok(Ending::Keep(id))
                })
            });
            create.await.unwrap()
        });
    }
    let handles = naming.join_all().await;
    assert!(handles.iter().all(|handle| *handle == handles[0]), "{handles:?}");
    let kept = store.payments(server::store::PaymentFilter::default(), 99).await.unwrap();
    assert_eq!(kept.into_iter().map(|one| one.payment.id.0).collect::<Vec<_>>(), [handles[0].clone()]);
}

pub(crate) async fn a_similar_payment_is_the_newest_that_is_open_or_paid(store: Arc<dyn Store>) {
    people(&*store, 3).await;
    for (id, payee, minor, created, status) in [
        ("pay_1", 2, 10, 2_000, PaymentStatus::RequiresConfirmation),
        ("pay_2", 2, 10, 3_000, PaymentStatus::RequiresAction),
        ("pay_3", 2, 10, 4_000, PaymentStatus::Declined),
        ("pay_4", 2, 11, 4_000, PaymentStatus::RequiresConfirmation),
        ("pay_5", 3, 10, 4_000, PaymentStatus::RequiresConfirmation),
    ] {
        let new =
            server::store::NewPayment { created_at: at(created), status, ..payment(id, 1, payee, minor) };
        keep(&*store, new).await.unwrap();
    }
    let similar = async |since| {
        let found = work(&*store, move |transaction| {
            Box::pin(async move {
                let amount = Amount::from_minor(10, Currency::USD);
                let found = transaction.similar_payment(UserId(1), UserId(2), amount, at(since)).await?;
                Ok(Ending::Undo(found))
            })
        });
        found.await.unwrap()
    };
    assert_eq!(similar(0).await, Some(PaymentId("pay_2".to_owned())));
    assert_eq!(similar(3_000).await, Some(PaymentId("pay_2".to_owned())));
    assert_eq!(similar(3_001).await, None);
}

pub(crate) async fn a_compensation_is_due_until_it_is_settled(store: Arc<dyn Store>) {
    for (handle, due) in [("pay_1", 2_000), ("pay_2", 1_000), ("pay_1", 500)] {
        let compensation = Compensation {
            handle: handle.to_owned(),
            from: "user1".to_owned(),
            to: "user2".to_owned(),
            amount: Amount::from_minor(10, Currency::USD),
            attempts: 0,
            due_at: at(due),
        };
        let kept = work(&*store, move |transaction| {
            let compensation = compensation.clone();
            Box::pin(async move { transaction.compensate(&compensation).await.map(Ending::Keep) })
        });
        kept.await.unwrap();
    }
    let due = async |now, limit| {
        let found = store.due_compensations(at(now), limit).await.unwrap();
        found.into_iter().map(|one| (one.handle, one.attempts)).collect::<Vec<_>>()
    };
    let (one, two) = ("pay_1".to_owned(), "pay_2".to_owned());
    assert_eq!(due(1_000, 9).await, [(two.clone(), 0)], "the first word counts");
    assert_eq!(due(2_000, 9).await, [(two.clone(), 0), (one.clone(), 0)]);
    assert_eq!(due(2_000, 1).await, [(two.clone(), 0)]);
    store.settle_compensation("pay_2", Some(at(7_000))).await.unwrap();
    assert_eq!(due(6_999, 9).await, [(one, 0)]);
    store.settle_compensation("pay_1", None).await.unwrap();
    assert_eq!(due(9_000, 9).await, [(two, 1)]);
}

pub(crate) async fn an_idempotency_key_is_one_calls_until_it_is_released_or_its_time_is_over(
    store: Arc<dyn Store>,
) {
    people(&*store, 2).await;
    let claim = |user: i64, tool, key: &str, call: u8| IdempotencyClaim {
        user: UserId(user),
        tool,
        key: key.to_owned(),
        call: [call; 16],
    };
    // A database with a clock of its own goes by how long a claim is, not by when these times are.
    let takes = async |claim: &IdempotencyClaim, until, now| {
        store.claim_idempotency_key(claim, at(until), at(now)).await.unwrap()
    };
    let (soon, later, late) = (100_000, 200_000, 300_000);
    let (first, second) = (claim(1, "refundPayment", "k", 1), claim(1, "refundPayment", "k", 2));
    assert!(takes(&first, soon, 1_000).await);
    assert!(!takes(&second, soon, 1_000).await);
    for other in [
        claim(2, "refundPayment", "k", 3),
        claim(1, "createPaymentBatch", "k", 3),
        claim(1, "refundPayment", "K", 3),
    ] {
        assert!(takes(&other, soon, 1_000).await, "{other:?} is another key");
    }
    store.release_idempotency_key(&second).await.unwrap();
    assert!(!takes(&second, soon, 1_000).await, "nobody releases another's");
    assert!(takes(&first, soon, soon).await, "it is kept, though no longer than to this moment");
    assert!(takes(&first, later, soon - 1).await, "it is kept for longer");
    assert!(!takes(&second, later, later - 1).await);
    assert!(takes(&first, later, later).await, "it is kept, though no longer than to this moment");
    assert!(takes(&second, late, later).await, "its time is over");
    assert!(!takes(&first, late, later).await);
    store.release_idempotency_key(&second).await.unwrap();
    assert!(takes(&first, late, later).await);

    let mut claiming = tokio::task::JoinSet::new();
    for call in 0..20 {
        let (store, claim) = (Arc::clone(&store), claim(1, "refundPayment", "many", call));
        claiming
            .spawn(async move { store.claim_idempotency_key(&claim, at(soon), at(1_000)).await.unwrap() });
    }
    assert_eq!(claiming.join_all().await.into_iter().filter(|has| *has).count(), 1);
}
