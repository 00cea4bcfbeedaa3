//! Servers whose clocks are apart, on one PostgreSQL: what one of them holds to be over is not over for the others.

use server::{
    clock::UnixMillis,
    store::{IdempotencyClaim, PaymentStore as _, SealingStore as _, Store as _, UserId},
};

use super::{
    engines::{Schema, people},
    payments::at,
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
