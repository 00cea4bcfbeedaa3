//! The rooms keep their order: a room imports only what stands below it (`server/src/lib.rs`).
#![cfg(test)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The rooms from the door inwards. Rooms of one line may not import each other.
const ORDER: [&[&str]; 13] = [
    &["commands"],
    &["app"],
    &["config"],
    &["telemetry"],
    &["http"],
    &["prompts", "risk_service", "tools"],
    &["resources"],
    &["mcp"],
    &["audit", "payments"],
    &["identity", "limits", "metrics", "risk"],
    &["store"],
    &["money"],
    &["clock", "text"],
];

/// Rooms that hold SQL, and nothing else may name it.
const SQL: [&str; 2] = ["store/sqlite", "store/postgres"];

fn depth(room: &str) -> usize {
    ORDER
        .iter()
        .position(|line| line.contains(&room))
        .unwrap_or_else(|| panic!("{room} has no place in the order"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file: its path below `src`, its room, and its text without the comments.
fn files() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        let room = name.split(['/', '.']).next().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let code =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        (name, room, code)
    };
    paths.into_iter().map(read).filter(|(_, room, _)| room != "main" && room != "lib").collect()
}

/// The rooms that a text names after `crate::`, one by one or in braces.
fn imports(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let mut nested = 0_i32;
                let mut name = String::new();
                for sign in list.chars() {
                    match sign {
                        '{' => nested += 1,
                        '}' if nested == 0 => break,
                        '}' => nested -= 1,
                        ',' if nested == 0 => rooms.push(std::mem::take(&mut name)),
                        sign if nested == 0 => name.push(sign),
                        _ => {}
                    }
                }
                rooms.push(name);
            }
            None => rooms.push(rest.to_owned()),
        }
    }
    let first = |path: String| {
        path.trim().chars().take_while(|sign| sign.is_alphanumeric() || *sign == '_').collect::<String>()
    };
    rooms.into_iter().map(first).filter(|room| !room.is_empty()).collect()
}

#[test]
fn a_room_imports_only_what_stands_below_it() {
    let files = files();
    assert!(files.len() > 50, "only {} files were found", files.len());
    let mut wrong = Vec::new();
    for (name, room, code) in &files {
        for import in imports(code) {
            if import != *room && depth(&import) <= depth(room) {
                wrong.push(format!("{name} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_engine_of_the_store_speaks_sql() {
    for (name, _, code) in files() {
        let speaks =
            ["rusqlite", "tokio_postgres", "SELECT ", "INSERT INTO "].iter().any(|word| code.contains(word));
        assert!(!speaks || SQL.iter().any(|room| name.starts_with(room)), "{name} speaks SQL");
    }
}

#[test]
fn the_protocol_engine_knows_no_payment() {
    for (name, room, code) in files() {
        let mentions = ["payments", "money", "Ledger", "Amount"].iter().any(|word| code.contains(word));
        let is_test = name.starts_with("mcp/tests");
        assert!(room != "mcp" || is_test || !mentions, "{name} knows of payments");
    }
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let code =
        "use crate::store::Store;\nuse crate::{clock::UnixMillis, store::{A, B}, money};\ncrate::audit::x()";
    assert_eq!(imports(code), ["store", "clock", "store", "money", "audit"]);
}

/// Nobody is looked up twice, and nobody comes in by another door.
#[test]
fn rule_01_one_place_asks_who_is_calling() {
    let asks: Vec<_> = files()
        .into_iter()
        .flat_map(|(name, _, code)| vec![name; code.matches("authenticator().authenticate(").count()])
        .collect();
    assert_eq!(asks, ["http/endpoint.rs"]);
}
