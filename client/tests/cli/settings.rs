//! The file `.env`: what is taken from it, and what is said where it is refused.

use crate::{
    program::{client, run},
    server::{Script, Server},
};

#[test]
fn settings_are_read_from_a_file_and_a_broken_one_is_refused_without_repeating_it() {
    let server = Server::start(Script::default());
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join(".env");
    let contents = format!("CAROL_API_KEY={}\nMCP_URL={}\n", shared::demo::BOB_API_KEY, server.url());
    std::fs::write(&settings, contents).unwrap();
    let ended = run(client(&["tools", "--as", "carol"]).current_dir(folder.path()));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    std::fs::write(&settings, "CAROL_API_KEY=\"hunter22\n").unwrap();
    let ended = run(client(&["tools", "--as", "carol"]).current_dir(folder.path()));
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains(".env") && !ended.stderr.contains("hunter22"), "{}", ended.stderr);
}

#[cfg(unix)]
#[test]
fn settings_that_somebody_else_left_are_refused_unless_the_folder_is_theirs() {
    use std::os::unix::fs::chown;

    let server = Server::start(Script::default());
    let above = tempfile::tempdir().unwrap();
    let (folder, settings) = (above.path().join("mine"), above.path().join(".env"));
    std::fs::create_dir(&folder).unwrap();
    let contents = format!("CAROL_API_KEY={}\nMCP_URL={}\n", shared::demo::BOB_API_KEY, server.url());
    std::fs::write(&settings, contents).unwrap();
    let tools = || run(client(&["tools", "--as", "carol"]).current_dir(&folder));
    assert_eq!(tools().code, 0);
    if chown(&settings, Some(65_534), None).is_err() {
        eprintln!("SKIPPED: only root can give a file away");
        return;
    }
    let ended = tools();
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(ended.stderr.contains("belongs to somebody else, who could set anything"), "{}", ended.stderr);
    assert!(ended.stderr.contains("next: remove it, or write a .env of your own"), "{}", ended.stderr);
    assert_eq!(server.opened_and_closed(), (1, 1));
    chown(above.path(), Some(65_534), None).unwrap();
    assert_eq!(tools().code, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_may_not_be_entered_and_a_file_that_may_not_be_read_are_named() {
    use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".env");
    let mode = |mode: u32| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let whom = ["--reuid=65534", "--clear-groups", env!("CARGO_BIN_EXE_client")];
        let mut command = Command::new("setpriv");
        command.args(whom).args(arguments).current_dir(folder.path()).env_clear().output().unwrap()
    };
    mode(0o755);
    if !as_nobody(&["--version"]).status.success() {
        eprintln!("SKIPPED: only root can be somebody else, who must be able to run the program");
        return;
    }
    let refused = |which: &str| {
        let ended = as_nobody(&["tools", "--as", "bob"]);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{which}: {said}");
        assert!(
            said.contains(&format!("{path:?} cannot be looked at: permission denied")),
            "{which}: {said}"
        );
        assert!(said.contains("next: start from a folder that you may enter"), "{which}: {said}");
    };
    mode(0o700);
    refused("a folder of root's");
    mode(0o755);
    fs::write(&path, "CAROL_API_KEY=hunter22\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    refused("a file of root's");
}
