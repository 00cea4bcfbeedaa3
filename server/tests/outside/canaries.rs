//! Secrets stay inside: everything that the program wrote, at its most talkative, is searched for them.

use std::{fs, net::SocketAddr, path::Path};

use serde_json::json;

use crate::support::{
    client::{Client, NEWEST, initialize, request},
    modern::Caller,
    process::Program,
    wire::{Ask, Wire},
};

const BOB: &str = "canary-key-of-bob-WqZx";
const ALICE: &str = "canary-key-of-alice-XqZw";
const WRONG: &str = "canary-key-of-nobody-YqZv";
const LIVE: &str = "mcpay_live_canary0_CanaryCanaryCanaryCanaryCanaryCanary00";
const TOKEN: &str = "eyJjYW5hcnkiOiJpbiBhIHRva2VuIn0.eyJjYW5hcnkiOiJpbiBhIHRva2VuIn0.Y2FuYXJ5LW9mLXRva2Vu";
const PEPPER: &str = "canary-pepper-0123456789-0123456789-0123456789";

#[tokio::test]
async fn rule_13_no_secret_is_in_the_log_the_files_or_the_answers() {
    for format in ["pretty", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let set = [
            ("RUST_LOG", "trace"),
            ("LOG_FORMAT", format),
            ("BOB_API_KEY", BOB),
            ("ALICE_API_KEY", ALICE),
            ("KEY_PEPPER", PEPPER),
        ];
        let program = Program::start(folder.path(), &set);
        let (sessions, answers) = converse(&program).await;
        program.signal("TERM");
        let ended = program.ended();
        assert!(ended.stderr.lines().count() > 10, "the log is empty: {}", ended.stderr);
        if format == "json" {
            for line in ended.stderr.lines() {
                serde_json::from_str::<serde_json::Value>(line)
                    .unwrap_or_else(|error| panic!("{error}: {line}"));
            }
        }
        let mut secrets: Vec<&str> =
            vec![BOB, ALICE, WRONG, LIVE, PEPPER, TOKEN, "WqZx", "XqZw", "YqZv", "canary-"];
        secrets.extend(sessions.iter().map(String::as_str));
        let mut written = vec![
            ("stdout".to_owned(), ended.stdout.into_bytes()),
            ("stderr".to_owned(), ended.stderr.into_bytes()),
            ("answers".to_owned(), answers.into_bytes()),
        ];
        files(folder.path(), &mut written);
        let is_database =
            |(name, bytes): &(String, Vec<u8>)| name.ends_with("payments.db") && !bytes.is_empty();
        assert!(written.iter().any(is_database), "there is no database to search");
        for (name, bytes) in &written {
            for secret in &secrets {
                // The last four characters of a key are kept on purpose, to recognise it by.
                if secret.len() == 4 && name.contains("payments.db") {
                    continue;
                }
                // The caller carries its request state: it is given to it, sealed, and to nobody else.
                if name == "answers" && sessions.last().is_some_and(|state| state == secret) {
                    continue;
                }
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is in {name} ({format})");
            }
        }
    }
}

/// Everything a client can do with secrets, right and wrong; the ids of the sessions and a request state, and what was
/// answered.
async fn converse(program: &Program) -> (Vec<String>, String) {
    let address = program.address;
    let (bob, alice) = (Client::open(address, BOB).await, Client::open(address, ALICE).await);
    let mut answers = Vec::new();
    let mut asks = vec![
        bob.call("getAccountBalance", json!({})),
        bob.call("getLatestTransactions", json!({ "limit": -1 })),
        bob.call("whoAmI", json!({})),
        alice.call("noSuchTool", json!({})),
        alice.call(LIVE, json!({})),
        bob.call("createPayment", json!({ "to": "alice", "amount": 1, "memo": format!("my key: {LIVE}") })),
        bob.call("createPayment", json!({ "to": LIVE, "amount": 1 })),
        bob.call("getAccountBalance", json!({ LIVE: LIVE })),
    ];
    for body in ["{", "[]", r#"{"jsonrpc":"2.0","id":1,"method":"nonsense"}"#] {
        asks.push(bob.post(body));
    }
    let open = Ask::post(initialize(NEWEST));
    let client = json!({ "name": LIVE, "version": LIVE });
    let params = json!({ "protocolVersion": NEWEST, "capabilities": {}, "clientInfo": client });
    asks.push(Ask::post(request(1, "initialize", params)).key(BOB));
    let meta = json!({ "io.modelcontextprotocol/clientInfo": client });
    let stateless = Caller::new(address, BOB);
    asks.push(stateless.ask("tools/call", json!({ "name": "whoAmI", "arguments": {}, "_meta": meta })));
    asks.push(stateless.ask("tools/list", json!({ "_meta": meta })));
    asks.push(bob.post(json!({ "jsonrpc": "2.0", "id": LIVE, "result": { "x": LIVE } }).to_string()));
    let bearer = |key: &str| open.clone().with("authorization", &format!("Bearer {key}"));
    asks.extend([
        open.clone().key(WRONG),
        bearer(WRONG),
        bearer(TOKEN),
        open.clone().with("authorization", &format!("Basic {WRONG}")),
        bearer(ALICE).key(BOB),
        open.clone().to(&format!("/mcp?key={WRONG}")),
        open.clone().to(&format!("/{WRONG}/mcp")).key(BOB),
        Client { session: bob.session.clone(), ..alice.clone() }.post(request(1, "ping", json!({}))),
    ]);
    for ask in asks {
        let answer = ask.send(address).await;
        answers.push(format!("{answer:?}"));
    }
    let mut stream = Wire::connect(address).await;
    stream.write(&bob.dress(Ask::get()).bytes(address)).await;
    assert_eq!(stream.head().await.status, 200);
    let mut broken = Wire::connect(address).await;
    broken.write(format!("POST /mcp HTTP/1.1\r\nx-api-key {BOB}\r\n\r\n").as_bytes()).await;
    broken.until_closed().await;
    let unfinished = bob.post(request(5, "ping", json!({}))).with("content-length", "500").bytes(address);
    Wire::connect(address).await.write(&unfinished).await;
    let state = asked_and_refused(address).await;
    assert_eq!(alice.end().await.status / 100, 2);
    (vec![bob.session, alice.session, state], answers.join("\n"))
}

/// A request state that was spent, and was sent again.
async fn asked_and_refused(address: SocketAddr) -> String {
    let caller = Caller::new(address, BOB).able(json!({ "elicitation": {} }));
    let made = caller.call("createPayment", json!({ "to": "alice", "amount": 1 })).await;
    let arguments = json!({ "paymentId": made["structuredContent"]["paymentId"] });
    let asked = caller.call("confirmPayment", arguments.clone()).await;
    let state = asked["requestState"].as_str().unwrap().to_owned();
    let question = asked["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let answer = json!({
        "name": "confirmPayment", "arguments": arguments, "requestState": state,
        "inputResponses": { question: { "action": "decline" } },
    });
    for status in [200, 400] {
        assert_eq!(caller.answer("tools/call", answer.clone()).await.status, status);
    }
    state
}

/// Every file under `folder`, with what is in it.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}
