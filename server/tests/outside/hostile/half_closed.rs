//! Connections that one side has closed, at every point of an exchange.

use serde_json::json;

use super::assert_served;
use crate::support::{
    app::spawn_app,
    client::{BOB, Client},
    eventually,
    wire::{Ask, Wire},
};

#[tokio::test]
async fn a_request_whose_sender_stops_writing_anywhere_ends_and_the_session_goes_on() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let whole = bob.call("getAccountBalance", json!({})).bytes(app.address);
    for length in (0..whole.len()).step_by(7) {
        let mut wire = Wire::connect(app.address).await;
        wire.write(&whole[..length]).await;
        wire.finish_writing().await;
        let said = wire.until_closed().await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{length}: {said}");
    }
    assert_served(&bob).await;
}

#[tokio::test]
async fn a_whole_request_whose_sender_stops_writing_is_answered_or_ended_and_never_hangs() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for _ in 0..20 {
        let mut wire = Wire::connect(app.address).await;
        wire.write(&bob.call("getAccountBalance", json!({})).bytes(app.address)).await;
        wire.finish_writing().await;
        let said = wire.until_closed().await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 200 OK") && said.contains("-200"), "{said}");
    }
    assert_served(&bob).await;
}

#[tokio::test]
async fn streams_whose_readers_are_gone_make_room_for_others() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    // More than a session may have open at once: those before must have been noticed to be gone.
    for number in 0..100 {
        eventually(&format!("stream {number}"), || async {
            let mut wire = Wire::connect(app.address).await;
            wire.write(&bob.dress(Ask::get()).bytes(app.address)).await;
            let head = wire.head().await;
            assert!([200, 429].contains(&head.status), "{head:?}");
            if number % 2 == 0 {
                wire.finish_writing().await;
            }
            head.status == 200
        })
        .await;
    }
    assert_served(&bob).await;
}

#[tokio::test]
async fn a_client_that_never_reads_keeps_nobody_waiting() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let call = bob.call("getAllTransactions", json!({})).bytes(app.address);
    let mut deaf = Vec::new();
    for _ in 0..10 {
        let mut wire = Wire::connect(app.address).await;
        // Until the buffers of both sides are full, or everything is written.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(200), async {
            for _ in 0..5_000 {
                wire.try_write(&call).await?;
            }
            std::io::Result::Ok(())
        })
        .await;
        deaf.push(wire);
    }
    assert_served(&bob).await;
    drop(deaf);
    assert_served(&bob).await;
}
