//! Whoever is turned away is in the audit trail, with the rule, and cannot fill it.

use std::time::Duration;

use serde_json::{Value, json};
use server::{audit::REFUSED, store::AuditRecord};

use crate::support::{
    app::{App, spawn_app},
    client::{ALICE, BOB, Client, NEWEST, initialize},
    modern::Caller,
    process::{Program, run},
    wire::{Ask, Wire},
};

async fn refusals(app: &App) -> Vec<AuditRecord> {
    app.store.flush_audit().await.unwrap();
    let mut records = app.store.latest_audit(1_000).await.unwrap();
    records.retain(|record| record.tool == REFUSED);
    records.reverse();
    records
}

/// Waits until this many refusals are recorded.
async fn recorded(app: &App, number: usize) -> Vec<AuditRecord> {
    for _ in 0..200 {
        let records = refusals(app).await;
        if records.len() >= number {
            return records;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", refusals(app).await);
}

#[tokio::test]
async fn rule_14_every_way_to_be_turned_away_is_recorded_with_its_rule_and_its_sender() {
    let app = spawn_app().await;
    let (bob, alice) = (Client::open(app.address, BOB).await, Client::open(app.address, ALICE).await);
    let knock = || Ask::post(initialize(NEWEST));
    knock().send(app.address).await;
    knock().key("mcpay_live_AAAAAAA_0000000000000000000000000000000000000000").send(app.address).await;
    knock().key("an-unknown-but-well-formed-key").send(app.address).await;
    knock().key(BOB).with("authorization", "Bearer another").send(app.address).await;
    knock().key(BOB).instead("host", "attacker.example").send(app.address).await;
    knock().key(BOB).with("origin", "https://attacker.example").send(app.address).await;
    alice.post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).session(&bob.session).send(app.address).await;
    let list = |cursor: &str| json!({ "cursor": cursor });
    Caller::new(app.address, BOB).answer("tools/list", list("AAAA")).await;
    let forged = json!({ "name": "whoAmI", "arguments": {}, "requestState": "AAAA", "inputResponses": {} });
    Caller::new(app.address, ALICE).answer("tools/call", forged).await;

    let told: Vec<_> = recorded(&app, 9)
        .await
        .into_iter()
        .map(|record| {
            assert_eq!((&*record.client, record.outcome.as_str()), ("127.0.0.1", "denied"));
            assert_eq!(record.request_id.len(), 32);
            assert_eq!(record.session.is_some(), record.rule == "session");
            (record.username, record.rule.into_owned())
        })
        .collect();
    for (username, rule) in [
        ("", "key: missing"),
        ("", "key: malformed"),
        ("", "key: unknown"),
        ("", "key: ambiguous"),
        ("", "host"),
        ("", "origin"),
        ("alice", "session"),
        ("bob", "cursor"),
        ("alice", "request state"),
    ] {
        let expected = (username.to_owned(), rule.to_owned());
        assert!(told.contains(&expected), "{expected:?} is not in {told:?}");
    }
}

#[tokio::test]
async fn rule_14_a_revoked_key_is_recorded_with_whose_it_was() {
    let app = spawn_app().await;
    let key = server::store::KeyId("1".to_owned());
    app.store.revoke_key(&key, server::clock::UnixMillis::now()).await.unwrap();
    Ask::post(initialize(NEWEST)).key(BOB).send(app.address).await;
    let records = recorded(&app, 1).await;
    let told = records.first().map(|one| (one.username.as_str(), one.key.0.as_str(), &*one.rule));
    assert_eq!(told, Some(("bob", "1", "key: revoked")));
}

/// A thousand refusals are a handful of records, and none is missing from their numbers.
#[tokio::test]
async fn rule_14_a_flood_is_counted_and_not_written_out() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[("MAX_REFUSED_KEYS_PER_MINUTE", "100")]);
    let mut wire = Wire::connect(program.address).await;
    let ask = Ask::post(initialize(NEWEST)).key("an-unknown-but-well-formed-key");
    for _ in 0..250 {
        wire.write(&ask.bytes(program.address)).await;
        assert!([401, 429].contains(&wire.answer().await.status));
    }
    program.signal("INT");
    assert!(program.ended().status.success());
    let listed = run(folder.path(), &["audit", "list", "--json"], &[]);
    let records: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    let numbers = records.iter().map(|record| match record["client"].as_str().unwrap().split_once(", ") {
        None => 1,
        Some((_, number)) => number.trim_end_matches(" requests").parse::<u32>().unwrap(),
    });
    assert!(records.len() <= 5, "{}", records.len());
    assert_eq!(numbers.sum::<u32>(), 250);
}
