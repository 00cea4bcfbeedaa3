//! Too much of what costs something is answered with 429, when to come back, and what is limited.

use std::{num::NonZeroU32, time::Duration};

use serde_json::{Value, json};
use server::{
    config::Config,
    http::peer::TrustedProxies,
    limits::{LimitSettings, Limits},
};

use crate::support::{
    app::{App, spawn_app_with},
    client::{ALICE, BOB, Client, NEWEST, initialize, request},
    eventually,
    modern::Caller,
    stage::spawn_stage_with,
    wire::{Answer, Ask, Wire},
};

const WRONG: &str = "an-unknown-but-well-formed-key";

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// Limits that are not reached.
fn wide() -> LimitSettings {
    let many = number(100_000);
    LimitSettings { refused_keys: many, initializations: many, calls: many, calls_at_once: many }
}

async fn limited_to(limits: LimitSettings) -> App {
    spawn_app_with(|config: &mut Config| config.limits = Some(limits)).await
}

async fn open(app: &App, key: &str) -> Answer {
    Ask::post(initialize(NEWEST)).key(key).send(app.address).await
}

/// The status, and what a refusal for too much says of itself.
fn told<'a>(answer: &'a Answer, name: &str) -> (u16, Option<&'a str>) {
    if answer.status == 429 {
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{answer:?}");
        assert_eq!(answer.header("ratelimit").unwrap(), format!("\"{name}\";r=0;t={wait}"));
        assert_eq!(answer.code(), Some(-32005), "{answer:?}");
    }
    (answer.status, answer.header("ratelimit-policy"))
}

#[tokio::test]
async fn rule_11_a_flood_of_wrong_keys_is_slowed_down_and_locks_no_good_one_out() {
    let app = limited_to(LimitSettings { refused_keys: number(5), ..wide() }).await;
    for _ in 0..5 {
        assert_eq!(open(&app, WRONG).await.status, 401);
    }
    for _ in 0..20 {
        let answer = open(&app, WRONG).await;
        assert_eq!(told(&answer, "refused-keys"), (429, Some("\"refused-keys\";q=5;w=60")));
        assert!(answer.header("www-authenticate").is_none() && !answer.body.contains(WRONG));
    }
    for key in [BOB, ALICE] {
        assert_eq!(open(&app, key).await.status, 200, "from the same address");
    }
    // Whoever forgot the key altogether is told so.
    assert_eq!(Ask::post(initialize(NEWEST)).send(app.address).await.status, 401);
}

#[tokio::test]
async fn rule_11_a_key_opens_so_many_sessions_from_an_address_and_leaves_the_others_theirs() {
    let app = spawn_app_with(|config| {
        config.limits = Some(LimitSettings { initializations: number(3), ..wide() });
        config.sessions.per_key = 2;
    })
    .await;
    let bob = Client::open(app.address, BOB).await;
    for (key, status) in [
        (BOB, 200),
        // One that is refused because the key has all its sessions was asked for, too.
        (BOB, 503),
        (BOB, 429),
        (ALICE, 200),
        (BOB, 429),
        (ALICE, 200),
        (ALICE, 503),
        (ALICE, 429),
    ] {
        let answer = open(&app, key).await;
        assert_eq!(told(&answer, "initialize").0, status, "{key}: {answer:?}");
    }
    assert_eq!(bob.ping().await.status, 200, "what is open goes on");
    assert_eq!(app.store.count_sessions().await.unwrap(), 4);
}

#[tokio::test]
async fn rule_11_the_calls_of_a_key_are_counted_for_that_key_in_both_eras() {
    let app = limited_to(LimitSettings { calls: number(3), ..wide() }).await;
    let (bob, alice) = (Client::open(app.address, BOB).await, Client::open(app.address, ALICE).await);
    let stateless = Caller::new(app.address, BOB);
    let arguments = json!({ "name": "whoAmI", "arguments": {} });
    bob.result("whoAmI", json!({})).await;
    bob.result("whoAmI", json!({})).await;
    stateless.call("whoAmI", json!({})).await;
    let policy = Some("\"calls\";q=3;w=60");
    assert_eq!(told(&bob.call("whoAmI", json!({})).send(app.address).await, "calls"), (429, policy));
    assert_eq!(told(&stateless.answer("tools/call", arguments).await, "calls"), (429, policy));
    let read = stateless.answer("resources/read", json!({ "uri": "payments://balance" })).await;
    assert_eq!(told(&read, "calls"), (429, policy));
    assert_eq!(bob.ping().await.status, 200, "a ping is no call");
    alice.result("whoAmI", json!({})).await;

    app.store.flush_audit().await.unwrap();
    let records = app.store.latest_audit(100).await.unwrap();
    let limited: Vec<_> =
        records.iter().filter(|record| record.outcome.as_str() == "limited").map(|one| &one.tool).collect();
    assert_eq!(limited, ["resources/read payments://balance", "whoAmI", "whoAmI"]);
}

