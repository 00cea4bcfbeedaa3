//! Sealing keys that take turns while several servers seal and open with them.

use std::net::SocketAddr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};
use server::clock::UnixMillis;

use super::Replicas;
use crate::support::{client::BOB, eventually, modern::Caller, postgres::Connected};

/// Somebody who can be asked, at one of the servers.
fn bob(address: SocketAddr) -> Caller {
    Caller::new(address, BOB).able(json!({ "elicitation": {} }))
}

/// A question about a payment of so much, asked at a server: the call that answers it with yes.
async fn asked(address: SocketAddr, amount: u32) -> Value {
    let made = bob(address).call("createPayment", json!({ "to": "alice", "amount": amount })).await;
    let arguments = json!({ "paymentId": made["structuredContent"]["paymentId"] });
    let asked = bob(address).call("confirmPayment", arguments.clone()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    json!({
        "name": "confirmPayment", "arguments": arguments, "requestState": asked["requestState"],
        "inputResponses": { "confirmation": { "action": "accept", "content": {} } },
    })
}

/// The number of the key that a seal was made with: it stands behind the version.
fn sealed_with(seal: &Value) -> u32 {
    let bytes = BASE64URL_NOPAD.decode(seal.as_str().unwrap().as_bytes()).unwrap();
    u32::from_be_bytes(*bytes[1..].first_chunk().unwrap())
}

async fn is_paid_at(address: SocketAddr, yes: Value) {
    let paid = bob(address).result("tools/call", yes).await;
    assert_eq!(paid["structuredContent"]["status"], "succeeded", "{paid}");
}

/// A page's cursor.
async fn cursor(address: SocketAddr) -> Value {
    let page = bob(address).call("listPayments", json!({ "limit": 1 })).await;
    page["structuredContent"]["nextCursor"].clone()
}

async fn goes_on_at(address: SocketAddr, cursor: &Value) {
    let page = bob(address).call("listPayments", json!({ "limit": 1, "cursor": cursor })).await;
    assert_eq!(page["structuredContent"]["payments"].as_array().map(Vec::len), Some(1), "{page}");
}

/// That there is such a key, made by some other server so many seconds ago; one that had this number before is lost.
async fn has_made(replicas: &Replicas, number: u32, seconds_ago: i64) {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).unwrap();
    let made_at = UnixMillis::now().as_millis() - 1_000 * seconds_ago;
    let secret = HEXLOWER.encode(&secret);
    let insert = format!(
        "INSERT INTO sealing_keys (id, made_at, secret) VALUES ({number}, {made_at}, decode ('{secret}', 'hex'))
         ON CONFLICT (id) DO UPDATE SET made_at = EXCLUDED.made_at, secret = EXCLUDED.secret"
    );
    Connected::to(&replicas.postgres).await.execute(&insert).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_sealed_is_opened_by_another_before_while_and_after_the_keys_take_turns() {
    let Some(replicas) = Replicas::start().await else { return };
    let [a, b, c] = replicas.addresses().try_into().unwrap();
    let (before, page) = (asked(a, 1).await, asked(b, 2).await);
    let first = sealed_with(&before["requestState"]);
    let place = cursor(a).await;
    assert_eq!([sealed_with(&page["requestState"]), sealed_with(&place)], [first, first]);
    // One that is a minute old, which every server is taken to know: each seals with it when it has read it.
    has_made(&replicas, first + 1, 61).await;
    let mut amount = 10;
    for address in [a, b, c] {
        eventually("the next key at this server", async || sealed_with(&cursor(address).await) == first + 1)
            .await;
        goes_on_at(address, &place).await;
    }
    is_paid_at(b, before).await;
    is_paid_at(c, page).await;
    for (from, to) in [(a, b), (b, c), (c, a)] {
        amount += 1;
        let yes = asked(from, amount).await;
        assert_eq!(sealed_with(&yes["requestState"]), first + 1);
        is_paid_at(to, yes).await;
        goes_on_at(to, &cursor(from).await).await;
    }
    // A fresh one seals nothing yet, for not every server has read it; what has ended by then goes on to be opened.
    let told = replicas.told(&["sealing", "rotate"]);
    assert_eq!(told[0]["id"], first + 2, "{told}");
    for (from, to) in [(a, c), (c, b), (b, a)] {
        amount += 1;
        let yes = asked(from, amount).await;
        assert_eq!(sealed_with(&yes["requestState"]), first + 1, "a fresh key seals nothing yet");
        is_paid_at(to, yes).await;
        goes_on_at(to, &place).await;
    }
}

/// A failover may lose the last key that was made, and its number is given again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_knew_a_key_that_was_lost_take_the_one_that_has_its_number_now() {
    let Some(replicas) = Replicas::start().await else { return };
    let [a, b, c] = replicas.addresses().try_into().unwrap();
    for amount in [1, 2] {
        asked(a, amount).await;
    }
    let lost = cursor(a).await;
    goes_on_at(b, &lost).await;
    has_made(&replicas, sealed_with(&lost), 61).await;
    for address in [a, b, c] {
        eventually("the key that is there now at this server", async || {
            bob(address).call("listPayments", json!({ "cursor": lost })).await["isError"] == true
        })
        .await;
    }
    let mut amount = 10;
    for (from, to) in [(a, b), (b, c), (c, a)] {
        amount += 1;
        is_paid_at(to, asked(from, amount).await).await;
        goes_on_at(to, &cursor(from).await).await;
    }
}
