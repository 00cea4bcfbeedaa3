//! Servers whose clocks are apart, on one PostgreSQL: what one of them holds to be over is not over for the others.

use std::{sync::Arc, time::Duration};

use server::{
    clock::UnixMillis,
    payments::Payments,
    store::{
        IdempotencyClaim, PaymentStatus, PaymentStore as _, SealingStore as _, Store, StoredPayment, UserId,
    },
};

use super::{
    engines::{Schema, people},
    payments::{at, keep, payment, step},
    postgres_itself::open,
};

/// Whoever stole a token finds no server that has forgotten whose it is while another still takes it.
#[tokio::test]
async fn whose_a_token_is_outlives_it_by_more_than_clocks_are_apart() {
    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    let Some(schema) = Schema::create().await else { return };
    let store = open(&schema).await;
    let (token, owner, thief) = ([1; 32], [2; 32], [3; 32]);
    let ends = UnixMillis::now().as_millis() + MINUTE;
    let binds = async |token, sender, now| store.bind_token(token, sender, at(ends), at(now)).await.unwrap();
    assert!(binds(token, owner, ends - MINUTE).await);
    assert!(binds([4; 32], thief, ends + 2 * MINUTE).await, "another token, where the clock is ahead");
    assert!(!binds(token, thief, ends - MINUTE).await);
    assert!(binds(token, owner, ends - MINUTE).await);
    assert!(binds([5; 32], thief, ends + HOUR).await);
    assert!(binds(token, thief, ends - MINUTE).await, "it is forgotten in the end");
    store.close().await.unwrap();
    schema.drop().await;
}

/// A call that goes on is not handled a second time, whatever the time is where its repetition arrives.
#[tokio::test]
async fn a_claim_lasts_as_long_as_it_was_made_for_wherever_it_is_looked_at() {
    const MINUTE: i64 = 60_000;
    let Some(schema) = Schema::create().await else { return };
    let store = open(&schema).await;
    people(&store, 1).await;
    let claim = |call| IdempotencyClaim {
        user: UserId(1),
        tool: "refundPayment",
        key: "k".to_owned(),
        call: [call; 16],
    };
    let now = UnixMillis::now().as_millis();
    let takes = async |call, for_ms, now| {
        store.claim_idempotency_key(&claim(call), at(now + for_ms), at(now)).await.unwrap()
    };
    let behind = now - 5 * MINUTE;
    assert!(takes(1, MINUTE, behind).await);
    for ahead in [now, now + 5 * MINUTE] {
        assert!(!takes(2, MINUTE, ahead).await, "it goes on where the clock is behind");
    }
    assert!(takes(1, 0, now + 5 * MINUTE).await);
    assert!(takes(2, MINUTE, behind).await, "its time is over, also where the clock is behind");
    store.close().await.unwrap();
    schema.drop().await;
}

/// What one server is having assessed no other takes for left behind, whatever the time is at either.
#[tokio::test]
async fn a_payment_is_processed_for_as_long_as_the_database_says() {
    const MINUTE: i64 = 60_000;
    let Some(schema) = Schema::create().await else { return };
    let store = Arc::new(open(&schema).await);
    people(&*store, 2).await;
    let kept = keep(&*store, payment("pay_1", 1, 2, 10)).await.unwrap();
    // At this server it is 1970.
    step(&*store, &kept, PaymentStatus::Processing).await.unwrap();
    let now = UnixMillis::now().as_millis();
    let stalled = async |now| store.stalled_payments(at(now - MINUTE), at(now), 9).await.unwrap();
    let clocks = [now - 5 * MINUTE, now, now + 5 * MINUTE];
    for now in clocks {
        assert_eq!(stalled(now).await, Vec::<StoredPayment>::new());
    }
    let ahead = UnixMillis::now().plus(Duration::from_secs(300));
    let payments = Payments::new(Arc::clone(&store) as Arc<dyn Store>, None);
    assert_eq!(payments.sweep(ahead).await.unwrap().resumed, 0);
    let found = store.payment(kept.id()).await.unwrap().unwrap();
    assert_eq!(found.status(), PaymentStatus::Processing);
    schema.execute("UPDATE payments SET changed_at = changed_at - 61000").await;
    for now in clocks {
        assert_eq!(stalled(now).await.len(), 1, "it is over, also where the clock is behind");
    }
    store.close().await.unwrap();
    schema.drop().await;
}
