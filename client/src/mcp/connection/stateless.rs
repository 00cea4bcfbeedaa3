//! The revision without sessions: what every request carries, and requests that take several rounds (2026-07-28, basic
//! and "Multi Round-Trip Requests").

use std::borrow::Cow;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use shared::{
    headers,
    jsonrpc::ErrorCode,
    mcp::{
        JsonObject, ProtocolVersion,
        input::{InputRequest, InputRequiredResult},
        lifecycle::{Implementation, InitializeResult},
        methods,
        modern::{DiscoverResult, UnsupportedProtocolVersionData, meta},
        parameter_headers::{HeaderAnnotations, encoded},
    },
};

use super::{
    peer::{Call, Patience, Peer},
    read,
};
use crate::mcp::{
    McpError,
    asking::{self, object},
    exchange::{Failure, SessionHeaders},
};

/// How many rounds a request may take.
const ROUNDS_MAX: u32 = 10;

/// What names the revision on every request.
pub(super) const STATELESS: SessionHeaders =
    SessionHeaders { id: None, version: ProtocolVersion::V2026_07_28 };

impl Peer {
    /// `_meta` of every request: revision, capabilities, client.
    pub(super) fn meta(&self) -> JsonObject {
        let mut members = JsonObject::new();
        members.insert(meta::PROTOCOL_VERSION.to_owned(), json!(STATELESS.version.as_str()));
        members.insert(
            meta::CLIENT_CAPABILITIES.to_owned(),
            Value::Object(object(&asking::capabilities(self.answerer.as_ref()))),
        );
        members.insert(meta::CLIENT_INFO.to_owned(), Value::Object(object(&self.client)));
        members
    }

    /// Asks the server what it is and offers.
    ///
    /// # Errors
    /// As a call has.
    pub(super) async fn discover(&self, patience: &mut Patience<'_>) -> Result<InitializeResult, McpError> {
        let mut call = Call::repeatable(methods::DISCOVER, JsonObject::new());
        let result = self.call_stateless(&mut call, None, patience).await?;
        #[derive(Deserialize)]
        struct Named {
            #[serde(rename = "io.modelcontextprotocol/serverInfo", default)]
            server: Option<Implementation>,
        }
        let found: DiscoverResult = read(methods::DISCOVER, &result, self)?;
        if !found.supported_versions.iter().any(|version| version == STATELESS.version.as_str()) {
            return Err(McpError::Protocol(format!(
                "it does not speak {} without sessions; try `--protocol auto`",
                STATELESS.version
            )));
        }
        let named = found.meta.and_then(|meta| serde_json::from_value::<Named>(Value::Object(meta)).ok());
        Ok(InitializeResult {
            protocol_version: STATELESS.version.to_string(),
            capabilities: found.capabilities,
            server_info: named
                .and_then(|named| named.server)
                .unwrap_or_else(|| Implementation::new("an MCP server", "")),
            instructions: found.instructions,
            meta: None,
        })
    }

    /// Gets a call answered, in as many rounds as it takes. `annotations` are those of the tool that is called.
    ///
    /// # Errors
    /// As a call has; [`McpError::Protocol`] also when the rounds do not end.
    pub(super) async fn call_stateless(
        &self,
        call: &mut Call<'_>,
        annotations: Option<&HeaderAnnotations>,
        patience: &mut Patience<'_>,
    ) -> Result<Box<RawValue>, McpError> {
        let mut was_refused = false;
        let mut began_anew = false;
        for _round in 0..=ROUNDS_MAX {
            call.meta = self.meta();
            call.headers = mirrored(call, annotations);
            let answered = match self.call(Some(&STATELESS), call, patience).await {
                Ok(answered) => answered,
                // One server of several may be older than the others.
                Err(Failure::Error { error, .. }) if !was_refused && is_spoken_after_all(&error) => {
                    was_refused = true;
                    continue;
                }
                // What a round came to is good once, and an attempt whose answer was lost may have used it up.
                Err(Failure::Error { error: McpError::Rpc(_), .. })
                    if !began_anew && patience.is_in_doubt() && forget_rounds(&mut call.params) =>
                {
                    began_anew = true;
                    patience.count_anew();
                    continue;
                }
                Err(Failure::Error { error, .. }) => return Err(error),
                Err(Failure::SessionUnknown) => return Err(McpError::SessionEnded),
            };
            let Some(asked) = self.asked(call.method, &answered.result)? else { return Ok(answered.result) };
            self.answer_round(call, asked, patience).await?;
            patience.count_anew();
        }
        Err(McpError::Protocol(format!("{} took more than {ROUNDS_MAX} rounds", call.method)))
    }

