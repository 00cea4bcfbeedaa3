//! Secrets stay inside: everything that the program wrote, at its most talkative, is searched for them.

use std::{fs, path::Path};

use serde_json::json;

use crate::support::{
    client::{Client, NEWEST, initialize, request},
    process::Program,
    wire::{Ask, Wire},
};

const BOB: &str = "canary-key-of-bob-WqZx";
const ALICE: &str = "canary-key-of-alice-XqZw";
const WRONG: &str = "canary-key-of-nobody-YqZv";
const PEPPER: &str = "canary-pepper-0123456789-0123456789-0123456789";

#[tokio::test]
async fn neither_keys_nor_session_ids_are_in_the_log_or_the_files() {
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
        let sessions = converse(&program).await;
        program.signal("TERM");
        let ended = program.ended();
        assert!(ended.stderr.lines().count() > 10, "the log is empty: {}", ended.stderr);
        if format == "json" {
            for line in ended.stderr.lines() {
                serde_json::from_str::<serde_json::Value>(line)
                    .unwrap_or_else(|error| panic!("{error}: {line}"));
            }
        }
        let mut secrets: Vec<&str> = vec![BOB, ALICE, WRONG, PEPPER, "WqZx", "XqZw", "YqZv", "canary-"];
        secrets.extend(sessions.iter().map(String::as_str));
        let mut written = vec![
            ("stdout".to_owned(), ended.stdout.into_bytes()),
            ("stderr".to_owned(), ended.stderr.into_bytes()),
        ];
        files(folder.path(), &mut written);
        assert!(written.len() >= 3, "there is no database to search");
        for (name, bytes) in &written {
            for secret in &secrets {
                // The last four characters of a key are kept on purpose, to recognise it by.
                if secret.len() == 4 && name.contains("payments.db") {
                    continue;
                }
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is in {name} ({format})");
            }
        }
    }
}

/// Everything a client can do with secrets, right and wrong; the ids of the sessions.
async fn converse(program: &Program) -> Vec<String> {
    let address = program.address;
    let (bob, alice) = (Client::open(address, BOB).await, Client::open(address, ALICE).await);
    bob.result("getAccountBalance", json!({})).await;
    bob.result("getLatestTransactions", json!({ "limit": -1 })).await;
    alice.call("noSuchTool", json!({})).send(address).await;
    for body in ["{", "[]", r#"{"jsonrpc":"2.0","id":1,"method":"nonsense"}"#] {
        bob.post(body).send(address).await;
    }
    let open = Ask::post(initialize(NEWEST));
    assert_eq!(open.clone().key(WRONG).send(address).await.status, 401);
    assert_eq!(
        open.clone().with("authorization", &format!("Bearer {WRONG}")).send(address).await.status,
        401
    );
    assert_eq!(open.clone().with("authorization", &format!("Basic {WRONG}")).send(address).await.status, 401);
    let two = open.clone().key(BOB).with("authorization", &format!("Bearer {ALICE}"));
    assert_eq!(two.send(address).await.status, 400);
    let in_query = open.clone().to(&format!("/mcp?key={WRONG}"));
    assert_eq!(in_query.send(address).await.status, 401);
    let in_path = open.clone().to(&format!("/{WRONG}/mcp")).key(BOB);
    assert_eq!(in_path.send(address).await.status, 404);
    let foreign = Client { session: bob.session.clone(), ..alice.clone() };
    assert_eq!(foreign.ping().await.status, 404);
    let mut stream = Wire::connect(address).await;
    stream.write(&bob.dress(Ask::get()).bytes(address)).await;
    assert_eq!(stream.head().await.status, 200);
    let mut broken = Wire::connect(address).await;
    broken.write(format!("POST /mcp HTTP/1.1\r\nx-api-key {BOB}\r\n\r\n").as_bytes()).await;
    broken.until_closed().await;
    let unfinished = bob.post(request(5, "ping", json!({}))).with("content-length", "500").bytes(address);
    Wire::connect(address).await.write(&unfinished).await;
    assert_eq!(alice.end().await.status / 100, 2);
    vec![bob.session, alice.session]
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
