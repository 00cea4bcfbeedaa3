//! Resources and prompts, listed and read.

use serde_json::json;

use crate::{
    program::{Ended, client, run},
    server::{Script, Server},
};

const STATELESS: [&str; 4] = ["--protocol", "2026-07-28", "--as", "bob"];

fn at(server: &Server, arguments: &[&str]) -> Ended {
    let url = server.url();
    run(&mut client(&[arguments, &STATELESS, &["--url", &url]].concat()))
}

#[test]
fn resources_are_listed_and_read() {
    let server = Server::start(Script::default());
    let listed = at(&server, &["resources"]);
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(listed.stdout, @r"
    notes://today  Notes of today  text/plain  12 bytes
      What was written today
    notes://{day}  notes
      What was written on a day
    ");
    let read = at(&server, &["resources", "notes://today"]);
    assert_eq!((read.code, read.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(read.stdout, @r"
    Buy \u{1b}[31mmilk
    [a resource that is not text]
    ");
    let absent = at(&server, &["resources", "notes://never"]);
    assert_eq!(absent.code, 4);
    assert!(absent.stderr.contains("no such resource"), "{}", absent.stderr);
}

#[test]
fn prompts_are_listed_and_filled_in() {
    let server = Server::start(Script::default());
    let listed = at(&server, &["prompts"]);
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(listed.stdout, @r"
    explain  Explain my spending
      Says where the money went
        month  required
          As in 2024-03
        style  optional
    ");
    let filled = at(&server, &["prompts", "explain", "--args", r#"{"month":"2024-03"}"#]);
    assert_eq!((filled.code, filled.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(filled.stdout, @"user: Explain 2024-03.");
}

#[test]
fn scripts_get_them_as_mcp_has_them() {
    let server = Server::start(Script::default());
    let listed = at(&server, &["resources", "--json"]).events();
    let kinds: Vec<_> = listed.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["run_started", "session_opened", "resource", "resource_template", "session_closed", "run_finished"]
    );
    assert_eq!(listed[0]["protocol"], "2026-07-28");
    assert_eq!((&listed[1]["protocol"], &listed[1]["session"]), (&json!("2026-07-28"), &json!(null)));
    let read = at(&server, &["resources", "notes://today", "--json"]).events();
    let event = read.iter().find(|event| event["event"] == "resource_read").unwrap();
    assert_eq!(event["result"]["contents"][1]["blob"], "AAAA");
    let filled = at(&server, &["prompts", "explain", "--json"]).events();
    let event = filled.iter().find(|event| event["event"] == "prompt_filled").unwrap();
    assert_eq!(event["result"]["messages"][0]["content"]["text"], "Explain ?.");
}

#[test]
fn a_server_that_offers_none_is_no_error() {
    let server = Server::start(Script::default());
    for (command, what) in [("resources", "no resources"), ("prompts", "no prompts")] {
        let ended = run(&mut client(&[command, "--as", "bob", "--url", &server.url()]));
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
        assert!(ended.stdout.contains(what), "{}", ended.stdout);
    }
}

#[test]
fn the_doctor_says_which_era_it_is() {
    let server = Server::start(Script::default());
    let stateless =
        run(&mut client(&["doctor", "--protocol", "auto", "--as", "bob", "--url", &server.url()]));
    assert_eq!((stateless.code, stateless.stderr.as_str()), (0, ""));
    let expected = "modern-server 2.0, protocol 2026-07-28, stateless";
    assert!(stateless.stdout.contains(expected), "{}", stateless.stdout);
    let session = run(&mut client(&["doctor", "--as", "bob", "--url", &server.url()]));
    assert!(session.stdout.contains("protocol 2025-11-25, session sess"), "{}", session.stdout);
}
