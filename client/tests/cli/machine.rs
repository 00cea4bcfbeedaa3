//! What scripts rely on: `--json`, and output without colours.

use serde_json::json;

use crate::{
    model::ModelScript,
    program::{client, run},
    server::{Script, Server},
};

#[test]
fn a_run_is_told_as_one_json_event_a_line() {
    let server = Server::start(Script::default());
    let ended = run(&mut client(&["--json", "--as", "bob", "--url", &server.url()]));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let names = ended.event_names();
    assert_eq!(names[..4], ["run_started", "model_chosen", "user_started", "session_opened"]);
    assert_eq!(names[names.len() - 2..], ["session_closed", "run_finished"]);
    for name in ["question", "turn_started", "tool_call_started", "tool_call_finished", "text", "answer"] {
        assert!(names.iter().any(|told| told == name), "{name}: {names:?}");
    }
    let events = ended.events();
    let finished = events.iter().find(|event| event["event"] == "tool_call_finished").unwrap();
    assert_eq!(finished["name"], "getAccountBalance");
    assert_eq!(finished["result"]["structuredContent"], json!({ "username": "bob", "balance": -200 }));
    assert!(finished["elapsed_ms"].is_u64());
}

#[test]
fn the_pieces_of_text_add_up_to_the_answer() {
    let pieces = ["You ha", "ve\n\n| a |\n|--", "-|\n| 1 |\n"].map(str::to_owned).to_vec();
    let server = Server::start(Script { model: ModelScript::Says(pieces.clone()), ..Script::default() });
    let mut command = client(&["ask", "rows?", "--json", "--as", "bob", "--url", &server.url()]);
    let ended = run(command.env("OPENAI_BASE_URL", server.at("/v1")));
    let events = ended.events();
    let text: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    let answer = events.iter().find(|event| event["event"] == "answer").unwrap();
    assert_eq!((text, answer["text"].as_str().unwrap()), (pieces.concat(), pieces.concat().as_str()));
    assert_eq!(answer["complete"], true);
}

#[test]
fn an_error_is_an_event_with_its_exit_code() {
    let server = Server::start(Script::default());
    for (arguments, code) in
        [(vec!["tools", "--as", "carol"], 3), (vec!["call", "nothing", "--as", "bob"], 2)]
    {
        let ended = run(client(&arguments).args(["--json", "--url", &server.url()]));
        let events = ended.events();
        let error = events.iter().find(|event| event["event"] == "error").unwrap();
        assert_eq!((ended.code, &error["exit_code"]), (code, &json!(code)));
        assert!(
            !error["message"].as_str().unwrap().is_empty() && !error["next"].as_str().unwrap().is_empty()
        );
        assert_eq!(events.last().unwrap(), &json!({ "event": "run_finished", "exit_code": code }));
    }
    for arguments in [&["--json", "--as", "a b"][..], &["--json", "--max-steps", "x"]] {
        let ended = run(&mut client(arguments));
        assert_eq!((ended.code, ended.event_names()), (2, vec!["error".to_owned()]), "{arguments:?}");
    }
}

#[test]
fn colours_come_when_forced_and_never_with_no_color() {
    let server = Server::start(Script::default());
    let coloured = |environment: &[(&str, &str)]| {
        let mut command = client(&["tools", "--as", "bob", "--url", &server.url()]);
        run(command.envs(environment.iter().copied())).stdout.contains('\u{1b}')
    };
    assert!(!coloured(&[]), "a pipe gets no colours");
    assert!(!coloured(&[("NO_COLOR", "1")]));
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("NO_COLOR", "1"), ("TERM", "xterm-256color")]));
}

#[test]
fn with_json_there_are_no_colours_even_when_forced() {
    let server = Server::start(Script::default());
    let mut command = client(&["--json", "--as", "bob", "--url", &server.url()]);
    let ended = run(command.env("CLICOLOR_FORCE", "1"));
    assert!(!ended.stdout.contains('\u{1b}'));
}

/// Whatever is asked of it, with everything logged and the wire shown, to a server that knows the key and to one that
/// does not.
#[test]
fn rule_13_neither_the_key_nor_the_session_id_is_in_anything_that_is_printed() {
    const WRONG: &str = "mcpay_live_canary0_CanaryCanaryCanaryCanaryCanaryCanary00";
    let server = Server::start(Script::default());
    for arguments in
        [&["tools"][..], &["call", "getAccountBalance"], &["ask", "Show me my account balance."], &["doctor"]]
    {
        for flags in [&[][..], &["--json"], &["--wire"], &["--protocol", "2026-07-28"]] {
            for key in [shared::demo::BOB_API_KEY, WRONG] {
                let mut command = client(arguments);
                command.args(flags).args(["--as", "bob", "--model", "offline", "--url", &server.url()]);
                let ended = run(command.env("BOB_API_KEY", key).env("RUST_LOG", "trace"));
                let printed = format!("{}{}", ended.stdout, ended.stderr);
                assert!(!printed.is_empty());
                for secret in [key, "session-of-bob"] {
                    assert!(!printed.contains(secret), "{arguments:?} {flags:?}: {secret} in {printed}");
                }
            }
        }
    }
}
