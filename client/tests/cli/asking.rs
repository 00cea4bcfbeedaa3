//! Questions of a server, answered at a real terminal: a pseudo-terminal with the program at the other end.

use rexpect::session::{PtySession, spawn_command};

use crate::{
    program::{client, run},
    server::{Script, Server},
};

const PATIENCE_MS: u64 = 20_000;

fn arguments<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["call", "pay", "--protocol", "2026-07-28", "--as", "bob", "--url", url], more].concat()
}

/// The program at a terminal.
pub(crate) fn at_terminal(arguments: &[&str]) -> PtySession {
    let program = client(arguments);
    let mut command = std::process::Command::new(program.get_program());
    command
        .args(program.get_args())
        .env_clear()
        .env("TERM", "xterm")
        .current_dir(env!("CARGO_TARGET_TMPDIR"));
    spawn_command(command, Some(PATIENCE_MS)).unwrap()
}

/// Up to its first question.
fn asked(server: &Server) -> PtySession {
    let url = server.url();
    let mut session = at_terminal(&arguments(&url, &[]));
    session.exp_string("asks you:").unwrap();
    // What the server wrote cannot steer the terminal.
    session.exp_string(r"Pay 25.00 USD to alice?\u{1b}[2J").unwrap();
    session.exp_string("agree (yes or no): ").unwrap();
    session
}

fn answer(session: &mut PtySession, line: &str, then: &str) {
    session.send_line(line).unwrap();
    session.exp_string(then).unwrap();
}

#[test]
fn a_form_is_filled_in_field_by_field_and_sent() {
    let server = Server::start(Script::default());
    let mut session = asked(&server);
    answer(&mut session, "perhaps", "not understood");
    answer(&mut session, "yes", "Green");
    answer(&mut session, "", "has to be filled in");
    answer(&mut session, "2", "tip (a whole number, 0 to 10) [2]: ");
    answer(&mut session, "11", "not understood");
    answer(&mut session, "", "send this answer?");
    answer(&mut session, "yes", "sent");
    let heard = r#"heard: {"action":"accept","content":{"agree":true,"colour":"g","tip":2}}"#;
    session.exp_string(heard).unwrap();
    session.exp_eof().unwrap();
}

#[test]
fn no_at_the_end_declines() {
    let server = Server::start(Script::default());
    let mut session = asked(&server);
    answer(&mut session, "y", "colour");
    answer(&mut session, "r", "tip (");
    answer(&mut session, "3", "send this answer?");
    answer(&mut session, "no", "declined");
    session.exp_string(r#"heard: {"action":"decline"}"#).unwrap();
    session.exp_eof().unwrap();
}

#[test]
fn ctrl_c_and_ctrl_d_cancel() {
    for key in ['c', 'd'] {
        let server = Server::start(Script::default());
        let mut session = asked(&server);
        session.send_control(key).unwrap();
        session.exp_string("not answered").unwrap();
        session.exp_string(r#"heard: {"action":"cancel"}"#).unwrap();
        session.exp_eof().unwrap();
    }
}

#[test]
fn where_nobody_sits_it_is_declined_at_once() {
    let server = Server::start(Script::default());
    for more in [&[][..], &["--json"]] {
        let ended = run(&mut client(&arguments(&server.url(), more)));
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(ended.stdout.contains("decline") && !ended.stdout.contains("asks you"), "{}", ended.stdout);
    }
}
