//! Servers whose clocks are apart, on one PostgreSQL: what one of them holds to be over is not over for the others.

use std::{sync::Arc, time::Duration};

use server::{
    clock::UnixMillis,
    payments::Payments,
    store::{
        IdempotencyClaim, KeyStore as _, PaymentStatus, PaymentStore as _, SealingStore as _, SessionMail,
        SessionStore as _, Store, StoredPayment, StoredSession, UserId,
    },
};

use super::{
    engines::{Schema, key, people},
    payments::{at, keep, payment, step},
    postgres_itself::open,
    sessions::{CAPS, session},
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

/// An answer reaches the server that asked, whatever the time is where it was given.
#[tokio::test]
async fn mail_is_kept_for_as_long_as_it_was_left_for_wherever_it_is_taken() {
    const MINUTE: i64 = 60_000;
    let Some(schema) = Schema::create().await else { return };
    let store = open(&schema).await;
    let hash = session(1, "a").hash;
    let leave = async |topic: &str, for_ms, now| {
        let mail = SessionMail { session: hash, topic: topic.to_owned(), body: String::new() };
        store.leave_mail(mail, at(now + for_ms), at(now)).await.unwrap();
    };
    let now = UnixMillis::now().as_millis();
    leave("where it is early", MINUTE, now - 5 * MINUTE).await;
    leave("where it is late", 0, now + 5 * MINUTE).await;
    leave("now", MINUTE, now).await;
    let topics = ["where it is early", "where it is late", "now"];
    let taken = store.mail(topics.map(|topic| (hash, topic.to_owned())).to_vec()).await.unwrap();
    let mut taken: Vec<_> = taken.into_iter().map(|mail| mail.topic).collect();
    taken.sort_unstable();
    assert_eq!(taken, ["now", "where it is early"]);
    store.close().await.unwrap();
    schema.drop().await;
}

/// A server whose clock is ahead does not end the sessions of all others.
#[tokio::test]
async fn a_session_is_idle_by_the_database_s_clock_where_a_server_s_is_ahead() {
    const MINUTE: i64 = 60_000;
    let Some(schema) = Schema::create().await else { return };
    let store = open(&schema).await;
    people(&store, 1).await;
    store.put_key(key("a", 1, 1)).await.unwrap();
    let now = UnixMillis::now().as_millis();
    let idle = [5, 35, 25 * 60].map(|minutes| at(now - minutes * MINUTE));
    for (seed, seen_at) in (1..).zip(idle) {
        let session = StoredSession { seen_at, created_at: seen_at, ..session(seed, "a") };
        store.open_session(session, CAPS).await.unwrap();
    }
    let ends = async |now| {
        let (idle_since, opened_before) = (at(now - 30 * MINUTE), at(now - 24 * 60 * MINUTE));
        store.end_expired_sessions(idle_since, opened_before, at(now), 9).await.unwrap().len()
    };
    assert_eq!(ends(now - 10 * MINUTE).await, 1, "where it is early, later");
    assert_eq!(ends(now + 60 * MINUTE).await, 1, "and where it is late, not earlier");
    assert_eq!(store.count_sessions().await.unwrap(), 1);
    store.close().await.unwrap();
    schema.drop().await;
}
