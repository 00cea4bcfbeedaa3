//! A server whose database is far away keeps its promises.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::settings;
use crate::support::{
    client::{BOB, Client},
    events::Events,
    postgres::Postgres,
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
