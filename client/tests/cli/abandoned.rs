//! The program ends while a question stands at a real terminal: whoever uses the terminal next finds it as it was.

use rexpect::{
    process::{Signal, WaitStatus},
    session::PtySession,
};
use rustix::termios::{InputModes, LocalModes, tcgetattr};

use crate::{
    asking::at_terminal,
    program::until,
    server::{Reply, Script, Server},
};

fn asking_server() -> Server {
    Server::start(Script { reply: Reply::AskBeside, ..Script::default() })
}

fn chatting(server: &Server) -> PtySession {
    at_terminal(&["chat", "--as", "bob", "--url", &server.url()])
}

fn calling(server: &Server) -> PtySession {
    at_terminal(&["call", "getAccountBalance", "--as", "bob", "--url", &server.url()])
}

/// Up to the question.
fn asked(server: &Server) -> PtySession {
    let mut session = calling(server);
    session.exp_string("Are you still there?").unwrap();
    session.exp_string("yes or no? [no]: ").unwrap();
    assert!(!is_as_found(&session), "the line editor has the terminal");
    session
}

/// Whether lines are edited and Ctrl-C is heard by the terminal itself.
fn is_as_found(session: &PtySession) -> bool {
    let settings = tcgetattr(session.process().get_file_handle().unwrap()).unwrap();
    settings.local_modes.contains(LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN)
        && settings.input_modes.contains(InputModes::ICRNL)
}

/// The exit code. The terminal must be as it was found.
fn ended(session: &mut PtySession) -> i32 {
    session.exp_eof().unwrap();
    let WaitStatus::Exited(_, code) = session.process().wait().unwrap() else { panic!("a signal ended it") };
    assert!(is_as_found(session), "exit code {code}");
    code
}

#[test]
fn a_question_that_a_server_does_not_wait_for_leaves_the_terminal_as_it_was() {
    let server = asking_server();
    let mut session = asked(&server);
    server.seen.go_on.cancel();
    session.exp_string(r#""balance": -200"#).unwrap();
    assert_eq!(ended(&mut session), 0);
}

#[test]
fn so_does_a_question_that_comes_together_with_the_answer() {
    let server = asking_server();
    server.seen.go_on.cancel();
    for _ in 0..10 {
        assert_eq!(ended(&mut calling(&server)), 0);
    }
}

#[test]
fn so_does_a_signal_from_outside() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let server = asking_server();
        let mut session = asked(&server);
        session.process_mut().signal(signal).unwrap();
        if signal == Signal::SIGINT {
            until("the session is closed", || server.opened_and_closed() == (1, 1));
            server.seen.go_on.cancel();
        }
        assert_eq!(ended(&mut session), code);
    }
}

#[test]
fn so_does_the_second_signal_which_ends_the_program_at_once() {
    let server = asking_server();
    let mut session = asked(&server);
    session.process_mut().signal(Signal::SIGINT).unwrap();
    until("the session is closed", || server.opened_and_closed() == (1, 1));
    session.process_mut().signal(Signal::SIGINT).unwrap();
    assert_eq!(ended(&mut session), 130);
}

/// What was typed for a question that is gone answers nothing else, and no other editor reads along.
#[test]
fn what_is_typed_for_a_question_that_was_taken_back_counts_for_nothing() {
    let server = Server::start(Script { reply: Reply::AskWithin, ..Script::default() });
    let mut session = chatting(&server);
    session.exp_string("/quit to end.").unwrap();
    session.send_line("What is my balance?").unwrap();
    session.exp_string("yes or no? [no]: ").unwrap();
    session.send("y").unwrap();
    server.seen.go_on.cancel();
    session.exp_string("nobody waits for this answer any more").unwrap();
    session.exp_string("press Enter to go on: ").unwrap();
    session.send_line("es").unwrap();
    session.send_line("/quit").unwrap();
    assert_eq!(ended(&mut session), 0);
    assert_eq!(server.seen.calls.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn ctrl_c_does_not_end_a_conversation_that_waits_for_enter() {
    let server = Server::start(Script { reply: Reply::AskWithin, ..Script::default() });
    let mut session = chatting(&server);
    session.exp_string("/quit to end.").unwrap();
    session.send_line("What is my balance?").unwrap();
    session.exp_string("yes or no? [no]: ").unwrap();
    server.seen.go_on.cancel();
    session.exp_string("press Enter to go on: ").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("To end the conversation press Ctrl-D or type /quit.").unwrap();
    session.send_line("").unwrap();
    session.exp_string("bob> ").unwrap();
    session.send_line("/quit").unwrap();
    assert_eq!(ended(&mut session), 0);
}

/// At a prompt that came back: a question works, and nothing else was asked before it.
fn goes_on(session: &mut PtySession, server: &Server) {
    session.exp_string("bob> ").unwrap();
    session.send_line("What is my balance?").unwrap();
    session.exp_string("-200").unwrap();
    session.exp_string("bob> ").unwrap();
    session.send_line("/quit").unwrap();
    assert_eq!(ended(session), 0);
    let called = server.seen.called.lock().unwrap();
    assert_eq!(called.len(), 1, "{called:?}");
    assert!(called[0].contains("getAccountBalance"), "{called:?}");
}

#[test]
fn a_conversation_waits_with_its_prompt_while_a_question_stands() {
    let server = Server::start(Script { reply: Reply::AskFirst, ..Script::default() });
    let mut session = chatting(&server);
    session.exp_string("yes or no? [no]: ").unwrap();
    server.seen.go_on.cancel();
    session.exp_string("/quit to end.").unwrap();
    session.send_line("no").unwrap();
    let shown = session.exp_string("declined").unwrap();
    assert!(!shown.contains("bob> "), "{shown}");
    goes_on(&mut session, &server);
}

#[test]
fn the_next_question_comes_before_the_prompt_of_a_conversation() {
    let server = Server::start(Script { reply: Reply::AskTwice, ..Script::default() });
    let mut session = chatting(&server);
    session.exp_string("yes or no? [no]: ").unwrap();
    server.seen.go_on.cancel();
    session.exp_string("/quit to end.").unwrap();
    // While the first question stands, and the prompt waits for it already.
    server.seen.ask_again.cancel();
    until("the second question is read", || server.seen.asked_again.is_cancelled());
    session.send_line("no").unwrap();
    session.exp_string("declined").unwrap();
    let shown = session.exp_string("yes or no? [no]: ").unwrap();
    assert!(!shown.contains("bob> ") && !shown.contains("press Enter"), "{shown}");
    session.send_line("yes").unwrap();
    let shown = session.exp_string("sent").unwrap();
    assert!(!shown.contains("bob> "), "{shown}");
    goes_on(&mut session, &server);
}

#[test]
fn a_question_takes_the_place_of_the_prompt_and_what_was_typed_at_it_counts_for_nothing() {
    let server = Server::start(Script { reply: Reply::AskMeanwhile, ..Script::default() });
    let mut session = chatting(&server);
    session.exp_string("bob> ").unwrap();
    session.send("Show me my recent transactions.").unwrap();
    session.flush().unwrap();
    session.exp_string(".").unwrap();
    server.seen.go_on.cancel();
    session.exp_string("Are you still there?").unwrap();
    session.exp_string("press Enter to go on: ").unwrap();
    session.send_line("").unwrap();
    session.exp_string("yes or no? [no]: ").unwrap();
    session.send_line("yes").unwrap();
    session.exp_string("sent").unwrap();
    goes_on(&mut session, &server);
}
