//! The engine's parsers, for the fuzz targets alone (`cargo fuzz` sets `cfg(fuzzing)`).

use serde_json::{Map, Value, json, value::RawValue};

use super::{
    arguments::Shape,
    lists, modern,
    sealing::{Purpose, Sealing},
    template::Template,
};
use crate::{clock::UnixMillis, identity::Pepper, store::SealingKey};

/// Reads a template, and matches a URI against it.
#[must_use]
pub fn template(template: &str, uri: &str) -> Option<usize> {
    Template::parse(template)?.matches(uri).map(|variables| variables.len())
}

fn sealing(pepper: &Pepper) -> Sealing {
    Sealing::new(&[SealingKey::new(1, UnixMillis::from_millis(0), [7; 32])], pepper)
}

/// Opens a seal that nobody made.
#[must_use]
pub fn opens(pepper: &Pepper, text: &str) -> bool {
    sealing(pepper).open(Purpose::Cursor, b"bob", text).is_some()
}

/// The place that a cursor names which nobody gave out.
#[must_use]
pub fn cursor(pepper: &Pepper, text: &str) -> Option<usize> {
    lists::opened(&sealing(pepper), b"bob", text)
}

/// The place in a cursor that was sealed with this in it.
#[must_use]
pub fn cursor_of(pepper: &Pepper, payload: &[u8]) -> Option<usize> {
    let sealing = sealing(pepper);
    let seal = sealing.seal(Purpose::Cursor, b"bob", payload).ok()?;
    lists::opened(&sealing, b"bob", &seal)
}

/// Whether a request state that nobody gave out is taken back.
#[must_use]
pub fn request_state(pepper: &Pepper, text: &str) -> bool {
    modern::reads_state(&sealing(pepper), b"bob", text)
}

/// Whether a request state that was sealed with this in it is taken back.
#[must_use]
pub fn request_state_of(pepper: &Pepper, payload: &[u8]) -> bool {
    let sealing = sealing(pepper);
    let seal = sealing.seal(Purpose::RequestState, b"bob", payload);
    seal.is_ok_and(|seal| modern::reads_state(&sealing, b"bob", &seal))
}

/// Reads arguments of a tool that takes some of everything.
#[must_use]
pub fn arguments(shape: &ArgumentShape, json: &str) -> Option<Result<Value, String>> {
    let raw: &RawValue = serde_json::from_str(json).ok()?;
    Some(shape.0.read(Some(raw)).map_err(|error| error.to_string()))
}

/// What such a tool takes.
#[derive(Debug)]
pub struct ArgumentShape(Shape);

impl ArgumentShape {
    /// The shape.
    ///
    /// # Errors
    /// The schema cannot be used.
    pub fn new() -> Result<Self, String> {
        let schema = json!({
            "type": "object",
            "required": ["to"],
            "properties": {
                "to": { "type": "string", "minLength": 1, "maxLength": 20 },
                "limit": { "type": "integer", "minimum": 1, "maximum": 100, "default": 3 },
                "rate": { "type": "number", "minimum": -1.5 },
                "dry": { "type": "boolean" },
                "order": { "type": "string", "enum": ["newest", "oldest"] },
                "parts": { "type": "array", "items": { "type": "integer" }, "maxItems": 3 },
                "more": { "type": "object", "properties": { "zip": { "type": "string", "pattern": "^[0-9]{5}$" } } },
            },
        });
        let schema: Map<String, Value> = schema.as_object().cloned().unwrap_or_default();
        Shape::new("theTool", None, &schema).map(Self)
    }
}
