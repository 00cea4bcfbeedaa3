//! A session belongs to whoever opened it. For anybody else it does not exist.

use serde_json::json;
use server::{identity::Role, store::KeyId};

use crate::support::{
    app::spawn_app,
    changes::KeyChanges as _,
    client::{ALICE, BOB, Client, request},
    wire::{Ask, Wire},
};

#[tokio::test]
async fn rule_08_anothers_session_answers_with_the_bytes_of_one_that_never_was() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let unknown = bob.session.chars().rev().collect::<String>();
    let asks = [
        Ask::post(request(1, "ping", json!({}))),
        Ask::post(request(2, "tools/call", json!({ "name": "getAccountBalance" }))),
        Ask::post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        Ask::get(),
        Ask::delete(),
    ];
    for ask in asks {
        let ask = ask.key(ALICE).with("mcp-protocol-version", &bob.version);
        let theirs = ask.clone().session(&bob.session).send(app.address).await;
        let nobodys = ask.clone().session(&unknown).send(app.address).await;
        assert_eq!(theirs.status, 404, "{theirs:?}");
        assert_eq!(theirs.without_moment(), nobodys.without_moment());
    }
    assert_eq!(bob.ping().await.status, 200, "Bob's session suffered");
    assert_eq!(app.traces().await, (1, 0));
}

#[tokio::test]
async fn rule_09_anothers_attempts_neither_end_a_stream_nor_take_its_place() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let mut stream = Wire::connect(app.address).await;
    stream.write(&bob.dress(Ask::get()).bytes(app.address)).await;
    assert_eq!(stream.head().await.status, 200);
    for ask in [Ask::get(), Ask::delete()] {
        assert_eq!(ask.key(ALICE).session(&bob.session).send(app.address).await.status, 404);
    }
    assert_eq!(bob.end().await.status / 100, 2, "Bob's session had ended");
    while stream.chunk().await.is_some() {}
}

#[tokio::test]
async fn rule_09_a_session_id_is_no_key() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for ask in [Ask::post(request(1, "ping", json!({}))), Ask::get(), Ask::delete()] {
        assert_eq!(ask.session(&bob.session).send(app.address).await.status, 401);
    }
    assert_eq!(bob.ping().await.status, 200);
}

#[tokio::test]
async fn rule_09_a_key_that_may_do_less_has_to_open_a_session_again_and_one_that_may_do_more_goes_on() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let permit = async |role: Role| {
        let key = KeyId("1".to_owned());
        app.store.permit_key(&key, role.permissions().bits(), role.as_str().to_owned()).await.unwrap();
    };
    permit(Role::ReadOnly).await;
    assert_eq!(bob.ping().await.status, 404, "the session was stronger than the key is");
    let bob = Client::open(app.address, BOB).await;
    permit(Role::Customer).await;
    assert_eq!(bob.ping().await.status, 200, "the key is stronger than the session");
}

#[tokio::test]
async fn two_hundred_sessions_with_the_same_request_ids_never_mix_their_answers() {
    let app = spawn_app().await;
    let calls = (0..200).map(|number| {
        let (key, name, balance) = if number % 2 == 0 { (BOB, "bob", -200) } else { (ALICE, "alice", 180) };
        async move {
            let client = Client::open(app.address, key).await;
            for _ in 0..5 {
                let result = client.result("getAccountBalance", json!({})).await;
                assert_eq!(result["structuredContent"], json!({ "username": name, "balance": balance }));
                let result = client.result("getLatestTransactions", json!({ "limit": 100 })).await;
                for row in result["structuredContent"]["transactions"].as_array().unwrap() {
                    assert!(row["from"] == name || row["to"] == name, "{name} was shown {row}");
                }
            }
        }
    });
    futures_util::future::join_all(calls).await;
    let (sessions, calls) = app.traces().await;
    assert_eq!((sessions, calls), (200, 1_000), "the audit trail is read a thousand rows at a time");
}
