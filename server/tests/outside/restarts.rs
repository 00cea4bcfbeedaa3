//! A restart, orderly or not, loses neither sessions nor the audit trail; and an orderly end comes in time.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use server::store::{AuditStore, Store, sqlite::SqliteStore};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::support::{
    client::{ALICE, BOB, Client, NEWEST, initialize},
    eventually,
    postgres::{Connected, Postgres},
    process::{Program, run, told},
    wire::{Ask, Wire},
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

/// Otherwise whoever changes all of them, and not how they end, would have the old keys with new secrets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_secret_is_a_new_key_also_where_all_demo_keys_are_changed_and_end_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let first = Program::start(folder.path(), &[]);
    told(folder.path(), &["keys", "revoke", "1"]);
    first.signal("TERM");
    assert!(first.ended().status.success());
    let fresh = ["bob", "alice", "charlie", "auditor"].map(|name| format!("a-new-key-of-{name}-DEMO"));
    let variables = ["BOB_API_KEY", "ALICE_API_KEY", "CHARLIE_API_KEY", "AUDITOR_API_KEY"];
    let set: Vec<_> = variables.into_iter().zip(fresh.iter().map(String::as_str)).collect();
    let second = Program::start(folder.path(), &set);
    for key in &fresh {
        Client::open(second.address, key).await;
    }
}

/// A server of the demo whose pepper changes, over this database.
async fn another_pepper(database: &str) {
    let folder = tempfile::tempdir().unwrap();
    let settings = |pepper| [("DATABASE_URL", database), ("KEY_PEPPER", pepper)];
    let first = settings("the first pepper of the server, long enough");
    let second = settings("the second pepper of the server, long enough");
    let operate = |set: &[(&str, &str)], arguments: &[&str]| {
        let ended = run(folder.path(), &[arguments, &["--json"]].concat(), set);
        assert!(ended.status.success(), "{ended:?}");
        serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap()
    };
    let stop = |program: Program| {
        program.signal("TERM");
        assert!(tokio::task::block_in_place(|| program.ended()).status.success());
    };
    let status = async |key: &str, address| Ask::post(initialize(NEWEST)).key(key).send(address).await.status;
    stop(Program::start(folder.path(), &first));
    operate(&first, &["keys", "revoke", "1"]);
    operate(&first, &["keys", "permit", "2", "--role", "read-only"]);

    let program = Program::start(folder.path(), &second);
    assert_eq!((status(BOB, program.address).await, status(ALICE, program.address).await), (401, 200));
    assert_eq!(operate(&second, &["keys", "show", "2"])["role"], "read-only");
    let made = operate(&second, &["keys", "create", "--user", "bob", "--role", "customer", "--mode", "demo"]);
    assert_eq!(status(made["key"].as_str().unwrap(), program.address).await, 200);
    stop(program);

    // Nobody puts this one anew: with another pepper it would be gone.
    let ended = run(folder.path(), &["serve"], &first);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("another pepper"), "{ended:?}");
    operate(&second, &["keys", "revoke", made["id"].as_str().unwrap()]);
    let program = Program::start(folder.path(), &first);
    assert_eq!((status(BOB, program.address).await, status(ALICE, program.address).await), (401, 200));
    stop(program);

    // In between, a server that knows no secret of the demo.
    let [database, pepper] = second;
    stop(Program::start(folder.path(), &[database, pepper, ("PAYMENTS_DEMO", "false")]));
    let program = Program::start(folder.path(), &second);
    assert_eq!((status(BOB, program.address).await, status(ALICE, program.address).await), (401, 200));
    stop(program);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_pepper_revives_no_demo_key_and_takes_none_away() {
    another_pepper("sqlite://data/payments.db").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_pepper_revives_no_demo_key_and_takes_none_away_on_postgresql() {
    let Some(postgres) = Postgres::start() else { return };
    another_pepper(&postgres.url()).await;
}

/// Whoever revokes a key does so between what the server looks at and what it writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_key_that_is_revoked_while_a_server_with_another_pepper_starts_stays_revoked() {
    const HOLD: &str =
        "BEGIN; SELECT pg_advisory_xact_lock (hashtextextended (current_schema ()::text || '/users', 0))";
    let Some(postgres) = Postgres::start() else { return };
    let (folder, beside) = (tempfile::tempdir().unwrap(), Connected::to(&postgres).await);
    let start = |pepper: &'static str| {
        let (path, url) = (folder.path().to_owned(), postgres.url());
        let start = move || Program::start(&path, &[("DATABASE_URL", url.as_str()), ("KEY_PEPPER", pepper)]);
        tokio::task::spawn_blocking(start)
    };
    let first = start("the first pepper of the server, long enough").await.unwrap();
    first.signal("TERM");
    assert!(tokio::task::block_in_place(|| first.ended()).status.success());
    beside.execute(HOLD).await;
    let pepper = "the second pepper of the server, long enough";
    let second = start(pepper);
    let waiting = "SELECT count (*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    eventually("it seeds the demo", async || beside.number(waiting).await == 1).await;
    let set = [("DATABASE_URL", &*postgres.url()), ("KEY_PEPPER", pepper)];
    let revoked = tokio::task::block_in_place(|| run(folder.path(), &["keys", "revoke", "1"], &set));
    assert!(revoked.status.success(), "{revoked:?}");
    beside.execute("COMMIT").await;
    let second = second.await.unwrap();
    let status = async |key: &str| Ask::post(initialize(NEWEST)).key(key).send(second.address).await.status;
    assert_eq!((status(BOB).await, status(ALICE).await), (401, 200));
}

