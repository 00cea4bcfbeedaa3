//! `_meta` of a request (2026-07-28, basic, "`_meta`"): revision, client, capabilities.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use shared::{
    jsonrpc::{ErrorCode, ErrorObject},
    mcp::{
        ProtocolVersion,
        lifecycle::{ClientCapabilities, Implementation},
        modern::{LoggingLevel, UnsupportedProtocolVersionData, meta},
        object::{Object, object},
        utilities::ProgressToken,
    },
};

use super::spoken_here;

/// What a request says beside its parameters.
#[derive(Deserialize)]
pub(super) struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    pub(super) protocol_version: String,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities", default)]
    client_capabilities: Option<serde_json::Value>,
    #[serde(rename = "io.modelcontextprotocol/clientInfo", default, deserialize_with = "present")]
    pub(super) client_info: Option<Implementation>,
    #[serde(rename = "io.modelcontextprotocol/logLevel", default)]
    pub(super) log_level: Option<LoggingLevel>,
    #[serde(rename = "progressToken", default)]
    pub(super) progress_token: Option<ProgressToken>,
}

/// Tells `null`, which is no object, from an absent member.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Implementation>, D::Error> {
    object(deserializer).map(Some)
}

impl Meta {
    /// Takes out what the client can do, which it must say. Looked at after the revision: another one may have other rules.
    pub(super) fn capabilities(&mut self) -> Result<ClientCapabilities, ErrorObject> {
        let said = self.client_capabilities.take().ok_or_else(|| lacks(meta::CLIENT_CAPABILITIES))?;
        object(said).map_err(|error: serde_json::Error| {
            invalid(format!("`_meta[\"{}\"]` cannot be read: {error}", meta::CLIENT_CAPABILITIES))
        })
    }
}

/// Reads `_meta`.
pub(super) fn read(meta: Option<&RawValue>) -> Result<Meta, ErrorObject> {
    #[derive(Deserialize)]
    struct Version {
        #[serde(rename = "io.modelcontextprotocol/protocolVersion", default)]
        version: Option<serde_json::Value>,
    }
    let meta = meta.ok_or_else(|| lacks(meta::PROTOCOL_VERSION))?;
    serde_json::from_str(meta.get()).map(|Object(read)| read).map_err(|error| {
        // Without its revision nothing of it has a meaning, so that is said first.
        match serde_json::from_str(meta.get()) {
            Ok(Object(Version { version: None })) => lacks(self::meta::PROTOCOL_VERSION),
            Ok(Object(Version { version: Some(_) })) | Err(_) => {
                invalid(format!("`_meta` cannot be read: {error}"))
            }
        }
    })
}

/// The revision of this name, if it is spoken without sessions.
pub(super) fn spoken(requested: &str) -> Result<ProtocolVersion, ErrorObject> {
    let version = requested.parse::<ProtocolVersion>().ok().filter(|version| !version.has_sessions());
    version.ok_or_else(|| {
        let supported = spoken_here();
        let text = format!("Unsupported protocol version; supported: {}", supported.join(", "));
        let mut error = ErrorObject::new(ErrorCode::UNSUPPORTED_PROTOCOL_VERSION, text);
        let requested = requested.chars().take(32).collect();
        error.data = serde_json::to_value(UnsupportedProtocolVersionData { supported, requested }).ok();
        error
    })
}

fn lacks(member: &str) -> ErrorObject {
    invalid(format!("every request needs `params._meta[\"{member}\"]`"))
}

fn invalid(text: String) -> ErrorObject {
    ErrorObject::new(ErrorCode::INVALID_PARAMS, text)
}
