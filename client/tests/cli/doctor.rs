//! `doctor`: it gives up at Ctrl-C, and gets where every other command does.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use rcgen::CertifiedKey;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::TcpSocket,
    runtime,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    model::ModelScript,
    program::{client, ended, interrupt, run, until},
    server::{Script, Server},
};

/// Less than it would wait by itself.
const SOON: Duration = Duration::from_secs(4);

/// A host that no machine can find.
const FAR: &str = "payments.invalid";

#[test]
fn ctrl_c_ends_the_doctor_while_it_waits_for_the_model() {
    let server = Server::start(Script { model: ModelScript::Hangs, ..Script::default() });
    let mut doctor = client(&["doctor", "--as", "bob", "--url", &server.url()]);
    let child = doctor.env("OPENAI_BASE_URL", server.at("/v1")).spawn().unwrap();
    until("the model is asked for", || server.seen.model_turns.load(Ordering::SeqCst) == 1);
    let pressed = Instant::now();
    interrupt(&child);
    let ended = ended(child);
    assert_eq!(ended.code, 130, "{}", ended.stdout);
    assert!(ended.stdout.ends_with("✗ model      interrupted\n"), "{}", ended.stdout);
    assert!(pressed.elapsed() < SOON, "{:?}", pressed.elapsed());
    assert_eq!(server.opened_and_closed(), (1, 1));
}

#[tokio::test]
async fn ctrl_c_ends_the_doctor_while_it_connects_and_the_model_is_not_asked_for() {
    // A connection waits to be accepted, for ever, and for another one there is no room.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    let server = Server::start(Script { model: ModelScript::Hangs, ..Script::default() });
    let mut doctor = client(&["doctor", "--as", "bob", "--url", &format!("http://{address}/mcp")]);
    let mut child = doctor.env("OPENAI_BASE_URL", server.at("/v1")).spawn().unwrap();
    let mut shown = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(" key ") {
        line.clear();
        assert!(shown.read_line(&mut line).unwrap() > 0, "it does not come to its key");
    }
    let pressed = Instant::now();
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(pressed.elapsed() < SOON, "{:?}", pressed.elapsed());
    let mut rest = String::new();
    shown.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "✗ network    interrupted\n");
    assert_eq!(server.seen.model_turns.load(Ordering::SeqCst), 0);
}

/// A proxy behind which the server is the host [`FAR`], and that host's certificate.
fn proxy(server: &Server) -> (String, String) {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([FAR.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address = server.at("").trim_start_matches("http://").parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, acceptor) = (stream.unwrap(), acceptor.clone());
            thread::spawn(move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(tunnel(stream, acceptor, address));
            });
        }
    });
    (url, cert.pem())
}

/// What one connection to the proxy asks for, which must be the way to [`FAR`].
async fn tunnel(stream: TcpStream, acceptor: TlsAcceptor, server: SocketAddr) {
    stream.set_nonblocking(true).unwrap();
    let mut stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(format!("CONNECT {FAR}:443 ").as_bytes()), "{}", head.escape_ascii());
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let mut there = acceptor.accept(stream).await.unwrap();
    let mut here = tokio::net::TcpStream::connect(server).await.unwrap();
    // Either side may go away at any moment.
    copy_bidirectional(&mut there, &mut here).await.ok();
}

#[test]
fn the_doctor_gets_through_a_proxy_like_every_other_command() {
    let server = Server::start(Script::default());
    let (proxy, certificate) = proxy(&server);
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, certificate).unwrap();
    let url = format!("https://{FAR}/mcp");
    let through = |name: &str| -> Command {
        let mut command = client(&[name, "--as", "bob", "--url", &url, "--ca", authority.to_str().unwrap()]);
        command.env("BOB_API_KEY", shared::demo::BOB_API_KEY);
        command
    };
    let tools = run(through("tools").env("HTTPS_PROXY", &proxy));
    assert_eq!(tools.code, 0, "{}", tools.stderr);
    let doctor = run(through("doctor").env("HTTPS_PROXY", &proxy));
    assert_eq!(doctor.code, 0, "{}", doctor.stdout);
    for part in ["· network    ", "a proxy may stand between", "✓ close      session closed"] {
        assert!(doctor.stdout.contains(part), "{part}: {}", doctor.stdout);
    }
    assert_eq!(server.opened_and_closed(), (2, 2));
    // Where there is no proxy, there is no way, be it that nobody knows the host or that nobody answers for it.
    let doctor = run(&mut through("doctor"));
    assert_eq!(doctor.code, 4, "{}", doctor.stdout);
    assert!(doctor.stdout.contains("✗ endpoint   "), "{}", doctor.stdout);
}

/// What the doctor finds at an address with a token, and with which exit code.
fn found(url: &str, [flag, value]: [&str; 2]) -> (i32, String) {
    let ended = run(&mut client(&["doctor", "--url", url, flag, value]));
    (ended.code, ended.stdout)
}

#[test]
fn a_token_that_cannot_be_read_is_no_refusal_and_nothing_is_said_of_the_server() {
    let url = format!("https://{FAR}/mcp");
    for (flag, value, why) in [
        ("--token-file", "/nowhere/token.jwt", "/nowhere/token.jwt: "),
        ("--token-command", "exit 3", "the command failed (exit status: 3)"),
    ] {
        let (code, found) = found(&url, [flag, value]);
        assert_eq!(code, 3, "{found}");
        let begins = format!("✓ url        {url}\n✗ key        the token cannot be read: {why}");
        assert!(found.starts_with(&begins), "{found}");
        assert!(found.contains("\n             check what --token-file or --token-command names"), "{found}");
        for step in ["network", "endpoint", "accepted"] {
            assert!(!found.contains(step), "{step}: {found}");
        }
    }
}

#[test]
fn a_token_that_can_be_read_once_tells_of_the_server_what_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let server = Server::start(Script::default());
    for (payload, tells) in [
        // Kept until it is refused.
        ("e30", ["✓ endpoint   a server answers there", "✗ accepted   the server did not take"]),
        // Has ended, so that nothing is sent with it.
        ("eyJleHAiOjF9", ["accepts connections", "✗ key        the token cannot be read: "]),
    ] {
        std::fs::write(&mark, "").unwrap();
        let prints = format!("rm {} && printf a.{payload}.c", mark.display());
        let (code, found) = found(&server.url(), ["--token-command", &prints]);
        assert_eq!(code, 3, "{found}");
        assert!(found.contains("✓ key        a token or a certificate stands in its place"), "{found}");
        for line in tells {
            assert!(found.contains(line), "{line}: {found}");
        }
        assert_eq!(found.contains(" endpoint "), payload == "e30", "{found}");
    }
}
