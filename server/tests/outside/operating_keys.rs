//! Keys and users on the command line: what is refused, and what is not said.

use std::{fs, path::Path};

use serde_json::Value;
use server::store::{AccountHolder, KeyStore as _, Store as _, UserId, sqlite::SqliteStore};

use crate::support::{
    client::{BOB, Client},
    postgres::{Connected, Postgres},
    process::{Program, operate, run, told},
};

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

/// What an operator does to a key of dana's, whose secret is known: one that changes it, each.
fn each_change<'a>(id: &'a str, key: &'a str) -> [Vec<&'a str>; 6] {
    [
        vec!["keys", "create", "--user", "dana", "--role", "read-only", "--max", "5"],
        vec!["keys", "permit", id, "--permissions", "balance:read"],
        vec!["keys", "limit", id, "--max", "10", "--payee", "erin"],
        vec!["keys", "rotate", id],
        vec!["keys", "revoke", id],
        vec!["keys", "report-leaked", key],
    ]
}

/// That nothing is done to a key of a database that takes no record any more, from when `refuse` was called on.
async fn undone_without_a_record(set: &[(&str, &str)], refuse: impl AsyncFnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let told = |arguments: &[&str]| {
        let ended = run(folder.path(), &[arguments, &["--json"]].concat(), set);
        assert!(ended.status.success(), "{ended:?}");
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    told(&["users", "create", "dana"]);
    told(&["users", "create", "erin"]);
    let made = told(&["keys", "create", "--user", "dana", "--role", "customer"]);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    refuse(folder.path()).await;
    told(&["sealing", "list"]);
    let is_now = || {
        let what = [&["keys", "list"][..], &["keys", "limit", id], &["users", "list"], &["sealing", "list"]];
        what.map(&told)
    };
    let before = is_now();
    let others = [vec!["users", "create", "frank"], vec!["sealing", "rotate"]];
    for arguments in each_change(id, key).into_iter().chain(others) {
        let ended = run(folder.path(), &arguments, set);
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(1), ""), "{arguments:?}: {ended:?}");
        assert_eq!(is_now(), before, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_05_what_cannot_be_recorded_is_not_done_to_a_key() {
    undone_without_a_record(&[], async |folder| {
        let connection = rusqlite::Connection::open(folder.join("data/payments.db")).unwrap();
        let refuse = "CREATE TRIGGER no_more BEFORE INSERT ON audit_packs
                      BEGIN SELECT RAISE (ABORT, 'no more'); END";
        connection.execute_batch(refuse).unwrap();
    })
    .await;
    let Some(postgres) = Postgres::start() else { return };
    let (url, beside) = (postgres.url(), Connected::to(&postgres).await);
    let set = [("DATABASE_URL", url.as_str()), ("KEY_PEPPER", "the pepper of the server, long enough")];
    undone_without_a_record(&set, async |_| {
        let refuse = "CREATE FUNCTION no_more () RETURNS trigger LANGUAGE plpgsql
                      AS $$ BEGIN RAISE EXCEPTION 'no more'; END $$;
                      CREATE TRIGGER no_more BEFORE INSERT ON audit_inbox
                      FOR EACH ROW EXECUTE FUNCTION no_more ()";
        beside.execute(refuse).await;
    })
    .await;
}

fn stop(program: Program) {
    program.signal("TERM");
    assert!(program.ended().status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_pepper_is_made_where_the_one_belongs_that_the_keys_were_made_with() {
    let real = [("PAYMENTS_DEMO", "false")];
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pepper = |folder: &Path| folder.join("data/payments.db.pepper");
    let create = ["keys", "create", "--user", "dana", "--role", "customer"];
    let program = Program::start(folder.path(), &real);
    for arguments in [&["users", "create", "dana"][..], &create] {
        assert!(run(folder.path(), arguments, &real).status.success());
    }
    stop(program);

    // The database alone, as out of a backup.
    fs::create_dir(copy.path().join("data")).unwrap();
    fs::copy(folder.path().join("data/payments.db"), copy.path().join("data/payments.db")).unwrap();
    for arguments in [["audit", "verify"], ["keys", "list"], ["users", "list"], ["sessions", "list"]] {
        let ended = run(copy.path(), &arguments, &real);
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        assert!(!pepper(copy.path()).exists(), "{arguments:?}");
    }

    // Lost, and found again; also where it was never noted.
    let kept = fs::read(pepper(folder.path())).unwrap();
    for was_noted in [true, false] {
        if !was_noted {
            let connection = rusqlite::Connection::open(folder.path().join("data/payments.db")).unwrap();
            assert_eq!(connection.execute("DELETE FROM peppers", []).unwrap(), 1);
        }
        fs::remove_file(pepper(folder.path())).unwrap();
        for (arguments, set) in [(&["serve"][..], &real[..]), (&["serve"], &[]), (&create, &real)] {
            let ended = run(folder.path(), arguments, set);
            assert_eq!(ended.status.code(), Some(2), "{arguments:?}, {was_noted}: {ended:?}");
            assert!(ended.stderr.contains("put the file back"), "{arguments:?}, {was_noted}: {ended:?}");
            assert!(!pepper(folder.path()).exists(), "{arguments:?}, {was_noted}");
        }
        fs::write(pepper(folder.path()), &kept).unwrap();
        stop(Program::start(folder.path(), &real));
    }
    assert!(run(folder.path(), &create, &real).status.success());
}

/// Whoever may not open the folder cannot have the disk confirm what is in it, and has a pepper all the same.
#[cfg(target_os = "linux")]
#[test]
fn a_pepper_is_made_and_found_in_a_folder_that_cannot_be_synced() {
    use std::{
        os::unix::fs::{PermissionsExt as _, chown},
        process::Command,
    };

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(&data).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let whom = ["--reuid=65534", "--clear-groups", env!("CARGO_BIN_EXE_server")];
        let mut command = Command::new("setpriv");
        command.args(whom).args(arguments).current_dir(folder.path()).env_clear().output()
    };
    let can_be_somebody_else = as_nobody(&["--version"]).is_ok_and(|ended| ended.status.success());
    if chown(&data, Some(65_534), None).is_err() || !can_be_somebody_else {
        eprintln!("SKIPPED: only root can be somebody else, by setpriv, who must be able to run the program");
        return;
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o300)).unwrap();
    assert!(as_nobody(&["users", "create", "dana"]).unwrap().status.success());
    for which in ["made", "found"] {
        let ended = as_nobody(&["keys", "create", "--user", "dana", "--role", "customer"]).unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.success() && data.join("payments.db.pepper").is_file(), "{which}: {said}");
        assert_eq!(
            said.matches("the folder of the key pepper cannot be synced").count(),
            1,
            "{which}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_that_has_lost_its_pepper_gets_another_one_when_it_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let pepper = folder.path().join("data/payments.db.pepper");
    stop(Program::start(folder.path(), &[]));
    fs::remove_file(&pepper).unwrap();
    let ended = operate(folder.path(), &["keys", "create", "--user", "bob", "--role", "customer"]);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("another pepper") && !pepper.exists(), "{ended:?}");
    let program = Program::start(folder.path(), &[]);
    Client::open(program.address, BOB).await;
    assert!(pepper.is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_whoever_makes_a_key_is_asked_for_the_pepper_and_nobody_else_is() {
    let Some(postgres) = Postgres::start() else { return };
    let (url, folder) = (postgres.url(), tempfile::tempdir().unwrap());
    let pepper = ("KEY_PEPPER", "the pepper of the server, long enough");
    let set = [("DATABASE_URL", url.as_str()), ("PAYMENTS_DEMO", "false"), pepper];
    for arguments in [&["migrate"][..], &["users", "create", "dana"], &["keys", "list"], &["audit", "verify"]]
    {
        let ended = run(folder.path(), arguments, &set[..2]);
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
    }
    let create = ["keys", "create", "--user", "dana", "--role", "customer"];
    for arguments in [&create[..], &["serve"]] {
        let ended = run(folder.path(), arguments, &set[..2]);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("KEY_PEPPER must be set"), "{arguments:?}: {ended:?}");
    }
    assert!(run(folder.path(), &create, &set).status.success());
}

/// As when the database goes away after the key is in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_secret_is_shown_though_nothing_more_can_be_read_of_its_key() {
    let Some(postgres) = Postgres::start() else { return };
    let (url, beside) = (postgres.url(), Connected::to(&postgres).await);
    let set = [("DATABASE_URL", url.as_str()), ("KEY_PEPPER", "the pepper of the server, long enough")];
    let folder = tempfile::tempdir().unwrap();
    let operate = |arguments: &[&str]| run(folder.path(), arguments, &set);
    assert!(operate(&["users", "create", "dana"]).status.success());
    let create = ["keys", "create", "--user", "dana", "--role", "customer"];
    let made: Value = serde_json::from_str(&operate(&[&create[..], &["--json"]].concat()).stdout).unwrap();
    let go_away = "CREATE FUNCTION go_away () RETURNS trigger LANGUAGE plpgsql
                   AS $$ BEGIN ALTER TABLE payment_policies RENAME TO policies_elsewhere; RETURN NULL; END $$;
                   CREATE CONSTRAINT TRIGGER go_away AFTER INSERT ON api_keys DEFERRABLE INITIALLY DEFERRED
                   FOR EACH ROW EXECUTE FUNCTION go_away ()";
    beside.execute(go_away).await;
    let rotate = ["keys", "rotate", made["id"].as_str().unwrap()];
    for arguments in [&create[..], &rotate] {
        for form in [&[][..], &["--json"]] {
            let ended = operate(&[arguments, form].concat());
            assert_eq!(ended.status.code(), Some(1), "{ended:?}");
            assert!(ended.stderr.contains("what it may pay cannot be shown"), "{ended:?}");
            let key = ended.stdout.split(['"', '\n']).find(|text| text.starts_with("mcpay_live_"));
            beside.execute("ALTER TABLE policies_elsewhere RENAME TO payment_policies").await;
            let reported = operate(&["keys", "report-leaked", key.expect("the key is shown")]);
            assert!(reported.status.success(), "it is that of the key which was made: {reported:?}");
        }
    }
}

#[test]
fn the_record_of_a_change_says_what_became_of_the_key() {
    let folder = tempfile::tempdir().unwrap();
    told(folder.path(), &["users", "create", "dana"]);
    told(folder.path(), &["users", "create", "erin"]);
    let made = told(folder.path(), &["keys", "create", "--user", "dana", "--role", "customer"]);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    for arguments in each_change(id, key) {
        told(folder.path(), &arguments);
    }
    told(folder.path(), &["sealing", "rotate"]);
    let listed = told(folder.path(), &["audit", "list"]);
    let did = |record: &Value| {
        let tool = record["tool"].as_str().unwrap().strip_prefix("server ").unwrap();
        format!("{tool} {}", record["client"].as_str().unwrap())
    };
    let mut did: Vec<_> = listed.as_array().unwrap().iter().map(did).collect();
    did.reverse();
    let expected = [
        "users create the command line: USD, may owe 0".to_owned(),
        "users create the command line: USD, may owe 0".to_owned(),
        "keys create the command line: customer".to_owned(),
        "keys create the command line: read-only; max 5 USD".to_owned(),
        "keys permit the command line: identity:read,balance:read".to_owned(),
        "keys limit the command line: max 10 USD; payee erin".to_owned(),
        format!("keys rotate the command line: in the place of {id}"),
        "keys revoke the command line".to_owned(),
        "keys report-leaked the command line".to_owned(),
        "sealing rotate the command line".to_owned(),
    ];
    assert_eq!(did, expected);
    assert!(told(folder.path(), &["audit", "verify"])["whole"] == true);
}
