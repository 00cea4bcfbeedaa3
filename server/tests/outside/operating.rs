//! What an operator does on the command line while the server runs, on the same database.

use serde_json::Value;

use crate::support::{
    client::{BOB, Client, initialize},
    process::{Program, operate, run, told},
    wire::Ask,
};

const REGEX: &str = "mcpay_(live|demo)_[0-9A-Za-z]{7}_[0-9A-Za-z]{38}";

async fn status(program: &Program, key: &str) -> u16 {
    Ask::post(initialize("2025-11-25")).key(key).send(program.address).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_05_keys_live_from_their_making_to_their_end_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    let made =
        told(folder.path(), &["keys", "create", "--user", "alice", "--role", "read-only", "--name", "CI"]);
    let key = made["key"].as_str().unwrap().to_owned();
    let id = made["id"].as_str().unwrap().to_owned();
    assert!(
        key.starts_with(&format!("mcpay_live_{id}_")) && key.len() == "mcpay_live_".len() + 7 + 1 + 38,
        "{REGEX}"
    );
    let alice = Client::open(program.address, &key).await;
    assert_eq!(alice.result("whoAmI", serde_json::json!({})).await["structuredContent"]["role"], "read-only");

    let shown = told(folder.path(), &["keys", "show", &id]);
    assert_eq!((&shown["state"], shown.get("key")), (&Value::from("active"), None), "it is shown once");
    let listed = operate(folder.path(), &["keys", "list"]);
    assert!(listed.stdout.contains("CI") && !listed.stdout.contains(&key), "{}", listed.stdout);

    // Replaced: both are accepted, and the session goes on with the new one.
    let rotated = told(folder.path(), &["keys", "rotate", &id, "--overlap", "1h"]);
    let new = rotated["key"].as_str().unwrap().to_owned();
    let again = operate(folder.path(), &["keys", "rotate", &id]);
    let replaced = format!("was replaced by {}", rotated["id"].as_str().unwrap());
    assert!(again.status.code() == Some(2) && again.stderr.contains(&replaced), "{again:?}");
    let with_new = Client { key: new.clone(), ..alice.clone() };
    assert_eq!((alice.ping().await.status, with_new.ping().await.status), (200, 200));

    // Revoked: the old one and what it opened are over; the new one opens another session.
    told(folder.path(), &["keys", "revoke", &id]);
    assert_eq!((alice.ping().await.status, status(&program, &new).await), (401, 200));

    // Found somewhere: revoked without knowing whose it is.
    let reported = told(folder.path(), &["keys", "report-leaked", &new]);
    assert_eq!(reported["state"], "revoked");
    assert_eq!(status(&program, &new).await, 401);
    let listed = told(folder.path(), &["audit", "list", "--user", "alice"]);
    let mut did: Vec<&str> =
        listed.as_array().unwrap().iter().map(|record| record["tool"].as_str().unwrap()).collect();
    // The server writes behind, the command line does not.
    did.retain(|tool| tool.starts_with("server "));
    let expected = ["report-leaked", "revoke", "rotate", "create"].map(|what| format!("server keys {what}"));
    assert_eq!(did, expected);
    assert!(!listed.to_string().contains(&new) && !listed.to_string().contains(&key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_05_a_rotated_key_ends_exactly_when_its_overlap_does() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    let made = told(folder.path(), &["keys", "create", "--user", "bob", "--role", "customer"]);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    told(folder.path(), &["keys", "rotate", id, "--overlap", "0s"]);
    assert_eq!(status(&program, key).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_listed_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    let bob = Client::open(program.address, BOB).await;
    let listed = told(folder.path(), &["sessions", "list", "--user", "bob"]);
    let hash = listed[0]["hash"].as_str().unwrap().to_owned();
    assert!(!listed.to_string().contains(&bob.session));
    told(folder.path(), &["sessions", "end", &hash[..12]]);
    let recorded = told(folder.path(), &["audit", "list", "--tool", "server sessions end"]);
    assert_eq!(
        (&recorded[0]["user"], &recorded[0]["session"]),
        (&Value::from("bob"), &Value::from(&hash[..8]))
    );
    let ended = crate::support::eventually("the end", || async { bob.ping().await.status == 404 });
    ended.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_end_cannot_be_recorded_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    let bob = Client::open(program.address, BOB).await;
    let connection = rusqlite::Connection::open(folder.path().join("data/payments.db")).unwrap();
    let refuse =
        "CREATE TRIGGER no_more BEFORE INSERT ON audit_packs BEGIN SELECT RAISE (ABORT, 'no more'); END";
    connection.execute_batch(refuse).unwrap();
    let ended = operate(folder.path(), &["sessions", "end", "--user", "bob"]);
    assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert_eq!(told(folder.path(), &["sessions", "list"]).as_array().unwrap().len(), 1);
    connection.execute_batch("DROP TRIGGER no_more").unwrap();
    assert_eq!(bob.ping().await.status, 200);
}

#[test]
fn a_mistake_is_told_with_what_to_do_and_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (&["keys", "create", "--user", "nobody", "--role", "customer"][..], "server users create"),
        (&["keys", "create", "--user", "bob"], "--role"),
        (
            &["keys", "create", "--user", "bob", "--role", "king"],
            "customer, read-only, auditor, operator and risk-client",
        ),
        (&["keys", "show", "none"], "server keys list"),
        (&["keys", "report-leaked", "mcpay_live_nonsense"], "nothing was revoked"),
        (&["users", "create", "none"], "choose another name"),
        (&["sessions", "end", "0123456789ab"], "server sessions list"),
        (&["audit", "verify", "--head", "x"], "a colon and its hash"),
    ] {
        let ended = operate(folder.path(), arguments);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "{arguments:?}: {}", ended.stderr);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    for command in ["verify", "list", "export"] {
        let ended = operate(elsewhere.path(), &["audit", command]);
        assert_eq!(ended.status.code(), Some(2), "{command}: {ended:?}");
        assert!(ended.stderr.contains("there is no database"), "{command}: {}", ended.stderr);
    }
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0, "and none is made");
}

