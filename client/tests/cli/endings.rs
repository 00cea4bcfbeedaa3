//! How the program ends: exit codes, and the words that go with them.

use std::{
    io::Write as _,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::json;

use crate::{
    model::ModelScript,
    program::{client, run},
    server::{Reply, Script, Server, result},
};

/// Runs it and gives the exit code and what it said on stderr.
fn ending(arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let ended = run(client(arguments).envs(environment.iter().copied()));
    (ended.code, ended.stderr)
}

#[test]
fn a_question_that_is_answered_ends_with_0_and_its_session_is_closed() {
    let server = Server::start(Script::default());
    let url = server.url();
    let (code, stderr) = ending(&["ask", "Show me my account balance.", "--as", "bob", "--url", &url], &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(server.opened_and_closed(), (1, 1));
}

#[test]
fn what_is_typed_wrong_ends_with_2_before_anything_is_sent() {
    let server = Server::start(Script::default());
    let url = server.url();
    for (arguments, word) in [
        (vec!["--as", "bob-by"], "--as"),
        (vec!["--max-steps", "0"], "1..=100"),
        (vec!["--max-steps", "101"], "1..=100"),
        (vec!["--protocol", "2024-11-05"], "2025-11-25, 2026-07-28, auto"),
        (vec!["--model", "qwen3"], "OPENAI_BASE_URL"),
        (vec!["ask", " "], "QUESTION"),
        (vec!["ask"], "QUESTION"),
        (vec!["frobnicate"], "frobnicate"),
        (vec!["call", "getAccountBalance", "--args", "{"], "not JSON"),
        (vec!["call", "getAccountBalance", "--args", "[]"], "not an object"),
        (vec!["prompts", "--args", "{}"], "NAME"),
        (vec!["prompts", "pay", "--args", r#"{"amount":5}"#], "between quotes"),
        (vec!["--url", "ftp://127.0.0.1/"], "--url"),
        (vec!["--url", "http://example.com/mcp"], "--allow-plain-http"),
    ] {
        let mut command = client(&arguments);
        let ended = run(command.env("MCP_URL", &url));
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.stderr.contains(word), "{arguments:?}: {}", ended.stderr);
    }
    assert_eq!(server.opened_and_closed(), (0, 0));
}

#[test]
fn an_unknown_tool_is_a_usage_error_that_lists_the_tools() {
    let server = Server::start(Script::default());
    let (code, stderr) = ending(&["call", "getBalance", "--as", "bob", "--url", &server.url()], &[]);
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @r#"
    error: there is no tool "getBalance"
     next: the server offers: getAllTransactions, getLatestTransactions, getAccountBalance
    "#);
    assert_eq!(server.opened_and_closed(), (1, 1));
}

#[test]
fn a_missing_key_ends_with_3_and_names_the_variable() {
    let server = Server::start(Script::default());
    let (code, stderr) = ending(&["tools", "--as", "carol", "--url", &server.url()], &[]);
    assert_eq!(code, 3);
    insta::assert_snapshot!(stderr, @r"
    error: CAROL_API_KEY is not set
     next: set CAROL_API_KEY in the environment or in .env to the key of carol
    ");
    let (code, stderr) = ending(&["tools", "--as", "bob", "--url", "https://localhost.invalid/mcp"], &[]);
    assert_eq!(code, 3);
    assert!(stderr.starts_with("error: BOB_API_KEY is not set\n"), "{stderr}");
    let (code, stderr) = ending(&["tools", "--url", &server.url()], &[]);
    assert_eq!(code, 3);
    assert!(stderr.contains("MCP_API_KEY is not set"), "{stderr}");
    assert_eq!(server.opened_and_closed(), (0, 0));
}

#[test]
fn a_refused_key_ends_with_3_and_is_never_repeated() {
    let server = Server::start(Script::default());
    let key = [("BOB_API_KEY", "hunter22hunter22")];
    for flag in ["--wire", "--json"] {
        let mut command = client(&["tools", "--as", "bob", flag, "--url", &server.url()]);
        let ended = run(command.envs(key));
        assert_eq!(ended.code, 3);
        assert!(ended.stderr.contains("the server refused the key in BOB_API_KEY"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter22") && !ended.stdout.contains("hunter22"), "{}", ended.stderr);
    }
}

#[test]
fn the_demo_goes_on_with_alice_when_bobs_key_is_refused_and_still_ends_with_3() {
    let server = Server::start(Script::default());
    let ended = run(client(&["--url", &server.url()]).env("BOB_API_KEY", "hunter22hunter22"));
    assert_eq!(ended.code, 3);
    assert!(ended.stdout.contains("=== Testing Alice's Access ===") && ended.stdout.contains("180"));
    assert_eq!(server.opened_and_closed(), (1, 1));
}

#[test]
fn a_server_that_is_not_there_ends_with_4_and_how_to_start_it() {
    let (code, stderr) = ending(&["tools", "--as", "bob", "--url", "http://127.0.0.1:1/mcp"], &[]);
    assert_eq!(code, 4);
    assert!(stderr.contains("cannot reach http://127.0.0.1:1/mcp"), "{stderr}");
    assert!(stderr.contains("next: start the server with `cargo run -p server`"), "{stderr}");
}

#[test]
fn what_is_no_mcp_server_ends_with_4_and_says_what_it_is() {
    let server = Server::start(Script::default());
    for (path, word) in [("/nowhere", "check the path"), ("/page", "check the path"), ("/broken", "500")] {
        let (code, stderr) =
            ending(&["tools", "--as", "bob", "--url", &server.at(path), "--timeout", "5"], &[]);
        assert_eq!(code, 4, "{path}: {stderr}");
        assert!(stderr.contains(word), "{path}: {stderr}");
    }
}

#[test]
fn a_model_endpoint_that_refuses_ends_with_5() {
    let server = Server::start(Script { model: ModelScript::Refuses, ..Script::default() });
    let environment =
        [("OPENAI_BASE_URL", server.at("/v1")), ("OPENAI_API_KEY", "hunter22hunter22".to_owned())];
    let ended =
        run(client(&["ask", "balance?", "--as", "bob", "--url", &server.url()]).envs(environment.clone()));
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    assert!(ended.stderr.contains("check OPENAI_API_KEY"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter22"), "{}", ended.stderr);
    assert_eq!(server.opened_and_closed(), (1, 1));
    let ended = run(client(&["doctor", "--as", "bob", "--url", &server.url()]).envs(environment));
    assert_eq!(ended.code, 5, "{}", ended.stdout);
    assert!(ended.stdout.contains("✗ model") && !ended.stdout.contains("hunter22"), "{}", ended.stdout);
}

/// A proxy that serves nobody, and how often it was asked to.
fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            stream.unwrap().write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    });
    (url, connections)
}

#[test]
fn no_key_goes_in_the_clear_to_a_proxy() {
    let server = Server::start(Script::default());
    for (key, is_asked) in [(None, true), (Some("hunter22hunter22"), false)] {
        let (url, connections) = proxy();
        let mut asking = client(&["ask", "balance?", "--as", "bob", "--url", &server.url()]);
        asking.env("HTTP_PROXY", &url).env("OPENAI_BASE_URL", "http://nowhere.internal/v1");
        asking.envs(key.map(|key| ("OPENAI_API_KEY", key)));
        let ended = run(&mut asking);
        assert_eq!(ended.code, 5, "{}", ended.stderr);
        assert_eq!(connections.load(Ordering::SeqCst) > 0, is_asked, "{key:?}: {}", ended.stderr);
    }
    let (url, connections) = proxy();
    let far = ["tools", "--as", "bob", "--url", "http://nowhere.internal/mcp", "--allow-plain-http"];
    let ended = run(client(&far).env("HTTP_PROXY", url).env("BOB_API_KEY", "hunter22hunter22"));
    assert_eq!((ended.code, connections.load(Ordering::SeqCst)), (4, 0), "{}", ended.stderr);
}

#[test]
fn a_piece_that_repeats_the_key_is_neither_told_nor_logged() {
    let model = ModelScript::Sends(r#""hunter22hunter22""#);
    let server = Server::start(Script { model, ..Script::default() });
    let mut command = client(&["ask", "balance?", "--as", "bob", "--url", &server.url()]);
    command.env("OPENAI_BASE_URL", server.at("/v1")).env("OPENAI_API_KEY", "hunter22hunter22");
    let ended = run(command.env("RUST_LOG", "debug"));
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    assert!(ended.stderr.contains("a piece of it is no JSON"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter22") && !ended.stdout.contains("hunter22"), "{}", ended.stderr);
}

#[test]
fn the_step_limit_ends_with_6_and_an_answer_all_the_same() {
    let server = Server::start(Script { model: ModelScript::NeverDone, ..Script::default() });
    let mut command = client(&["ask", "rows?", "--as", "bob", "--max-steps", "3", "--url", &server.url()]);
    let ended = run(command.env("OPENAI_BASE_URL", server.at("/v1")));
    assert_eq!(ended.code, 6, "{}", ended.stderr);
    assert!(ended.stdout.contains("This is what I know so far."), "{}", ended.stdout);
    assert_eq!(server.opened_and_closed(), (1, 1));
}

#[test]
fn a_model_that_says_nothing_at_the_step_limit_ends_with_6_and_one_answer_all_the_same() {
    for (text, reason) in
        [("", "stop"), ("", "length"), ("", "content_filter"), (" ", "stop"), ("\n", "length")]
    {
        let model = ModelScript::FallsSilent(text, reason);
        let server = Server::start(Script { model, ..Script::default() });
        let url = server.url();
        let mut command = client(&["ask", "rows?", "--as", "bob", "--max-steps", "1", "--url", &url]);
        let ended = run(command.env("OPENAI_BASE_URL", server.at("/v1")));
        assert_eq!((ended.code, ended.stderr.as_str()), (6, ""), "{text:?} {reason}");
        let answers = ended.stdout.matches("I stopped after 1 step and have no answer.").count();
        assert_eq!(answers, 1, "{text:?} {reason}: {}", ended.stdout);
    }
}

#[test]
fn a_model_that_says_nothing_ends_with_5() {
    for (text, reason) in [("", "stop"), (" ", "stop"), ("\n", "length")] {
        let model = ModelScript::Stops(text, reason);
        let server = Server::start(Script { model, ..Script::default() });
        let mut command = client(&["ask", "balance?", "--as", "bob", "--url", &server.url()]);
        let ended = run(command.env("OPENAI_BASE_URL", server.at("/v1")));
        assert_eq!(ended.code, 5, "{text:?} {reason}: {}", ended.stdout);
        assert!(ended.stderr.starts_with("error: "), "{text:?} {reason}: {}", ended.stderr);
    }
}

#[test]
fn an_answer_that_was_cut_off_ends_with_6_and_is_told_as_such() {
    for reason in ["length", "content_filter"] {
        let model = ModelScript::Stops("You have 100 in", reason);
        let server = Server::start(Script { model, ..Script::default() });
        let url = server.url();
        let asked = |more: &[&str]| {
            let mut command = client(&[&["ask", "balance?", "--as", "bob", "--url", &url], more].concat());
            run(command.env("OPENAI_BASE_URL", server.at("/v1")))
        };
        let ended = asked(&[]);
        assert_eq!((ended.code, ended.stderr.as_str()), (6, ""));
        let shown =
            "You have 100 in\n  ! the model stopped in the middle of its answer; this is not all of it\n";
        assert!(ended.stdout.contains(shown), "{}", ended.stdout);
        let ended = asked(&["--json"]);
        let events = ended.events();
        let answer = events.iter().find(|event| event["event"] == "answer").unwrap();
        assert_eq!(
            (ended.code, &answer["text"], &answer["complete"]),
            (6, &json!("You have 100 in"), &json!(false))
        );
        assert!(ended.event_names().contains(&"answer_cut_off".to_owned()), "{}", ended.stdout);
    }
}

#[test]
fn a_tool_that_reports_an_error_ends_call_with_1() {
    let mut error = result(&json!({}));
    error["isError"] = json!(true);
    error["content"] = json!([{ "type": "text", "text": "limit: from 1 to 100" }]);
    let server = Server::start(Script { reply: Reply::Result(error), ..Script::default() });
    let (code, stderr) =
        ending(&["call", "getLatestTransactions", "--as", "bob", "--url", &server.url()], &[]);
    assert_eq!(code, 1);
    assert_eq!(stderr, "error: getLatestTransactions reported an error: limit: from 1 to 100\n");
}

#[test]
fn an_error_that_does_not_say_that_nothing_ran_leaves_the_outcome_unknown() {
    let tools = json!([{ "name": "pay", "inputSchema": { "type": "object" } }]);
    for (code, is_unknown) in [(-32001, true), (-32603, true), (-32602, false)] {
        let server =
            Server::start(Script { tools: tools.clone(), reply: Reply::Error(code), ..Script::default() });
        let (exit, stderr) = ending(&["call", "pay", "--as", "bob", "--url", &server.url()], &[]);
        assert_eq!(exit, 4, "{stderr}");
        assert_eq!(stderr.starts_with("error: unknown outcome: "), is_unknown, "{stderr}");
        assert_eq!(stderr.contains("pay may have been carried out"), is_unknown, "{stderr}");
        assert_eq!(stderr.contains("refused the request"), !is_unknown, "{stderr}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let server = Server::start(Script::default());
    for arguments in [&["tools"][..], &[], &["doctor", "--json"]] {
        let mut child = client(arguments).args(["--as", "bob", "--url", &server.url()]).spawn().unwrap();
        drop(child.stdout.take());
        let ended = crate::program::ended(child);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
    }
    let (opened, closed) = server.opened_and_closed();
    assert_eq!(opened, closed);
}

#[test]
fn where_nobody_reads_stderr_everything_else_is_as_it_was() {
    let tool = json!({ "name": "look", "inputSchema": { "type": "object" } });
    let malformed = json!({ "name": "bad", "inputSchema": 5 });
    let reply = Reply::Result(result(&json!({ "seen": 7 })));
    let server = Server::start(Script { tools: json!([tool, malformed]), reply, ..Script::default() });
    for (arguments, code, shown) in [
        (&["call", "nothing"][..], 2, ""),
        (&["call", "look"], 0, "\"seen\": 7"),
        (&["call", "look", "--wire"], 0, "\"seen\": 7"),
        (&["call", "look", "--json"], 0, "\"exit_code\":0"),
    ] {
        let mut command = client(arguments);
        command.args(["--as", "bob", "--url", &server.url()]).env("RUST_LOG", "trace");
        let mut child = command.spawn().unwrap();
        drop(child.stderr.take());
        let ended = crate::program::ended(child);
        assert_eq!(ended.code, code, "{arguments:?}: {}", ended.stdout);
        assert!(ended.stdout.contains(shown), "{arguments:?}: {}", ended.stdout);
    }
}

#[test]
fn a_log_filter_that_is_none_is_a_usage_error_and_log_lines_go_to_stderr() {
    let server = Server::start(Script::default());
    let run_with = |filter: &str| {
        let mut command = client(&["tools", "--as", "bob", "--url", &server.url()]);
        run(command.env("RUST_LOG", filter))
    };
    let refused = run_with("client=loud");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("RUST_LOG"), "{}", refused.stderr);
    let logged = run_with("trace");
    assert_eq!(logged.code, 0);
    assert!(!logged.stderr.is_empty() && !logged.stderr.contains(shared::demo::BOB_API_KEY));
    assert!(logged.stdout.starts_with("getAllTransactions"), "{}", logged.stdout);
}

#[test]
fn a_model_endpoint_that_is_no_url_is_a_usage_error() {
    let server = Server::start(Script::default());
    let mut command = client(&["ask", "balance?", "--as", "bob", "--url", &server.url()]);
    let ended = run(command.env("OPENAI_BASE_URL", "localhost"));
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.starts_with("error: OPENAI_BASE_URL: "), "{}", ended.stderr);
    assert_eq!(server.opened_and_closed(), (0, 0));
}
