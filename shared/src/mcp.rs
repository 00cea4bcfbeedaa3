//! The messages of the Model Context Protocol, under the names the official schema gives them.
//!
//! One file a chapter: [`lifecycle`] opens and closes, [`content`] is what results are made of, [`tools`],
//! [`resources`] and [`prompts`] are what a server offers, [`input`], [`elicitation`] and [`sampling`] are what it asks
//! for, [`utilities`] is what goes beside a request, and [`modern`] is what revision 2026-07-28 puts around it all.
//! What the schema calls an object is read with [`object`].
//! Members that a revision added later are optional, so that one type serves every revision.

pub mod annotations;
pub mod content;
pub mod elicitation;
pub mod input;
pub mod lifecycle;
pub mod methods;
pub mod modern;
pub mod object;
pub mod parameter_headers;
pub mod prompts;
pub mod resources;
pub mod sampling;
pub mod tools;
pub mod utilities;
mod version;

pub use version::{ProtocolVersion, UnsupportedVersion};

/// `_meta`: what travels beside the data proper. Keys are prefixed names.
pub type Meta = serde_json::Map<String, serde_json::Value>;

/// A JSON object whose members the protocol does not name.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;
