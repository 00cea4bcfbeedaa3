//! The memory of a server at rest, as a core dump would have it.
#![cfg(target_os = "linux")]

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    client::{BOB, Client, NEWEST, initialize},
    modern::Caller,
    process::{Program, run},
    wire::Ask,
};

/// How often the needle is in the memory that the process can write to.
fn count(process: u32, needle: &[u8]) -> usize {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut found = 0;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw")))
    {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.seek(SeekFrom::Start(from)).and_then(|_| memory.read_exact(&mut bytes)).is_ok() {
            found += bytes.windows(needle.len()).filter(|window| *window == needle).count();
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_04_a_core_of_the_server_at_rest_holds_no_key_that_was_presented() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[("RUST_LOG", "trace")]);
    let made = run(folder.path(), &["keys", "create", "--user", "bob", "--role", "customer", "--json"], &[]);
    let made: Value = serde_json::from_str(&made.stdout).unwrap();
    let key = made["key"].as_str().unwrap();
    let client = Client::open(program.address, key).await;
    for _ in 0..20 {
        client.result("getAccountBalance", json!({})).await;
        Caller::new(program.address, key).call("whoAmI", json!({})).await;
        let bearer = format!("Bearer {key}");
        Ask::post(initialize(NEWEST)).with("authorization", &bearer).send(program.address).await;
    }
    // Others come and go, as they do.
    for _ in 0..20 {
        Caller::new(program.address, BOB).call("whoAmI", json!({})).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let secret = key.rsplit('_').next().unwrap();
    assert_eq!(count(program.id(), secret.as_bytes()), 0, "the key is still in memory");
    assert!(
        count(program.id(), made["id"].as_str().unwrap().as_bytes()) > 0,
        "what is looked at is the server"
    );
}
