//! Whoever is turned away is in the audit trail, with the rule, and cannot fill it.

use std::{
    collections::BTreeSet,
    num::NonZeroU32,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use server::{audit::REFUSED, limits::LimitSettings, store::AuditRecord};

use crate::support::{
    app::{App, spawn_app, spawn_app_with},
    changes::KeyChanges as _,
    client::{ALICE, BOB, Client, NEWEST, initialize},
    eventually,
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
pub(crate) async fn recorded(app: &App, number: usize) -> Vec<AuditRecord> {
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

/// However many wrong keys come from the same address.
#[tokio::test]
async fn rule_14_a_flood_of_wrong_keys_does_not_hide_whose_revoked_key_is_among_them() {
    let (one, many) = (NonZeroU32::MIN, NonZeroU32::MAX);
    let limits = LimitSettings { refused_keys: one, initializations: many, calls: many, calls_at_once: many };
    let app = spawn_app_with(|config| config.limits = Some(limits)).await;
    let key = server::store::KeyId("1".to_owned());
    app.store.revoke_key(&key, server::clock::UnixMillis::now()).await.unwrap();
    let knock = async |key: &str| Ask::post(initialize(NEWEST)).key(key).send(app.address).await.status;
    let unknown = "an-unknown-but-well-formed-key";
    assert_eq!([knock(unknown).await, knock(unknown).await, knock(BOB).await], [401, 429, 429]);
    let records = recorded(&app, 3).await;
    let told: BTreeSet<_> = records
        .iter()
        .map(|one| (one.username.as_str(), one.key.0.as_str(), &*one.rule, one.outcome.as_str()))
        .collect();
    let refused = ("", "", "key: unknown", "denied");
    let limited = |user, key| (user, key, "refused-keys", "limited");
    assert_eq!(told, BTreeSet::from([refused, limited("", ""), limited("bob", "1")]));
}

/// One that sends nothing, or nothing more, is only idle.
#[tokio::test]
async fn rule_14_a_request_whose_head_does_not_end_is_recorded_also_behind_another() {
    let free = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (whole, begun) in [(free, "POST /m"), ("", "P"), ("", ""), ("", "\r\n"), (free, "")] {
        let app = spawn_app().await;
        let mut wire = Wire::connect(app.address).await;
        wire.write(format!("{whole}{begun}").as_bytes()).await;
        tokio::time::pause();
        wire.until_closed().await;
        tokio::time::resume();
        Ask::post(initialize(NEWEST)).send(app.address).await;
        let slow = (!begun.trim().is_empty()).then_some("connection: too slow");
        let expected: Vec<_> = slow.into_iter().chain(["key: missing"]).collect();
        let records = recorded(&app, expected.len()).await;
        let mut rules: Vec<_> = records.iter().map(|record| &*record.rule).collect();
        rules.sort_unstable();
        assert_eq!(rules, expected, "{whole}{begun}");
    }
}

/// Whose requests were turned away, from where, and how many, as a program in this folder recorded it.
fn counted(folder: &Path) -> Vec<(String, String, u32)> {
    let listed = run(folder, &["audit", "list", "--limit", "10000", "--json"], &[]);
    let records: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    let text = |record: &Value, member: &str| record[member].as_str().unwrap().to_owned();
    let told = records.iter().map(|record| {
        let (user, client) = (text(record, "user"), text(record, "client"));
        match client.split_once(", ") {
            None => (user, client, 1),
            Some((from, number)) => {
                (user, from.to_owned(), number.trim_end_matches(" requests").parse().unwrap())
            }
        }
    });
    told.collect()
}

/// How many refusals there were in all.
fn sum(counted: &[(String, String, u32)]) -> u32 {
    counted.iter().map(|(.., number)| number).sum()
}

/// Hundreds of refusals are a handful of records, and none is missing from their numbers.
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
    let counted = counted(folder.path());
    assert!(counted.len() <= 5, "{counted:?}");
    assert_eq!(sum(&counted), 250);
}

/// Each of them is a call and is answered, and the log says how many there were, as the audit trail does.
#[tokio::test]
async fn rule_14_a_flood_of_forged_states_is_counted_and_not_written_out() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[("RUST_LOG", "info")]);
    let began = Instant::now();
    let forged = json!({ "name": "whoAmI", "arguments": {}, "requestState": "AAAA" });
    let ask = Caller::new(program.address, BOB).ask("tools/call", forged);
    let mut wire = Wire::connect(program.address).await;
    for _ in 0..1_000 {
        wire.write(&ask.bytes(program.address)).await;
        assert_eq!(wire.answer().await.status, 400);
    }
    program.signal("INT");
    let ended = program.ended();
    assert!(ended.status.success());
    let counted = counted(folder.path());
    assert_eq!((sum(&counted), counted.iter().all(|(user, ..)| user == "bob")), (1_000, true));
    let lines = ended.stderr.lines().filter(|line| line.contains("refused")).count();
    let times = 1 + usize::try_from(began.elapsed().as_secs() / 5).unwrap();
    assert!((1..=1 + times).contains(&lines), "{lines} lines: {}", ended.stderr);
}

/// Has requests without a key refused on behalf of these addresses, and then one of Bob's; what is recorded of it, and
/// how many times of five seconds had begun.
async fn flood(addresses: impl Iterator<Item = String>) -> (Vec<(String, String, u32)>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[("TRUSTED_PROXIES", "127.0.0.1")]);
    let began = Instant::now();
    let mut wire = Wire::connect(program.address).await;
    for (place, address) in addresses.enumerate() {
        let ask = Ask::post(initialize(NEWEST)).with("x-forwarded-for", &address);
        wire.write(&ask.bytes(program.address)).await;
        assert_eq!(wire.answer().await.status, 401);
        if place == 0 {
            // A busy machine may not come to it before there is another one to be counted with it.
            eventually("the first to be recorded", async || !counted(folder.path()).is_empty()).await;
        }
    }
    let nowhere = Ask::delete().key(BOB).session("none").with("x-forwarded-for", "192.0.2.1");
    assert_eq!(nowhere.send(program.address).await.status, 404);
    program.signal("INT");
    assert!(program.ended().status.success());
    (counted(folder.path()), 1 + usize::try_from(began.elapsed().as_secs() / 5).unwrap())
}

fn once(user: &str, from: &str) -> (String, String, u32) {
    (user.to_owned(), from.to_owned(), 1)
}

#[tokio::test]
async fn rule_14_a_flood_from_an_ipv6_network_is_that_of_one_sender() {
    let (counted, times) = flood((1..=250).map(|host| format!("2001:db8::{host:x}"))).await;
    assert!(counted.len() <= 3 + times, "{counted:?}");
    assert_eq!(sum(&counted), 251);
    // A refusal alone tells the address.
    assert!(counted.contains(&once("", "2001:db8::1")) && counted.contains(&once("bob", "192.0.2.1")));
    assert!(counted.iter().any(|(_, from, _)| from == "2001:db8::/64"), "{counted:?}");
}

#[tokio::test]
async fn rule_14_a_flood_from_many_networks_is_counted_together() {
    let (counted, times) = flood((1..=500).map(|network| format!("2001:db8:0:{network:x}::1"))).await;
    assert!(counted.len() <= 103 * times, "{} records: {counted:?}", counted.len());
    assert_eq!(sum(&counted), 501);
    assert!(counted.iter().any(|(_, from, _)| from == "several addresses"), "{counted:?}");
    // Whoever is known is told apart all the same.
    assert!(counted.contains(&once("bob", "192.0.2.1")), "{counted:?}");
}
