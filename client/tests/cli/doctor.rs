//! `doctor` gives up at Ctrl-C, wherever it waits.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::net::TcpSocket;

use crate::{
    model::ModelScript,
    program::{client, ended, interrupt, until},
    server::{Script, Server},
};

/// Less than it would wait by itself.
const SOON: Duration = Duration::from_secs(4);

#[test]
fn ctrl_c_ends_the_doctor_while_it_waits_for_the_model() {
    let server = Server::start(Script { model: ModelScript::Hangs, ..Script::default() });
    let mut doctor = client(&["doctor", "--as", "bob", "--url", &server.url()]);
    let child = doctor.env("OPENAI_BASE_URL", server.at("/v1")).spawn().unwrap();
    until("the model is asked for", || server.seen.model_turns.load(Ordering::SeqCst) == 1);
    let pressed = Instant::now();
    interrupt(&child);
    let ended = ended(child);
    assert_eq!(ended.code, 130, "{}", ended.stdout);
    assert!(ended.stdout.ends_with("✗ model      interrupted\n"), "{}", ended.stdout);
    assert!(pressed.elapsed() < SOON, "{:?}", pressed.elapsed());
    assert_eq!(server.opened_and_closed(), (1, 1));
}

#[tokio::test]
async fn ctrl_c_ends_the_doctor_while_it_connects_and_the_model_is_not_asked_for() {
    // A connection waits to be accepted, for ever, and for another one there is no room.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    let server = Server::start(Script { model: ModelScript::Hangs, ..Script::default() });
    let mut doctor = client(&["doctor", "--as", "bob", "--url", &format!("http://{address}/mcp")]);
    let mut child = doctor.env("OPENAI_BASE_URL", server.at("/v1")).spawn().unwrap();
    let mut shown = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(" key ") {
        line.clear();
        assert!(shown.read_line(&mut line).unwrap() > 0, "it does not come to its key");
    }
    let pressed = Instant::now();
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(pressed.elapsed() < SOON, "{:?}", pressed.elapsed());
    let mut rest = String::new();
    shown.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "✗ network    interrupted\n");
    assert_eq!(server.seen.model_turns.load(Ordering::SeqCst), 0);
}
