//! How the program starts, or does not: one line that names the setting, exit code 2, no secret.

use std::{fs, net::TcpListener, path::Path};

use serde_json::json;

use crate::support::{
    client::{BOB, Client, NEWEST, initialize},
    eventually,
    process::{Program, run},
    wire::Ask,
};

/// That the program refuses to start with `set`, in one line about `variable`.
fn refuses(folder: &Path, arguments: &[&str], set: &[(&str, &str)], names: &str) {
    let ended = run(folder, arguments, set);
    assert_eq!(ended.status.code(), Some(2), "{set:?}: {ended:?}");
    assert_eq!(ended.stdout, "", "{set:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{set:?}: {}", ended.stderr);
    assert!(
        ended.stderr.starts_with("payment-server: ") && ended.stderr.contains(names),
        "{set:?}: {}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("canary"), "{set:?}: {}", ended.stderr);
    assert!(!folder.join("data").exists(), "{set:?}: it wrote before it refused");
}

#[test]
fn a_wrong_setting_is_named_and_ends_the_start_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for (variable, value) in [
        ("HOST", "canary.example"),
        ("PORT", "canary"),
        ("PORT", "65536"),
        ("DATABASE_URL", "canary.db"),
        ("DATABASE_URL", "postgres://canary:canary@"),
        ("BOB_API_KEY", "canary of bob"),
        ("ALICE_API_KEY", "canary"),
        ("BOB_API_KEY", "eyJhbGciOiJFZERTQSJ9.canary.canary"),
        ("KEY_PEPPER", "canary"),
        ("PAYMENTS_DEMO", "canary"),
        ("ALLOWED_HOSTS", "http://canary/"),
        ("ALLOWED_ORIGINS", "canary canary"),
        ("SESSION_IDLE_SECS", "0"),
        ("SESSION_MAX_SECS", "-1"),
        ("MAX_SESSIONS_PER_KEY", "0"),
        ("MAX_SESSIONS", "canary"),
        ("RATE_LIMIT", "canary"),
        ("RUST_LOG", "server=canary"),
        ("LOG_FORMAT", "canary"),
    ] {
        refuses(folder.path(), &["serve"], &[(variable, value)], variable);
        refuses(folder.path(), &[], &[(variable, value)], variable);
    }
}

#[tokio::test]
async fn either_limit_of_a_sessions_life_is_set_alone() {
    for (variable, value, idle) in [("SESSION_MAX_SECS", "6", 6), ("SESSION_IDLE_SECS", "90000", 86_400)] {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::start(folder.path(), &[(variable, value)]);
        let bob = Client::open(program.address, BOB).await;
        let told = bob.result("whoAmI", json!({})).await["structuredContent"]["limits"].clone();
        assert_eq!(told["sessionIdleSeconds"], idle, "{variable}={value}: {told}");
        if variable == "SESSION_MAX_SECS" {
            // Never idle, it ends all the same.
            eventually("the end of the session", async || bob.ping().await.status == 404).await;
        }
    }
}

#[test]
fn roots_that_cannot_be_read_are_a_wrong_setting_of_whoever_serves_and_whoever_operates() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("canary.pem");
    let pepper = ("KEY_PEPPER", "the pepper of the server, long enough");
    let url = ("DATABASE_URL", "postgres://canary:canary@db.example/payments");
    for text in [None, Some("-----BEGIN CERTIFICATE-----\ncanary\n"), Some("")] {
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        let set = [url, pepper, ("DATABASE_CA", file.to_str().unwrap()), ("PAYMENTS_DEMO", "false")];
        for arguments in [&["serve"][..], &["users", "list"], &["migrate"]] {
            refuses(folder.path(), arguments, &set, "DATABASE_CA");
        }
    }
}

#[test]
fn a_real_deployments_database_is_not_served_with_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(folder.path(), &["users", "create", "dana"], &[]);
    assert!(made.status.success(), "{made:?}");
    let ended = run(folder.path(), &["serve"], &[]);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("PAYMENTS_DEMO=false"), "{}", ended.stderr);
    assert!(!folder.path().join("data/payments.db.pepper").exists(), "it is left to whoever serves it");
}

#[test]
fn rule_15_other_machines_are_not_let_in_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    for host in ["0.0.0.0", "::", "192.0.2.1"] {
        let real = ("PAYMENTS_DEMO", "false");
        refuses(folder.path(), &["serve"], &[("HOST", host)], "PAYMENTS_DEMO=false");
        refuses(folder.path(), &["serve", "--behind-proxy"], &[("HOST", host)], "PAYMENTS_DEMO=false");
        refuses(folder.path(), &["serve"], &[("HOST", host), real], "--behind-proxy");
        let unlimited = [("HOST", host), real, ("RATE_LIMIT", "off")];
        refuses(folder.path(), &["serve", "--behind-proxy"], &unlimited, "RATE_LIMIT");
    }
    refuses(folder.path(), &["serve", "--behind-proxy"], &[("HOST", "127.0.0.1")], "PAYMENTS_DEMO=false");
}

