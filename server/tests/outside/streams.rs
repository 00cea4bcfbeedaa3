//! The standalone stream of a session: what a GET opens, what keeps it, and what ends it.

use serde_json::json;

use crate::support::{
    app::{App, spawn_app},
    client::{BOB, Client, request},
    soon,
    wire::{Ask, Wire},
};

/// An open stream of `client`, its head checked.
async fn open(app: &App, client: &Client) -> Wire {
    let mut wire = Wire::connect(app.address).await;
    wire.write(&client.dress(Ask::get()).bytes(app.address)).await;
    let head = wire.head().await;
    assert_eq!(head.status, 200, "{head:?}");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    assert_eq!(head.header("cache-control"), Some("no-store"));
    wire
}

#[tokio::test]
async fn a_comment_keeps_a_quiet_stream_open_every_fifteen_seconds() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let mut stream = open(&app, &bob).await;
    // From here on time passes only when everything waits for it.
    tokio::time::pause();
    for _ in 0..3 {
        let began = tokio::time::Instant::now();
        loop {
            let chunk = stream.chunk().await.expect("the stream ended");
            if chunk.starts_with(':') {
                assert!(chunk.ends_with("\n\n"), "{chunk:?}");
                break;
            }
        }
        assert!(began.elapsed() <= std::time::Duration::from_secs(16), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn ending_the_session_ends_its_stream() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let other = Client::open(app.address, BOB).await;
    let (mut stream, mut others) = (open(&app, &bob).await, open(&app, &other).await);
    assert_eq!(bob.end().await.status / 100, 2);
    while stream.chunk().await.is_some() {}
    let opened_after = bob.dress(Ask::get()).send(app.address).await;
    assert_eq!(opened_after.status, 404);
    assert_eq!(other.ping().await.status, 200, "another session of the same key ended too");
    assert_eq!(other.end().await.status / 100, 2);
    while others.chunk().await.is_some() {}
}

#[tokio::test]
async fn calls_go_on_while_a_stream_is_open() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let _stream = open(&app, &bob).await;
    for _ in 0..10 {
        let result = bob.result("getAccountBalance", json!({})).await;
        assert_eq!(result["structuredContent"]["balance"], -200);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_end_its_session() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    drop(open(&app, &bob).await);
    let mut wire = Wire::connect(app.address).await;
    wire.write(&bob.call("getAccountBalance", json!({})).bytes(app.address)).await;
    drop(wire);
    assert_eq!(bob.ping().await.status, 200);
    open(&app, &bob).await;
}

#[tokio::test]
async fn the_shutdown_ends_streams_and_idle_connections_at_once() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let mut stream = open(&app, &bob).await;
    let mut idle = Wire::connect(app.address).await;
    idle.write(&bob.post(request(1, "ping", json!({}))).bytes(app.address)).await;
    assert_eq!(idle.answer().await.status, 200);
    let began = std::time::Instant::now();
    let stopping = app.begin_stop();
    while stream.chunk().await.is_some() {}
    idle.until_closed().await;
    soon("the shutdown", stopping).await.unwrap().unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
}
