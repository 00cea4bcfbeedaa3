//! The question before a payment: yes or no in the server's words, at a real terminal or said beforehand, and the exit
//! code that stands for the answer.

use std::sync::atomic::Ordering;

use rexpect::{process::WaitStatus, session::PtySession};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value, json};

use crate::{
    asking::at_terminal,
    model::ModelScript,
    program::{Ended, client, run, until},
    server::{Reply, Script, Server, payment_tools, result},
};

const QUESTION: &str = r"Pay 25.00 USD to alice?\u{1b}[2J";

fn arguments<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["call", "confirmPayment", "--protocol", "2026-07-28", "--as", "bob", "--url", url], more].concat()
}

/// Up to the question.
fn asked(server: &Server) -> PtySession {
    let url = server.url();
    let mut session = at_terminal(&arguments(&url, &[]));
    session.exp_string("asks you:").unwrap();
    session.exp_string(QUESTION).unwrap();
    session.exp_string("After this 750.00 USD can still be spent.").unwrap();
    session.exp_string("yes or no? [no]: ").unwrap();
    session
}

/// The exit code after what the server heard was printed.
fn ends(session: &mut PtySession, heard: &str) -> i32 {
    session.exp_string(&format!(r#""heard": "{heard}""#)).unwrap();
    session.exp_eof().unwrap();
    match session.process().wait().unwrap() {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn yes_pays_and_everything_else_does_not() {
    let server = Server::start(Script::default());
    for (typed, heard, code) in [
        (&["yes"][..], "accept", 0),
        (&["Y"], "accept", 0),
        (&["no"], "decline", 7),
        (&[""], "decline", 7),
        (&["perhaps", "pay", "n"], "decline", 7),
    ] {
        let mut session = asked(&server);
        for (again, line) in typed.iter().enumerate() {
            if again > 0 {
                session.exp_string("yes or no? [no]: ").unwrap();
            }
            session.send_line(line).unwrap();
        }
        assert_eq!(ends(&mut session, heard), code, "{typed:?}");
    }
}

#[test]
fn what_was_typed_before_the_question_is_no_answer_to_it() {
    let server = Server::start(Script { reply: Reply::AskLate, ..Script::default() });
    let mut session = at_terminal(&["call", "getAccountBalance", "--as", "bob", "--url", &server.url()]);
    until("the call arrives", || server.seen.calls.load(Ordering::SeqCst) == 1);
    // The terminal repeats what it has, as terminals do while nobody edits a line.
    let terminal = session.process().get_file_handle().unwrap();
    let mut settings = tcgetattr(&terminal).unwrap();
    settings.local_modes.insert(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Now, &settings).unwrap();
    session.send_line("yes").unwrap();
    session.exp_string("yes\r\n").unwrap();
    server.seen.go_on.cancel();
    session.exp_string("yes or no? [no]: ").unwrap();
    session.send_line("no").unwrap();
    assert_eq!(ends(&mut session, "decline"), 0);
}

#[test]
fn whoever_goes_away_has_not_said_yes() {
    let server = Server::start(Script::default());
    for key in ['c', 'd'] {
        let mut session = asked(&server);
        session.send_control(key).unwrap();
        session.exp_string("not answered").unwrap();
        assert_eq!(ends(&mut session, "cancel"), 7, "{key}");
    }
}

#[test]
fn a_server_that_insists_asks_nothing_more_once_ctrl_c_was_pressed() {
    let server = Server::start(Script::default());
    let url = server.url();
    let insisting = ["call", "insist", "--protocol", "2026-07-28", "--as", "bob", "--url", &url];
    // Ctrl-D goes away from one question alone.
    for keys in ["c", "dc", "ddd"] {
        let mut session = at_terminal(&insisting);
        for key in keys.chars() {
            session.exp_string("yes or no? [no]: ").unwrap();
            session.send_control(key).unwrap();
            session.exp_string("not answered").unwrap();
        }
        session.exp_string("heard: cancel cancel cancel").unwrap();
        session.exp_eof().unwrap();
    }
}

#[test]
fn what_was_said_beforehand_is_answered_without_asking() {
    let server = Server::start(Script::default());
    for (confirm, heard, code) in [("yes", "accept", 0), ("no", "decline", 7)] {
        for more in [&["--confirm", confirm][..], &["--confirm", confirm, "--json"]] {
            let Ended { code: ended, stdout, stderr } = run(&mut client(&arguments(&server.url(), more)));
            assert_eq!(ended, code, "{more:?}: {stderr}");
            // Whoever reads the screen later sees what was asked and who answered.
            for shown in ["Pay 25.00 USD to alice?", "as --confirm says", heard] {
                assert!(stdout.contains(shown), "{more:?}, {shown}: {stdout}");
            }
        }
    }
}

#[test]
fn a_form_is_not_filled_in_by_what_was_said_beforehand() {
    let server = Server::start(Script::default());
    let url = server.url();
    let pay = ["call", "pay", "--protocol", "2026-07-28", "--as", "bob", "--url", &url, "--confirm", "yes"];
    let ended = run(&mut client(&pay));
    assert!(ended.stdout.contains(r#"heard: {"action":"decline"}"#), "{}", ended.stdout);
}

#[test]
fn where_nobody_can_be_asked_the_payment_waits_and_it_is_said_for_what() {
    let server = Server::start(Script::default());
    let ended = run(&mut client(&arguments(&server.url(), &[])));
    assert_eq!(ended.code, 7, "{}", ended.stderr);
    assert!(!ended.stdout.contains("asks you"), "{}", ended.stdout);
    assert!(ended.stderr.contains("`server payments approve pay_1`"), "{}", ended.stderr);
}

/// A server whose tools may pay, and whose answer to every call is this.
fn paying(tool: &str, reply: Value, model: ModelScript) -> Server {
    let tools = json!([{ "name": tool, "inputSchema": { "type": "object" } }]);
    Server::start(Script { tools, reply: Reply::Result(reply), model })
}

#[test]
fn a_refund_that_nobody_can_confirm_is_explained_by_the_server_alone() {
    let text = "requires_action: a refund needs the word of a person, and this client cannot ask. Nothing was given back. \
                Use a client that can ask, or have an operator run `server payments refund`.";
    let error = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
    let server = paying("refundPayment", error, ModelScript::Absent);
    let ended = run(&mut client(&["call", "refundPayment", "--as", "bob", "--url", &server.url()]));
    assert_eq!(ended.code, 7, "{}", ended.stderr);
    assert!(ended.stderr.contains("`server payments refund`"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("payments approve"), "{}", ended.stderr);
}

#[test]
fn a_payment_that_waits_is_told_of_where_the_question_ends_in_an_error() {
    let reply = result(&json!({ "paymentId": "pay_1", "status": "requires_action" }));
    let server = paying("getLatestTransactions", reply, ModelScript::ThenRefuses);
    let mut command = client(&["ask", "Pay alice.", "--as", "bob", "--url", &server.url()]);
    let ended = run(command.env("OPENAI_BASE_URL", server.at("/v1")));
    assert_eq!(ended.code, 5, "{}", ended.stderr);
    assert!(ended.stderr.contains("`server payments approve pay_1`"), "{}", ended.stderr);
    assert!(ended.stderr.contains("check OPENAI_API_KEY"), "{}", ended.stderr);
}

#[test]
fn a_payment_that_was_declined_is_told_of_however_the_answer_ends() {
    let error =
        json!({ "content": [{ "type": "text", "text": "declined: the user said no." }], "isError": true });
    for (reason, more) in [("stop", &[][..]), ("length", &[]), ("stop", &["--max-steps", "1"])] {
        let model = ModelScript::FallsSilent("You have 100 in", reason);
        let server = paying("getLatestTransactions", error.clone(), model);
        let url = server.url();
        let mut command = client(&[&["ask", "Pay alice.", "--as", "bob", "--url", &url], more].concat());
        let ended = run(command.env("OPENAI_BASE_URL", server.at("/v1")));
        assert_eq!(ended.code, 7, "{reason} {more:?}: {}", ended.stdout);
        assert!(ended.stdout.contains("You have 100 in"), "{reason} {more:?}: {}", ended.stdout);
    }
}

/// What a run ends with whose call is answered with this, in a session.
fn exit_after(reply: Value) -> i32 {
    let server = Server::start(Script {
        tools: json!([
            { "name": "move", "inputSchema": { "type": "object" } },
            { "name": "look", "inputSchema": { "type": "object" }, "annotations": { "readOnlyHint": true } },
        ]),
        reply: Reply::Result(reply),
        ..Script::default()
    });
    let url = server.url();
    let code = |tool| run(&mut client(&["call", tool, "--as", "bob", "--url", &url])).code;
    let looked = code("look");
    let moved = code("move");
    assert!(looked != 7, "to look at a payment is no failure of it");
    moved
}

#[test]
fn the_exit_code_says_how_the_payment_stands() {
    for (status, code) in
        [("declined", 7), ("requires_action", 7), ("succeeded", 0), ("requires_confirmation", 0)]
    {
        let reply = result(&json!({ "paymentId": "pay_1", "status": status }));
        assert_eq!(exit_after(reply), code, "{status}");
    }
    let error = |text: &str| json!({ "content": [{ "type": "text", "text": text }], "isError": true });
    assert_eq!(exit_after(error("not_found: there is no such payment.")), 1);
}

/// The tools of the demo, and one that pays.
fn tools_that_pay() -> Value {
    let pay = json!({ "name": "createPayment", "description": "Pay somebody", "inputSchema": {
        "type": "object", "required": ["to", "amount"],
        "properties": { "to": { "type": "string" }, "amount": { "type": "number" } },
    } });
    let mut tools = payment_tools();
    tools.as_array_mut().unwrap().push(pay);
    tools
}

#[test]
fn the_demo_pays_only_where_somebody_answers_and_the_server_can() {
    let paying = Server::start(Script { tools: tools_that_pay(), ..Script::default() });
    let original = Server::start(Script::default());
    for (server, more, pays, left_out) in [
        (&paying, &[][..], false, true),
        (&paying, &["--confirm", "yes"], true, false),
        (&paying, &["--confirm", "yes", "--as", "bob"], false, false),
        (&original, &["--confirm", "yes"], false, false),
        (&original, &[], false, false),
    ] {
        let url = server.url();
        let ended = run(&mut client(&[&["--url", &url], more].concat()));
        assert_eq!(ended.code, 0, "{more:?}: {}", ended.stderr);
        assert_eq!(ended.stdout.contains("=== Bob Pays Alice ==="), pays, "{more:?}: {}", ended.stdout);
        assert_eq!(ended.stderr.contains("left out"), left_out, "{more:?}: {}", ended.stderr);
    }
}

#[test]
fn an_answer_that_was_cut_off_does_not_keep_the_demo_from_paying() {
    let model = ModelScript::Stops("You have 100 in", "length");
    let server = Server::start(Script { tools: tools_that_pay(), model, ..Script::default() });
    let url = server.url();
    for (more, pays) in [(&["--confirm", "yes"][..], true), (&[], false)] {
        let mut command = client(&[&["--url", &url], more].concat());
        let ended = run(command.env("OPENAI_BASE_URL", server.at("/v1")));
        assert_eq!(ended.code, 6, "{more:?}: {}", ended.stderr);
        assert_eq!(ended.stdout.contains("=== Bob Pays Alice ==="), pays, "{more:?}: {}", ended.stdout);
        assert_eq!(ended.stderr.contains("left out"), !pays, "{more:?}: {}", ended.stderr);
    }
}

#[test]
fn nobody_pays_where_one_of_the_two_was_refused_whatever_became_of_the_others_answers() {
    let model = ModelScript::Stops("You have 100 in", "length");
    let server = Server::start(Script { tools: tools_that_pay(), model, ..Script::default() });
    for refused in ["BOB_API_KEY", "ALICE_API_KEY"] {
        let mut command = client(&["--url", &server.url(), "--confirm", "yes"]);
        command.env("OPENAI_BASE_URL", server.at("/v1")).env(refused, "hunter22hunter22");
        let ended = run(&mut command);
        assert!(!ended.stdout.contains("=== Bob Pays Alice ==="), "{refused}: {}", ended.stdout);
        assert_ne!(ended.code, 0, "{refused}: {}", ended.stderr);
    }
}
