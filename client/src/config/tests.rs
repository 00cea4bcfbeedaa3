//! How the command line and the environment become settings.

use std::ffi::OsString;

use clap::Parser as _;
use secrecy::ExposeSecret as _;

use super::{Command, Key, ModelChoice, Settings, UsageError, User, arguments::Arguments};

fn settings(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, UsageError> {
    let arguments = Arguments::try_parse_from([&["client"], arguments].concat()).unwrap();
    Settings::new(arguments, &|name| {
        environment.iter().find(|(variable, _)| *variable == name).map(|(_, value)| OsString::from(value))
    })
}

fn users(settings: &Settings) -> Vec<User> {
    match &settings.command {
        Command::Demo { users } => users.clone(),
        Command::Ask { user, .. }
        | Command::Chat { user }
        | Command::Tools { user }
        | Command::Call { user, .. }
        | Command::Resources { user, .. }
        | Command::Prompts { user, .. }
        | Command::Doctor { user } => vec![user.clone()],
    }
}

fn key(arguments: &[&str], environment: &[(&str, &str)]) -> Option<String> {
    let settings = settings(arguments, environment).unwrap();
    users(&settings)[0].key.secret().map(|key| key.expose_secret().to_owned())
}

fn refusal(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    settings(arguments, environment).unwrap_err().to_string()
}

#[test]
fn without_a_command_bob_and_alice_run_the_demo_with_their_demo_keys() {
    let settings = settings(&[], &[]).unwrap();
    let users = users(&settings);
    assert_eq!(users.iter().map(User::title).collect::<Vec<_>>(), ["Bob", "Alice"]);
    assert!(users.iter().all(|user| matches!(user.key, Key::Demo(_))));
    assert_eq!((settings.url.as_str(), settings.max_steps), ("http://127.0.0.1:8080/mcp", 20));
}

#[test]
fn a_key_comes_from_the_variable_of_its_user() {
    let environment = [("BOB_API_KEY", "b"), ("CAROL_2_API_KEY", "c"), ("MCP_API_KEY", "m")];
    assert_eq!(key(&["tools", "--as", "Bob"], &environment).as_deref(), Some("b"));
    assert_eq!(key(&["--as", "carol_2", "tools"], &environment).as_deref(), Some("c"));
    assert_eq!(key(&["tools"], &environment).as_deref(), Some("m"));
    assert_eq!(key(&["tools", "--as", "dave"], &environment), None);
}

#[test]
fn the_demo_keys_stay_on_this_machine() {
    for url in ["http://127.0.0.1:1/mcp", "http://localhost:1/mcp", "http://[::1]:1/mcp"] {
        assert!(key(&["tools", "--as", "bob", "--url", url], &[]).is_some(), "{url}");
    }
    for url in ["https://example.com/mcp", "https://localhost.example.com/mcp"] {
        assert_eq!(key(&["tools", "--as", "bob", "--url", url], &[]), None, "{url}");
    }
}

#[test]
fn a_name_that_cannot_be_a_variable_is_refused() {
    for name in ["", "bob-by", "1bob", "b b", "PATH=", "bob\u{1b}", "böb"] {
        assert!(refusal(&["tools", "--as", name], &[]).starts_with("--as: "), "{name:?}");
    }
}

#[test]
fn the_key_of_the_model_endpoint_is_nobodys_key() {
    for name in ["openai", "OpenAI", "OPENAI"] {
        let refused = refusal(&["tools", "--as", name], &[("OPENAI_API_KEY", "hunter22")]);
        assert!(refused.starts_with("--as: OPENAI_API_KEY ") && !refused.contains("hunter22"), "{refused}");
    }
}

#[test]
fn an_empty_variable_is_an_absent_one_and_the_command_line_wins() {
    let environment = [("MCP_URL", ""), ("MODEL", " "), ("OPENAI_API_KEY", ""), ("BOB_API_KEY", "")];
    let merged = settings(&["--as", "bob"], &environment).unwrap();
    assert_eq!(merged.url, "http://127.0.0.1:8080/mcp");
    assert!(matches!(merged.model, ModelChoice::Offline { by_default: true }));
    assert!(matches!(users(&merged)[0].key, Key::Demo(_)));
    let both = settings(&["--url", "http://127.0.0.1:2/"], &[("MCP_URL", "http://127.0.0.1:3/")]).unwrap();
    assert_eq!(both.url, "http://127.0.0.1:2/");
}

#[test]
fn the_model_is_what_was_asked_for_or_what_is_configured() {
    let chosen = |arguments: &[&str], environment: &[(&str, &str)]| match settings(arguments, environment)
        .unwrap()
        .model
    {
        ModelChoice::Offline { by_default } => format!("offline, by default: {by_default}"),
        ModelChoice::Endpoint(endpoint) => {
            let place = endpoint.base_url.unwrap_or_else(|| "OpenAI".to_owned());
            format!("{} at {place} because of {}", endpoint.model, endpoint.because)
        }
    };
    let local = ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1");
    assert_eq!(chosen(&[], &[]), "offline, by default: true");
    assert_eq!(chosen(&["--model", "offline"], &[local]), "offline, by default: false");
    assert_eq!(chosen(&[], &[("OPENAI_API_KEY", "k")]), "gpt-5-mini at OpenAI because of OPENAI_API_KEY");
    assert_eq!(
        chosen(&[], &[local, ("OPENAI_MODEL", "qwen3")]),
        "qwen3 at http://127.0.0.1:11434/v1 because of OPENAI_BASE_URL"
    );
    assert_eq!(
        chosen(&["--model", "llama"], &[local, ("MODEL", "offline")]),
        "llama at http://127.0.0.1:11434/v1 because of OPENAI_BASE_URL"
    );
}

#[test]
fn a_model_without_an_endpoint_is_refused() {
    assert!(refusal(&["--model", "qwen3"], &[]).contains("set OPENAI_API_KEY"));
}

#[test]
fn arguments_of_a_call_are_a_json_object() {
    assert!(refusal(&["call", "t", "--args", "[1]"], &[]).contains("not an object"));
    assert!(refusal(&["call", "t", "--args", "-"], &[]).contains("not JSON"));
    let settings = settings(&["call", "t", "--args", r#"{"limit": 5}"#], &[]).unwrap();
    assert!(
        matches!(settings.command, Command::Call { arguments, .. } if arguments.as_str() == r#"{"limit":5}"#)
    );
}

#[test]
fn a_url_that_would_show_the_key_to_others_is_refused() {
    let refused = refusal(&["--url", "http://example.com/mcp"], &[]);
    assert!(refused.contains("--allow-plain-http"), "{refused}");
    assert!(settings(&["--url", "http://example.com/mcp", "--allow-plain-http"], &[]).is_ok());
    let secret = refusal(&[], &[("MCP_URL", "https://u:hunter22@example.com/")]);
    assert!(secret.starts_with("MCP_URL: ") && !secret.contains("hunter22"), "{secret}");
}

#[test]
fn nothing_that_is_printed_for_debugging_holds_a_key() {
    let environment = [("BOB_API_KEY", "hunter22"), ("OPENAI_API_KEY", "hunter22")];
    let settings = settings(&["--as", "bob"], &environment).unwrap();
    assert!(!format!("{settings:?}").contains("hunter22"));
}
