//! `initialize`: opens a session (lifecycle, "Initialization").

use serde_json::value::RawValue;
use shared::{
    jsonrpc::{ErrorCode, ErrorObject, RequestId, ResultResponse},
    mcp::{
        ProtocolVersion,
        lifecycle::{Implementation, InitializeRequestParams, InitializeResult},
    },
};

use crate::mcp::{
    Engine, Exchange, abilities,
    reply::{self, Refusal, Reply},
};

/// How much of a client's name and of its version is kept, in characters.
const CLIENT_PART_MAX: usize = 64;

/// Answers `initialize`.
pub(super) async fn answer(
    engine: &Engine,
    exchange: &Exchange<'_>,
    id: &RequestId,
    params: Option<&RawValue>,
) -> Result<Reply, Refusal> {
    let invalid = |text: String| {
        Ok(Reply::Message(reply::error(Some(id), &ErrorObject::new(ErrorCode::INVALID_PARAMS, text))))
    };
    let read = params.map(|params| serde_json::from_str::<InitializeRequestParams>(params.get()));
    let params = match read {
        Some(Ok(params)) => params,
        Some(Err(error)) => return invalid(format!("The parameters of initialize cannot be read: {error}")),
        None => return invalid("initialize needs protocolVersion, capabilities and clientInfo".to_owned()),
    };
    let protocol = ProtocolVersion::negotiate(&params.protocol_version);
    let abilities = abilities::of(&params.capabilities);
    let client = in_short(&params.client_info);
    engine.limits.initialization(exchange.from)?;
    let session = engine.sessions.open(&exchange.principal, protocol, client, abilities).await?;
    let result = InitializeResult {
        protocol_version: protocol.as_str().to_owned(),
        capabilities: engine.capabilities(protocol),
        server_info: Implementation::new(&engine.identity.name, &engine.identity.version),
        instructions: engine.identity.instructions.clone(),
        meta: None,
    };
    // What a server says of itself can always be written as JSON.
    let message = serde_json::to_vec(&ResultResponse::new(id, result)).unwrap_or_default();
    Ok(Reply::Opened { session, message })
}

/// `clientInfo` for the audit: name and version, short, and of characters that cannot disturb what shows them.
pub(in crate::mcp) fn in_short(client: &Implementation) -> String {
    let cleaned = |text: &str| -> String {
        let visible = |char: &char| char.is_alphanumeric() || char.is_ascii_graphic() || *char == ' ';
        text.chars().filter(visible).take(CLIENT_PART_MAX).collect()
    };
    format!("{}/{}", cleaned(&client.name), cleaned(&client.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_named_in_short_and_without_what_moves_a_cursor() {
        let client = Implementation::new("evil\u{1b}[2J\u{202e}näme\n", "1".repeat(500));
        assert_eq!(in_short(&client), format!("evil[2Jnäme/{}", "1".repeat(64)));
    }
}
