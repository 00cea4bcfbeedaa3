//! Bytes that were a message once: bits turned, pieces cut out and doubled, members twice, and more than may be sent.

use serde_json::json;

use super::{answer_to, assert_holds, assert_served};
use crate::support::{
    app::spawn_app,
    client::{BOB, Client, request},
    modern::Caller,
    wire::Ask,
};

/// Numbers that look random and are the same each time (a linear congruential generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// `bytes` with one to four kinds of damage.
fn damaged(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=dice.below(4) {
        let (at, to) = (dice.below(bytes.len()), dice.below(bytes.len()));
        let (from, to) = (at.min(to), at.max(to));
        match dice.below(6) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
            2 => bytes.insert(at, b"{}[]\",:\\ \0\xff0e"[dice.below(13)]),
            3 => bytes.truncate(at.max(1)),
            4 if to - from < bytes.len() - 1 => drop(bytes.drain(from..to)),
            _ => bytes.extend_from_within(from..to),
        }
    }
    bytes
}

#[tokio::test]
async fn three_thousand_damaged_messages_are_answered_and_none_with_a_fault_of_the_server_s() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let mut dice = Dice(20_261_124);
    let whole = [
        request(1, "tools/call", json!({ "name": "getLatestTransactions", "arguments": { "limit": 2 } })),
        request("ü🦀", "tools/list", json!({ "cursor": "c", "_meta": { "progressToken": 1 } })),
        request(
            3,
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "n" }, "argument": {} }),
        ),
    ];
    for round in 0..1_000 {
        for message in &whole {
            let body = damaged(message.as_bytes(), &mut dice);
            let what = format!("round {round}: {}", String::from_utf8_lossy(&body));
            assert_holds(&answer_to(&bob, &bob.post(body)).await, &what);
        }
    }
    assert_served(&bob).await;
}

#[tokio::test]
async fn a_member_that_is_there_twice_is_never_taken_for_one_of_the_two() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"code":2,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getAccountBalance","name":"getAllTransactions"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getAccountBalance","arguments":{},"arguments":{"user":"alice"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getLatestTransactions","arguments":{"limit":1,"limit":2}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"prepare-payment","arguments":{"to":"charlie","to":"alice","amount":"1"}}}"#,
        // The same name, written in two ways.
        r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"prepare-payment","arguments":{"amount":"100","am\u006funt":"1","to":"alice"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getLatestTransactions","arguments":{"limit":1,"l\u0069mit":2}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"m\u0065thod":"ping","method":"tools/list"}"#,
    ] {
        let answer = answer_to(&bob, &bob.post(body)).await;
        assert_holds(&answer, body);
        let refused = answer.status == 400
            || answer.code() == Some(-32602)
            || answer.json()["result"]["isError"] == true;
        assert!(refused, "{body}: {answer:?}");
    }
    assert_served(&bob).await;
}

#[tokio::test]
async fn an_order_is_not_taken_for_one_of_the_two_that_it_can_be_read_as() {
    let app = spawn_app().await;
    let bob = Caller::new(app.address, BOB).able(json!({ "elicitation": {} }));
    for payment in [
        r#"{"to":"alice","amount":100,"amount":1}"#,
        r#"{"to":"alice","amount":100,"am\u006funt":1}"#,
        r#"{"to":"charlie","to":"alice","amount":1}"#,
    ] {
        let params = json!({ "name": "createPaymentBatch", "arguments": { "payments": ["PAYMENT"] } });
        let body = bob.body(7, "tools/call", params);
        let ask = bob.dress(&body).saying(body.to_string().replace("\"PAYMENT\"", payment));
        let result = ask.send(app.address).await.json()["result"].clone();
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        assert!(result["isError"] == true && text.contains("twice"), "{payment}: {result}");
    }
}

#[tokio::test]
async fn rule_12_a_body_of_the_most_that_is_taken_is_read_and_a_byte_more_is_413() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let ping = request(1, "ping", json!({}));
    let mut limit = 0;
    // The limit is the server's to choose: it says it in the refusal.
    let refusal = answer_to(&bob, &bob.post(" ".repeat(8 * 1024 * 1024))).await;
    assert_eq!(refusal.status, 413, "{refusal:?}");
    for word in
        refusal.json()["error"]["message"].as_str().unwrap().split(|char: char| !char.is_ascii_digit())
    {
        limit = limit.max(word.parse().unwrap_or(0));
    }
    assert!(limit > 100_000, "the refusal does not say what may be sent: {refusal:?}");
    let padded = |length: usize| format!("{ping}{}", " ".repeat(length - ping.len()));
    assert_eq!(answer_to(&bob, &bob.post(padded(limit))).await.status, 200);
    assert_eq!(answer_to(&bob, &bob.post(padded(limit + 1))).await.status, 413);
    let unauthenticated = answer_to(&bob, &Ask::post(padded(limit + 1))).await;
    assert_eq!(unauthenticated.status, 401, "a body was looked at before the key");
    assert_served(&bob).await;
}

#[tokio::test]
async fn rule_12_nesting_is_taken_up_to_its_bound_wherever_it_is() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let mut statuses = Vec::new();
    for depth in [1, 30, 60, 64, 65, 127, 128, 129, 1_000] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nested = format!("{}0{}", open.repeat(depth), close.repeat(depth));
            for body in [
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{nested}}}}}"#),
                format!(
                    r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"getAccountBalance","arguments":{nested}}}}}"#
                ),
                format!(r#"{{"jsonrpc":"2.0","id":"q","result":{{"content":{nested}}}}}"#),
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","com.example":{nested}}}"#),
            ] {
                let answer = answer_to(&bob, &bob.post(body)).await;
                assert_holds(&answer, &format!("{depth} of {open}"));
                assert!(depth <= 64 || answer.status == 400, "{depth} of {open}: {answer:?}");
                statuses.push(answer.status);
            }
        }
    }
    assert!(statuses.contains(&200) && statuses.contains(&400), "{statuses:?}");
    assert_served(&bob).await;
}
