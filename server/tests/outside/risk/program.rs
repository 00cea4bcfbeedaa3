//! `server risk` as it is started and operated.

use std::{fs, path::Path};

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{AUDIENCE, ISSUER, claims};
use crate::support::{
    client::BOB,
    kit::Signer,
    modern::Caller,
    process::{Program, run},
};

const TRUST: [(&str, &str); 5] = [
    ("SERVICE_ISSUER", ISSUER),
    ("SERVICE_AUDIENCE", "payments"),
    ("SERVICE_KEYS", "keys.json"),
    ("RISK_AUDIENCE", AUDIENCE),
    ("RISK_PORT", "0"),
];

fn operate(folder: &Path, arguments: &[&str]) -> Value {
    let ended = run(folder, &[arguments, &["--json"]].concat(), &TRUST);
    assert!(ended.status.success(), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

fn tables(database: &Path) -> Vec<String> {
    let connection = Connection::open(database).unwrap();
    let mut named = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    named.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

async fn tools(caller: &Caller) -> Vec<String> {
    let listed = caller.result("tools/list", json!({})).await;
    listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_has_its_own_tools_its_own_database_and_its_own_audience() {
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::ed25519("one");
    fs::write(folder.path().join("keys.json"), json!({ "keys": [signer.public()] }).to_string()).unwrap();
    let (payments, risk) =
        (Program::start(folder.path(), &TRUST), Program::start_as(folder.path(), &["risk"], &TRUST));
    operate(folder.path(), &["risk", "users", "create", "payments"]);
    let service = ["keys", "create", "--role", "risk-client", "--token-subject", "payments", "--user"];
    operate(folder.path(), &[&["risk"], &service[..], &["payments"]].concat());
    // The same at the payment server, where it is good for nothing.
    operate(folder.path(), &[&service[..], &["bob"]].concat());

    let (here, there) =
        (signer.token(&claims("payments", AUDIENCE)), signer.token(&claims("payments", "payments")));
    assert_eq!(tools(&Caller::new(risk.address, &here)).await, ["assessPayment"]);
    assert_eq!(tools(&Caller::new(payments.address, &there)).await, ["whoAmI"]);
    for (address, token) in [(risk.address, &there), (payments.address, &here)] {
        let answer = Caller::new(address, token).ask("tools/list", json!({})).send(address).await;
        assert_eq!(answer.status, 401, "a token for the other server: {answer:?}");
    }
    let bobs = tools(&Caller::new(payments.address, BOB)).await;
    assert!(
        bobs.contains(&"createPayment".to_owned()) && !bobs.contains(&"assessPayment".to_owned()),
        "{bobs:?}"
    );

    // Who may ask is said when a key is made, and a key that somebody holds cannot be one.
    for arguments in [
        &["risk", "keys", "create", "--user", "payments", "--role", "risk-client"][..],
        &["risk", "keys", "create", "--user", "payments", "--permissions", "payments:assess,audit:read"],
        &["keys", "permit", "1", "--role", "risk-client"],
    ] {
        let refused = run(folder.path(), arguments, &TRUST);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(refused.stderr.contains("payments:assess is for services only"), "{refused:?}");
    }
    let data = folder.path().join("data");
    assert!(tables(&data.join("risk.db")).contains(&"exposures".to_owned()));
    assert!(!tables(&data.join("payments.db")).contains(&"exposures".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_reserved_outlives_the_process_and_every_question_is_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::ed25519("one");
    fs::write(folder.path().join("keys.json"), json!({ "keys": [signer.public()] }).to_string()).unwrap();
    let set = [&TRUST[..], &[("RISK_PAYMENT_LIMIT", "10"), ("RISK_EXPOSURE_LIMIT", "15")]].concat();
    let mut risk = Program::start_as(folder.path(), &["risk"], &set);
    operate(folder.path(), &["risk", "users", "create", "payments"]);
    operate(
        folder.path(),
        &[
            "risk",
            "keys",
            "create",
            "--user",
            "payments",
            "--role",
            "risk-client",
            "--token-subject",
            "payments",
        ],
    );
    let ask = async |risk: &Program, payment: &str| {
        let caller = Caller::new(risk.address, &signer.token(&claims("payments", AUDIENCE)));
        let question =
            json!({ "payment": payment, "from": "bob", "to": "alice", "amount": "10", "currency": "USD" });
        caller.call("assessPayment", question).await["structuredContent"]["decision"].clone()
    };
    assert_eq!(ask(&risk, "pay_1").await, "approved");
    risk.kill();
    risk = Program::start_as(folder.path(), &["risk"], &set);
    assert_eq!(ask(&risk, "pay_1").await, "approved");
    assert_eq!(ask(&risk, "pay_2").await, "refused");
    risk.signal("TERM");
    let ended = risk.ended();
    assert!(
        ended.status.success() && ended.stdout.starts_with("risk-service listening on http://"),
        "{ended:?}"
    );
    assert!(!ended.stderr.contains("eyJ"), "a token is in the log");
    let records = operate(folder.path(), &["risk", "audit", "list", "--tool", "assessPayment"]);
    let by: Vec<_> = records.as_array().unwrap().iter().map(|one| (&one["user"], &one["outcome"])).collect();
    assert!(by.len() >= 2 && by.iter().all(|one| *one == (&json!("payments"), &json!("ok"))), "{records}");
    assert_eq!(operate(folder.path(), &["risk", "audit", "verify"])["whole"], true);
}

#[test]
fn a_risk_service_that_nobody_could_call_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    for (set, named) in [
        (&[("RISK_PORT", "0")][..], "the risk service lets services in only"),
        (
            &[("RISK_PORT", "0"), ("SERVICE_ISSUER", ISSUER)],
            "SERVICE_ISSUER, RISK_AUDIENCE and SERVICE_KEYS belong together",
        ),
    ] {
        let ended = run(folder.path(), &["risk"], set);
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains(named), "{ended:?}");
    }
    let url = ("RISK_URL", "https://risk.example/mcp");
    for (set, named) in [
        (&[url][..], "RISK_URL needs credentials"),
        (
            &[url, ("RISK_CLIENT_CERT", "no.pem"), ("RISK_CLIENT_KEY", "no.key")],
            "RISK_CLIENT_KEY must name a file",
        ),
        (&[url, ("RISK_TOKEN_FILE", "t.jwt"), ("RISK_CA", "no.pem")], "RISK_CA must name a file"),
    ] {
        let ended = run(folder.path(), &["serve"], set);
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains(named), "{ended:?}");
    }
}
