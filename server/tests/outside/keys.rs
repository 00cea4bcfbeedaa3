//! Every request is authenticated, whatever its method, before its body is read and before anything is allocated.

use std::net::SocketAddr;

use serde_json::json;
use server::{clock::UnixMillis, store::KeyId};

use crate::support::{
    app::{App, spawn_app},
    changes::KeyChanges as _,
    client::{ALICE, BOB, Client, NEWEST, initialize},
    modern::Caller,
    wire::{Answer, Ask, Wire},
};

/// A request of each method and each era, the way its method wants it, without a key.
fn each_method() -> [Ask; 6] {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let modern = Caller::new(anywhere, "").ask("tools/call", json!({ "name": "whoAmI", "arguments": {} }));
    let legacy = Ask::post(initialize(NEWEST));
    [legacy, Ask::get(), Ask::delete(), Ask::bare("PUT"), Ask::bare("OPTIONS"), modern.without("x-api-key")]
}

/// Bob's key is revoked and Alice's has expired.
async fn end_keys(app: &App) {
    app.store.revoke_key(&KeyId("1".to_owned()), UnixMillis::now()).await.unwrap();
    for mut key in app.store.keys().await.unwrap() {
        if key.username == "alice" {
            key.expires_at = Some(UnixMillis::now());
            app.store.put_key(key).await.unwrap();
        }
    }
}

/// That whoever sent no good key is told so, and what to do, and nothing else.
fn assert_told(answer: &Answer, key: Option<&str>) {
    assert_eq!(answer.status, 401, "{key:?}: {answer:?}");
    let challenges = answer.headers.iter().filter(|(name, _)| name == "www-authenticate");
    let challenges: Vec<_> = challenges.map(|(_, value)| value.as_str()).collect();
    assert_eq!(challenges, ["ApiKey header=\"x-api-key\"", "Bearer"]);
    assert!(answer.header("x-request-id").is_some(), "{answer:?}");
    assert!(answer.header("mcp-session-id").is_none());
    let body = answer.json();
    let message = body["error"]["message"].as_str().unwrap();
    let expected = if key.is_none_or(str::is_empty) {
        "API key required in x-api-key header"
    } else {
        "Invalid API key"
    };
    assert!(message.contains(expected), "{key:?}: {message}");
    assert_eq!(answer.code(), Some(-32001));
    assert!(key.is_none_or(|key| key.is_empty() || !answer.body.contains(key)), "the key is echoed");
}

#[tokio::test]
async fn rule_01_without_a_good_key_every_request_is_401_and_nothing_happens() {
    let app = spawn_app().await;
    end_keys(&app).await;
    let long = "k".repeat(5_000);
    for key in [
        None,
        Some(""),
        Some("short"),
        Some("two words here"),
        Some("mcpay_live_k7_0123456789abcdefghijklmnopqrstuvWRONG0"),
        Some("mcpay_demo_bob_DEMOKEYDEMOKEYDEMOKEYDEMOKEYDEMo"),
        Some("an-unknown-but-well-formed-key"),
        Some(BOB),
        Some(ALICE),
        Some(&long),
    ] {
        for path in ["/mcp", "/stream"] {
            for ask in each_method() {
                let ask = match key {
                    Some(key) => ask.to(path).key(key),
                    None => ask.to(path),
                };
                assert_eq!(ask.send(app.address).await.status, 401, "{key:?}");
            }
        }
    }
    assert_eq!(app.traces().await, (0, 0));
}

/// Which of the reasons it was is nobody's business but the audit's.
#[tokio::test]
async fn rule_02_a_refusal_says_what_to_do_and_not_which_guess_was_close() {
    let app = spawn_app().await;
    end_keys(&app).await;
    let mut refusals = Vec::new();
    for key in [None, Some(""), Some("short"), Some("an-unknown-but-well-formed-key"), Some(BOB), Some(ALICE)]
    {
        for ask in each_method() {
            let ask = key.map_or_else(|| ask.clone(), |key| ask.clone().key(key));
            let answer = ask.send(app.address).await;
            assert_told(&answer, key);
            if key.is_some_and(|key| !key.is_empty()) {
                refusals.push(answer.without_moment());
            }
        }
    }
    assert!(refusals.windows(2).all(|two| two[0] == two[1]), "{refusals:?}");
}

