//! The few members of parameters that are looked at before a method reads them all.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use shared::jsonrpc::{ErrorCode, ErrorObject};

/// What is asked for, by whatever name its method has for that, and what belongs to rounds.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Members<'a> {
    #[serde(borrow, default, rename = "_meta")]
    pub(super) meta: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub(super) uri: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) input_responses: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) request_state: Option<&'a RawValue>,
}

/// As little of parameters as says what a request is, where the rest of them cannot be read.
#[derive(Deserialize)]
struct Beside<'a> {
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

impl<'a> Members<'a> {
    /// Reads them; none where there are no parameters. One that is there twice is refused, also where the method does not
    /// read it: what cannot be told apart cannot be held against the headers.
    pub(super) fn of(params: Option<&'a RawValue>) -> Result<Self, ErrorObject> {
        let Some(params) = params else { return Ok(Self::default()) };
        serde_json::from_str(params.get()).map_err(|error| unreadable(&error))
    }

    /// `_meta` of parameters, and the others of which there is something to be said after it.
    pub(super) fn with_meta(
        params: Option<&'a RawValue>,
    ) -> Result<(Option<&'a RawValue>, Result<Self, ErrorObject>), ErrorObject> {
        let members = Self::of(params);
        let meta = match (&members, params) {
            (Ok(members), _) => members.meta,
            (Err(_), None) => None,
            (Err(_), Some(params)) => {
                serde_json::from_str::<Beside<'_>>(params.get()).map_err(|error| unreadable(&error))?.meta
            }
        };
        Ok((meta, members))
    }
}

fn unreadable(error: &serde_json::Error) -> ErrorObject {
    ErrorObject::new(ErrorCode::INVALID_PARAMS, format!("`params` cannot be read: {error}"))
}

/// A string, or nothing where it is something else.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?;
    let plain = raw.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match plain.filter(|text| !text.contains('\\')) {
        Some(text) => Ok(Some(Cow::Borrowed(text))),
        None => Ok(serde_json::from_str(raw.get()).map(Cow::Owned).ok()),
    }
}

/// Tells `null` from an absent member.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}
