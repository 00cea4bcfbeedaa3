//! The rules of the specification that a server must keep and that show on the wire: one row each, as the bytes of a
//! request and what has to come back. What takes more than one exchange is shown by a test of its own, which the row
//! names.

mod elsewhere;
mod stateless;
mod with_sessions;

use serde_json::Value;

use crate::support::{
    client::{BOB, Client},
    soon,
    stage::{Stage, spawn_stage},
    wire::{Answer, Wire},
};

/// A rule, and the exchange that shows it.
struct Rule {
    /// Chapter and paragraph.
    chapter: &'static str,
    /// The rule in our words.
    says: &'static str,
    /// The request: request line, headers and, after an empty line, the body. Words in braces stand for what differs
    /// from run to run; `{dress}` for the headers of every request, `{in session}` for those of a request in one.
    ask: &'static str,
    status: u16,
    /// `name: value`, `name` for any value, `!name` for none.
    headers: &'static [&'static str],
    /// What the messages that come back have in them, at least; `[]` for a body that is empty, [`OPEN`] for a stream
    /// that stays open.
    body: &'static [&'static str],
}

/// A rule that takes more than one exchange.
struct Elsewhere {
    chapter: &'static str,
    says: &'static str,
    /// File and function of the test that shows it.
    test: (&'static str, &'static str),
}

/// A stream that stays open.
const OPEN: &[&str] = &["(a stream that stays open)"];

/// The values of one run.
struct Run {
    stage: Stage,
    session: Client,
    ended: String,
}

impl Run {
    async fn begin() -> Self {
        let stage = spawn_stage().await;
        // `patient` waits for nobody here.
        stage.gate.add_permits(1_000);
        let gone = Client::open(stage.app.address, BOB).await;
        assert_eq!(gone.end().await.status, 204);
        let session = Client::open(stage.app.address, BOB).await;
        Self { stage, session, ended: gone.session }
    }

    /// The request as bytes.
    fn bytes(&self, rule: &Rule) -> Vec<u8> {
        let (head, body) = rule.ask.split_once("\n\n").unwrap_or((rule.ask, ""));
        let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
        let filled = |text: &str| {
            text.replace("{in session}", "{dress}\nMCP-Session-Id: {session}\nMCP-Protocol-Version: 2025-11-25")
                .replace("{dress}", "Host: {host}\nX-API-Key: {key}\nContent-Type: application/json\nAccept: application/json, text/event-stream")
                .replace("{meta}", meta)
                .replace("{host}", &self.stage.app.address.to_string())
                .replace("{key}", BOB)
                .replace("{session}", &self.session.session)
                .replace("{ended session}", &self.ended)
        };
        let mut body = filled(body).into_bytes();
        // A byte that no UTF-8 has.
        while let Some(at) = body.windows(6).position(|six| six == b"{byte}") {
            body.splice(at..at + 6, [0xff]);
        }
        let head = filled(head).replace('\n', "\r\n");
        let mut bytes = format!("{head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend(body);
        bytes
    }

    async fn check(&self, rule: &Rule) {
        let what = format!("{}: {}", rule.chapter, rule.says);
        let mut wire = Wire::connect(self.stage.app.address).await;
        wire.write(&self.bytes(rule)).await;
        let head = wire.head().await;
        assert_eq!(head.status, rule.status, "{what}: {head:?}");
        for header in rule.headers {
            Self::check_header(header, &head, &what);
        }
        if rule.body == OPEN {
            assert_eq!(head.header("content-type"), Some("text/event-stream"), "{what}: {head:?}");
            return;
        }
        let answer = soon(&what, wire.rest_of(head)).await;
        let said = messages(&answer);
        assert_eq!(said.len(), rule.body.len(), "{what}: {answer:?}");
        for (said, expected) in said.iter().zip(rule.body) {
            let expected: Value = serde_json::from_str(expected).unwrap();
            assert!(holds(said, &expected), "{what}: {expected} is not in {said}");
        }
    }

    fn check_header(header: &str, head: &Answer, what: &str) {
        match (header.split_once(": "), header.strip_prefix('!')) {
            (Some((name, value)), _) => assert_eq!(head.header(name), Some(value), "{what}: {head:?}"),
            (None, Some(name)) => assert_eq!(head.header(name), None, "{what}: {head:?}"),
            (None, None) => {
                let value = head.header(header).unwrap_or_else(|| panic!("{what}: no {header}: {head:?}"));
                assert!(value.bytes().all(|byte| byte.is_ascii_graphic()), "{what}: {value:?}");
            }
        }
    }
}

/// The messages in an answer, of either form. An event without data only gives its id.
fn messages(answer: &Answer) -> Vec<Value> {
    if answer.header("content-type") == Some("text/event-stream") {
        let data = answer.body.lines().filter_map(|line| line.strip_prefix("data:"));
        let data = data.map(str::trim).filter(|data| !data.is_empty());
        return data.map(|data| serde_json::from_str(data).unwrap()).collect();
    }
    if answer.body.is_empty() { Vec::new() } else { vec![answer.json()] }
}

/// Whether all that is in `expected` is in `said`. Lists have the same length, and a text in angle brackets stands for any
/// text.
fn holds(said: &Value, expected: &Value) -> bool {
    match (said, expected) {
        (Value::Object(said), Value::Object(expected)) => {
            expected.iter().all(|(name, expected)| said.get(name).is_some_and(|said| holds(said, expected)))
        }
        (Value::Array(said), Value::Array(expected)) => {
            said.len() == expected.len()
                && said.iter().zip(expected).all(|(said, expected)| holds(said, expected))
        }
        (Value::String(_), Value::String(expected)) if expected == "<text>" => true,
        _ => said == expected,
    }
}

/// Every row, and that the tests which are named are there.
async fn check_all(rules: &[Rule], elsewhere: &[Elsewhere]) {
    let run = Run::begin().await;
    for rule in rules {
        run.check(rule).await;
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for Elsewhere { chapter, says, test: (file, function) } in elsewhere {
        let source =
            std::fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("fn {function}(")), "{chapter}: {says}: no {function} in {file}");
    }
}

#[tokio::test]
async fn every_rule_of_2025_11_25_is_kept() {
    check_all(with_sessions::RULES, elsewhere::WITH_SESSIONS).await;
}

#[tokio::test]
async fn every_rule_of_2026_07_28_is_kept() {
    check_all(stateless::RULES, elsewhere::STATELESS).await;
}

#[test]
fn what_is_not_there_does_not_hold() {
    let said = serde_json::json!({ "id": 1, "result": { "tools": [{ "name": "a" }] } });
    for (expected, expectation) in [
        (r#"{"id":1}"#, true),
        (r#"{"result":{"tools":[{"name":"<text>"}]}}"#, true),
        (r#"{"id":"<text>"}"#, false),
        (r#"{"result":{"tools":[]}}"#, false),
        (r#"{"result":{"tools":[{"name":"b"}]}}"#, false),
        (r#"{"error":{}}"#, false),
    ] {
        assert_eq!(holds(&said, &serde_json::from_str(expected).unwrap()), expectation, "{expected}");
    }
}