#[tokio::test]
async fn rule_01_two_different_keys_are_400_and_the_same_one_twice_is_one() {
    let app = spawn_app().await;
    let bearer = |key: &str| format!("Bearer {key}");
    for ask in each_method() {
        for (header, other) in [(BOB, ALICE), (ALICE, BOB), (BOB, "an-unknown-key")] {
            let answer =
                ask.clone().key(header).with("authorization", &bearer(other)).send(app.address).await;
            assert_eq!(answer.status, 400, "{answer:?}");
        }
        let answer = ask.clone().with("x-api-key", BOB).with("x-api-key", ALICE).send(app.address).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_eq!(app.traces().await, (0, 0));
    let both =
        Ask::post(initialize(NEWEST)).key(BOB).with("authorization", &bearer(BOB)).send(app.address).await;
    assert_eq!(both.status, 200, "{both:?}");
    assert_eq!(app.traces().await, (1, 0));
}

#[tokio::test]
async fn rule_03_a_bearer_token_is_the_same_key() {
    let app = spawn_app().await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let ask = Ask::post(initialize(NEWEST)).with("authorization", &format!("{scheme} {BOB}"));
        assert_eq!(ask.send(app.address).await.status, 200, "{scheme}");
    }
    for header in ["Basic Ym9iOmJvYg==", "Bearer", "Bearer ", BOB] {
        let ask = Ask::post(initialize(NEWEST)).with("authorization", header);
        assert_eq!(ask.send(app.address).await.status, 401, "{header}");
    }
    let bob = Client::open(app.address, BOB).await;
    let ask = bob.post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).without("x-api-key");
    assert_eq!(ask.with("authorization", &format!("Bearer {BOB}")).send(app.address).await.status, 200);
}

#[tokio::test]
async fn rule_01_the_body_is_not_waited_for_when_the_key_is_wrong() {
    let app = spawn_app().await;
    for key in ["an-unknown-but-well-formed-key", ""] {
        let ask = Ask::post("").key(key).with("content-length", "1000000");
        let mut wire = Wire::connect(app.address).await;
        wire.write(&ask.bytes(app.address)).await;
        assert_eq!(wire.answer().await.status, 401);
        let mut wire = Wire::connect(app.address).await;
        wire.write(&ask.with("expect", "100-continue").bytes(app.address)).await;
        assert_eq!(wire.answer().await.status, 401, "the body was asked for before the key was checked");
    }
    assert_eq!(app.traces().await, (0, 0));
}

#[tokio::test]
async fn rule_05_a_revoked_or_expired_key_is_refused_from_the_next_request_on() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let alice = Client::open(app.address, ALICE).await;
    end_keys(&app).await;
    for client in [bob, alice] {
        let answer = client.ping().await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains("Invalid API key"));
    }
}

#[tokio::test]
async fn rule_05_a_key_that_ends_while_the_body_is_on_its_way_is_refused() {
    let app = spawn_app().await;
    let (bob, alice) = (Client::open(app.address, BOB).await, Client::open(app.address, ALICE).await);
    let mut parked = Vec::new();
    for client in [&bob, &alice] {
        for ask in [
            client.post(initialize(NEWEST)).without("mcp-session-id"),
            client.call("getAccountBalance", json!({})),
            Caller::new(app.address, &client.key)
                .ask("tools/call", json!({ "name": "getAccountBalance", "arguments": {} })),
            Caller::new(app.address, &client.key).ask("subscriptions/listen", json!({})),
        ] {
            let bytes = ask.bytes(app.address);
            let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            // All of the body may be kept back, or the last of it.
            for begun in [head, bytes.len() - 1] {
                let mut wire = Wire::connect(app.address).await;
                let (first, last) = bytes.split_at(begun);
                wire.write(first).await;
                parked.push((wire, last.to_vec()));
            }
        }
    }
    // Whoever is answered now was let in before.
    assert_eq!(bob.ping().await.status, 200);
    end_keys(&app).await;
    for (mut wire, last) in parked {
        wire.write(&last).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, 401, "{answer:?}");
    }
}

#[tokio::test]
async fn rule_02_nobody_is_led_into_oauth() {
    let app = spawn_app().await;
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        let answer = Ask::bare("GET").to(path).send(app.address).await;
        assert_eq!(answer.status, 404, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.json()["error"].is_object() || answer.json()["error"].is_string(), "{answer:?}");
    }
}
