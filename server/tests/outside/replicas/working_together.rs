//! What begins on one server goes on on another.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Replicas;
use crate::support::{
    client::{ALICE, BOB, Client, NEWEST, request},
    events::Events,
    eventually,
    modern::Caller,
    soon,
    wire::Ask,
};

/// The client of a session, on another server.
fn at(client: &Client, address: std::net::SocketAddr) -> Client {
    Client { address, ..client.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_opened_used_and_ended_wherever_the_next_request_comes() {
    let Some(replicas) = Replicas::start().await else { return };
    let bob = Client::open(replicas.front, BOB).await;
    for _ in 0..9 {
        assert_eq!(bob.result("getAccountBalance", json!({})).await["structuredContent"]["balance"], -200);
    }
    let stolen = Client { key: ALICE.to_owned(), ..bob.clone() };
    for _ in 0..3 {
        assert_eq!(stolen.ping().await.status, 404);
    }
    assert_eq!(bob.end().await.status / 100, 2);
    let ended = Instant::now();
    for address in replicas.addresses() {
        eventually("the end of the session", async || at(&bob, address).ping().await.status == 404).await;
    }
    assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
    let verdict = replicas.operate(&["audit", "verify"]);
    assert!(verdict.status.success(), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_made_on_one_asked_about_on_another_and_answered_on_the_third() {
    let Some(replicas) = Replicas::start().await else { return };
    let [a, b, c] = replicas.addresses().try_into().unwrap();
    let bob = Client::open_with(a, BOB, NEWEST, json!({ "elicitation": {} })).await;
    let made = bob.result("createPayment", json!({ "to": "alice", "amount": 12.5 })).await;
    let id = made["structuredContent"]["paymentId"].clone();
    let confirm = bob.call("confirmPayment", json!({ "paymentId": id }));
    let mut events = Events::open(&confirm, b).await;
    events.one().await;
    let question = events.one().await.json();
    assert_eq!(question["method"], "elicitation/create");
    // The answer comes to a server that asked nothing; and so does one that was not asked for.
    let yes = |id: Value| {
        let response = json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept", "content": {} } });
        bob.post(response.to_string())
    };
    assert_eq!(yes(json!("00000000-1")).send(c).await.status, 202);
    let alice = Client::open_with(c, ALICE, NEWEST, json!({ "elicitation": {} })).await;
    let meddling = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" } });
    assert_eq!(alice.post(meddling.to_string()).send(c).await.status, 202);
    // However much waits there that nobody waits for.
    for number in 0..20 {
        let params = json!({ "requestId": format!("gone {number}") });
        let stale = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
        assert_eq!(bob.post(stale.to_string()).send(c).await.status, 202);
        assert_eq!(yes(json!(format!("00000000-{number}"))).send(c).await.status, 202);
    }
    let answered = Instant::now();
    assert_eq!(yes(question["id"].clone()).send(c).await.status, 202);
    let rest = events.rest().await;
    let result = rest.last().unwrap().json()["result"].clone();
    assert_eq!(result["structuredContent"]["status"], "succeeded", "{result}");
    assert!(answered.elapsed() < Duration::from_secs(2), "{:?}", answered.elapsed());
    for address in [a, b, c] {
        let seen = at(&bob, address).result("getPayment", json!({ "paymentId": id })).await;
        assert_eq!(seen["structuredContent"]["status"], "succeeded", "{seen}");
        let again = at(&bob, address).result("confirmPayment", json!({ "paymentId": id })).await;
        assert_eq!(again["structuredContent"]["replayed"], true, "{again}");
        let balance = at(&bob, address).result("getAccountBalance", json!({})).await;
        assert_eq!(balance["structuredContent"]["balance"], -212.5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_that_began_on_one_server_ends_on_another_and_once() {
    let Some(replicas) = Replicas::start().await else { return };
    let [a, b, c] = replicas.addresses().try_into().unwrap();
    let bob = |address| Caller::new(address, BOB).able(json!({ "elicitation": {} }));
    let made = bob(a).call("createPayment", json!({ "to": "alice", "amount": 3 })).await;
    let arguments = json!({ "paymentId": made["structuredContent"]["paymentId"] });
    let asked = bob(b).call("confirmPayment", arguments.clone()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let keys: Vec<_> = asked["inputRequests"].as_object().unwrap().keys().cloned().collect();
    let responses: serde_json::Map<_, _> =
        keys.into_iter().map(|key| (key, json!({ "action": "accept", "content": {} }))).collect();
    let second = json!({
        "name": "confirmPayment", "arguments": arguments,
        "requestState": asked["requestState"], "inputResponses": responses,
    });
    let done = bob(c).result("tools/call", second.clone()).await;
    assert_eq!(done["structuredContent"]["status"], "succeeded", "{done}");
    let spent = bob(a).answer("tools/call", second).await;
    let replayed = spent.json()["result"]["structuredContent"]["replayed"] == json!(true);
    assert!(spent.status == 400 || spent.code().is_some() || replayed, "{spent:?}");
    let balance = bob(b).call("getAccountBalance", json!({})).await;
    assert_eq!(balance["structuredContent"]["balance"], -203);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_on_one_server_is_cancelled_through_another() {
    let Some(replicas) = Replicas::start().await else { return };
    let [a, b, c] = replicas.addresses().try_into().unwrap();
    let bob = Client::open_with(a, BOB, NEWEST, json!({ "elicitation": {} })).await;
    let made = bob.result("createPayment", json!({ "to": "alice", "amount": 4 })).await;
    let id = made["structuredContent"]["paymentId"].clone();
    let mut events = Events::open(&bob.call("confirmPayment", json!({ "paymentId": id })), b).await;
    events.one().await;
    events.one().await;
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 2 } });
    assert_eq!(bob.post(cancel.to_string()).send(c).await.status, 202);
    assert!(events.rest().await.iter().all(|event| event.json()["result"].is_null()), "it was answered");
    let seen = bob.result("getPayment", json!({ "paymentId": id })).await;
    assert_eq!(seen["structuredContent"]["status"], "requires_confirmation", "{seen}");
}

/// Streams belong to the server that has them; what is told on them may have happened anywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_on_one_server_is_told_by_those_that_are_listened_to() {
    let Some(replicas) = Replicas::start().await else { return };
    let [a, b, c] = replicas.addresses().try_into().unwrap();
    let bob = Client::open_with(a, BOB, NEWEST, json!({ "elicitation": {} })).await;
    let subscribe = request(3, "resources/subscribe", json!({ "uri": "payments://balance" }));
    let subscribed = bob.post(subscribe).send(b).await.json();
    assert_eq!(subscribed["result"], json!({}), "{subscribed}");
    let mut stream = Events::open(&bob.dress(Ask::get()), b).await;
    stream.one().await;
    let caller = |address| Caller::new(address, BOB).able(json!({ "elicitation": {} }));
    let filter = json!({ "notifications": { "resourceSubscriptions": ["payments://balance"] } });
    let mut listener = Events::open(&caller(c).ask("subscriptions/listen", filter), c).await;
    listener.one().await;
    let payment = json!({ "payments": [{ "to": "alice", "amount": 1 }] });
    let asked = caller(a).call("createPaymentBatch", payment.clone()).await;
    let yes = json!({
        "name": "createPaymentBatch", "arguments": payment, "requestState": asked["requestState"],
        "inputResponses": { "confirmation": { "action": "accept", "content": {} } },
    });
    let paid = caller(a).result("tools/call", yes).await;
    assert_eq!(paid["structuredContent"]["status"], "succeeded", "{paid}");
    let mut told = soon("the notification", stream.one()).await.json();
    // The payment is the first of its month, so there is another statement as well; which of the two is told first is open.
    if told["method"] == "notifications/resources/list_changed" {
        told = soon("the notification", stream.one()).await.json();
    }
    for told in [told, soon("the notification", listener.one()).await.json()] {
        assert_eq!(told["method"], "notifications/resources/updated", "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_narrowed_or_revoked_is_so_on_every_server_within_a_second() {
    let Some(replicas) = Replicas::start().await else { return };
    let made = replicas.told(&["keys", "create", "--user", "bob", "--role", "customer"]);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let mut clients = Vec::new();
    for address in replicas.addresses() {
        clients.push(Client::open(address, key).await);
    }
    let mut streams = Vec::new();
    for client in &clients {
        let open = client.dress(Ask::get());
        streams.push(Events::open(&open, client.address).await);
    }
    let narrowed = replicas.operate(&["keys", "permit", id, "--role", "read-only"]);
    assert!(narrowed.status.success(), "{narrowed:?}");
    let since = Instant::now();
    for client in &clients {
        eventually("the narrower key", async || client.ping().await.status == 404).await;
    }
    for stream in streams {
        stream.rest().await;
    }
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    let revoked = replicas.operate(&["keys", "revoke", id]);
    assert!(revoked.status.success(), "{revoked:?}");
    for address in replicas.addresses() {
        assert_eq!(Caller::new(address, key).answer("tools/list", json!({})).await.status, 401);
    }
}
