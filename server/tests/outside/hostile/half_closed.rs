//! Connections that one side has closed, at every point of an exchange.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use super::assert_served;
use crate::support::{
    app::spawn_app,
    client::{BOB, Client, request},
    eventually,
    modern::Caller,
    stage::spawn_stage,
    wire::{Ask, Wire},
};

#[tokio::test]
async fn a_request_whose_sender_stops_writing_anywhere_ends_and_the_session_goes_on() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let whole = bob.call("getAccountBalance", json!({})).bytes(app.address);
    let stopping = (0..whole.len()).step_by(7).map(async |length| {
        let said = said_to(app.address, &whole[..length]).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{length}: {said}");
    });
    join_all(stopping).await;
    assert_served(&bob).await;
}

#[tokio::test]
async fn a_whole_request_whose_sender_stops_writing_is_answered() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let stateless = Caller::new(app.address, BOB);
    let call = json!({ "name": "getAccountBalance", "arguments": {} });
    for (ask, expected) in [
        (Ask::bare("GET").to("/healthz"), "ok"),
        (bob.post(request(7, "ping", json!({}))), "\"id\":7"),
        (bob.call("getAccountBalance", json!({})), "-200"),
        (stateless.ask("tools/call", call), "-200"),
        (bob.post("{").without("x-api-key"), "error"),
    ] {
        let whole = ask.bytes(app.address);
        let older = String::from_utf8(whole.clone()).unwrap().replacen("HTTP/1.1", "HTTP/1.0", 1);
        for bytes in [whole.as_slice(), older.as_bytes(), &whole.repeat(3)] {
            let said = said_to(app.address, bytes).await;
            let answers = said.matches("HTTP/1.").count();
            assert!(answers == bytes.len() / whole.len() && said.contains(expected), "{said}");
        }
    }
    assert_served(&bob).await;
}

/// Its end is read, or looked for, when there is nothing behind it any more.
#[tokio::test]
async fn a_request_that_is_read_in_pieces_is_answered_too() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let body = request(7, "ping", json!({})).to_string();
    let (first, second) = body.split_at(20);
    let chunks = |pieces: &[&str]| -> String {
        pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).collect()
    };
    let chunked = |body: String| {
        let head = String::from_utf8(bob.post("").bytes(app.address)).unwrap();
        head.replacen("Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n", 1) + &body
    };
    let padded = String::from_utf8(bob.post(body.clone() + &" ".repeat(20_000)).bytes(app.address)).unwrap();
    for (request, answers) in [
        (chunked(chunks(&[&body]) + "0\r\n\r\n"), 1),
        (chunked(chunks(&[first, second]) + "0\r\n\r\n"), 1),
        (chunked(chunks(&[&body]) + "0\r\nx-sum: 1\r\n\r\n"), 1),
        (padded.clone(), 1),
        (padded.repeat(3), 3),
    ] {
        let said = said_to(app.address, request.as_bytes()).await;
        assert_eq!(said.matches("\"id\":7").count(), answers, "{said}");
    }
}

/// What is answered to all of it, and nothing more.
async fn said_to(address: SocketAddr, bytes: &[u8]) -> String {
    let mut wire = Wire::connect(address).await;
    wire.write(bytes).await;
    wire.finish_writing().await;
    wire.until_closed().await
}

/// One that is slow to take its answer gets all of it as well.
#[tokio::test]
async fn a_large_answer_reaches_a_client_that_has_stopped_writing() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let mut wire = Wire::with_little_room(stage.app.address).await;
    wire.write(&bob.call("large", json!({ "bytes": 4_000_000 })).bytes(stage.app.address)).await;
    wire.finish_writing().await;
    let head = wire.head().await;
    // Longer than an answer may be made for one that has stopped.
    sleep(Duration::from_millis(500)).await;
    let answer = wire.rest_of(head).await;
    assert_eq!(answer.json()["result"]["structuredContent"]["much"].as_str().unwrap().len(), 4_000_000);
}

/// It may be gone: nobody works for it for long.
#[tokio::test]
async fn a_long_call_whose_sender_stops_writing_is_given_up() {
    let stage = spawn_stage().await;
    let mut wire = Wire::connect(stage.app.address).await;
    let call = json!({ "name": "patient", "arguments": {} });
    let ask = Caller::new(stage.app.address, BOB).ask("tools/call", call);
    wire.write(&ask.bytes(stage.app.address)).await;
    wire.finish_writing().await;
    assert_eq!(wire.until_closed().await, "");
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
        let _ = tokio::time::timeout(Duration::from_millis(200), async {
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
