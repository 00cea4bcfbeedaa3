//! Tokens: good ones, and what is wrong with the others.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Trust, claims, claims_with, knock, listen, now};
use crate::support::{
    client::{NEWEST, initialize, initialize_with, request},
    events::Events,
    kit::Signer,
    process::{Program, run},
    soon,
    wire::{Ask, Wire},
};

fn without(member: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(member);
    claims
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_a_token_is_a_principal_like_any_other() {
    for signer in [Signer::ed25519("one"), Signer::p256("one")] {
        let trust = Trust::new(&signer);
        let program = trust.start();
        let bearer = format!("Bearer {}", signer.token(&claims()));
        let opened = Ask::post(initialize(NEWEST)).with("authorization", &bearer).send(program.address).await;
        assert_eq!(opened.status, 200, "{opened:?}");
        let ask = |name: &str| {
            Ask::post(request(2, "tools/call", json!({ "name": name, "arguments": {} })))
                .with("authorization", &bearer)
                .with("mcp-session-id", opened.header("mcp-session-id").unwrap())
        };
        let told = ask("whoAmI").send(program.address).await.json();
        let told = &told["result"]["structuredContent"];
        assert_eq!((&told["kind"], &told["role"]), (&json!("service"), &json!("read-only")));
        let denied = ask("listAuditRecords").send(program.address).await.json();
        assert_eq!(denied["result"]["isError"], true);

        // It ends like any key.
        let keys = trust.operate(&["keys", "list"]);
        let key = keys.as_array().unwrap().iter().find(|key| key["service"].is_string()).unwrap();
        trust.operate(&["keys", "revoke", key["id"].as_str().unwrap()]);
        assert_eq!(ask("whoAmI").send(program.address).await.status, 401);
        let again = run(trust.path(), &["keys", "rotate", key["id"].as_str().unwrap()], &trust.set);
        assert!(again.stderr.contains("has no secret"), "{again:?}");

        // Then the service may have another one.
        let create = ["keys", "create", "--user", "bob", "--role", "auditor", "--token-subject", "billing"];
        let other = trust.operate(&create);
        let twice = run(trust.path(), &create, &trust.set);
        assert!(twice.stderr.contains("there is a key for this service already"), "{twice:?}");
        let opened = Ask::post(initialize(NEWEST)).with("authorization", &bearer).send(program.address).await;
        assert_eq!(opened.status, 200, "{opened:?}");
        let keys = trust.operate(&["keys", "list"]);
        let state = |id: &Value| {
            keys.as_array().unwrap().iter().find(|one| one["id"] == *id).map(|one| one["state"].clone())
        };
        assert_eq!((state(&key["id"]), state(&other["id"])), (Some(json!("revoked")), Some(json!("active"))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_01_a_token_that_breaks_one_rule_is_refused_and_the_rule_is_in_the_audit() {
    let (signer, stranger, other) = (Signer::ed25519("one"), Signer::ed25519("one"), Signer::p256("one"));
    let trust = Trust::new(&signer);
    let program = trust.start();
    let header = |header: Value| signer.token_with(&header, &claims());
    let none = {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        format!("{}.{}.", part(&json!({ "alg": "none", "kid": "one" })), part(&claims()))
    };
    let hmac = {
        // Signed with the public key as if it were a shared secret.
        use hmac::{Hmac, KeyInit as _, Mac as _};
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(&json!({ "alg": "HS256", "kid": "one" })), part(&claims()));
        let public = signer.public()["x"].as_str().unwrap().to_owned();
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&BASE64URL_NOPAD.decode(public.as_bytes()).unwrap()).unwrap();
        mac.update(message.as_bytes());
        format!("{message}.{}", BASE64URL_NOPAD.encode(&mac.finalize().into_bytes()))
    };
    let mut changed = signer.token(&claims());
    changed.replace_range(60..61, if changed.as_bytes()[60] == b'A' { "B" } else { "A" });
    let cases = [
        (signer.token(&claims_with("exp", json!(now() - 60))), "token: expired"),
        // When its time is over, and not a second later: from then on its sender is not known any more.
        (signer.token(&claims_with("exp", json!(now() - 10))), "token: expired"),
        (signer.token(&claims_with("nbf", json!(now() + 60))), "token: not yet"),
        (signer.token(&claims_with("exp", json!(now() + 100_000))), "token: lives too long"),
        (signer.token(&claims_with("aud", json!("another"))), "token: audience"),
        (signer.token(&claims_with("iss", json!("https://other.example"))), "token: issuer"),
        (signer.token(&claims_with("sub", json!("nobody"))), "key: unknown"),
        (signer.token(&without("nbf")), "token: a claim is missing"),
        (signer.token(&without("aud")), "token: a claim is missing"),
        (signer.token(&without("jti")), "token: malformed"),
        (header(json!({ "alg": "EdDSA" })), "token: no key id"),
        (header(json!({ "alg": "EdDSA", "kid": "two" })), "token: unknown key id"),
        (header(json!({ "alg": "EdDSA", "kid": "one", "crit": ["exp"] })), "token: algorithm"),
        (none, "token: unsigned"),
        (hmac, "token: algorithm"),
        (other.token(&claims()), "token: algorithm"),
        (stranger.token(&claims()), "token: signature"),
        (changed, "token: signature"),
    ];
    let mut expected = Vec::new();
    for (token, rule) in cases {
        let answer = knock(&token).send(program.address).await;
        assert_eq!((answer.status, answer.code()), (401, Some(-32001)), "{rule}");
        assert!(answer.body.contains("Invalid API key"), "all of them read the same: {answer:?}");
        expected.push(if rule.starts_with("key") { rule.to_owned() } else { format!("key: {rule}") });
    }
    program.signal("INT");
    let ended = program.ended();
    assert!(!ended.stderr.contains("eyJ"), "a token is in the log");
    let rules = trust.rules();
    for rule in expected {
        assert!(rules.contains(&rule), "{rule} is not in {rules:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_01_a_token_belongs_to_whoever_presented_it_first() {
    let signer = Signer::ed25519("one");
    let mut trust = Trust::new(&signer);
    trust.set.push(("TRUSTED_PROXIES", "127.0.0.0/8"));
    let program = trust.start();
    let token = signer.token(&claims());
    let from = |address: &str| knock(&token).with("x-forwarded-for", address);
    let mut statuses = Vec::new();
    for address in ["192.0.2.1", "192.0.2.1", "192.0.2.66", "192.0.2.1"] {
        statuses.push(from(address).send(program.address).await.status);
    }
    assert_eq!(statuses, [200, 200, 401, 200]);
    // Another server on the same database knows it too.
    let second = Program::start(trust.path(), &trust.set);
    assert_eq!(from("192.0.2.66").send(second.address).await.status, 401);
    assert_eq!(from("192.0.2.1").send(second.address).await.status, 200);
}

/// How far the clocks of issuer and server may be apart, in seconds.
const LEEWAY: u64 = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_gone_on_with_is_answered_when_the_token_has_ended_meanwhile() {
    let signer = Signer::ed25519("one");
    let trust = Trust::new(&signer);
    let program = trust.start();
    let address = program.address;
    trust.operate(&["keys", "create", "--user", "bob", "--role", "customer", "--token-subject", "payer"]);
    let bearer = |mut claims: Value| {
        claims["sub"] = json!("payer");
        format!("Bearer {}", signer.token(&claims))
    };
    let lasting = bearer(claims());
    let open = Ask::post(initialize_with(NEWEST, &json!({ "elicitation": {} })));
    let opened = open.with("authorization", &lasting).send(address).await;
    let dress = |ask: Ask, bearer: &str| {
        let session = opened.header("mcp-session-id").unwrap();
        ask.session(session).with("mcp-protocol-version", NEWEST).with("authorization", bearer)
    };
    let arguments = json!({ "payments": [{ "to": "alice", "amount": 1 }] });
    let call = request(7, "tools/call", json!({ "name": "createPaymentBatch", "arguments": arguments }));
    // A busy machine may need a token that lives longer to be served with it at all.
    for life in [2, 4, 8] {
        let brief = bearer(claims_with("exp", json!(now() + life - LEEWAY)));
        let mut calling = Events::open(&dress(Ask::post(call.clone()), &lasting), address).await;
        let begun = calling.one().await.id().to_owned();
        let question = soon("the question", calling.one()).await.json()["id"].clone();
        let go_on = dress(Ask::get(), &brief).with("last-event-id", &begun);
        let (Ok(mut listening), Ok(mut resumed)) = (
            Events::or_answer(&dress(Ask::get(), &brief), address).await,
            Events::or_answer(&go_on, address).await,
        ) else {
            continue;
        };
        soon("the end of what is only listened to", async { while listening.next().await.is_some() {} })
            .await;
        for told in [begun.as_str(), question.as_str().unwrap()] {
            assert!(format!("{:?}", resumed.one().await).contains(told));
        }
        let word = json!({ "jsonrpc": "2.0", "id": question, "result": { "action": "decline" } });
        assert_eq!(dress(Ask::post(word.to_string()), &lasting).send(address).await.status, 202);
        let rest = resumed.rest().await;
        let answer = rest.last().expect("the stream ended before the answer");
        assert_eq!(answer.json()["id"], 7, "{rest:?}");
        return;
    }
    panic!("no token lived long enough to be served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_listened_to_ends_with_the_token_that_opened_it_and_no_other_does() {
    let signer = Signer::ed25519("one");
    let trust = Trust::new(&signer);
    let program = trust.start();
    let address = program.address;
    let bearer = |claims: Value| format!("Bearer {}", signer.token(&claims));
    let lasting = bearer(claims());
    let opened = Ask::post(initialize(NEWEST)).with("authorization", &lasting).send(address).await;
    let session = opened.header("mcp-session-id").unwrap();
    let asks = [Ask::get().session(session).with("mcp-protocol-version", NEWEST), listen(address)];
    let begin = async |ask: &Ask, bearer: &str| {
        let mut wire = Wire::connect(address).await;
        wire.write(&ask.clone().with("authorization", bearer).bytes(address)).await;
        (wire.head().await.status, wire)
    };
    for ask in asks {
        let (status, mut lasting) = begin(&ask, &lasting).await;
        assert_eq!(status, 200);
        // A busy machine may need a token that lives longer to be served with it at all.
        let mut ended = false;
        for life in [2, 4, 8] {
            let ends = now() + life;
            let brief = bearer(claims_with("exp", json!(ends - LEEWAY)));
            let (status, mut listening) = begin(&ask, &brief).await;
            if status == 401 {
                continue;
            }
            soon("the end of the stream", async { while listening.chunk().await.is_some() {} }).await;
            assert!(now() >= ends, "{} s before its time", ends - now());
            ended = true;
            break;
        }
        assert!(ended, "no token lived long enough to be served");
        while let Ok(chunk) = tokio::time::timeout(Duration::from_millis(300), lasting.chunk()).await {
            assert!(chunk.is_some(), "the stream that another token opened has ended, too");
        }
    }
}