    /// What the server asks for instead of a result.
    fn asked(&self, method: &str, result: &RawValue) -> Result<Option<InputRequiredResult>, McpError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            #[serde(default)]
            result_type: Option<String>,
        }
        let kind: Kind = read(method, result, self)?;
        match kind.result_type.as_deref() {
            None | Some("complete") => Ok(None),
            Some("input_required") => read(method, result, self).map(Some),
            Some(other) => {
                let other = self.quote(other);
                Err(McpError::Protocol(format!("the result of {method} is of an unknown kind: {other}")))
            }
        }
    }

    /// Puts the answers, and what the server wants back, into the parameters of the next round.
    async fn answer_round(
        &self,
        call: &mut Call<'_>,
        asked: InputRequiredResult,
        patience: &Patience<'_>,
    ) -> Result<(), McpError> {
        call.params.remove("inputResponses");
        call.params.remove("requestState");
        if let Some(state) = asked.request_state {
            call.params.insert("requestState".to_owned(), Value::String(state));
        }
        let Some(questions) = asked.input_requests else {
            // The server wants to be asked again, and not at once.
            return patience.rest().await;
        };
        let mut answers = JsonObject::new();
        for (key, question) in questions {
            let answer = match &question {
                InputRequest::Elicit { params } => {
                    let _asking = self.asked_for.begin();
                    let answered = async {
                        Ok(match asking::whom(self.answerer.as_ref(), params) {
                            Some(answerer) => answerer.elicit(params).await,
                            None => asking::declined(),
                        })
                    };
                    patience.bound::<_, McpError>(answered).await?
                }
                InputRequest::CreateMessage { .. } | InputRequest::ListRoots { .. } => {
                    let text = "it asks for something that this client did not offer";
                    return Err(McpError::Protocol(text.to_owned()));
                }
            };
            answers.insert(key, Value::Object(object(&answer)));
        }
        call.params.insert("inputResponses".to_owned(), Value::Object(answers));
        Ok(())
    }
}

/// Whether a request goes on with what one before it began. Its result is good for it alone, and is not kept (utilities,
/// "Caching").
pub(super) fn is_later_round(params: &JsonObject) -> bool {
    params.contains_key("inputResponses") || params.contains_key("requestState")
}

/// Makes a request the first of its rounds again. Returns whether it was a later one.
fn forget_rounds(params: &mut JsonObject) -> bool {
    let was_later = is_later_round(params);
    params.remove("inputResponses");
    params.remove("requestState");
    was_later
}

/// The headers that repeat what a request says (Streamable HTTP transport, "Request Metadata").
fn mirrored(call: &Call<'_>, annotations: Option<&HeaderAnnotations>) -> HeaderMap {
    let mut map = HeaderMap::new();
    let mut put = |name: &str, text: &str| {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&encoded(text)))
        {
            map.insert(name, value);
        }
    };
    put(headers::METHOD, call.method);
    let name = match call.method {
        methods::CALL_TOOL | methods::GET_PROMPT => call.params.get("name"),
        methods::READ_RESOURCE => call.params.get("uri"),
        _ => None,
    };
    if let Some(name) = name.and_then(Value::as_str) {
        put(headers::NAME, name);
    }
    for annotated in annotations.into_iter().flat_map(HeaderAnnotations::iter) {
        let written = call.arguments.as_ref().and_then(|arguments| arguments.at(&annotated.pointer));
        if let Some(text) = written.and_then(|written| repeated(written.get())) {
            put(&annotated.header, &text);
        }
    }
    map
}

/// How a header repeats an argument; `None` for one of a kind that it does not repeat.
fn repeated(written: &str) -> Option<Cow<'_, str>> {
    match written.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(written).ok().map(Cow::Owned),
        b't' | b'f' => Some(Cow::Borrowed(written)),
        b'n' | b'[' | b'{' => None,
        _ => Some(whole(written)),
    }
}

