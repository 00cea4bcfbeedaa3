//! Objects that are written as such. What serde derives for a struct would also take an array, for the members in their
//! order, and the schema has an array nowhere in the place of an object.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// What was read from an object, and from nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

/// For `deserialize_with`: a member that is an object.
///
/// # Errors
/// When it is something else, or when `T` cannot be read from it.
pub fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(read)| read)
}

/// The same for one that may be left out, or be `null`.
///
/// # Errors
/// As [`object`].
pub fn optional<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer).map(|read| read.map(|Object(read)| read))
}

/// The same for a list of objects.
///
/// # Errors
/// As [`object`].
pub fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let read = Vec::deserialize(deserializer)?;
    Ok(read.into_iter().map(|Object(read)| read).collect())
}

/// The same for a list that may be left out, or be `null`.
///
/// # Errors
/// As [`object`].
pub fn optional_list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let read = Option::<Vec<_>>::deserialize(deserializer)?;
    Ok(read.map(|read| read.into_iter().map(|Object(read)| read).collect()))
}

/// The same for objects by name.
///
/// # Errors
/// As [`object`].
pub fn by_name<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let read = BTreeMap::deserialize(deserializer)?;
    Ok(read.into_iter().map(|(name, Object(read))| (name, read)).collect())
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use crate::{
        jsonrpc::Incoming,
        mcp::{
            elicitation::ElicitRequestParams,
            input::{InputRequest, InputRequiredResult, ListRootsResult},
            lifecycle::{InitializeRequestParams, InitializeResult},
            modern::DiscoverResult,
            prompts::{CompleteRequestParams, GetPromptResult, ListPromptsResult},
            resources::{ListResourceTemplatesResult, ListResourcesResult},
            sampling::CreateMessageResult,
            tools::CallToolResult,
        },
    };

    /// That `whole` can be read, and that it cannot be with each list of members in the place of an object.
    fn assert_objects<T: DeserializeOwned>(whole: &Value, lists: &[(&str, Value)]) {
        assert!(serde_json::from_value::<T>(whole.clone()).is_ok(), "{whole}");
        for (place, list) in lists {
            let mut wrong = whole.clone();
            *wrong.pointer_mut(place).unwrap() = list.clone();
            assert!(serde_json::from_str::<T>(&wrong.to_string()).is_err(), "{place} of {wrong}");
            assert!(serde_json::from_value::<T>(wrong).is_err(), "{place} of {whole}");
        }
    }

    #[test]
    fn a_list_is_taken_for_nothing_that_opens_a_session() {
        let (who, listed) = (json!({ "name": "n", "version": "1" }), json!(["n", null, "1"]));
        assert_objects::<InitializeRequestParams>(
            &json!({ "protocolVersion": "1", "capabilities": {}, "clientInfo": who }),
            &[("/capabilities", json!([{}])), ("/clientInfo", listed.clone())],
        );
        let offered = json!({ "tools": { "listChanged": true } });
        assert_objects::<InitializeResult>(
            &json!({ "protocolVersion": "1", "capabilities": offered, "serverInfo": who }),
            &[
                ("/capabilities", json!([{}])),
                ("/capabilities/tools", json!([true])),
                ("/serverInfo", listed),
            ],
        );
        assert_objects::<DiscoverResult>(
            &json!({ "supportedVersions": [], "capabilities": offered }),
            &[("/capabilities", json!([{}]))],
        );
        let response = |error: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#);
        assert!(Incoming::parse(&response(r#"{"code":1,"message":"m"}"#)).is_ok());
        assert!(Incoming::parse(&response(r#"[1,"m"]"#)).is_err());
    }

    #[test]
    fn a_list_is_taken_for_nothing_that_a_server_answers_with() {
        let (text, listed) = (json!({ "type": "text", "text": "t" }), json!(["text", "t"]));
        assert_objects::<CallToolResult>(&json!({ "content": [text] }), &[("/content/0", listed.clone())]);
        assert_objects::<GetPromptResult>(
            &json!({ "messages": [{ "role": "user", "content": text }] }),
            &[("/messages/0", json!(["user", text])), ("/messages/0/content", listed)],
        );
        let named =
            json!({ "name": "n", "uri": "a:b", "uriTemplate": "a:{b}", "arguments": [{ "name": "n" }] });
        assert_objects::<ListResourcesResult>(
            &json!({ "resources": [named] }),
            &[("/resources/0", json!(["a:b", "n"]))],
        );
        assert_objects::<ListResourceTemplatesResult>(
            &json!({ "resourceTemplates": [named] }),
            &[("/resourceTemplates/0", json!(["a:{b}", "n"]))],
        );
        assert_objects::<ListPromptsResult>(
            &json!({ "prompts": [named] }),
            &[("/prompts/0", json!(["n"])), ("/prompts/0/arguments/0", json!(["n"]))],
        );
    }

    #[test]
    fn a_list_is_taken_for_nothing_that_a_client_asks_or_answers() {
        assert_objects::<CompleteRequestParams>(
            &json!({
                "ref": { "type": "ref/prompt", "name": "n" },
                "argument": { "name": "n", "value": "v" },
                "context": { "arguments": {} },
            }),
            &[
                ("/ref", json!(["ref/prompt", "n"])),
                ("/argument", json!(["n", "v"])),
                ("/context", json!([{}])),
            ],
        );
        let (text, listed) = (json!({ "type": "text", "text": "t" }), json!(["text", "t"]));
        for (content, place) in [(text.clone(), "/content"), (json!([text]), "/content/0")] {
            assert_objects::<CreateMessageResult>(
                &json!({ "role": "user", "model": "m", "content": content }),
                &[(place, listed.clone())],
            );
        }
        let roots = json!({ "roots": [{ "uri": "file:///" }] });
        assert_objects::<ListRootsResult>(&roots, &[("/roots/0", json!(["file:///"]))]);
    }

    #[test]
    fn a_list_is_taken_for_no_question_its_form_or_a_field_of_it() {
        let fields = json!({ "a": { "type": "string" } });
        let form = json!({ "type": "object", "properties": fields });
        let params = json!({ "message": "?", "requestedSchema": form });
        let of_form = json!(["object", null, fields]);
        assert_objects::<ElicitRequestParams>(
            &params,
            &[
                ("", json!([null, "?", form])),
                ("/requestedSchema", of_form.clone()),
                ("/requestedSchema/properties/a", json!(["string"])),
            ],
        );
        let question = json!({ "method": "elicitation/create", "params": params });
        assert_objects::<InputRequest>(
            &question,
            &[("/params", json!([null, "?", form])), ("/params/requestedSchema", of_form)],
        );
        assert_objects::<InputRequiredResult>(
            &json!({ "inputRequests": { "q": question } }),
            &[("/inputRequests/q", json!(["elicitation/create", question["params"]]))],
        );
    }
}
