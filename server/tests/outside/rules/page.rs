//! `docs/security.md` keeps its word: every rule has tests, and every test that it names is in the file that it names.

use std::{collections::BTreeSet, fs, path::Path};

/// The links to tests: the test's name, and the file it is said to be in.
fn links(page: &str) -> Vec<(&str, &str)> {
    page.split("[`")
        .skip(1)
        .filter_map(|rest| {
            let (name, rest) = rest.split_once("`](")?;
            let (file, _) = rest.split_once(')')?;
            file.ends_with(".rs").then_some((name, file))
        })
        .collect()
}

#[test]
fn the_page_about_security_names_tests_that_are_there_for_every_rule() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = fs::read_to_string(docs.join("security.md")).unwrap();
    let links = links(&page);
    assert!(links.len() > 40, "{}", links.len());
    let mut shown = BTreeSet::new();
    for (name, file) in links {
        let text = fs::read_to_string(docs.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let place = text.find(&format!("fn {name}()")).unwrap_or_else(|| panic!("{name} is not in {file}"));
        let before: String = text[..place].lines().rev().take(3).collect();
        assert!(before.contains("test]") || before.contains("::test("), "{name} in {file} is no test");
        if let Some(number) = name.strip_prefix("rule_").and_then(|rest| rest.get(..2)) {
            shown.insert(number.parse::<u32>().unwrap());
        }
    }
    assert_eq!(shown, (1..=18).collect(), "each rule has a test that is named after it");
}

#[test]
fn every_test_that_is_named_after_a_rule_is_on_the_page() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = fs::read_to_string(docs.join("security.md")).unwrap();
    let on_page: BTreeSet<&str> = links(&page).into_iter().map(|(name, _)| name).collect();
    let mut folders = vec![docs.join("../server"), docs.join("../client")];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                for name in text.split("fn rule_").skip(1).filter(|rest| rest.as_bytes()[0].is_ascii_digit())
                {
                    let name = format!("rule_{}", name.split('(').next().unwrap());
                    assert!(on_page.contains(name.as_str()), "{name} of {path:?} is not in docs/security.md");
                    found += 1;
                }
            }
        }
    }
    assert!(found >= 18, "{found}");
}

#[test]
fn every_page_names_files_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = 0;
    for page in ["README.md", "docs/account-of-a-call.md", "docs/performance.md", "docs/security.md"] {
        let text = fs::read_to_string(root.join(page)).unwrap();
        // What stands between two of the marks, every other piece.
        for named in text.split('`').skip(1).step_by(2).filter(|named| named.ends_with(".rs")) {
            let from = ["", "server/src", "client/src"];
            let is_there = from.iter().any(|folder| root.join(folder).join(named).exists());
            assert!(is_there || named.contains('{'), "{page} names {named}");
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
}