#[test]
fn rule_15_a_database_with_demo_keys_stays_at_home() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    program.signal("TERM");
    assert!(program.ended().status.success());
    let ended = run(folder.path(), &["serve", "--behind-proxy"], &[("PAYMENTS_DEMO", "false")]);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("holds demo keys"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_15_a_demo_key_that_is_made_while_others_are_let_in_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let real = [("PAYMENTS_DEMO", "false")];
    let serve = ["serve", "--behind-proxy"];
    let program = Program::start_as(folder.path(), &serve, &real);
    let operate = |arguments: &[&str]| {
        let ended = run(folder.path(), &[arguments, &["--json"]].concat(), &real);
        assert!(ended.status.success(), "{ended:?}");
        serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap()
    };
    operate(&["users", "create", "dana"]);
    let create = ["keys", "create", "--user", "dana", "--role", "customer", "--mode"];
    let [demo, live] = ["demo", "live"].map(|mode| operate(&[&create[..], &[mode]].concat()));
    let status = async |key: &serde_json::Value, address| {
        Ask::post(initialize(NEWEST)).key(key["key"].as_str().unwrap()).send(address).await.status
    };
    assert_eq!((status(&demo, program.address).await, status(&live, program.address).await), (401, 200));
    program.signal("TERM");
    assert!(program.ended().status.success());

    // It keeps the server from starting for as long as it lives.
    assert!(run(folder.path(), &serve, &real).stderr.contains("holds demo keys"));
    operate(&["keys", "revoke", demo["id"].as_str().unwrap()]);
    let program = Program::start_as(folder.path(), &serve, &real);
    assert_eq!((status(&demo, program.address).await, status(&live, program.address).await), (401, 200));
}

#[test]
fn a_port_that_is_taken_is_no_mistake_in_the_settings() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &["serve"], &[("PORT", &port)]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{}", ended.stderr);
    assert!(!folder.path().join("data/payments.db.pepper").exists(), "nothing needs one yet");
}

#[test]
fn a_database_that_cannot_be_opened_is_said() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("no-database.db"),
        "this is no database, and long enough to be sure of it".repeat(50),
    )
    .unwrap();
    for url in ["sqlite://no-database.db", "sqlite:///proc/no/such/place/p.db"] {
        let ended = run(folder.path(), &["serve"], &[("DATABASE_URL", url)]);
        assert_eq!(ended.status.code(), Some(1), "{url}: {ended:?}");
        assert!(ended.stderr.contains("database"), "{url}: {}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{url}: {}", ended.stderr);
    }
}

#[test]
fn a_dotenv_file_is_read_and_the_environment_wins() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "PAYMENTS_DEMO=false\nDATABASE_URL=sqlite://from-dotenv.db\n")
        .unwrap();
    let program = Program::start(folder.path(), &[("PAYMENTS_DEMO", "true")]);
    program.signal("TERM");
    let ended = program.ended();
    assert!(ended.stdout.contains("demo users: bob, alice"), "{}", ended.stdout);
    assert!(folder.path().join("from-dotenv.db").is_file());
}

#[test]
fn a_dotenv_file_that_cannot_be_read_is_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "BOB_API_KEY=canary of bob\n").unwrap();
    refuses(folder.path(), &["serve"], &[], ".env");
}

/// Where whoever runs the program may not look, nobody can tell whether there is a file of settings.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_may_not_be_entered_and_a_dotenv_file_that_may_not_be_read_are_named() {
    use std::{os::unix::fs::PermissionsExt as _, process::Command};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    let mode = |mode: u32| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let whom = ["--reuid=65534", "--clear-groups", env!("CARGO_BIN_EXE_server")];
        let mut command = Command::new("setpriv");
        command.args(whom).args(arguments).current_dir(folder.path()).env_clear().output().unwrap()
    };
    mode(0o755);
    if !as_nobody(&["--version"]).status.success() {
        eprintln!("SKIPPED: only root can be somebody else, who must be able to run the program");
        return;
    }
    let refused = |which: &str| {
        let ended = as_nobody(&["users", "list"]);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), said.lines().count()), (Some(2), 1), "{which}: {said}");
        assert!(
            said.contains(&format!("{path:?} cannot be looked at (permission denied)")),
            "{which}: {said}"
        );
        assert!(said.contains("start from a folder that you may enter"), "{which}: {said}");
    };
    mode(0o700);
    refused("a folder of root's");
    mode(0o755);
    fs::write(&path, "PAYMENTS_DEMO=canary\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    refused("a file of root's");
}

/// Gives something to a user who is nobody here. Only root can.
#[cfg(unix)]
fn give_away(path: &Path) -> bool {
    let given = std::os::unix::fs::lchown(path, Some(65_534), None);
    if given.is_err() {
        eprintln!("SKIPPED: only root can give a file away");
    }
    given.is_ok()
}

#[cfg(unix)]
#[test]
fn a_dotenv_file_that_somebody_else_left_is_refused_unless_the_folder_is_theirs() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("mine");
    let (own, left) = (folder.join("own.env"), above.path().join(".env"));
    fs::create_dir(&folder).unwrap();
    fs::write(&own, "PAYMENTS_DEMO=maybe\n").unwrap();
    fs::write(&left, "PAYMENTS_DEMO=perhaps\n").unwrap();
    if !give_away(&left) {
        return;
    }
    refuses(&folder, &["serve"], &[], "belongs to somebody else");

    // A link of theirs is theirs, whatever it leads to, and a link of ours leads to what is theirs.
    fs::remove_file(&left).unwrap();
    std::os::unix::fs::symlink(&own, &left).unwrap();
    refuses(&folder, &["serve"], &[], "PAYMENTS_DEMO");
    assert!(give_away(&left));
    refuses(&folder, &["serve"], &[], "belongs to somebody else");
    fs::remove_file(&left).unwrap();
    std::os::unix::fs::symlink(&own, &left).unwrap();
    assert!(give_away(&own));
    refuses(&folder, &["serve"], &[], "belongs to somebody else");

    // Their folder: whoever works in there works with their settings.
    assert!(give_away(above.path()));
    refuses(&folder, &["serve"], &[], "PAYMENTS_DEMO");
}
