//! Host and Origin: a page in somebody's browser cannot reach the server by another name (DNS rebinding).

use client::mcp::{ConnectOptions, Connection, Endpoint, Era, McpError};
use server::http::guard::Guard;

use crate::support::{
    app::{spawn_app, spawn_app_with},
    client::{BOB, NEWEST, initialize},
    process::Program,
    soon,
    wire::{Ask, Wire},
};

#[tokio::test]
async fn only_the_names_of_this_machine_are_hosts_by_default() {
    let app = spawn_app().await;
    let port = app.address.port();
    for (host, status) in [
        ("localhost".to_owned(), 200),
        (format!("localhost:{port}"), 200),
        (format!("LOCALHOST:{port}"), 200),
        (format!("127.0.0.1:{port}"), 200),
        ("[::1]".to_owned(), 200),
        (format!("[::1]:{port}"), 200),
        ("evil.example".to_owned(), 403),
        (format!("evil.example:{port}"), 403),
        ("localhost.evil.example".to_owned(), 403),
        ("127.0.0.1.evil.example".to_owned(), 403),
        ("user@localhost".to_owned(), 403),
        (String::new(), 403),
        ("192.0.2.1".to_owned(), 403),
    ] {
        let answer = Ask::post(initialize(NEWEST)).key(BOB).with("host", &host).send(app.address).await;
        assert!(answer.status == status || (status == 403 && answer.status == 400), "{host}: {answer:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_answers_at_the_address_that_it_prints_whichever_of_this_machine_it_is() {
    for host in ["127.0.0.2", "::ffff:127.0.0.1", "::1"] {
        if host.contains(':') && std::net::TcpListener::bind((host, 0)).is_err() {
            eprintln!("SKIPPED: {host}, for this machine has no such address");
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let program = Program::start(folder.path(), &[("HOST", host)]);
        let ask = Ask::post(initialize(NEWEST)).key(BOB);
        assert_eq!(ask.clone().send(program.address).await.status, 200, "{host}");
        let own_page = ask.clone().with("origin", &format!("http://{}", program.address));
        assert_eq!(own_page.send(program.address).await.status, 200, "{host}");
        for other in ["127.0.0.3", "192.0.2.1", "evil.example"] {
            assert_eq!(ask.clone().with("host", other).send(program.address).await.status, 403, "{other}");
        }
    }
}

#[tokio::test]
async fn an_origin_that_is_not_listed_is_403_before_the_key_is_looked_at() {
    let app = spawn_app().await;
    for origin in [
        "https://evil.example",
        "null",
        "",
        "http://localhost.evil.example",
        "http://evil.example:8080",
        "https://localhost@evil.example",
        "file://",
    ] {
        for ask in [Ask::post(initialize(NEWEST)), Ask::get(), Ask::delete()] {
            let answer = ask.clone().with("origin", origin).send(app.address).await;
            assert_eq!(answer.status, 403, "without a key, {origin:?}: {answer:?}");
            let answer = ask.key(BOB).with("origin", origin).send(app.address).await;
            assert_eq!(answer.status, 403, "with a key, {origin:?}: {answer:?}");
        }
    }
    assert_eq!(app.traces().await, (0, 0));
    for origin in ["http://localhost", "http://localhost:5173", "http://127.0.0.1:6274", "http://[::1]:1"] {
        let answer = Ask::post(initialize(NEWEST)).key(BOB).with("origin", origin).send(app.address).await;
        assert_eq!(answer.status, 200, "{origin}: {answer:?}");
    }
}

#[tokio::test]
async fn a_header_that_comes_twice_is_not_taken_for_one_of_the_two() {
    let app = spawn_app().await;
    let ask = Ask::post(initialize(NEWEST)).key(BOB);
    let good = "http://localhost";
    let origins = ask.clone().with("origin", good).with("origin", "https://evil.example");
    assert_eq!(origins.send(app.address).await.status, 403);
    let hosts = ask.clone().with("host", "localhost").with("host", "evil.example");
    let answer = hosts.send(app.address).await;
    assert!([400, 403].contains(&answer.status), "{answer:?}");
}

#[tokio::test]
async fn a_request_without_a_host_is_refused() {
    let app = spawn_app().await;
    let mut wire = Wire::connect(app.address).await;
    let body = initialize(NEWEST);
    let bytes = format!(
        "POST /mcp HTTP/1.1\r\nx-api-key: {BOB}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    wire.write(bytes.as_bytes()).await;
    let answer = wire.answer().await;
    assert!([400, 403].contains(&answer.status), "{answer:?}");
}

#[tokio::test]
async fn the_lists_are_the_operators() {
    let app = spawn_app_with(|config| {
        let hosts = ["payments.example.com".to_owned()];
        let origins = ["https://app.example.com".to_owned()];
        config.guard = Guard::new(&hosts, &origins).unwrap();
    })
    .await;
    let ask = Ask::post(initialize(NEWEST)).key(BOB);
    let named = ask.clone().with("host", "payments.example.com");
    assert_eq!(named.send(app.address).await.status, 200);
    assert_eq!(ask.send(app.address).await.status, 403, "loopback names are not on the list any more");
    for (origin, status) in [
        ("https://app.example.com", 200),
        ("http://app.example.com", 403),
        ("https://app.example.com:8443", 403),
        ("https://other.example.com", 403),
        ("http://localhost", 403),
    ] {
        assert_eq!(named.clone().with("origin", origin).send(app.address).await.status, status, "{origin}");
    }
}

#[tokio::test]
async fn our_client_takes_another_host_for_what_it_is_and_not_for_a_refused_key() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[("ALLOWED_HOSTS", "payments.example")]);
    for era in [Era::Sessions, Era::Stateless, Era::Auto] {
        let endpoint = Endpoint::new(&format!("http://{}/mcp", program.address), Some(BOB.into()), false);
        let options = ConnectOptions { era, ..ConnectOptions::default() };
        let opened = soon("a refusal", Connection::open(endpoint.unwrap(), options)).await;
        let Err(McpError::Forbidden(said)) = opened else { panic!("{era:?}: {opened:?}") };
        assert!(said.contains("ALLOWED_HOSTS"), "{said}");
    }
}