/// A whole number in decimal digits, however it was written; any other one as it was.
fn whole(written: &str) -> Cow<'_, str> {
    let digits = written.strip_prefix('-').unwrap_or(written);
    match written.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Cow::Owned(format!("{number:.0}"))
        }
        _ => Cow::Borrowed(written),
    }
}

/// What an error of the first stateless request says of the server's era.
pub(super) enum Verdict {
    /// The server has sessions: open one.
    HasSessions,
    /// The server knows this era and does not want this request.
    Refused,
}

/// Which revisions a server says that it speaks, where it refused one.
fn supported(error: &McpError) -> Option<Vec<String>> {
    let McpError::Rpc(error) = error else { return None };
    let data = error.data.clone().filter(|_| error.code == ErrorCode::UNSUPPORTED_PROTOCOL_VERSION)?;
    serde_json::from_value(data).ok().map(|data: UnsupportedProtocolVersionData| data.supported)
}

/// Whether a server refused the revision and names it among those that it speaks: it is to be asked once more.
fn is_spoken_after_all(error: &McpError) -> bool {
    let supported = supported(error).unwrap_or_default();
    supported.iter().any(|version| version == STATELESS.version.as_str())
}

/// Whether the server is of the other era (Streamable HTTP transport, "Backward Compatibility").
pub(super) fn verdict(error: &McpError) -> Verdict {
    match error {
        McpError::Rpc(refusal) => match refusal.code {
            ErrorCode::UNSUPPORTED_PROTOCOL_VERSION => {
                let has_sessions = |version: &String| {
                    version.parse::<ProtocolVersion>().is_ok_and(ProtocolVersion::has_sessions)
                };
                if supported(error).unwrap_or_default().iter().any(has_sessions) {
                    Verdict::HasSessions
                } else {
                    Verdict::Refused
                }
            }
            ErrorCode::HEADER_MISMATCH | ErrorCode::MISSING_CLIENT_CAPABILITY => Verdict::Refused,
            _ => Verdict::HasSessions,
        },
        McpError::NotMcp { .. } | McpError::Protocol(_) | McpError::ServerFailed { .. } => {
            Verdict::HasSessions
        }
        McpError::Unauthorized(_)
        | McpError::NoCredentials(_)
        | McpError::Forbidden(_)
        | McpError::Unreachable { .. }
        | McpError::Busy { .. }
        | McpError::TimedOut(_)
        | McpError::Broken(_)
        | McpError::SessionEnded
        | McpError::Cancelled => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Arguments;

    fn headers_of(method: &'static str, params: Value, schema: Value) -> Vec<(String, String)> {
        let annotations = HeaderAnnotations::of(schema.as_object().unwrap()).unwrap();
        let mut params = params.as_object().cloned().unwrap();
        let arguments = params.remove("arguments").map(|arguments| arguments.to_string());
        let mut call = Call::repeatable(method, params);
        call.arguments = arguments.map(|arguments| Arguments::parse(&arguments).unwrap());
        let map = mirrored(&call, Some(&annotations));
        let mut all: Vec<_> =
            map.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        all.sort();
        all
    }

    #[test]
    fn headers_repeat_method_name_and_annotated_arguments() {
        let property = |kind: &str, name: &str| json!({ "type": kind, "x-mcp-header": name });
        let schema = json!({ "type": "object", "properties": {
            "region": property("string", "Region"),
            "count": property("integer", "Count"),
            "dry": property("boolean", "Dry"),
            "absent": property("string", "Absent"),
            "null": property("string", "Null"),
        } });
        let arguments = json!({ "region": "Zürich", "count": 42.0, "dry": false, "null": null });
        let all = headers_of("tools/call", json!({ "name": "go", "arguments": arguments }), schema);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            all,
            [
                pair("mcp-method", "tools/call"),
                pair("mcp-name", "go"),
                pair("mcp-param-count", "42"),
                pair("mcp-param-dry", "false"),
                pair("mcp-param-region", "=?base64?WsO8cmljaA==?="),
            ]
        );
        for (written, digits) in [
            ("42", "42"),
            ("4.2e1", "42"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("0.5", "0.5"),
        ] {
            assert_eq!(whole(written), digits);
        }
        let read = headers_of("resources/read", json!({ "uri": "a://b" }), json!({}));
        assert_eq!(read, [pair("mcp-method", "resources/read"), pair("mcp-name", "a://b")]);
    }
}