/// Hands on what is said to a database, until it is told to say nothing more; its port.
async fn before(database: u16, silent: watch::Receiver<bool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut silent = silent.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(("127.0.0.1", database)).await.unwrap();
                let told = async { silent.wait_for(|is_silent| *is_silent).await.is_ok() };
                let is_told = tokio::select! {
                    is_told = told => is_told,
                    _ = copy_bidirectional(&mut client, &mut server) => false,
                };
                if is_told {
                    std::future::pending().await
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_database_says_nothing_any_more_stops_in_time_whoever_was_turned_away() {
    let Some(postgres) = Postgres::start() else { return };
    let silent = watch::Sender::new(false);
    let url = postgres.url();
    let port = url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()).unwrap();
    let before = before(port.parse().unwrap(), silent.subscribe()).await;
    let url = url.replace(&format!(":{port}/"), &format!(":{before}/"));
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path(), &[("DATABASE_URL", &url)]);
    let ask = || Ask::post("{}");
    // There are connections to ask on, so that nobody fails to open one.
    let asked = join_all((0..8).map(async |_| ask().key(BOB).send(program.address).await)).await;
    assert!(asked.iter().all(|answer| answer.status == 400), "{asked:?}");
    // So that a key is not believed without a look any more.
    tokio::time::sleep(Duration::from_millis(100)).await;
    silent.send_replace(true);
    let mut hanging = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::connect(program.address).await;
        wire.write(&ask().key(BOB).bytes(program.address)).await;
        hanging.push(wire);
    }
    let refused = [
        (401, ask()),
        (401, ask().key("two words")),
        (400, ask().key(BOB).with("authorization", "Bearer another-key-altogether")),
        (403, ask().key(BOB).with("origin", "https://evil.example")),
        (403, ask().instead("host", "evil.example")),
    ];
    // The second of each is counted, and still to be recorded.
    for (status, ask) in refused.iter().chain(&refused) {
        assert_eq!(ask.send(program.address).await.status, *status);
    }
    for wire in &mut hanging {
        let answer = tokio::time::timeout(Duration::from_millis(50), wire.answer()).await;
        assert!(answer.is_err(), "it does not wait for the database: {answer:?}");
    }
    let began = Instant::now();
    program.signal("TERM");
    tokio::task::block_in_place(|| program.wait());
    let took = began.elapsed();
    let ended = program.ended();
    assert!(took < Duration::from_secs(15), "{took:?}: {ended:?}");
    drop(hanging);
}
