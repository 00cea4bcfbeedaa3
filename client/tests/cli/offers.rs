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
}

#[test]
fn what_is_not_there_is_a_usage_error_that_says_how_to_list_what_there_is() {
    let server = Server::start(Script::default());
    for protocol in ["2025-11-25", "2026-07-28"] {
        for (command, name, what) in
            [("resources", "notes://never", "resource"), ("prompts", "confess", "prompt")]
        {
            let url = server.url();
            let flags = ["--protocol", protocol, "--as", "bob", "--url", &url];
            let ended = run(&mut client(&[&[command, name][..], &flags].concat()));
            assert_eq!(
                (ended.code, ended.stdout.as_str()),
                (2, ""),
                "{protocol} {command}: {}",
                ended.stderr
            );
            let said = format!("there is no such {what} (-32");
            let next = format!(" next: `client {command}` lists what there is\n");
            assert!(ended.stderr.contains(&said) && ended.stderr.ends_with(&next), "{}", ended.stderr);
        }
    }
    let (opened, closed) = server.opened_and_closed();
    assert_eq!((opened, closed), (2, 2));
}

#[test]
fn what_the_server_fails_at_is_its_own_affair() {
    let server = Server::start(Script::default());
    let torn = at(&server, &["resources", "notes://torn"]);
    assert_eq!(torn.code, 4, "{}", torn.stderr);
    assert!(torn.stderr.contains("the page is torn") && !torn.stderr.contains("lists"), "{}", torn.stderr);
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
