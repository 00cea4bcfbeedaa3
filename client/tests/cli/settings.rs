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
