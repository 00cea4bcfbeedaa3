//! `chat`, and Ctrl-C.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
    sync::atomic::Ordering,
};

use serde_json::json;

use crate::{
    program::{client, ended, interrupt, run_with_input, until},
    server::{Reply, Script, Server, result},
};

#[test]
fn a_chat_keeps_one_session_for_all_its_questions() {
    let server = Server::start(Script::default());
    let input = "Show me my account balance.\n\n/tools\n/nonsense\r\nShow me my recent transactions.\n/quit\nignored\n";
    let ended = run_with_input(&mut client(&["chat", "--as", "alice", "--url", &server.url()]), input);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for part in ["> Show me my account balance.", "180", "read-only", "/nonsense; /help", "2024-03-20"] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("ignored"));
    assert_eq!(server.opened_and_closed(), (1, 1));
}

#[test]
fn the_end_of_the_input_ends_a_chat() {
    let server = Server::start(Script::default());
    let ended = run_with_input(&mut client(&["chat", "--as", "bob", "--url", &server.url()]), "");
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(server.opened_and_closed(), (1, 1));
}

#[test]
fn ctrl_c_ends_a_question_and_closes_the_session() {
    let server = hanging_server();
    let question = ["ask", "Show me my account balance.", "--as", "bob", "--url", &server.url()];
    let child = client(&question).spawn().unwrap();
    until("the call arrives", || server.seen.calls.load(Ordering::SeqCst) == 1);
    interrupt(&child);
    let ended = ended(child);
    assert_eq!((ended.code, ended.stderr.as_str()), (130, "error: interrupted\n"));
    assert_eq!(server.opened_and_closed(), (1, 1));
}

#[test]
fn ctrl_c_in_a_chat_ends_the_question_and_not_the_session() {
    let server = hanging_server();
    let mut child =
        client(&["chat", "--as", "bob", "--url", &server.url()]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"Show me my account balance.\n").unwrap();
    until("the call arrives", || server.seen.calls.load(Ordering::SeqCst) == 1);
    interrupt(&child);
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert_eq!(line, "error: interrupted\n");
    input.write_all(b"Show me my account balance.\n").unwrap();
    drop(input);
    let ended = ended(child);
    assert!(ended.stdout.contains("4711"), "{}", ended.stdout);
    assert_eq!(ended.code, 130, "from a pipe the first failure is the exit code");
    assert_eq!(server.opened_and_closed(), (1, 1));
}

fn hanging_server() -> Server {
    let balance = result(&json!({ "username": "bob", "balance": 4711 }));
    Server::start(Script { reply: Reply::HangOnce(balance), ..Script::default() })
}
