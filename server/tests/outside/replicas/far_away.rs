//! A server whose database is far away keeps its promises, and a server counts what it leaves there for the others.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::settings;
use crate::support::{
    client::{BOB, Client, request},
    events::Events,
    postgres::{Connected, Postgres},
    process::{Program, run},
    soon,
    wire::Ask,
};

/// Many more than the questions that can be asked one after the other within a second.
const SESSIONS: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_06_a_key_takes_hundreds_of_streams_along_within_a_second_however_far_the_database_is() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (near, far) = (postgres.url(), postgres.far_away(Duration::from_millis(10)).await);
    let one = Program::start(folder.path(), &settings(&near));
    let other = Program::start(folder.path(), &settings(&far));
    let operate = |arguments: &[&str]| -> Value {
        let ended = run(folder.path(), &[arguments, &["--json"]].concat(), &settings(&near));
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        serde_json::from_str(&ended.stdout).unwrap()
    };
    let made = operate(&["keys", "create", "--user", "bob", "--role", "customer"]);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let stays = Client::open(one.address, BOB).await;
    let mut left = Events::open(&stays.dress(Ask::get()), other.address).await;
    left.one().await;
    let open = async || {
        let session = Client::open(one.address, key).await;
        let mut stream = Events::open(&session.dress(Ask::get()), other.address).await;
        stream.one().await;
        stream
    };
    let mut streams = Vec::new();
    while streams.len() < SESSIONS {
        streams.extend(join_all((0..30).map(|_| open())).await);
    }
    operate(&["keys", "revoke", id]);
    let began = Instant::now();
    let ended = join_all(streams.into_iter().map(|stream| async move {
        soon("the end of a stream", stream.rest()).await;
        began.elapsed()
    }))
    .await;
    let last = ended.into_iter().max().unwrap();
    assert!(last < Duration::from_secs(1), "the last stream ended after {last:?}");
    let goes_on = tokio::time::timeout(Duration::from_millis(300), left.next()).await;
    assert!(goes_on.is_err(), "that of another key ended, too: {goes_on:?}");
}

/// Nobody has to be asked what time it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_at_the_end_of_its_key_although_the_database_does_not_answer() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let url = postgres.url();
    let program = Program::start(folder.path(), &settings(&url));
    let database = Connected::to(&postgres).await;
    let create = ["keys", "create", "--user", "bob", "--role", "customer", "--expires-in", "4s", "--json"];
    let made = run(folder.path(), &create, &settings(&url));
    assert!(made.status.success(), "{made:?}");
    let made: Value = serde_json::from_str(&made.stdout).unwrap();
    let bob = Client::open(program.address, made["key"].as_str().unwrap()).await;
    let mut stream = Events::open(&bob.dress(Ask::get()), program.address).await;
    stream.one().await;
    // Whoever looks whether something was ended waits for eight seconds.
    database.execute("BEGIN; LOCK TABLE revision").await;
    let silent = Instant::now();
    soon("the end of the stream", stream.rest()).await;
    let ended = silent.elapsed();
    assert!(ended < Duration::from_secs(6), "it ended after {ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_11_what_is_left_for_another_server_counts_like_a_call() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let url = postgres.url();
    let set = [
        ("DATABASE_URL", &*url),
        ("KEY_PEPPER", "a pepper that all of the servers share"),
        ("MAX_CALLS_PER_MINUTE", "4"),
    ];
    let program = Program::start(folder.path(), &set);
    let bob = Client::open(program.address, BOB).await;
    let oldest = Client::open_in(program.address, BOB, "2025-03-26").await;
    let cancelled = |number: usize| {
        let params = json!({ "requestId": format!("gone {number}") });
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }).to_string()
    };
    let answered = |number: usize| {
        json!({ "jsonrpc": "2.0", "id": format!("00000000-{number}"), "result": {} }).to_string()
    };
    let said = async |message: String| bob.post(message).send(program.address).await;
    for message in [cancelled(1), answered(1), cancelled(2), answered(2)] {
        assert_eq!(said(message).await.status, 202);
    }
    let batch = format!("[{},{},{}]", cancelled(3), answered(3), request(1, "ping", json!({})));
    let batch = oldest.post(batch).send(program.address).await;
    let answers = batch.json();
    assert_eq!(
        (batch.status, &answers[0]["result"], answers.as_array().unwrap().len()),
        (200, &json!({}), 2)
    );
    assert_eq!(
        (&answers[1]["id"], &answers[1]["error"]["code"]),
        (&Value::Null, &json!(-32005)),
        "{answers}"
    );
    for message in [cancelled(4), answered(4)] {
        let limited = said(message).await;
        assert_eq!((limited.status, limited.code()), (429, Some(-32005)), "{limited:?}");
        assert_eq!(limited.header("ratelimit-policy"), Some("\"calls\";q=4;w=60"));
    }
    let kept = Connected::to(&postgres).await.number("SELECT count(*) FROM session_mail").await;
    assert_eq!(kept, 4, "what is too much is not left there");
}
