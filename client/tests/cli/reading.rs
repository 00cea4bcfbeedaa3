//! What a person reads, as snapshots.

use serde_json::json;

use crate::{
    model::ModelScript,
    program::{client, run, without_times},
    server::{Reply, Script, Server, result},
};

#[test]
fn the_help() {
    let long = run(&mut client(&["--help"]));
    assert_eq!((long.code, long.stderr.as_str()), (0, ""));
    insta::assert_snapshot!("help", long.stdout);
    let call = run(&mut client(&["call", "-h"]));
    insta::assert_snapshot!("help_call", call.stdout);
}

#[test]
fn the_demo() {
    let server = Server::start(Script { model: ModelScript::Clerk, ..Script::default() });
    let mut command = client(&["--url", &server.url()]);
    let ended = run(command.env("OPENAI_BASE_URL", server.at("/v1")).env("OPENAI_MODEL", "clerk"));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    insta::assert_snapshot!("demo", without_times(&server.masked(&ended.stdout)));
    assert_eq!(server.opened_and_closed(), (2, 2));
}

#[test]
fn the_first_line_says_that_the_offline_planner_is_not_a_language_model() {
    let server = Server::start(Script::default());
    let ended = run(&mut client(&["--url", &server.url()]));
    let first = ended.stdout.lines().next().unwrap();
    for part in
        ["offline planner", "not a language model", "set OPENAI_API_KEY or OPENAI_BASE_URL for a real one"]
    {
        assert!(first.contains(part), "{part}: {first}");
    }
    for part in
        ["=== Testing Bob's Access ===", "-200", "=== Testing Alice's Access ===", "180", "2024-03-20"]
    {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    assert_eq!(server.opened_and_closed(), (2, 2));
}

#[test]
fn the_tools() {
    let server = Server::start(Script::default());
    let ended = run(&mut client(&["--as", "bob", "tools", "--url", &server.url()]));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    insta::assert_snapshot!("tools", ended.stdout);
}

#[test]
fn the_doctor() {
    let server = Server::start(Script::default());
    let well = run(&mut client(&["doctor", "--as", "bob", "--url", &server.url()]));
    assert_eq!((well.code, well.stderr.as_str()), (0, ""));
    insta::assert_snapshot!("doctor_well", server.masked(&well.stdout));
    let mut command = client(&["doctor", "--as", "bob", "--url", &server.url()]);
    let refused = run(command.env("BOB_API_KEY", "hunter22hunter22"));
    assert_eq!(refused.code, 3);
    insta::assert_snapshot!("doctor_refused", server.masked(&refused.stdout));
    let wrong_path = run(&mut client(&["doctor", "--as", "bob", "--url", &server.at("/nowhere")]));
    assert_eq!(wrong_path.code, 4);
    insta::assert_snapshot!("doctor_wrong_path", server.masked(&wrong_path.stdout));
    assert_eq!(server.opened_and_closed(), (1, 1));
}

#[test]
fn the_result_of_a_call() {
    let server = Server::start(Script::default());
    let arguments = ["call", "getAccountBalance", "--as", "bob", "--args", "{}", "--url", &server.url()];
    let ended = run(&mut client(&arguments));
    insta::assert_snapshot!(ended.stdout, @r#"
    {
      "balance": -200,
      "username": "bob"
    }
    "#);
}

#[test]
fn a_text_in_a_table_is_shown_as_the_server_gave_it() {
    let rows = json!({ "transactions": [{ "id": 1, "memo": r"a\b" }, { "id": 2, "memo": r"c\|d\\" }] });
    let server = Server::start(Script { reply: Reply::Result(result(&rows)), ..Script::default() });
    let ended = run(&mut client(&["ask", "List my transactions.", "--as", "bob", "--url", &server.url()]));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for row in [r"│  1 │ a\b    │", r"│  2 │ c\|d\\ │"] {
        assert!(ended.stdout.contains(row), "{row}: {}", ended.stdout);
    }
}

#[test]
fn the_wire_shows_every_exchange_and_no_key() {
    let server = Server::start(Script::default());
    let arguments = ["call", "getAccountBalance", "--wire", "--as", "bob", "--url", &server.url()];
    let ended = run(&mut client(&arguments));
    assert_eq!(ended.code, 0);
    for part in [
        "→ POST http://127.0.0.1:",
        "\"method\": \"initialize\"",
        "← 200  #1",
        "\"method\": \"tools/call\"",
        "← 202",
        "x-api-key: ",
        "\"protocolVersion\": \"2025-11-25\"",
        "→ DELETE",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains(shared::demo::BOB_API_KEY), "{}", ended.stderr);
    assert!(!ended.stdout.contains("POST"));
}
