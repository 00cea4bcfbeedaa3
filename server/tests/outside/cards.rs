//! A card number in any argument is refused, and stored nowhere.

use std::fs;

use serde_json::{Value, json};
use server::{identity::ApiKey, store::KeyMode};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::{
    app::spawn_app,
    client::{BOB, Client, NEWEST, request},
    modern::Caller,
    postgres::{Connected, Postgres},
    process::Program,
    wire::Ask,
};

const CARD: &str = "4111111111111111";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_17_a_card_number_is_refused_in_any_argument_and_stored_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[("RUST_LOG", "trace")]);
    let address = program.address;
    let (bob, stateless) = (Client::open(address, BOB).await, Caller::new(address, BOB));
    let number: u64 = CARD.parse().unwrap();
    let escaped = format!(r#"{{"limit":"\u0034{}"}}"#, &CARD[1..]);
    let arguments: [Value; 11] = [
        json!({ "limit": CARD }),
        json!({ "limit": number }),
        json!({ "memo": "my card is 4111 1111-1111 1111." }),
        json!({ "memo": "4111 1111 1111 1111 12/27 123" }),
        json!({ "memo": "12 27 4111111111111111" }),
        // As it would be kept, there is nothing between the digits.
        json!({ "memo": "4111  1111\t1111\n1111" }),
        json!({ "memo": "4111\u{200b}1111\u{202e}1111\u{3164}1111" }),
        json!({ "memo": "4111\u{a0}1111\u{2013}1111\u{a0}1111" }),
        json!({ "deep": [{ "down": [CARD] }] }),
        json!({ CARD: 1 }),
        serde_json::from_str(&escaped).unwrap(),
    ];
    for arguments in arguments {
        let result = bob.result("getLatestTransactions", arguments.clone()).await;
        let text = result["content"][0]["text"].as_str().unwrap().to_owned();
        assert!(result["isError"] == true && text.starts_with("card_number: "), "{arguments}: {text}");
        let result = stateless.call("getLatestTransactions", arguments).await;
        assert_eq!(result["isError"], true);
    }
    let raw = format!(
        r#"{{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{{"name":"getLatestTransactions","arguments":{escaped}}}}}"#
    );
    assert!(bob.post(raw).send(address).await.body.contains("card_number: "));
    for (method, params) in [
        ("tools/call", json!({ "name": CARD, "arguments": {} })),
        ("resources/read", json!({ "uri": format!("payments://statements/{CARD}") })),
        ("prompts/get", json!({ "name": "prepare-payment", "arguments": { "payee": CARD } })),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "prepare-payment" },
            "argument": { "name": "payee", "value": CARD } }),
        ),
    ] {
        let answer = bob.post(request(4, method, params)).send(address).await;
        assert!(answer.body.contains("card_number: ") && !answer.body.contains(CARD), "{method}: {answer:?}");
    }
    // What is no method is nothing to be kept, either.
    let answer = bob.post(request(4, CARD, json!({ "a": CARD }))).send(address).await;
    assert_eq!(answer.code(), Some(-32601), "{answer:?}");
    // Nor as the name of a client, in either era, nor as an answer to nothing that was asked.
    let client = json!({ "name": CARD, "version": "4111 1111 1111 1111" });
    let opening = json!({ "protocolVersion": NEWEST, "capabilities": {}, "clientInfo": client });
    let answer = Ask::post(request(1, "initialize", opening)).key(BOB).send(address).await;
    assert_eq!((answer.code(), answer.header("mcp-session-id")), (Some(-32602), None), "{answer:?}");
    let call = json!({
        "name": "whoAmI", "arguments": {}, "_meta": { "io.modelcontextprotocol/clientInfo": client },
    });
    let result = stateless.answer("tools/call", call).await.json()["result"].clone();
    assert!(result["content"][0]["text"].as_str().unwrap().starts_with("card_number: "), "{result}");
    let response = json!({ "jsonrpc": "2.0", "id": "1", "result": { "card": CARD } });
    assert_eq!(bob.post(response.to_string()).send(address).await.status, 202);
    assert_kept_nowhere(&folder, program, &[CARD.as_bytes(), b"4111 1111-1111"]);
}

