//! The program as a service: flags and variables that say where its token or its certificate is.

use std::fs;

use crate::{
    program::{Ended, client, run},
    server::{Script, Server, TOKEN},
};

/// A call of a tool, with flags and variables.
fn call(server: &Server, flags: &[&str], variables: &[(&str, &str)]) -> Ended {
    let url = server.url();
    let arguments = [&["call", "getAccountBalance", "--wire", "--url", &url][..], flags].concat();
    let ended = run(client(&arguments).envs(variables.iter().copied()));
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains(TOKEN) && !text.contains("c2lnbmF0dXJl"), "a token is told: {text}");
    }
    ended
}

#[test]
fn a_token_comes_from_a_file_or_a_command_by_flag_or_variable_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token.jwt");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let file = file.to_str().unwrap();
    let prints = format!("cat {file}");
    let server = Server::start(Script::default());
    for (flags, variables) in [
        (vec!["--token-file", file], vec![]),
        (vec!["--token-command", &prints], vec![]),
        (vec![], vec![("MCP_TOKEN_FILE", file)]),
        (vec![], vec![("MCP_TOKEN_COMMAND", prints.as_str())]),
        // What is said on the command line comes before what is set.
        (vec!["--token-file", file], vec![("MCP_TOKEN_COMMAND", "false")]),
        (vec!["--token-command", &prints], vec![("MCP_TOKEN_FILE", "/nowhere")]),
    ] {
        let ended = call(&server, &flags, &variables);
        assert_eq!(ended.code, 0, "{flags:?} {variables:?}: {ended:?}");
        assert!(ended.stdout.contains("-200"), "{flags:?} {variables:?}: {ended:?}");
    }
}

#[test]
fn a_token_that_is_not_there_or_not_taken_ends_with_3_and_says_what_to_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, words, other) = (write("empty", ""), write("words", "two words"), write("other", "a.b.c"));
    let server = Server::start(Script::default());
    for (flags, words) in [
        (["--token-file", "/nowhere/token.jwt"], "the token cannot be read: /nowhere/token.jwt: "),
        (["--token-file", &empty], "the token cannot be read: there is something else in its place"),
        (["--token-file", &words], "the token cannot be read: there is something else in its place"),
        (["--token-file", &other], "the server did not take the service's token or certificate: "),
        (["--token-command", "exit 7"], "the token cannot be read: the command failed"),
        (["--token-command", "true"], "the token cannot be read: there is something else in its place"),
    ] {
        let ended = call(&server, &flags, &[]);
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{flags:?}: {ended:?}");
        assert!(ended.stderr.contains(&format!("error: {words}")), "{flags:?}: {ended:?}");
        assert!(!ended.stderr.contains("two words"), "{flags:?}: {ended:?}");
        let is_refused = words.starts_with("the server");
        assert_eq!(ended.stderr.contains("check what --token-file"), !is_refused, "{flags:?}: {ended:?}");
    }
    assert_eq!(server.opened_and_closed(), (0, 0));
}

#[test]
fn the_key_of_the_model_endpoint_is_not_shown_to_the_server() {
    let server = Server::start(Script::default());
    for name in ["openai", "OpenAI"] {
        let ended = call(&server, &["--as", name], &[("OPENAI_API_KEY", "hunter22")]);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
        assert!(ended.stderr.contains("--as: OPENAI_API_KEY is"), "{ended:?}");
        assert!(!ended.stderr.contains("hunter22"), "{ended:?}");
    }
    assert_eq!(server.opened_and_closed(), (0, 0));
}

#[test]
fn what_does_not_go_together_ends_with_2_before_anything_is_sent() {
    let server = Server::start(Script::default());
    for (flags, variables, word) in [
        (vec!["--token-file", "a", "--token-command", "b"], vec![], "from a file or from a command"),
        (vec!["--token-file", "a", "--as", "bob"], vec![], "a token says who calls"),
        (vec!["--client-cert", "/nowhere"], vec![], "belong together"),
        (vec![], vec![("MCP_CLIENT_KEY", "/nowhere")], "belong together"),
        (vec!["--client-cert", "/nowhere", "--client-key", "/nowhere"], vec![], "cannot be read"),
        (vec!["--client-cert", "/dev/null", "--client-key", "/dev/null"], vec![], "in PEM"),
        (vec!["--ca", "/dev/null"], vec![], "in PEM"),
    ] {
        let ended = call(&server, &flags, &variables);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{flags:?}: {ended:?}");
        assert!(ended.stderr.contains(word), "{flags:?}: {ended:?}");
    }
    assert_eq!(server.opened_and_closed(), (0, 0));
}
