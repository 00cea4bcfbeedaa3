//! Rule 4: keys can be found by whoever scans for secrets, with the rule that is published for it.

use std::fs;

use regex::Regex;
use server::{identity::ApiKey, store::KeyMode};

/// The expression of the published rule.
fn published() -> Regex {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/gitleaks.toml");
    let text = fs::read_to_string(path).unwrap();
    let expression = text.split("'''").nth(1).expect("regex = '''…'''").to_owned();
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/security.md")).unwrap();
    assert!(page.contains(&expression), "docs/security.md shows another expression than {expression}");
    Regex::new(&expression).unwrap()
}

#[test]
fn rule_04_the_published_expression_finds_fresh_keys_of_every_mode_and_nothing_else() {
    let expression = published();
    for mode in [KeyMode::Live, KeyMode::Demo] {
        for _ in 0..200 {
            let (_, key) = ApiKey::generate(mode).unwrap();
            for text in [
                key.expose().to_owned(),
                format!("export BOB_API_KEY={}\n", key.expose()),
                format!("{{\"x-api-key\":\"{}\"}}", key.expose()),
                format!("curl -H 'Authorization: Bearer {}' https://p.example/mcp", key.expose()),
                format!("https://p.example/?key={}&x=1", key.expose()),
            ] {
                let found = expression.captures(&text).unwrap_or_else(|| panic!("not found in {text}"));
                assert_eq!(&found[1], key.expose());
            }
        }
    }
    let (_, key) = ApiKey::generate(KeyMode::Live).unwrap();
    let whole = key.expose();
    for near_miss in [
        &whole[..whole.len() - 1],
        &format!("{whole}A"),
        &format!("x{whole}"),
        &whole.replace("mcpay_live", "mcpay_prod"),
        &whole.replace("mcpay", "mypay"),
        &whole.replacen('_', "-", 3),
        &whole.to_uppercase(),
        "mcpay_live_1234567_",
        "mcpay_live_ID_SECRET",
        // Published with the demo, and no secret.
        shared::demo::BOB_API_KEY,
        shared::demo::AUDITOR_API_KEY,
    ] {
        assert!(!expression.is_match(near_miss), "{near_miss}");
    }
}