/// What is taken over where nobody reads it, and is no value: a number that is too large, half of a character.
const NO_VALUES: [&str; 2] = ["1e999", r#""\ud800""#];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_17_a_card_number_is_refused_beside_what_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[("RUST_LOG", "trace")]);
    let address = program.address;
    let (bob, stateless) = (Client::open(address, BOB).await, Caller::new(address, BOB));
    let payment = json!({ "to": "alice", "amount": 1, "memo": "4111 1111 1111 1111" });
    for no_value in NO_VALUES {
        let odd = |text: String| text.replace("\"ODD\"", no_value);
        let in_both = async |params: Value| {
            let body = stateless.body(7, "tools/call", params.clone());
            let modern = stateless.dress(&body).saying(odd(body.to_string()));
            let legacy = bob.post(odd(request(3, "tools/call", params)));
            [legacy.send(address).await, modern.send(address).await]
        };
        for params in [
            json!({ "name": "createPayment", "arguments": payment, "a": "ODD" }),
            json!({ "name": "createPayment", "arguments": payment, "x": "ODD" }),
            json!({ "name": "createPayment", "arguments": payment, "_meta": { "x": ["ODD"] } }),
            json!({ "name": CARD, "arguments": { "x": "ODD" } }),
            json!({ "name": "getAccountBalance", "arguments": {}, "x": { CARD: "ODD" } }),
        ] {
            for answer in in_both(params.clone()).await {
                let result = answer.json()["result"].clone();
                let text = result["content"][0]["text"].as_str().unwrap_or_default();
                let says_why = ["card_number: ", "unreadable: "].iter().any(|why| text.starts_with(why));
                assert!(result["isError"] == true && says_why, "{params} {no_value}: {answer:?}");
            }
        }
        // By itself a number that is too large does no harm, and half of a character may be half of anything.
        for answer in in_both(json!({ "name": "getAccountBalance", "arguments": {}, "x": "ODD" })).await {
            let is_refused = answer.json()["result"]["isError"] == true;
            assert_eq!(is_refused, no_value != "1e999", "{answer:?}");
        }
        let response = json!({ "jsonrpc": "2.0", "id": "1", "result": { "card": CARD, "x": "ODD" } });
        assert_eq!(bob.post(odd(response.to_string())).send(address).await.status, 202);
    }
    let kept = bob.result("listPayments", json!({})).await;
    assert_eq!(kept["structuredContent"]["payments"], json!([]), "{kept}");
    assert_kept_nowhere(&folder, program, &[CARD.as_bytes(), b"4111 1111 1111"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_17_what_is_left_out_of_a_client_s_name_hides_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[("RUST_LOG", "trace")]);
    let address = program.address;
    let (_, key) = ApiKey::generate(KeyMode::Live).unwrap();
    let with_marks = |secret: &str| {
        let parts: Vec<_> = secret.as_bytes().chunks(4).map(|part| str::from_utf8(part).unwrap()).collect();
        parts.join("✓")
    };
    for secret in [CARD, key.expose()] {
        for client in [
            json!({ "name": with_marks(secret), "version": "1" }),
            json!({ "name": "client", "version": with_marks(secret) }),
        ] {
            let opening = json!({ "protocolVersion": NEWEST, "capabilities": {}, "clientInfo": client });
            let answer = Ask::post(request(1, "initialize", opening)).key(BOB).send(address).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let session = answer.header("mcp-session-id").unwrap();
            let call = request(2, "tools/call", json!({ "name": "whoAmI", "arguments": {} }));
            let told = Ask::post(call).key(BOB).session(session).send(address).await;
            assert!(told.json()["result"]["structuredContent"].is_object(), "{told:?}");
            let call = json!({
                "name": "whoAmI", "arguments": {}, "_meta": { "io.modelcontextprotocol/clientInfo": client },
            });
            let told = Caller::new(address, BOB).result("tools/call", call).await;
            assert!(told["structuredContent"].is_object(), "{told}");
        }
    }
    assert_kept_nowhere(&folder, program, &[CARD.as_bytes(), key.expose().as_bytes()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_17_a_card_number_is_refused_in_the_digits_of_any_script() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[("RUST_LOG", "trace")]);
    let address = program.address;
    let (bob, stateless) = (Client::open(address, BOB).await, Caller::new(address, BOB));
    let written = [
        "４１１１ １１１１ １１１１ １１１１",
        "４１１１－１１１１－１１１１－１１１１",
        "٤١١١١١١١١١١١١١١١",
        "aaaaaaaaaaaaaaaaaaaaaaaa41111111１１１１１１１１",
    ];
    for card in written {
        let payment = json!({ "to": "alice", "amount": 1, "memo": card });
        let call = json!({ "name": "createPayment", "arguments": payment });
        for (method, params) in [
            ("tools/call", call.clone()),
            ("tools/call", json!({ "name": card, "arguments": {} })),
            ("resources/read", json!({ "uri": format!("payments://statements/{card}") })),
            ("prompts/get", json!({ "name": card })),
        ] {
            let answer = bob.post(request(4, method, params)).send(address).await;
            let is_refused = answer.body.contains("card_number: ") && !answer.body.contains(card);
            assert!(is_refused, "{method}: {answer:?}");
        }
        let answer = stateless.answer("tools/call", call).await;
        assert!(answer.body.contains("card_number: ") && !answer.body.contains(card), "{answer:?}");
        let with_marks: String = card.chars().flat_map(|char| [char, '✓']).collect();
        let client = json!({ "name": with_marks, "version": "1" });
        let opening = json!({ "protocolVersion": NEWEST, "capabilities": {}, "clientInfo": client });
        let opened = Ask::post(request(1, "initialize", opening)).key(BOB).send(address).await;
        let call = request(2, "tools/call", json!({ "name": "whoAmI", "arguments": {} }));
        let session = opened.header("mcp-session-id").unwrap();
        let told = Ask::post(call).key(BOB).session(session).send(address).await;
        assert!(told.json()["result"]["structuredContent"].is_object(), "{told:?}");
    }
    assert_kept_nowhere(&folder, program, &["１１１１".as_bytes(), "١١١١".as_bytes()]);
}

/// What has the digits of a card number and is none.
const ID: &str = "4111111111111111aaaaaaaaaaaaaaaa";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_trace_nor_an_id_without_hyphens_is_taken_for_a_card_number() {
    let app = spawn_app().await;
    let (bob, stateless) = (Client::open(app.address, BOB).await, Caller::new(app.address, BOB));
    let traced = json!({
        "name": "whoAmI", "arguments": {}, "_meta": { "traceparent": format!("00-{ID}-00f067aa0ba902b7-01") },
    });
    let answer = bob.post(request(3, "tools/call", traced.clone())).send(app.address).await;
    for result in [answer.json()["result"].clone(), stateless.result("tools/call", traced).await] {
        assert!(result["structuredContent"].is_object(), "{result}");
    }
    let order = json!({ "to": "alice", "amount": 1, "idempotencyKey": ID });
    let made = bob.result("createPayment", order.clone()).await["structuredContent"].clone();
    let again = stateless.call("createPayment", order).await["structuredContent"].clone();
    assert!(made["paymentId"].is_string(), "{made}");
    assert_eq!((&again["paymentId"], &again["replayed"]), (&made["paymentId"], &json!(true)), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_beside_a_card_number_is_not_used_up() {
    let app = spawn_app().await;
    let bob = Caller::new(app.address, BOB).able(json!({ "elicitation": {} }));
    let made = bob.call("createPayment", json!({ "to": "alice", "amount": 1 })).await;
    let arguments = json!({ "paymentId": made["structuredContent"]["paymentId"] });
    let asked = bob.call("confirmPayment", arguments.clone()).await;
    let mut yes = json!({
        "name": "confirmPayment", "arguments": arguments, "requestState": asked["requestState"],
        "inputResponses": { "confirmation": { "action": "accept", "content": {} } },
        "_meta": { "note": CARD },
    });
    for _ in 0..2 {
        let refused = bob.result("tools/call", yes.clone()).await;
        let text = refused["content"][0]["text"].as_str().unwrap_or_default();
        assert!(refused["isError"] == true && text.starts_with("card_number: "), "{refused}");
    }
    yes["_meta"] = json!({});
    let paid = bob.result("tools/call", yes.clone()).await;
    assert_eq!(paid["structuredContent"]["status"], "succeeded", "{paid}");
    assert_eq!(bob.answer("tools/call", yes).await.code(), Some(-32602), "it counts once");
}

/// What comes to a server that does not wait for it is left in the database for whichever does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_17_a_card_number_is_not_left_for_another_server() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (url, pepper) = (postgres.url(), "a pepper that all of the servers share");
    let program = Program::start(folder.path(), &[("DATABASE_URL", &url), ("KEY_PEPPER", pepper)]);
    let bob = Client::open(program.address, BOB).await;
    let (_, key) = ApiKey::generate(KeyMode::Live).unwrap();
    let number: u64 = CARD.parse().unwrap();
    let response = |id: &str| json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept" } });
    let cancel = |id: Value| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
    for sent in [
        response(CARD),
        // As if it were a question's.
        response("41111111-11111111"),
        response(key.expose()),
        json!({ "jsonrpc": "2.0", "id": "00c0ffee-1", "error": { "code": 1, "message": CARD } }),
        cancel(json!(CARD)),
        cancel(json!(number)),
        cancel(json!(key.expose())),
        // And what is left as it is.
        response("00c0ffee-2"),
        cancel(json!(7)),
    ] {
        assert_eq!(bob.post(sent.to_string()).send(program.address).await.status, 202, "{sent}");
    }
    let database = Connected::to(&postgres).await;
    let count = async |which: &str| {
        database.number(&format!("SELECT count(*) FROM session_mail WHERE {which}")).await
    };
    let secret = format!("topic || body ~ '{}|{}'", &CARD[..8], ApiKey::PREFIX);
    // That the error was another one is told.
    let told = "body LIKE '%card_number: %' OR topic IN ('cancel 7', 'answer \"00c0ffee-2\"')";
    assert_eq!((count("true").await, count(&secret).await, count(told).await), (3, 0, 3));
}

/// Stops the program and looks for these bytes in everything that it wrote; and for a digest, from which a number with so
/// few digits could be found again.
fn assert_kept_nowhere(folder: &TempDir, program: Program, secrets: &[&[u8]]) {
    program.signal("INT");
    let ended = program.ended();
    let mut written = vec![ended.stdout.into_bytes(), ended.stderr.into_bytes()];
    for file in fs::read_dir(folder.path().join("data")).unwrap() {
        written.push(fs::read(file.unwrap().path()).unwrap());
    }
    let digest = Sha256::digest(json!({ "limit": CARD }).to_string());
    for bytes in written {
        for needle in secrets.iter().copied().chain([digest.as_slice()]) {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle));
        }
    }
}
