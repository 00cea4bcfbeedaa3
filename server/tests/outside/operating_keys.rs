//! Keys and users on the command line: what is refused, and what is not said.

use std::path::Path;

use serde_json::Value;
use server::store::{AccountHolder, KeyStore as _, Store as _, UserId, sqlite::SqliteStore};

use crate::support::process::{Ended, run};

fn operate(folder: &Path, arguments: &[&str]) -> Ended {
    run(folder, arguments, &[])
}

/// The JSON that a command printed.
fn told(folder: &Path, arguments: &[&str]) -> Value {
    let ended = operate(folder, &[arguments, &["--json"]].concat());
    assert!(ended.status.success(), "{arguments:?}: {ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn a_key_that_is_put_where_an_id_or_a_name_belongs_is_not_said_again() {
    let folder = tempfile::tempdir().unwrap();
    told(folder.path(), &["users", "create", "dana"]);
    let made = told(folder.path(), &["keys", "create", "--user", "dana", "--role", "customer"]);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    for arguments in [
        &["keys", "show", key][..],
        &["keys", "rotate", key],
        &["keys", "revoke", key],
        &["keys", "limit", key, "--max", "5"],
        &["keys", "permit", key, "--role", "read-only"],
        &["keys", "limit", id, "--payee", key],
        &["keys", "create", "--user", key, "--role", "customer"],
        &["payments", "show", key],
        &["payments", "list", "--user", key],
    ] {
        let ended = operate(folder.path(), arguments);
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains("server keys report-leaked"), "{ended:?}");
        assert!(!ended.stderr.contains(key) && !ended.stderr.contains(&key[20..]), "{ended:?}");
    }
    assert_eq!(told(folder.path(), &["keys", "report-leaked", key])["state"], "revoked");
}

#[tokio::test]
async fn a_user_who_is_called_none_opens_no_key_to_everybody() {
    let folder = tempfile::tempdir().unwrap();
    told(folder.path(), &["users", "create", "dana"]);
    told(folder.path(), &["users", "create", "erin"]);
    let create = ["keys", "create", "--user", "dana", "--role", "customer", "--payee"];
    let made = told(folder.path(), &[&create[..], &["erin"]].concat());
    let id = made["id"].as_str().unwrap();
    // Who was made before that name was refused.
    let location = format!("sqlite://{}/data/payments.db", folder.path().display());
    let store = SqliteStore::open(&location.parse().unwrap()).await.unwrap();
    let none = AccountHolder {
        user: UserId(900),
        username: "none".to_owned(),
        currency: "USD".to_owned(),
        credit_limit_minor: 0,
    };
    store.put_holder(none).await.unwrap();
    store.close().await.unwrap();
    for arguments in [&["keys", "limit", id, "--payee", "none"][..], &[&create[..], &["none"]].concat()] {
        let ended = operate(folder.path(), arguments);
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains("--payee none"), "{ended:?}");
    }
    let shown = told(folder.path(), &["keys", "limit", id]);
    assert_eq!(shown["payments"]["payees"], serde_json::json!(["erin"]));
    assert_eq!(told(folder.path(), &["keys", "list"]).as_array().unwrap().len(), 1);
    let both = told(folder.path(), &["keys", "limit", id, "--payee", "erin", "--payee", "none"]);
    assert_eq!(both["payments"]["payees"], serde_json::json!(["erin", "none"]));
}