#[tokio::test]
async fn rule_11_what_fails_or_lists_what_is_stored_counts_like_any_other_call_in_both_eras() {
    let app = limited_to(LimitSettings { calls: number(1), ..wide() }).await;
    let (bob, stateless) = (Client::open(app.address, BOB).await, Caller::new(app.address, BOB));
    let oldest = Client::open_in(app.address, BOB, "2025-03-26").await;
    bob.result("whoAmI", json!({})).await;
    let call = |name: &str, arguments: Value| ("tools/call", json!({ "name": name, "arguments": arguments }));
    let month = json!({ "name": "month", "value": "2" });
    let forged = json!({ "name": "whoAmI", "arguments": {}, "requestState": "x" });
    let unread = json!({ "name": "whoAmI", "arguments": {}, "inputResponses": 7 });
    let no_text = json!({ "name": "explain-spending", "arguments": { "month": 7 } });
    let prompt = json!({ "type": "ref/prompt", "name": "explain-spending" });
    let family = json!({ "type": "ref/resource", "uri": "payments://statements/{month}" });
    let recorded = [
        call("noSuchTool", json!({})),
        call("getLatestTransactions", json!({ "limit": 0 })),
        call("getLatestTransactions", json!([])),
        call("listAuditRecords", json!({})),
        call("createPayment", json!({ "to": "4111 1111 1111 1111", "amount": 1 })),
        ("tools/call", forged),
        ("tools/call", unread),
        ("tools/call", json!({})),
        ("resources/read", json!({ "uri": "payments://nothing" })),
        ("resources/read", json!({})),
        ("prompts/get", json!({ "name": "nothing" })),
        ("prompts/get", no_text),
        ("prompts/get", json!({ "name": "explain-spending" })),
    ];
    let balance = json!({ "uri": "payments://balance" });
    let unrecorded = [
        ("resources/list", json!({})),
        ("resources/list", json!({ "cursor": 7 })),
        ("completion/complete", json!({})),
        ("completion/complete", json!({ "ref": prompt, "argument": month })),
        ("completion/complete", json!({ "ref": family, "argument": month })),
    ];
    let free = ["tools/list", "prompts/list", "resources/templates/list"].map(|method| (method, json!({})));
    let listen = json!({ "notifications": { "resourceSubscriptions": ["payments://balance"] } });
    let listening = stateless.answer("subscriptions/listen", listen).await;
    assert_eq!(told(&listening, "calls").0, 429, "{listening:?}");
    let listening = stateless.answer("subscriptions/listen", json!({})).await;
    assert_eq!(told(&listening, "calls").0, 429, "{listening:?}");
    for params in [balance, json!({ "uri": "payments://nothing" }), json!({})] {
        let subscribe = request(2, "resources/subscribe", params);
        let subscribed = bob.post(subscribe.clone()).send(app.address).await;
        assert_eq!(told(&subscribed, "calls").0, 429, "{subscribed:?}");
        let subscribed = oldest.post(format!("[{subscribe}]")).send(app.address).await;
        assert_eq!(subscribed.json()[0]["error"]["code"], -32005, "{subscribed:?}");
    }
    let all =
        recorded.iter().chain(&unrecorded).map(|one| (one, 429)).chain(free.iter().map(|one| (one, 200)));
    for ((method, params), status) in all {
        let in_session = bob.post(request(2, method, params.clone())).send(app.address).await;
        for answer in [in_session, stateless.answer(method, params.clone()).await] {
            assert_eq!(told(&answer, "calls").0, status, "{method} {params}: {answer:?}");
        }
        let batch = oldest.post(format!("[{}]", request(2, method, params.clone()))).send(app.address).await;
        let code = &batch.json()[0]["error"]["code"];
        assert_eq!(*code == -32005, status == 429, "{method} {params}: {batch:?}");
    }
    app.store.flush_audit().await.unwrap();
    let records = app.store.latest_audit(100).await.unwrap();
    let (limited, others): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record.outcome.as_str() == "limited");
    let others: Vec<_> = others.iter().map(|record| &*record.tool).collect();
    assert_eq!((others, limited.len()), (vec!["whoAmI"], 3 * recorded.len()));
}

