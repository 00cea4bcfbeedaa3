//! How long sessions live, and how many there may be.

use std::{collections::HashSet, time::Duration};

use serde_json::json;
use server::{
    clock::UnixMillis,
    store::{OpenSession, SessionCaps, SessionHash, StoredSession},
};
use sha2::{Digest, Sha256};

use crate::support::{
    app::{App, spawn_app, spawn_app_with},
    client::{ALICE, BOB, Client, NEWEST, initialize, request},
    eventually,
    wire::{Ask, Wire},
};

fn hash(id: &str) -> SessionHash {
    SessionHash(Sha256::digest(id).into())
}

/// A session like `like`, as if it had been opened and last used that long ago.
async fn aged(app: &App, like: &Client, id: &str, opened: Duration, used: Duration) -> Client {
    let now = UnixMillis::now();
    let ago =
        |span: Duration| UnixMillis::from_millis(now.as_millis() - i64::try_from(span.as_millis()).unwrap());
    let model = app.store.session(&hash(&like.session)).await.unwrap().expect("the session is in the store");
    let session = StoredSession { hash: hash(id), created_at: ago(opened), seen_at: ago(used), ..model };
    let caps = SessionCaps { per_key: 1_000, total: 1_000 };
    assert_eq!(app.store.open_session(session, caps).await.unwrap(), OpenSession::Opened);
    Client { session: id.to_owned(), ..like.clone() }
}

#[tokio::test]
async fn rule_10_a_session_ends_when_it_is_idle_and_when_it_is_old() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let minute = Duration::from_secs(60);
    for (id, opened, used, status) in [
        ("fresh-session-of-a-minute", minute, minute, 200),
        ("nearly-idle-session-of-bob", minute * 40, minute * 29, 200),
        // Of a use by another server the store learns a minute later.
        ("idle-as-far-as-the-store-knows", minute * 40, minute * 30 + minute / 2, 200),
        ("idle-for-half-an-hour-and-more", minute * 40, minute * 31, 404),
        ("nearly-a-day-old-and-in-use", minute * 60 * 23, Duration::ZERO, 200),
        ("older-than-a-day-and-in-use", minute * (60 * 24 + 1), Duration::ZERO, 404),
    ] {
        let session = aged(&app, &bob, id, opened, used).await;
        assert_eq!(session.ping().await.status, status, "{id}");
        let stream = session.dress(Ask::get());
        let mut wire = Wire::connect(app.address).await;
        wire.write(&stream.bytes(app.address)).await;
        assert_eq!(wire.head().await.status, status, "{id}");
    }
}

#[tokio::test]
async fn rule_10_sessions_that_expired_are_cleared_away() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let long = Duration::from_secs(3_600);
    for number in 0..20 {
        aged(&app, &bob, &format!("forgotten-session-number-{number}"), long, long).await;
    }
    eventually("the sweep", async || app.traces().await.0 == 1).await;
    assert_eq!(bob.ping().await.status, 200);
}

#[tokio::test]
async fn rule_10_a_key_that_has_all_its_sessions_waits_while_others_go_on() {
    let app = spawn_app_with(|config| config.sessions.per_key = 3).await;
    let mut bobs = Vec::new();
    for _ in 0..3 {
        bobs.push(Client::open(app.address, BOB).await);
    }
    let refused = Ask::post(initialize(NEWEST)).key(BOB).send(app.address).await;
    assert_eq!((refused.status, refused.code()), (503, Some(-32005)), "{refused:?}");
    let wait: u64 = refused.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=3_600).contains(&wait));
    assert!(refused.header("mcp-session-id").is_none());
    for bob in &bobs {
        assert_eq!(bob.ping().await.status, 200);
    }
    let alice = Client::open(app.address, ALICE).await;
    assert_eq!(alice.result("getAccountBalance", json!({})).await["structuredContent"]["balance"], 180);
    bobs[0].end().await;
    Client::open(app.address, BOB).await;
}

#[tokio::test]
async fn rule_10_a_full_server_refuses_new_sessions_and_serves_the_others() {
    let app = spawn_app_with(|config| config.sessions.total = 2).await;
    let (bob, alice) = (Client::open(app.address, BOB).await, Client::open(app.address, ALICE).await);
    for key in [BOB, ALICE] {
        let refused = Ask::post(initialize(NEWEST)).key(key).send(app.address).await;
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!((bob.ping().await.status, alice.ping().await.status), (200, 200));
    assert_eq!(app.traces().await.0, 2);
    alice.end().await;
    Client::open(app.address, BOB).await;
}

#[tokio::test]
async fn rule_10_a_cap_holds_when_everybody_comes_at_once() {
    let app = spawn_app_with(|config| config.sessions.per_key = 10).await;
    let opened = futures_util::future::join_all(
        (0..40).map(|_| async { Ask::post(initialize(NEWEST)).key(BOB).send(app.address).await }),
    )
    .await;
    let ids: HashSet<_> = opened.iter().filter_map(|answer| answer.header("mcp-session-id")).collect();
    assert_eq!(ids.len(), 10);
    assert_eq!(opened.iter().filter(|answer| answer.status == 503).count(), 30);
    assert_eq!(app.traces().await.0, 10);
}

#[tokio::test]
async fn rule_04_neither_the_id_nor_the_key_is_in_the_store() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    bob.post(request(1, "ping", json!({}))).send(app.address).await;
    let stored =
        format!("{:?} {:?}", app.store.session(&hash(&bob.session)).await.unwrap(), app.store.keys().await);
    assert!(stored.contains("outside"), "the client's name is kept for the audit: {stored}");
    assert!(!stored.contains(&bob.session) && !stored.contains(BOB), "{stored}");
}
