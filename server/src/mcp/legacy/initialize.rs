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
    Engine, Exchange, Header, abilities,
    reply::{self, Refusal, Reply},
    screening,
};

/// Answers `initialize`.
pub(super) async fn answer(
    engine: &Engine,
    exchange: &Exchange<'_>,
    id: &RequestId,
    params: Option<&RawValue>,
) -> Result<Reply, Refusal> {
    if exchange.protocol_version == Header::Repeated {
        return Err(Refusal::UnsupportedVersion);
    }
    let invalid = |text: String| {
        Ok(Reply::Message(reply::error(Some(id), &ErrorObject::new(ErrorCode::INVALID_PARAMS, text))))
    };
    if let Some(why) = screening::why_not(engine, params) {
        return invalid(why.to_owned());
    }
    let read = params.map(|params| serde_json::from_str::<InitializeRequestParams>(params.get()));
    let params = match read {
        Some(Ok(params)) => params,
        Some(Err(error)) => return invalid(format!("The parameters of initialize cannot be read: {error}")),
        None => return invalid("initialize needs protocolVersion, capabilities and clientInfo".to_owned()),
    };
    let protocol = ProtocolVersion::negotiate(&params.protocol_version);
    let abilities = abilities::of(&params.capabilities);
    let client = screening::named(engine, &params.client_info);
    engine.limits.initialization(exchange.from, exchange.principal.lineage())?;
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
