//! What is written as an argument is what the server receives, letter for letter: to refuse it or not is the server's.

use crate::{
    model::ModelScript,
    program::{client, run},
    server::{Script, Server},
};

/// Numbers that are others once they were read as floats.
const WRITTEN: &str =
    r#"{"to":"alice","amount":1e2,"least":25.00000000000000001,"most":1.50,"far":12345678901234567890123}"#;

/// Asserts that calls arrived, and that every one had the arguments.
fn assert_arrived(server: &Server) {
    let called = server.seen.called.lock().unwrap();
    let has_arguments = |body: &String| body.contains(&format!("\"arguments\":{WRITTEN}"));
    assert!(!called.is_empty() && called.iter().all(has_arguments), "{called:?}");
}

#[test]
fn numbers_on_the_command_line_arrive_as_they_were_written_and_are_shown_so() {
    for (protocol, tool) in [("2025-11-25", "getLatestTransactions"), ("2026-07-28", "pay")] {
        let server = Server::start(Script::default());
        let laid_out = WRITTEN.replace(':', " :\n ");
        let mut command = client(&["call", tool, "--as", "bob", "--url", &server.url(), "--args", &laid_out]);
        let ended = run(command.args(["--protocol", protocol, "--json", "--wire"]));
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_arrived(&server);
        assert!(ended.stdout.contains(&format!("\"arguments\":{WRITTEN}")), "{}", ended.stdout);
        assert!(ended.stderr.contains("\"least\": 25.00000000000000001"), "{}", ended.stderr);
    }
}

#[test]
fn numbers_of_a_model_arrive_as_it_wrote_them_and_are_shown_so() {
    let server = Server::start(Script { model: ModelScript::Writes(WRITTEN), ..Script::default() });
    let mut command = client(&["ask", "Pay alice.", "--as", "bob", "--url", &server.url()]);
    let ended = run(command.env("OPENAI_BASE_URL", server.at("/v1")));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_arrived(&server);
    assert!(ended.stdout.contains(WRITTEN), "{}", ended.stdout);
}
