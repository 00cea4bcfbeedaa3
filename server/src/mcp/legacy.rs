//! The revisions with sessions, 2025-03-26 to 2025-11-25: `initialize`, then everything in that session.

use futures_util::future::join_all;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use shared::jsonrpc::{ErrorCode, Incoming, MessageError, RequestId};
use shared::mcp::{
    ProtocolVersion,
    lifecycle::{
        Implementation, InitializeRequestParams, InitializeResult, ListCapability, ServerCapabilities,
    },
    methods,
    utilities::PaginatedRequestParams,
};

use super::{
    Engine, Exchange, call, depth,
    reply::{self, Refusal, Refused, Reply},
    session::Activity,
    tool::{Scope, ToolContext},
};

/// How many messages a batch may hold.
const BATCH_MAX: usize = 100;

/// How much of a client's name and of its version is kept, in characters.
const CLIENT_PART_MAX: usize = 64;

/// Answers one POST.
pub(super) async fn post(engine: &Engine, exchange: Exchange<'_>, body: &[u8]) -> Result<Reply, Refused> {
    let refused = |refusal| Refused { id: None, refusal };
    let text =
        str::from_utf8(body).map_err(|error| refused(MessageError::NotJson(error.to_string()).into()))?;
    if depth::is_too_deep(text) {
        let reason = format!("it nests deeper than {}", depth::DEPTH_MAX);
        return Err(refused(MessageError::NotAMessage(reason).into()));
    }
    if text.trim_ascii_start().starts_with('[') {
        return batch(engine, exchange, text).await.map_err(refused);
    }
    let message = Incoming::parse(text).map_err(|error| refused(error.into()))?;
    match message {
        Incoming::Request { id, method, params } => {
            let reply = if method == methods::INITIALIZE {
                initialize(engine, &exchange, &id, params).await
            } else {
                request(engine, exchange, &id, &method, params).await
            };
            reply.map_err(|refusal| Refused { id: Some(id), refusal })
        }
        // None of them asks for anything to be done yet; a call that was cancelled runs to its end all the same.
        Incoming::Notification { .. } | Incoming::Response { .. } => {
            session(engine, &exchange).await.map_err(refused)?;
            Ok(Reply::Accepted)
        }
    }
}

/// The session of this exchange, if the version header does not contradict it.
pub(super) async fn session(engine: &Engine, exchange: &Exchange<'_>) -> Result<Activity, Refusal> {
    let claimed = exchange.protocol_version.map(|version| {
        let version =
            str::from_utf8(version).ok().and_then(|version| version.parse::<ProtocolVersion>().ok());
        version.ok_or(Refusal::UnsupportedVersion)
    });
    let claimed = claimed.transpose()?;
    let presented = exchange.session_id.ok_or(Refusal::SessionRequired)?;
    let activity = engine.sessions.find(presented, &exchange.principal).await?;
    let negotiated = activity.session().protocol();
    if claimed.is_some_and(|claimed| claimed != negotiated) {
        return Err(Refusal::OtherVersion(negotiated));
    }
    Ok(activity)
}

/// Ends the session of this exchange.
pub(super) async fn end_session(engine: &Engine, exchange: &Exchange<'_>) -> Result<(), Refusal> {
    let activity = session(engine, exchange).await?;
    engine.sessions.end(activity.session()).await
}

async fn initialize(
    engine: &Engine,
    exchange: &Exchange<'_>,
    id: &RequestId,
    params: Option<&RawValue>,
) -> Result<Reply, Refusal> {
    let read = params.map(|params| serde_json::from_str::<InitializeRequestParams>(params.get()));
    let params = match read {
        Some(Ok(params)) => params,
        Some(Err(error)) => {
            let text = format!("The parameters of initialize cannot be read: {error}");
            return Ok(Reply::Message(reply::error(id, ErrorCode::INVALID_PARAMS, text)));
        }
        None => {
            let text = "initialize needs protocolVersion, capabilities and clientInfo";
            return Ok(Reply::Message(reply::error(id, ErrorCode::INVALID_PARAMS, text)));
        }
    };
    let protocol = ProtocolVersion::negotiate(&params.protocol_version);
    let session = engine.sessions.open(&exchange.principal, protocol, in_short(&params.client_info)).await?;
    let result = InitializeResult {
        protocol_version: protocol.as_str().to_owned(),
        capabilities: ServerCapabilities {
            tools: Some(ListCapability::default()),
            ..ServerCapabilities::default()
        },
        server_info: Implementation::new(&engine.identity.name, &engine.identity.version),
        instructions: engine.identity.instructions.clone(),
        meta: None,
    };
    Ok(Reply::Opened { session, message: reply::result(id, result) })
}

