//! A server that lets a request in from nowhere, whoever makes it: that is told, and no key is blamed.

use crate::{
    program::{Ended, client, run},
    server::{Script, Server},
};

/// Bob, whose key is good, at a server that is meant for another name.
fn as_bob(server: &Server, arguments: &[&str]) -> Ended {
    run(&mut client(&[arguments, &["--as", "bob", "--url", &server.at("/forbidden")]].concat()))
}

#[test]
fn a_request_that_is_let_in_from_nowhere_ends_with_3_and_is_no_refused_key() {
    let server = Server::start(Script::default());
    for protocol in ["2025-11-25", "2026-07-28", "auto"] {
        let ended = as_bob(&server, &["tools", "--protocol", protocol]);
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{protocol}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(ended.stderr, @r"
            error: the server refuses the request: Host not allowed: add it to ALLOWED_HOSTS if this server is meant
             next: check the address in --url or MCP_URL, or have whoever runs the server let such requests in
            ");
        }
    }
}

#[test]
fn the_doctor_does_not_say_that_a_key_was_not_accepted() {
    let server = Server::start(Script::default());
    let ended = as_bob(&server, &["doctor"]);
    assert_eq!(ended.code, 3);
    assert!(ended.stdout.contains("✗ endpoint   the server refuses the request: Host"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("accepted"), "{}", ended.stdout);
}

#[test]
fn the_demo_ends_as_the_next_user_would_meet_it_too() {
    let server = Server::start(Script::default());
    let ended = run(&mut client(&["--url", &server.at("/forbidden")]));
    assert_eq!(ended.code, 3);
    assert_eq!(ended.stderr.matches("error: ").count(), 1, "{}", ended.stderr);
    assert!(ended.stdout.contains("Bob's Access") && !ended.stdout.contains("Alice's"), "{}", ended.stdout);
}
