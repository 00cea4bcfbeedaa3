//! A restart, orderly or not, loses neither sessions nor the audit trail.

use serde_json::json;
use server::store::{AuditStore, Store, sqlite::SqliteStore};

use crate::support::{
    client::{ALICE, BOB, Client},
    eventually,
    process::Program,
};

#[tokio::test]
async fn rule_09_a_session_goes_on_and_keeps_its_owner_after_the_server_was_killed_and_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = Program::start(folder.path(), &[]);
    let mut bob = Client::open(first.address, BOB).await;
    let mut alice = Client::open(first.address, ALICE).await;
    let ended = Client::open(first.address, BOB).await;
    assert_eq!(ended.end().await.status / 100, 2);
    assert_eq!(bob.result("getAccountBalance", json!({})).await["structuredContent"]["balance"], -200);
    first.kill();

    let second = Program::start(folder.path(), &[]);
    (bob.address, alice.address) = (second.address, second.address);
    assert_eq!(bob.result("getAccountBalance", json!({})).await["structuredContent"]["balance"], -200);
    assert_eq!(alice.result("getAccountBalance", json!({})).await["structuredContent"]["balance"], 180);
    let stolen = Client { key: ALICE.to_owned(), ..bob.clone() };
    assert_eq!(stolen.ping().await.status, 404, "the restart forgot whose session it was");
    let over = Client { address: second.address, ..ended };
    assert_eq!(over.ping().await.status, 404, "the restart brought an ended session back");
    assert_eq!(
        bob.result("getAllTransactions", json!({})).await["structuredContent"]["transactions"]
            .as_array()
            .unwrap()
            .len(),
        5,
        "the demo was seeded twice"
    );
    assert_eq!(bob.end().await.status / 100, 2);
}

#[tokio::test]
async fn the_audit_trail_outlives_every_way_of_ending() {
    let folder = tempfile::tempdir().unwrap();
    for (round, ending) in ["TERM", "INT", "KILL"].into_iter().enumerate() {
        let program = Program::start(folder.path(), &[]);
        let bob = Client::open(program.address, BOB).await;
        for _ in 0..10 {
            bob.result("getAccountBalance", json!({})).await;
        }
        let location = format!("sqlite://{}/data/payments.db", folder.path().display());
        let expected = (round + 1) * 10;
        if ending == "KILL" {
            // Only what was committed is promised after this one; another process sees when that is so.
            let store = SqliteStore::open(&location.parse().unwrap()).await.unwrap();
            eventually("the commit", async || store.latest_audit(1_000).await.unwrap().len() == expected)
                .await;
            store.close().await.unwrap();
        }
        program.signal(ending);
        let ended = program.ended();
        assert_eq!(ended.status.success(), ending != "KILL", "{ended:?}");
        let store = SqliteStore::open(&location.parse().unwrap()).await.unwrap();
        let records = store.latest_audit(1_000).await.unwrap();
        assert_eq!(records.len(), expected, "after {ending}");
        assert!(records.iter().all(|record| record.username == "bob" && record.tool == "getAccountBalance"));
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_changed_demo_key_bites_and_ends_the_sessions_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let first = Program::start(folder.path(), &[]);
    let (mut bob, mut alice) =
        (Client::open(first.address, BOB).await, Client::open(first.address, ALICE).await);
    first.signal("TERM");
    assert!(first.ended().status.success());
    let second = Program::start(folder.path(), &[("BOB_API_KEY", "another-key-of-bobs")]);
    (bob.address, alice.address) = (second.address, second.address);
    assert_eq!(bob.ping().await.status, 401);
    bob.key = "another-key-of-bobs".to_owned();
    assert_eq!(bob.ping().await.status, 404);
    assert_eq!(alice.ping().await.status, 200);
    Client::open(second.address, "another-key-of-bobs").await;
}
