//! Connections that are slow, greedy, or used for many requests.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
    time::Instant,
};

use crate::support::{
    app::spawn_app,
    client::{BOB, Client, request},
    soon,
    stage::spawn_stage,
    wire::{Ask, Wire},
};

#[tokio::test]
async fn rule_12_headers_that_do_not_end_are_cut_after_ten_seconds() {
    let app = spawn_app().await;
    for begun in ["", "P", "POST /mcp HTTP/1.1\r\nHost: localhost\r\nx-drip: "] {
        let mut wire = Wire::connect(app.address).await;
        wire.write(begun.as_bytes()).await;
        tokio::time::pause();
        let began = Instant::now();
        wire.until_closed().await;
        let took = began.elapsed();
        tokio::time::resume();
        assert!(took >= Duration::from_secs(9) && took < Duration::from_secs(12), "{begun:?}: {took:?}");
    }
}

#[tokio::test]
async fn rule_12_a_drop_of_header_now_and_then_buys_no_time() {
    let app = spawn_app().await;
    let mut wire = Wire::connect(app.address).await;
    wire.write(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n").await;
    tokio::time::pause();
    let began = Instant::now();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if wire.try_write(b"x-drip: 1\r\n").await.is_err() {
            break;
        }
    }
    wire.until_closed().await;
    assert!(began.elapsed() < Duration::from_secs(22), "{:?}", began.elapsed());
}

#[tokio::test]
async fn rule_12_a_body_that_does_not_end_is_given_up() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let mut wire = Wire::connect(app.address).await;
    wire.write(&bob.post("{").with("content-length", "1000").bytes(app.address)).await;
    tokio::time::pause();
    let began = Instant::now();
    let said = loop {
        // The clock jumps from timer to timer, the test's own among them.
        match tokio::time::timeout(Duration::from_secs(5), wire.head()).await {
            Ok(head) => break head,
            Err(_) if began.elapsed() < Duration::from_secs(90) => {}
            Err(_) => panic!("the server waits for ever"),
        }
    };
    tokio::time::resume();
    assert!([400, 408].contains(&said.status), "{said:?}");
    assert_eq!(bob.ping().await.status, 200);
}

#[tokio::test]
async fn rule_12_headers_that_are_too_many_or_too_large_are_431() {
    let app = spawn_app().await;
    let mut many = Ask::post("{}").key(BOB);
    for number in 0..200 {
        many = many.with(&format!("x-{number}"), "1");
    }
    let large = Ask::post("{}").key(BOB).with("x-large", &"l".repeat(40 * 1024));
    for ask in [many, large] {
        let mut wire = Wire::connect(app.address).await;
        // The server may close before it has read everything.
        let _ = wire.try_write(&ask.bytes(app.address)).await;
        assert_eq!(wire.head().await.status, 431);
    }
}

#[tokio::test]
async fn many_requests_go_over_one_connection_also_without_waiting() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let mut wire = Wire::connect(app.address).await;
    for number in 0..20 {
        wire.write(&bob.post(request(number, "ping", json!({}))).bytes(app.address)).await;
        assert_eq!(wire.answer().await.json()["id"], number);
    }
    let mut together = Vec::new();
    for number in 0..20 {
        together.extend(bob.post(request(number, "ping", json!({}))).bytes(app.address));
    }
    wire.write(&together).await;
    for number in 0..20 {
        assert_eq!(wire.answer().await.json()["id"], number);
    }
}

#[tokio::test]
async fn a_request_may_arrive_byte_by_byte() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let mut wire = Wire::connect(app.address).await;
    for byte in bob.call("getAccountBalance", json!({})).bytes(app.address) {
        wire.write(&[byte]).await;
    }
    assert_eq!(wire.answer().await.json()["result"]["structuredContent"]["balance"], -200);
}

#[tokio::test]
async fn a_body_may_come_in_chunks() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let body = request(8, "ping", json!({}));
    let (first, second) = body.split_at(10);
    let ask = bob.post("").with("content-length", "0").with("transfer-encoding", "chunked");
    let mut bytes = String::from_utf8(ask.bytes(app.address)).unwrap().replace("content-length: 0\r\n", "");
    for chunk in [first, second, ""] {
        bytes.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    }
    let mut wire = Wire::connect(app.address).await;
    wire.write(bytes.as_bytes()).await;
    assert_eq!(wire.answer().await.json()["id"], 8);
}

