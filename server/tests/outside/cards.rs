//! A card number in any argument is refused, and stored nowhere.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    client::{BOB, Client, request},
    modern::Caller,
    process::Program,
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
    let arguments: [Value; 6] = [
        json!({ "limit": CARD }),
        json!({ "limit": number }),
        json!({ "memo": "my card is 4111 1111-1111 1111." }),
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
    program.signal("INT");
    let ended = program.ended();
    let mut written = vec![ended.stdout.into_bytes(), ended.stderr.into_bytes()];
    for file in fs::read_dir(folder.path().join("data")).unwrap() {
        written.push(fs::read(file.unwrap().path()).unwrap());
    }
    // Nor as a digest, from which a number with so few digits could be found again.
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(json!({ "limit": CARD }).to_string());
    for bytes in written {
        for needle in [CARD.as_bytes(), b"4111 1111-1111", digest.as_slice()] {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle));
        }
    }
}
