//! Headers that repeat what the body says (2026-07-28, Streamable HTTP transport, "Request Metadata"): whoever routes a
//! request by them must not see another one than the server that executes it.

use serde_json::Value;
use shared::{
    jsonrpc::{ErrorCode, ErrorObject},
    mcp::{
        JsonObject, methods,
        parameter_headers::{Annotated, decoded},
    },
};

use super::params::Members;
use crate::mcp::{Engine, Exchange, Header};

/// `MCP-Protocol-Version` must be the body's revision.
pub(super) fn check_version(exchange: &Exchange<'_>, version: &str) -> Result<(), ErrorObject> {
    let header = plain(exchange, shared::headers::PROTOCOL_VERSION, "MCP-Protocol-Version")?;
    if header == version { Ok(()) } else { Err(differs("MCP-Protocol-Version")) }
}

/// `Mcp-Method` must be the body's method.
pub(super) fn check_method(exchange: &Exchange<'_>, method: &str) -> Result<(), ErrorObject> {
    let header = plain(exchange, shared::headers::METHOD, "Mcp-Method")?;
    if header == method { Ok(()) } else { Err(differs("Mcp-Method")) }
}

/// `Mcp-Name` must be what the body asks for, where its method asks for something by name. That name, if there is one:
/// where it is missing from the body, the method says so.
pub(super) fn check_name<'a>(
    exchange: &Exchange<'_>,
    method: &str,
    members: &'a Members<'_>,
) -> Result<Option<&'a str>, ErrorObject> {
    let name = match method {
        methods::CALL_TOOL | methods::GET_PROMPT => members.name.as_deref(),
        methods::READ_RESOURCE => members.uri.as_deref(),
        _ => return Ok(None),
    };
    let Some(name) = name else { return Ok(None) };
    let header = decoded(plain(exchange, shared::headers::NAME, "Mcp-Name")?);
    if header.ok_or_else(|| malformed("Mcp-Name"))? == name {
        Ok(Some(name))
    } else {
        Err(differs("Mcp-Name"))
    }
}

/// `Mcp-Param-*` must be what the arguments say, for the parameters that the tool wants repeated.
pub(super) fn check_arguments(
    engine: &Engine,
    exchange: &Exchange<'_>,
    tool: Option<&str>,
    members: &Members<'_>,
) -> Result<(), ErrorObject> {
    let annotations = tool.and_then(|tool| engine.toolbox.header_annotations(tool, &exchange.principal));
    let Some(annotations) = annotations.filter(|annotations| !annotations.is_empty()) else { return Ok(()) };
    let arguments = members.arguments.map(|raw| serde_json::from_str::<JsonObject>(raw.get()));
    let arguments = Value::Object(arguments.and_then(Result::ok).unwrap_or_default());
    annotations.iter().try_for_each(|annotated| check_argument(exchange, annotated, &arguments))
}

fn check_argument(
    exchange: &Exchange<'_>,
    annotated: &Annotated,
    arguments: &Value,
) -> Result<(), ErrorObject> {
    let value = arguments.pointer(&annotated.pointer).filter(|value| !value.is_null());
    let shown = format!("Mcp-Param-{}", annotated.name);
    match (exchange.header(&annotated.header), value) {
        (Header::Absent, None) => Ok(()),
        (Header::Absent, Some(_)) => Err(missing(&shown)),
        (_, None) => Err(differs(&shown)),
        (Header::Once(_) | Header::Repeated, Some(value)) => {
            let header =
                decoded(plain(exchange, &annotated.header, &shown)?).ok_or_else(|| malformed(&shown))?;
            if says_the_same(&header, value) { Ok(()) } else { Err(differs(&shown)) }
        }
    }
}

/// Whether a header's text means the value. Whole numbers are compared as numbers.
fn says_the_same(header: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => header == text,
        Value::Bool(truth) => header == if *truth { "true" } else { "false" },
        Value::Number(number) => {
            header == number.to_string()
                || matches!((header.parse::<f64>(), number.as_f64()), (Ok(header), Some(number)) if header == number && header.is_finite())
        }
        // What should be a primitive is something else: the tool refuses it.
        Value::Null | Value::Array(_) | Value::Object(_) => true,
    }
}

/// The value of a header that must be there once, in characters that a header may have.
fn plain<'a>(exchange: &'a Exchange<'_>, name: &str, shown: &str) -> Result<&'a str, ErrorObject> {
    match exchange.header(name) {
        Header::Absent => Err(missing(shown)),
        Header::Repeated => Err(mismatch(format!("{shown} is there more than once; send it once"))),
        Header::Once(value) => {
            let value = str::from_utf8(value.trim_ascii()).map_err(|_| malformed(shown))?;
            let sayable = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
            if value.bytes().all(sayable) { Ok(value) } else { Err(malformed(shown)) }
        }
    }
}

fn missing(header: &str) -> ErrorObject {
    mismatch(format!("{header} is missing: it must repeat what the body says"))
}

fn differs(header: &str) -> ErrorObject {
    mismatch(format!("Header mismatch: {header} is not what the body says"))
}

fn malformed(header: &str) -> ErrorObject {
    mismatch(format!("{header} has characters that a header cannot have, or base64 that cannot be read"))
}

fn mismatch(text: String) -> ErrorObject {
    ErrorObject::new(ErrorCode::HEADER_MISMATCH, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_compared_as_numbers_and_everything_else_as_text() {
        for (header, value, same) in [
            ("42", json!(42), true),
            ("42.0", json!(42), true),
            ("42", json!(42.0), true),
            ("4.2e1", json!(42), true),
            ("43", json!(42), false),
            ("nan", json!(42), false),
            ("-7", json!(-7), true),
            ("true", json!(true), true),
            ("True", json!(true), false),
            ("a", json!("a"), true),
            ("A", json!("a"), false),
            ("", json!(""), true),
        ] {
            assert_eq!(says_the_same(header, &value), same, "{header} {value}");
        }
    }
}
