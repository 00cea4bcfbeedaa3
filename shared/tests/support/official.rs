//! Holds what passes on a wire in tests against the official JSON Schema of its revision.
//!
//! The schemas are not part of this repository: `MCP_SCHEMA_DIR` says where they are (`.ci/run` sets it). Without it
//! nothing is held against anything, and the test `the_official_schemas_are_at_hand` says so.

#![allow(dead_code, reason = "every suite uses what it needs")]

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex},
};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// The revision that a message is of where nothing says it.
const DEFAULT: &str = "2025-11-25";

const REVISIONS: [&str; 4] = ["2025-03-26", "2025-06-18", DEFAULT, "2026-07-28"];

/// Where the schemas are.
#[expect(clippy::disallowed_methods, reason = "tests are told in the environment where the schemas are")]
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::var_os("MCP_SCHEMA_DIR").map(PathBuf::from)
}

/// Says aloud, past what catches the output of tests, that the schemas are missing.
pub(crate) fn say_that_they_are_missing(what: &str) {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "SKIPPED: MCP_SCHEMA_DIR is not set: {what}").unwrap();
}

static SCHEMAS: LazyLock<Option<HashMap<&str, Schema>>> = LazyLock::new(|| {
    let folder = folder()?;
    let read = |revision| (revision, Schema::read(&folder.join(revision).join("schema.json")));
    Some(REVISIONS.map(read).into_iter().collect())
});

/// The schema of one revision.
struct Schema {
    /// `$defs` or `definitions`.
    keyword: &'static str,
    dialect: Value,
    types: Map<String, Value>,
    /// The types of requests and notifications by method.
    by_method: HashMap<String, String>,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Schema {
    fn read(file: &std::path::Path) -> Self {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut document: Value = serde_json::from_str(&text).unwrap();
        let keyword = if document.get("$defs").is_some() { "$defs" } else { "definitions" };
        let Value::Object(types) = document[keyword].take() else { panic!("{keyword} is no object") };
        let method = |(name, definition): (&String, &Value)| {
            let method = definition.pointer("/properties/method/const")?.as_str()?;
            Some((method.to_owned(), name.clone()))
        };
        let by_method = types.iter().filter_map(method).collect();
        let dialect = document["$schema"].take();
        Self { keyword, dialect, types, by_method, validators: Mutex::default() }
    }

    fn validator(&self, name: &str) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let built = validators.entry(name.to_owned()).or_insert_with(|| {
            let keyword = self.keyword;
            let root = json!({ "$schema": self.dialect, "$ref": format!("#/{keyword}/{name}"), keyword: self.types });
            Arc::new(jsonschema::validator_for(&root).unwrap())
        });
        Arc::clone(built)
    }

    fn check(&self, name: &str, revision: &str, value: &Value) {
        assert!(self.types.contains_key(name), "{revision} has no {name}: {value}");
        let validator = self.validator(name);
        let faults: Vec<String> = validator
            .iter_errors(value)
            .map(|error| format!("at {:?}: {error}", error.instance_path().to_string()))
            .collect();
        assert!(faults.is_empty(), "no {name} of {revision}: {value}\n{}", faults.join("\n"));
    }

    /// The type of the result of a method.
    fn result_type(&self, method: &str) -> Option<String> {
        let named = self.by_method.get(method)?.strip_suffix("Request")?.to_owned() + "Result";
        Some(if self.types.contains_key(&named) { named } else { "EmptyResult".to_owned() })
    }
}

/// What is known of one conversation. Messages are strictly checked where they must be right: everything that the side
/// under test says, and whatever the other side said that was answered with a result.
#[derive(Default)]
pub(crate) struct Conversation {
    revision: Option<String>,
    /// Requests without an answer so far, by id.
    asked: HashMap<String, Value>,
    /// What of a stream of events has not ended yet.
    pending: String,
}

impl Conversation {
    /// The revision that a header names.
    pub(crate) fn speaks(&mut self, revision: &str) {
        if REVISIONS.contains(&revision) {
            self.revision = Some(revision.to_owned());
        }
    }

    fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT)
    }

    /// The other side said this; it may be anything.
    pub(crate) fn other_side_said(&mut self, body: &[u8]) {
        let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
        for message in one_or_several(value) {
            if message.get("method").is_some()
                && let Some(id) = message.get("id")
            {
                self.asked.insert(id.to_string(), message);
            }
        }
    }

    /// The side under test said this in a JSON body.
    pub(crate) fn said(&mut self, body: &str) {
        if SCHEMAS.is_some()
            && let Ok(value) = serde_json::from_str::<Value>(body)
        {
            one_or_several(value).into_iter().for_each(|message| self.check(&message));
        }
    }

    /// The side under test said this in a stream of events; it may end within one.
    pub(crate) fn streamed(&mut self, text: &str) {
        self.pending.push_str(text);
        while let Some((event, rest)) = self.pending.split_once("\n\n") {
            let (event, rest) = (event.to_owned(), rest.to_owned());
            self.pending = rest;
            for data in event.lines().filter_map(|line| line.strip_prefix("data:")) {
                self.said(data.trim());
            }
        }
    }

    /// Checks a message of the side under test.
    fn check(&mut self, message: &Value) {
        let Some(schemas) = &*SCHEMAS else { return };
        if message.get("jsonrpc").is_none() {
            // Something else than MCP, such as the report of a probe.
            return;
        }
        if let Some(version) = message.pointer("/result/protocolVersion").and_then(Value::as_str) {
            self.speaks(version);
        }
        let revision = self.revision().to_owned();
        let schema = &schemas[revision.as_str()];
        if let Some(method) = message.get("method").and_then(Value::as_str) {
            let name = schema.by_method.get(method);
            let name = name.unwrap_or_else(|| panic!("{revision} has no method {method}: {message}"));
            schema.check(name, &revision, message);
        } else if message.get("error").is_some() {
            Self::check_error(schemas, &revision, message);
        } else {
            self.check_result(schema, &revision, message);
        }
    }

    fn check_error(schemas: &HashMap<&str, Schema>, revision: &str, message: &Value) {
        // Before 2025-11-25 the schema had no error without an id, though the transport had.
        let lacks_id = message.get("id").is_none() && ["2025-03-26", "2025-06-18"].contains(&revision);
        let revision = if lacks_id { DEFAULT } else { revision };
        let name = if revision >= DEFAULT { "JSONRPCErrorResponse" } else { "JSONRPCError" };
        schemas[revision].check(name, revision, message);
    }

    fn check_result(&mut self, schema: &Schema, revision: &str, message: &Value) {
        let envelope = if revision >= DEFAULT { "JSONRPCResultResponse" } else { "JSONRPCResponse" };
        schema.check(envelope, revision, message);
        // The answer to a request of another conversation, such as one that is heard again after its stream broke.
        let Some(request) = self.asked.get(&message["id"].to_string()) else { return };
        let method = request["method"].as_str().unwrap();
        let result = &message["result"];
        if result["resultType"] == "input_required" {
            // Whatever was asked has not been accepted yet.
            schema.check("InputRequiredResult", revision, result);
        } else {
            let name = schema.result_type(method);
            let name = name.unwrap_or_else(|| panic!("{revision} answers no {method}: {message}"));
            schema.check(&name, revision, result);
            schema.check(&schema.by_method[method], revision, request);
        }
    }
}

fn one_or_several(value: Value) -> Vec<Value> {
    match value {
        Value::Array(several) => several,
        one => vec![one],
    }
}

#[test]
fn the_official_schemas_are_at_hand_and_catch_what_is_wrong() {
    if SCHEMAS.is_none() {
        return say_that_they_are_missing("no message of these tests is held against the official schema");
    }
    let caught = |revision: &str, message: Value| {
        let check = || {
            let mut conversation = Conversation::default();
            conversation.speaks(revision);
            let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
            conversation.other_side_said(request.to_string().as_bytes());
            conversation.said(&message.to_string());
        };
        std::panic::catch_unwind(check).is_err()
    };
    for revision in REVISIONS {
        for wrong in [
            json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": [{ "name": "a" }] } }),
            json!({ "jsonrpc": "2.0", "id": null, "result": {} }),
            json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": "one", "message": "a" } }),
            json!({ "jsonrpc": "2.0", "method": "notifications/nonsense" }),
            json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progress": 1 } }),
        ] {
            assert!(caught(revision, wrong.clone()), "{revision} lets pass {wrong}");
        }
        let right = json!({ "jsonrpc": "2.0", "id": 2, "error": { "code": 1, "message": "a" } });
        assert!(!caught(revision, right));
    }
}
