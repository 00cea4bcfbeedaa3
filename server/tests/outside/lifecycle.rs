//! From `initialize` to `DELETE`, in each revision that has sessions.

use serde_json::json;

use crate::support::{
    app::spawn_app,
    client::{BOB, Client, NEWEST, initialize, request},
    wire::Ask,
};

const REVISIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

#[tokio::test]
async fn a_session_is_opened_used_and_ended_in_each_revision() {
    let app = spawn_app().await;
    for path in ["/mcp", "/stream"] {
        for version in REVISIONS {
            let answer = Ask::post(initialize(version)).to(path).key(BOB).send(app.address).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let result = &answer.json()["result"];
            assert_eq!(result["protocolVersion"], version);
            assert_eq!(result["serverInfo"]["name"], "payment-server");
            assert_eq!(result["serverInfo"]["version"], "1.0.0");
            assert_eq!(
                result["instructions"],
                "This is a payment transaction server that manages user payment history."
            );
            assert!(result["capabilities"]["tools"].is_object(), "{result}");
            let id = answer.header("mcp-session-id").expect("a session id").to_owned();
            assert!(id.len() >= 22 && id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
            let send = |ask: Ask| ask.to(path).key(BOB).session(&id).with("mcp-protocol-version", version);
            let initialized = Ask::post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
            let answer = send(initialized).send(app.address).await;
            assert_eq!((answer.status, answer.body.as_str()), (202, ""));
            let answer = send(Ask::post(request("p", "ping", json!({})))).send(app.address).await;
            assert_eq!(answer.body, r#"{"jsonrpc":"2.0","id":"p","result":{}}"#);
            let list = send(Ask::post(request(2, "tools/list", json!({})))).send(app.address).await;
            assert_eq!(list.json()["result"]["tools"].as_array().unwrap().len(), 11);
            let ended = send(Ask::delete()).send(app.address).await;
            assert!((200..300).contains(&ended.status), "{ended:?}");
            assert_eq!(send(Ask::post(request(3, "ping", json!({})))).send(app.address).await.status, 404);
            assert_eq!(send(Ask::delete()).send(app.address).await.status, 404);
        }
    }
    assert_eq!(app.traces().await.0, 0);
}

#[tokio::test]
async fn a_revision_that_is_not_spoken_here_is_answered_with_the_newest() {
    let app = spawn_app().await;
    for asked in ["2024-11-05", "2099-01-01", "1", "", "2025-11-25x"] {
        let answer = Ask::post(initialize(asked)).key(BOB).send(app.address).await;
        assert_eq!(answer.json()["result"]["protocolVersion"], NEWEST, "{asked}: {answer:?}");
    }
}

#[tokio::test]
async fn an_initialize_that_lacks_something_opens_nothing() {
    let app = spawn_app().await;
    for params in [
        json!({}),
        json!({ "protocolVersion": NEWEST, "capabilities": {} }),
        json!({ "protocolVersion": 7, "capabilities": {}, "clientInfo": { "name": "n", "version": "v" } }),
        json!({ "capabilities": {}, "clientInfo": { "name": "n", "version": "v" } }),
        json!({ "protocolVersion": NEWEST, "capabilities": [{}], "clientInfo": { "name": "n", "version": "v" } }),
        json!({ "protocolVersion": NEWEST, "capabilities": {}, "clientInfo": ["n", null, "1"] }),
    ] {
        let answer = Ask::post(request(1, "initialize", params.clone())).key(BOB).send(app.address).await;
        assert_eq!(answer.code(), Some(-32602), "{params}: {answer:?}");
        assert!(answer.header("mcp-session-id").is_none());
    }
    assert_eq!(app.traces().await, (0, 0));
}

#[tokio::test]
async fn a_stale_session_id_on_initialize_starts_afresh() {
    let app = spawn_app().await;
    let answer = Ask::post(initialize(NEWEST)).key(BOB).session("long-gone").send(app.address).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_ne!(answer.header("mcp-session-id"), Some("long-gone"));
}

#[tokio::test]
async fn the_version_header_must_name_a_revision_that_is_spoken() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let ping = || bob.post(request(1, "ping", json!({}))).without("mcp-protocol-version");
    for version in ["2024-11-05", "2099-01-01", "nonsense", ""] {
        for ask in [ping(), bob.dress(Ask::get()), bob.dress(Ask::delete())] {
            let answer = ask.instead("mcp-protocol-version", version).send(app.address).await;
            assert_eq!(answer.status, 400, "{version}: {answer:?}");
        }
    }
    assert_eq!(ping().send(app.address).await.status, 200, "an absent header means 2025-03-26");
    assert_eq!(ping().with("mcp-protocol-version", NEWEST).send(app.address).await.status, 200);
}

#[tokio::test]
async fn the_version_header_that_is_there_twice_is_refused_and_the_session_lives_on() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let twice = |ask: Ask, versions: [&str; 2]| {
        let [first, second] = versions;
        ask.instead("mcp-protocol-version", first).with("mcp-protocol-version", second)
    };
    for other in [NEWEST, "2025-06-18", "2099-01-01", "2026-07-28", ""] {
        for versions in [[NEWEST, other], [other, NEWEST]] {
            for ask in [
                bob.post(request(1, "ping", json!({}))),
                bob.dress(Ask::get()),
                bob.dress(Ask::delete()),
                Ask::post(request(1, "ping", json!({}))).key(BOB),
                Ask::post(initialize(NEWEST)).key(BOB),
                Ask::get().key(BOB),
                Ask::delete().key(BOB),
            ] {
                let answer = twice(ask, versions).send(app.address).await;
                assert_eq!((answer.status, answer.code()), (400, Some(-32600)), "{versions:?}: {answer:?}");
                assert!(answer.header("mcp-session-id").is_none(), "{versions:?}: {answer:?}");
            }
        }
    }
    assert_eq!(bob.ping().await.status, 200);
}

