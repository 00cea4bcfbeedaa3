//! The audit trail as an operator has it on the command line: followed, exported, and looked through for changes.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::support::{
    PATIENCE,
    client::{BOB, Client},
    eventually,
    postgres::{Connected, Postgres},
    process::{Program, command, operate, run, told},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_the_audit_trail_sees_the_last_records_and_each_new_one_until_they_interrupt() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    let bob = Client::open(program.address, BOB).await;
    for tool in ["getAllTransactions", "whoAmI", "getAccountBalance"] {
        bob.result(tool, serde_json::json!({})).await;
    }
    eventually("three records", async || {
        told(folder.path(), &["audit", "list"]).as_array().unwrap().len() == 3
    })
    .await;
    let mut tail = command(folder.path(), &["audit", "tail", "--lines", "2"], &[]).spawn().unwrap();
    let (line, lines) = std::sync::mpsc::channel();
    let printed = BufReader::new(tail.stdout.take().unwrap());
    std::thread::spawn(move || printed.lines().try_for_each(|read| line.send(read.unwrap())));
    let next = || {
        let line = lines.recv_timeout(PATIENCE).expect("another record");
        serde_json::from_str::<Value>(&line).unwrap()["tool"].clone()
    };
    assert_eq!([next(), next()], ["whoAmI", "getAccountBalance"]);
    bob.result("getLatestTransactions", serde_json::json!({})).await;
    assert_eq!(next(), "getLatestTransactions");
    let id = tail.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert!(tail.wait().unwrap().success());
    assert!(lines.recv_timeout(PATIENCE).is_err(), "nothing else was printed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_the_audit_trail_is_exported_and_a_change_of_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    {
        let program = Program::start(folder.path(), &[]);
        let bob = Client::open(program.address, BOB).await;
        for _ in 0..4 {
            bob.result("getAccountBalance", serde_json::json!({})).await;
        }
        program.signal("TERM");
        assert!(program.ended().status.success());
    }
    let checked = told(folder.path(), &["audit", "verify"]);
    assert_eq!((&checked["whole"], &checked["chained"]), (&Value::from(true), &Value::from(4)));
    let head = checked["head"].as_str().unwrap().to_owned();
    let exported = operate(folder.path(), &["audit", "export"]);
    let lines: Vec<Value> = exported.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(format!("4:{}", lines[3]["hash"].as_str().unwrap()), head);
    assert!(operate(folder.path(), &["audit", "list"]).stdout.contains("getAccountBalance"));

    // Whoever can write the file can do anything; but not without a trace.
    let database = folder.path().join("data/payments.db");
    let tampered = |sql: &str, expected: &str| {
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir(copy.path().join("data")).unwrap();
        for file in std::fs::read_dir(database.parent().unwrap()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.path().join("data").join(file.file_name())).unwrap();
        }
        let connection = rusqlite::Connection::open(copy.path().join("data/payments.db")).unwrap();
        connection.execute_batch(&format!("{APART}{sql}")).unwrap();
        drop(connection);
        let ended = operate(copy.path(), &["audit", "verify", "--head", &head]);
        assert_eq!(ended.status.code(), Some(1), "{sql}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{sql}: {}", ended.stderr);
        copy
    };
    for (change, alone, together) in [
        (
            "UPDATE apart SET words = json_set (words, '$[9]', 'denied') WHERE seq = 2;",
            NOT_WRITTEN,
            NOT_WRITTEN,
        ),
        ("UPDATE apart SET words = json_set (words, '$[9]', 'oj') WHERE seq = 2;", UNREADABLE, UNREADABLE),
        ("UPDATE apart SET words = '[]' WHERE seq = 2;", UNREADABLE, UNREADABLE),
        ("UPDATE apart SET hashes = zeroblob (112) WHERE seq = 1;", NOT_WRITTEN, NOT_WRITTEN),
        ("DELETE FROM apart WHERE seq = 3;", "record 3: it is missing", "record 1: it is missing"),
        ("DELETE FROM apart WHERE seq = 4;", GONE, GONE),
    ] {
        tampered(&format!("{change}{ALONE}"), alone);
        tampered(&format!("{change}{TOGETHER}"), together);
    }
    let cut = "UPDATE audit_packs SET records = json_remove (records, '$[3]');";
    tampered(&format!("{TOGETHER}{cut}"), "record 1: it cannot be read");
    let twice = "UPDATE audit_packs SET hashes = CAST (hashes || hashes AS BLOB),
                     records = json_array (json (records ->> 0), json (records ->> 0)) WHERE last = 4;";
    tampered(&format!("{ALONE}{twice}"), "record 4: it cannot be read");
    for number in ["0", "-7", "-9223372036854775807 - 1"] {
        for hashes in ["hashes", "CAST (substr (hashes, 1, 80) || zeroblob (32) AS BLOB)"] {
            let forged = format!(
                "{ALONE} INSERT INTO audit_packs SELECT {number}, {hashes}, json_array (json (words)) FROM apart WHERE seq = 1;"
            );
            let number = number.replace("807 - 1", "808");
            let copy = tampered(&forged, &format!("record {number}: it is not what was written"));
            let exported = operate(copy.path(), &["audit", "export"]).stdout;
            assert!(exported.starts_with(&format!("{{\"number\":{number},")), "{exported}");
        }
    }
    let replaced = "INSERT OR REPLACE INTO audit_packs
                    SELECT last, hashes, json_set (records, '$[0][7]', 'whoAmI') FROM audit_packs WHERE last = 2;";
    tampered(&format!("{ALONE}{replaced}"), NOT_WRITTEN);
}