#[tokio::test]
async fn room_comes_back_when_it_was_said_to() {
    let app = limited_to(LimitSettings { calls: number(60), ..wide() }).await;
    let bob = Client::open(app.address, BOB).await;
    for _ in 0..60 {
        bob.result("whoAmI", json!({})).await;
    }
    let refused = loop {
        let answer = bob.call("whoAmI", json!({})).send(app.address).await;
        if answer.status == 429 {
            break answer;
        }
    };
    assert_eq!(refused.header("retry-after"), Some("1"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    bob.result("whoAmI", json!({})).await;
}

#[tokio::test]
async fn who_am_i_tells_the_limits() {
    let app = limited_to(LimitSettings { calls: number(77), calls_at_once: number(5), ..wide() }).await;
    let told = Client::open(app.address, BOB).await.result("whoAmI", json!({})).await;
    let limits = &told["structuredContent"]["limits"];
    assert_eq!((&limits["callsPerMinute"], &limits["concurrentCalls"]), (&json!(77), &json!(5)));
}

#[tokio::test]
async fn an_address_is_taken_from_a_trusted_proxy_and_from_nobody_else() {
    let limits = LimitSettings { refused_keys: number(1), ..wide() };
    let ask = |from: &str| Ask::post(initialize(NEWEST)).key(WRONG).with("x-forwarded-for", from);
    let app = limited_to(limits).await;
    let mut statuses = Vec::new();
    for from in ["192.0.2.1", "192.0.2.2"] {
        statuses.push(ask(from).send(app.address).await.status);
    }
    assert_eq!(statuses, [401, 429], "anybody can write that header");

    let proxied = spawn_app_with(|config| {
        config.limits = Some(limits);
        config.trusted_proxies = TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
    })
    .await;
    let mut statuses = Vec::new();
    for from in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "203.0.113.9, 192.0.2.2"] {
        statuses.push(ask(from).send(proxied.address).await.status);
    }
    assert_eq!(statuses, [401, 401, 429, 429]);
}

#[tokio::test]
async fn rule_12_a_key_runs_so_many_calls_at_once_and_no_more() {
    let stage = spawn_stage_with(|builder| {
        builder.limits(Limits::new(Some(LimitSettings { calls_at_once: number(2), ..wide() })))
    })
    .await;
    let address = stage.app.address;
    let (bob, alice) = (Client::open(address, BOB).await, Client::open(address, ALICE).await);
    let running: Vec<_> = (0..2)
        .map(|_| {
            let ask = bob.call("patient", json!({}));
            tokio::spawn(async move { ask.send(address).await.status })
        })
        .collect();
    eventually("both calls run", || async { stage.has_begun(2) }).await;
    let third = bob.call("patient", json!({})).send(address).await;
    assert_eq!(told(&third, "calls-at-once"), (429, Some("\"calls-at-once\";q=2")));
    stage.gate.add_permits(3);
    assert_eq!(alice.call("patient", json!({})).send(address).await.status, 200, "another key");
    for call in running {
        assert_eq!(call.await.unwrap(), 200);
    }
    stage.gate.add_permits(1);
    assert_eq!(bob.call("patient", json!({})).send(address).await.status, 200, "there is room again");
}

#[tokio::test]
async fn rule_12_a_result_has_a_largest_size() {
    let stage = spawn_stage_with(|builder| builder).await;
    let bob = Client::open(stage.app.address, BOB).await;
    let small = bob.result("large", json!({ "bytes": 4_000_000 })).await;
    assert_eq!(small["structuredContent"]["much"].as_str().unwrap().len(), 4_000_000);
    let large = bob.result("large", json!({ "bytes": 5_000_000 })).await;
    assert_eq!(large["isError"], true);
    assert!(large["content"][0]["text"].as_str().unwrap().starts_with("too_large: "));
}

#[tokio::test]
async fn rule_12_a_key_has_so_many_bodies_on_their_way_and_no_more() {
    let app = limited_to(LimitSettings { calls_at_once: number(2), ..wide() }).await;
    let (bob, alice) = (Client::open(app.address, BOB).await, Client::open(app.address, ALICE).await);
    let ping = request(1, "ping", json!({}));
    let begin = async |client: &Client, kept_back: usize| {
        let mut wire = Wire::connect(app.address).await;
        let whole = client.post(ping.clone()).bytes(app.address);
        wire.write(&whole[..whole.len() - kept_back]).await;
        wire
    };
    // One keeps back the last of its body, and one all of it.
    let mut waiting = [begin(&bob, 1).await, begin(&bob, ping.len()).await];
    // Whoever is answered now came after them.
    assert_eq!(bob.ping().await.status, 200);
    eventually("two bodies to be waited for", async || {
        let answer = begin(&bob, 1).await.answer_within(Duration::from_millis(300)).await;
        answer.is_some_and(|answer| told(&answer, "calls-at-once") == (429, Some("\"calls-at-once\";q=2")))
    })
    .await;
    assert_eq!(alice.ping().await.status, 200, "another key has places of its own");
    assert_eq!(bob.ping().await.status, 200, "what is there is not waited for");
    for (wire, kept_back) in waiting.iter_mut().zip(["}", &ping]) {
        wire.write(kept_back.as_bytes()).await;
        assert_eq!(wire.answer().await.status, 200);
    }
    let mut next = begin(&bob, 1).await;
    next.write(b"}").await;
    assert_eq!(next.answer().await.status, 200);
}