#[tokio::test]
async fn batches_belong_to_the_oldest_revision() {
    let app = spawn_app().await;
    let batch = format!(
        r#"[{},{{"jsonrpc":"2.0","method":"notifications/nonsense"}},{},{}]"#,
        request(1, "ping", json!({})),
        request("two", "tools/call", json!({ "name": "getAccountBalance" })),
        request(3, "nonsense", json!({})),
    );
    let old = Client::open_in(app.address, BOB, "2025-03-26").await;
    let answer = old.post(batch.clone()).send(app.address).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    assert_eq!(body.as_array().unwrap().len(), 3, "{body}");
    let by_id =
        |id: serde_json::Value| body.as_array().unwrap().iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(by_id(json!(1))["result"], json!({}));
    let balance = &by_id(json!("two"))["result"];
    assert!(balance["content"][0]["text"].as_str().unwrap().contains("-200"));
    assert!(balance.get("structuredContent").is_none(), "that revision does not know it: {balance}");
    assert_eq!(by_id(json!(3))["error"]["code"], -32601);
    let quiet = old.post(r#"[{"jsonrpc":"2.0","method":"notifications/nonsense"}]"#).send(app.address).await;
    assert_eq!((quiet.status, quiet.body.as_str()), (202, ""));
    for body in ["[]", "[1]", &format!("[{}]", initialize("2025-03-26"))] {
        let answer = old.post(body).send(app.address).await;
        assert!(answer.status == 400 || answer.body.contains("-32600"), "{body}: {answer:?}");
    }
    for version in ["2025-06-18", "2025-11-25"] {
        let new = Client::open_in(app.address, BOB, version).await;
        let answer = new.post(batch.clone()).send(app.address).await;
        assert_eq!((answer.status, answer.code()), (400, Some(-32600)), "{version}: {answer:?}");
    }
}

#[tokio::test]
async fn every_session_has_an_id_of_its_own() {
    let app = spawn_app().await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..50 {
        assert!(ids.insert(Client::open(app.address, BOB).await.session), "an id came twice");
    }
    assert_eq!(app.traces().await.0, 50);
}