async fn request(
    engine: &Engine,
    exchange: Exchange<'_>,
    id: &RequestId,
    method: &str,
    params: Option<&RawValue>,
) -> Result<Reply, Refusal> {
    let activity = session(engine, &exchange).await?;
    let context = context(exchange, &activity);
    Ok(Reply::Message(dispatch(engine, context, id, method, params).await))
}

fn context(exchange: Exchange<'_>, activity: &Activity) -> ToolContext {
    let session = activity.session();
    ToolContext::new(Scope {
        principal: exchange.principal,
        request_id: exchange.request_id,
        session: Some(session.hash()),
        protocol: session.protocol(),
        client: session.client(),
    })
}

async fn dispatch(
    engine: &Engine,
    context: ToolContext,
    id: &RequestId,
    method: &str,
    params: Option<&RawValue>,
) -> Vec<u8> {
    match method {
        methods::PING => reply::result(id, serde_json::Map::new()),
        methods::CALL_TOOL => call::answer(engine, context, id, params).await,
        methods::LIST_TOOLS => list_tools(engine, &context, id, params),
        unknown => {
            let name = super::field::quoted(unknown);
            reply::error(id, ErrorCode::METHOD_NOT_FOUND, format!("Method not found: {name}"))
        }
    }
}

/// All tools are on one page, so no cursor was ever given out.
fn list_tools(engine: &Engine, context: &ToolContext, id: &RequestId, params: Option<&RawValue>) -> Vec<u8> {
    let params = serde_json::from_str(params.map_or("{}", RawValue::get));
    match params {
        Ok(PaginatedRequestParams { cursor: None, .. }) => {
            reply::result(id, engine.toolbox.page(context.principal(), context.protocol_version()))
        }
        Ok(PaginatedRequestParams { cursor: Some(_), .. }) => {
            let text = "Invalid cursor: all tools are on the first page; leave `cursor` out";
            reply::error(id, ErrorCode::INVALID_PARAMS, text)
        }
        Err(error) => {
            let text = format!("The parameters of tools/list cannot be read: {error}");
            reply::error(id, ErrorCode::INVALID_PARAMS, text)
        }
    }
}

/// Messages in an array: 2025-03-26 has them, later revisions do not. They are worked on at once and answered in order.
async fn batch(engine: &Engine, exchange: Exchange<'_>, text: &str) -> Result<Reply, Refusal> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| MessageError::NotJson(error.to_string()))?;
    let activity = session(engine, &exchange).await?;
    if activity.session().protocol() != ProtocolVersion::V2025_03_26 {
        return Err(Refusal::Batch("Batches exist in 2025-03-26 only: send one message a request"));
    }
    let messages = Vec::<&RawValue>::deserialize(&mut serde_json::Deserializer::from_str(text))
        .map_err(|error| MessageError::NotJson(error.to_string()))?;
    if messages.is_empty() || messages.len() > BATCH_MAX {
        return Err(Refusal::Batch("A batch holds 1 to 100 messages"));
    }
    let messages: Vec<_> = messages.into_iter().map(|message| Incoming::parse(message.get())).collect();
    let initializes = |message: &Result<Incoming<'_>, MessageError>| matches!(message, Ok(Incoming::Request { method, .. }) if method == methods::INITIALIZE);
    if messages.iter().any(initializes) {
        return Err(Refusal::Batch("`initialize` must not be part of a batch: send it alone"));
    }
    let context = context(exchange, &activity);
    let answers = messages.iter().map(|message| answer_one(engine, context.clone(), message));
    let answers: Vec<_> = join_all(answers).await.into_iter().flatten().collect();
    if answers.is_empty() {
        return Ok(Reply::Accepted);
    }
    Ok(Reply::Message([b"[", answers.join(&b","[..]).as_slice(), b"]"].concat()))
}

/// The answer to one message of a batch, where it wants one.
async fn answer_one(
    engine: &Engine,
    context: ToolContext,
    message: &Result<Incoming<'_>, MessageError>,
) -> Option<Vec<u8>> {
    match message {
        Ok(Incoming::Request { id, method, params }) => {
            Some(dispatch(engine, context, id, method, *params).await)
        }
        Ok(Incoming::Notification { .. } | Incoming::Response { .. }) => None,
        Err(error) => Some(reply::error_without_request(None, error.code(), error.to_string())),
    }
}

/// `clientInfo` for the audit: name and version, short, and of characters that cannot disturb what shows them.
fn in_short(client: &Implementation) -> String {
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
