//! Asking the client's side: its user (elicitation), its model (sampling) and its folders (roots).
//!
//! Up to 2025-11-25 a server sends these as requests of its own; since 2026-07-28 they travel within an
//! [`InputRequiredResult`] and come back with the repeated request (specification, "Multi Round-Trip Requests").

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{
    JsonObject, Meta,
    elicitation::ElicitRequestParams,
    object::{self, Object},
    sampling::CreateMessageRequestParams,
};

/// What a server wants back unread with the repeated request.
pub type RequestState = String;

/// What a server asks for, by a name that it chose.
pub type InputRequests = BTreeMap<String, InputRequest>;

/// The answers, under the names of the questions.
pub type InputResponses = BTreeMap<String, Value>;

/// One thing that a server asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method")]
pub enum InputRequest {
    /// Ask the user.
    #[serde(rename = "elicitation/create")]
    Elicit {
        /// What to ask.
        params: ElicitRequestParams,
    },
    /// Ask the model.
    #[serde(rename = "sampling/createMessage")]
    CreateMessage {
        /// What to ask.
        #[serde(deserialize_with = "object::object")]
        params: Box<CreateMessageRequestParams>,
    },
    /// Name the folders.
    #[serde(rename = "roots/list")]
    ListRoots {
        /// Nothing that the protocol names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        params: Option<JsonObject>,
    },
}

/// A result that is none yet: the server needs something first. `resultType` is `input_required`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InputRequiredResult {
    /// What it needs.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "questions")]
    pub input_requests: Option<InputRequests>,
    /// What it wants back unread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_state: Option<RequestState>,
    /// What goes beside it.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
}

fn questions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<InputRequests>, D::Error> {
    let read = Option::<BTreeMap<String, Object<InputRequest>>>::deserialize(deserializer)?;
    Ok(read.map(|read| read.into_iter().map(|(name, Object(question))| (name, question)).collect()))
}

/// Result of `roots/list`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ListRootsResult {
    /// The folders.
    #[serde(deserialize_with = "object::list")]
    pub roots: Vec<Root>,
    /// What goes beside it.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
}

/// A folder that the client lets a server work in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Root {
    /// `file:` URI.
    pub uri: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What goes beside it.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
}