#[tokio::test]
async fn the_shutdown_waits_for_a_call_and_not_for_one_that_never_comes() {
    let app = spawn_app().await;
    let (address, bob) = (app.address, Client::open(app.address, BOB).await);
    let call = bob.call("getAccountBalance", json!({})).bytes(address);
    let (begun, rest) = call.split_at(call.len() - 5);
    let mut calling = Wire::connect(address).await;
    calling.write(begun).await;
    let mut stalling = Wire::connect(address).await;
    stalling.write(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n").await;
    // An answer on a third connection shows that the server has seen the other two.
    assert_eq!(bob.ping().await.status, 200);
    let began = std::time::Instant::now();
    let stopping = app.begin_stop();
    stalling.until_closed().await;
    assert!(!stopping.is_finished(), "the shutdown did not wait for the call");
    calling.write(rest).await;
    assert_eq!(calling.answer().await.json()["result"]["structuredContent"]["balance"], -200);
    stopping.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_shutdown_waits_until_an_answer_is_taken() {
    let stage = spawn_stage().await;
    let bob = Client::open(stage.app.address, BOB).await;
    let mut wire = Wire::with_little_room(stage.app.address).await;
    wire.write(&bob.call("large", json!({ "bytes": 4_000_000 })).bytes(stage.app.address)).await;
    let head = wire.head().await;
    let stopping = stage.app.begin_stop();
    // Longer than a connection that answers nothing is given.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answer = wire.rest_of(head).await;
    assert_eq!(answer.json()["result"]["structuredContent"]["much"].as_str().unwrap().len(), 4_000_000);
    soon("the shutdown", stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_that_never_ends_is_cut_when_the_drain_time_is_over() {
    let app = spawn_app().await;
    let (address, bob) = (app.address, Client::open(app.address, BOB).await);
    let mut stalling = Wire::connect(address).await;
    stalling.write(&bob.post("{").with("content-length", "1000").bytes(address)).await;
    assert_eq!(bob.ping().await.status, 200);
    let stopping = app.begin_stop();
    tokio::time::pause();
    let began = Instant::now();
    stalling.until_closed().await;
    let took = began.elapsed();
    // The store closes in a thread of its own, on the clock that everybody has.
    tokio::time::resume();
    soon("the shutdown", stopping).await.unwrap().unwrap();
    assert!(took >= Duration::from_secs(6) && took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_its_whole_body_first() {
    let app = spawn_app().await;
    let body = " ".repeat(8 * 1024 * 1024);
    for (status, ask) in [(401, Ask::post(body.clone())), (413, Ask::post(body).key(BOB))] {
        assert_eq!(ask.send(app.address).await.status, status);
    }
}

/// Requests that are refused without a look at their body: what is wrong, the status, and the request.
fn refused_unread() -> Vec<(u16, Ask)> {
    vec![
        (401, Ask::post("{}").key("an-unknown-but-well-formed-key")),
        (403, Ask::post("{}").key(BOB).with("origin", "https://evil.example")),
        (415, Ask::post("{}").key(BOB).instead("content-type", "text/plain")),
        (404, Ask::post("{}").to("/nowhere")),
        (405, Ask::post("{}").to("/healthz")),
    ]
}

#[tokio::test]
async fn a_connection_that_ends_because_a_body_was_not_read_says_so() {
    let app = spawn_app().await;
    for (status, ask) in refused_unread() {
        let mut wire = Wire::connect(app.address).await;
        let head = ask.bytes(app.address).strip_suffix(b"{}").unwrap().to_vec();
        wire.write(&head).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
        assert_eq!(wire.until_closed().await, "");
    }
}

#[tokio::test]
async fn a_connection_goes_on_after_a_refusal_when_the_body_has_come() {
    let app = spawn_app().await;
    for (status, ask) in refused_unread() {
        let mut wire = Wire::connect(app.address).await;
        for _ in 0..3 {
            wire.write(&ask.bytes(app.address)).await;
            let answer = wire.answer().await;
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.header("connection"), None, "{answer:?}");
        }
    }
}

/// It would keep its answers in memory, and the connection with them, for as long as it likes.
#[tokio::test]
async fn a_peer_that_takes_nothing_of_its_answers_is_given_up_after_two_minutes() {
    let app = spawn_app().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(app.address).await.unwrap();
    let ask = Ask::bare("GET").to("/metrics").bytes(app.address);
    // More answers than the buffers in between hold.
    let (all, mut sent) = (ask.repeat(5_000), 0);
    let writing = async {
        while sent < all.len() {
            sent += stream.write(&all[sent..]).await.unwrap();
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), writing).await;
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(121)).await;
    tokio::time::resume();
    let mut taken = Vec::new();
    let _reset = soon("the end", stream.read_to_end(&mut taken)).await;
    let answers = taken.windows(13).filter(|window| window == b"HTTP/1.1 200 ").count();
    assert!(answers > 0 && answers < sent / ask.len(), "{answers} answers to {} requests", sent / ask.len());
}