#[test]
fn a_key_whose_limits_are_wrong_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    told(folder.path(), &["users", "create", "dana"]);
    let create = ["keys", "create", "--user", "dana", "--role", "customer"];
    let service = ["--certificate-name", "spiffe://example.org/billing"];
    for wrong in
        [["--max", "10,00"], ["--day-budget", "much"], ["--automatic-below", "0.001"], ["--payee", "nobody"]]
    {
        for whose in [&[][..], &service] {
            let ended = operate(folder.path(), &[&create, whose, &wrong].concat());
            assert_eq!(ended.status.code(), Some(2), "{ended:?}");
            assert!(ended.stderr.contains(wrong[0]), "{ended:?}");
        }
    }
    assert_eq!(told(folder.path(), &["keys", "list"]), serde_json::json!([]));
    let made = told(folder.path(), &[&create[..], &service, &["--max", "10"]].concat());
    assert_eq!(made["payments"]["maximum"], 10, "{made}");
}

/// With another pepper no key would be found: the leaked one would stay good, and a new one never be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_pepper_than_the_keys_were_made_with_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = [("KEY_PEPPER", "the pepper of the server, long enough"), ("PAYMENTS_DEMO", "false")];
    let operate_with = |set: &[(&str, &str)], arguments: &[&str]| run(folder.path(), arguments, set);
    assert!(operate_with(&theirs, &["users", "create", "dana"]).status.success());
    let create = ["keys", "create", "--user", "dana", "--role", "customer", "--json"];
    let made: Value = serde_json::from_str(&operate_with(&theirs, &create).stdout).unwrap();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let report = ["keys", "report-leaked", key];
    for arguments in [&create[..], &report, &["keys", "rotate", id], &["serve"]] {
        let ended = operate_with(&theirs[1..], arguments);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("another pepper"), "{arguments:?}: {ended:?}");
    }
    assert!(operate_with(&theirs, &report).status.success());
    // Nothing is left that was made with it: a server may begin with another one, and that is it from then on.
    assert_eq!(operate_with(&theirs[1..], &create).status.code(), Some(2));
    let program = Program::start(folder.path(), &theirs[1..]);
    program.signal("INT");
    assert!(program.ended().status.success());
    assert!(operate_with(&theirs[1..], &create).status.success());
    assert_eq!(operate_with(&theirs, &create).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_that_is_refused_leaves_the_pepper_of_a_real_deployment_noted() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = [("KEY_PEPPER", "the pepper of the server, long enough"), ("PAYMENTS_DEMO", "false")];
    let operate = |arguments: &[&str]| run(folder.path(), arguments, &theirs);
    let program = Program::start(folder.path(), &theirs);
    assert!(operate(&["users", "create", "dana"]).status.success());
    let refused =
        run(folder.path(), &["serve"], &[("KEY_PEPPER", "another pepper of the demo, long enough")]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(refused.stderr.contains("users who are not of the demo"), "{refused:?}");
    let created = operate(&["keys", "create", "--user", "dana", "--role", "customer", "--json"]);
    assert!(created.status.success(), "{created:?}");
    let made: Value = serde_json::from_str(&created.stdout).unwrap();
    assert_eq!(status(&program, made["key"].as_str().unwrap()).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_operates_is_not_held_to_what_holds_for_a_server_that_others_reach() {
    let folder = tempfile::tempdir().unwrap();
    let everywhere =
        [("HOST", "0.0.0.0"), ("RISK_HOST", "0.0.0.0"), ("CLIENT_CA", "ca.pem"), ("PAYMENTS_DEMO", "false")];
    for (command, service) in
        [(&["users", "create", "dana"][..], &[][..]), (&["users", "create", "dana"], &["risk"])]
    {
        let ended = run(folder.path(), &[service, command].concat(), &everywhere);
        assert!(ended.status.success(), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_05_a_key_tells_from_where_it_is_taken_when_it_was_used_and_when_it_ends_and_ends_then() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    let create = ["keys", "create", "--user", "bob", "--role", "read-only", "--expires-in", "30s"];
    let made = |more: &[&str]| {
        let made = told(folder.path(), &[&create, more].concat());
        (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
    };
    let (away, elsewhere) = made(&["--source", "10.1.2.3/8", "--source", "2001:db8::/32"]);
    assert_eq!(status(&program, &elsewhere).await, 401);
    let shown = told(folder.path(), &["keys", "show", &away]);
    assert_eq!(shown["sources"], serde_json::json!(["10.0.0.0/8", "2001:db8::/32"]));
    assert_eq!(shown["usedAt"], Value::Null, "a refusal is no use");

    let (home, key) = made(&["--source", "127.0.0.0/8"]);
    assert_eq!(status(&program, &key).await, 200);
    let used_at = || told(folder.path(), &["keys", "show", &home])["usedAt"].clone();
    crate::support::eventually("the use is noted", async || used_at() != Value::Null).await;
    let first = used_at();
    for _ in 0..3 {
        assert_eq!(status(&program, &key).await, 200);
    }
    assert_eq!(used_at(), first, "it is noted once a minute");

    // It ends by itself, at the time that it tells.
    let shown = told(folder.path(), &["keys", "show", &home]);
    let at = |member: &str| shown[member].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(at("expiresAt").duration_since(at("createdAt")).as_secs(), 30);
    let brief = ["keys", "create", "--user", "bob", "--role", "read-only", "--expires-in", "1s"];
    let made = told(folder.path(), &brief);
    let (brief, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    crate::support::eventually("it ends", async || status(&program, key).await == 401).await;
    assert_eq!(told(folder.path(), &["keys", "show", brief])["state"], "expired");
    let again = operate(folder.path(), &["keys", "rotate", brief]);
    assert!(again.status.code() == Some(2) && again.stderr.contains("has expired"), "{again:?}");
}