const NOT_WRITTEN: &str = "record 2: it is not what was written";
const UNREADABLE: &str = "record 2: it cannot be read";
const GONE: &str = "record 4: it was there before and is gone";

/// Takes the packs of the trail apart, to be changed and put together anew.
const APART: &str = "DROP TRIGGER audit_packs_are_not_changed;
     DROP TRIGGER audit_packs_are_not_removed;
     CREATE TEMP TABLE apart AS
     SELECT p.last - json_array_length (p.records) + 1 + r.key AS seq,
            substr (p.hashes, 112 * r.key + 1, 112) AS hashes, r.value AS words
     FROM audit_packs p, json_each (p.records) r;
     DELETE FROM audit_packs;";

/// Each record in a pack of its own.
const ALONE: &str =
    "INSERT INTO audit_packs SELECT seq, hashes, json_array (json (words)) FROM apart ORDER BY seq;";

/// All of them in one.
const TOGETHER: &str = "INSERT INTO audit_packs
     SELECT max (seq), unhex (group_concat (hex (hashes), '' ORDER BY seq)),
            '[' || group_concat (words, ',' ORDER BY seq) || ']'
     FROM apart;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_record_that_has_no_place_shows_on_postgresql_too() {
    let Some(postgres) = Postgres::start() else { return };
    let (url, folder) = (postgres.url(), tempfile::tempdir().unwrap());
    let set = [("DATABASE_URL", url.as_str()), ("KEY_PEPPER", "the pepper of the server, long enough")];
    let operate = |arguments: &[&str]| run(folder.path(), arguments, &set);
    for name in ["dana", "erin"] {
        assert!(operate(&["users", "create", name]).status.success());
    }
    assert!(operate(&["audit", "verify"]).status.success());
    let forge = "INSERT INTO audit_records
                 SELECT 0, -1, at, request_id, user_id, username, key_id, session_hash, protocol, client, tool,
                        arguments_digest, rule, outcome, duration_us, trace_id, hash
                 FROM audit_records WHERE seq = 2";
    Connected::to(&postgres).await.execute(forge).await;
    let ended = operate(&["audit", "verify"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("record 0: it is not what was written"), "{ended:?}");
    assert_eq!(operate(&["audit", "export"]).stdout.lines().count(), 3);
}
