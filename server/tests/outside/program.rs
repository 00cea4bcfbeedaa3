//! The program itself: what it prints, how it stops, what it survives.

use std::{
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    client::{BOB, Client},
    eventually,
    postgres::free_port,
    process::{Program, command, run, wait},
    wire::{Ask, Wire},
};

#[tokio::test]
async fn it_says_where_it_listens_and_whom_it_knows_and_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    let address = program.address;
    program.signal("TERM");
    let ended = program.ended();
    assert_eq!(
        ended.stdout,
        format!(
            "payment-server listening on http://{address}/mcp\ndemo users: bob, alice, charlie, auditor\n"
        )
    );
    assert!(!ended.stderr.contains("DEMOKEY"), "{}", ended.stderr);
    let real = tempfile::tempdir().unwrap();
    let program = Program::start(real.path(), &[("PAYMENTS_DEMO", "false")]);
    let address = program.address;
    program.signal("INT");
    assert_eq!(program.ended().stdout, format!("payment-server listening on http://{address}/mcp\n"));
}

#[tokio::test]
async fn either_signal_finishes_the_call_under_way_ends_streams_and_exits_with_0() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::start(folder.path(), &[]);
        let address = program.address;
        let bob = Client::open(address, BOB).await;
        let call = bob.call("getAccountBalance", json!({})).bytes(address);
        let (begun, rest) = call.split_at(call.len() - 3);
        let mut calling = Wire::connect(address).await;
        calling.write(begun).await;
        let mut stream = Wire::connect(address).await;
        stream.write(&bob.dress(Ask::get()).bytes(address)).await;
        assert_eq!(stream.head().await.status, 200);
        let mut stalling = Wire::connect(address).await;
        stalling.write(b"POST /mcp HT").await;
        assert_eq!(bob.ping().await.status, 200);

        let began = Instant::now();
        program.signal(signal);
        while stream.chunk().await.is_some() {}
        stalling.until_closed().await;
        calling.write(rest).await;
        assert_eq!(calling.answer().await.json()["result"]["structuredContent"]["balance"], -200);
        let ended = program.ended();
        assert_eq!(ended.status.code(), Some(0), "{signal}: {ended:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{signal}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn it_runs_with_nothing_set_up_and_leaves_private_files() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    Client::open(program.address, BOB).await;
    program.signal("TERM");
    program.ended();
    let data = folder.path().join("data");
    assert!(data.join("payments.db").is_file() && data.join("payments.db.pepper").is_file());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = data.join("payments.db.pepper").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn running_out_of_file_descriptors_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    let limited =
        Command::new("prlimit").arg(format!("--pid={}", program.id())).arg("--nofile=40:40").status();
    assert!(limited.expect("prlimit is part of util-linux").success());
    let mut crowd = Vec::new();
    for _ in 0..80 {
        crowd.push(Wire::connect(program.address).await);
    }
    drop(crowd);
    eventually("the server serves again", async || {
        let Ok(stream) = tokio::net::TcpStream::connect(program.address).await else { return false };
        drop(stream);
        Ask::bare("GET").to("/healthz").send(program.address).await.status == 200
    })
    .await;
    let bob = Client::open(program.address, BOB).await;
    assert_eq!(bob.result("getAccountBalance", json!({})).await["structuredContent"]["balance"], -200);
    program.signal("TERM");
    let ended = program.ended();
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.stderr.contains("cannot accept connections"), "it never ran out: {}", ended.stderr);
}

#[test]
fn help_and_version_are_good_enough_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let help = run(folder.path(), &["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    assert!(help.stdout.contains("serve") && help.stdout.contains(".env.example"), "{}", help.stdout);
    let serve = run(folder.path(), &["serve", "--help"], &[]);
    assert!(serve.stdout.contains("--behind-proxy"), "{}", serve.stdout);
    let version = run(folder.path(), &["--version"], &[]);
    assert_eq!(version.stdout, "payment-server 1.0.0\n");
    let wrong = run(folder.path(), &["--key", "secret"], &[]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(!folder.path().join("data").exists());
}

#[tokio::test]
async fn output_that_nobody_reads_does_not_stop_it() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let mut child = command(folder.path(), &["serve"], &[("PORT", &port.to_string())]).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    eventually("that it is ready", async || {
        let Ok(stream) = tokio::net::TcpStream::connect(address).await else { return false };
        drop(stream);
        Ask::bare("GET").to("/readyz").send(address).await.status == 200
    })
    .await;
    let stopped = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(stopped.success());
    assert_eq!(wait(&mut child).code(), Some(0), "it stopped because nobody reads its output");
}
