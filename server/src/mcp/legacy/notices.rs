//! What a client sends in a session that wants no answer of its own, and what it sets for the session.

use std::borrow::Cow;

use serde_json::{Value, value::RawValue};
use shared::{
    jsonrpc::{ErrorCode, ErrorObject, RequestId},
    mcp::{methods, modern::LoggingLevel, utilities::CancelledNotificationParams},
};

use crate::mcp::{
    Engine,
    context::{Peer, RequestContext},
    dispatch::Answer,
    mail::Mail,
    reply::{self, Lifetime, Refusal},
    screening,
    session::Session,
    sole::Sole,
};

/// Takes a notification. One that cannot be read or is not known is passed over, as JSON-RPC wants it; one that does not
/// reach the server that it is for is refused, so that it is sent again.
pub(super) async fn take(
    engine: &Engine,
    session: &Session,
    method: &str,
    params: Option<&RawValue>,
) -> Result<(), Refusal> {
    if method == methods::CANCELLED
        && let Some(Ok(cancelled)) = params.map(read::<CancelledNotificationParams>)
        && !session.cancel_call(&cancelled.request_id)
    {
        return engine.send_on(session, Mail::Cancelled(cancelled.request_id)).await;
    }
    Ok(())
}

/// Takes the answer to a question of ours, or of another server on the same store; one that does not reach that server is
/// refused, so that it is sent again.
pub(super) async fn take_response(
    engine: &Engine,
    session: &Session,
    id: Option<&RequestId>,
    outcome: Result<&RawValue, ErrorObject>,
) -> Result<(), Refusal> {
    let Some(RequestId::String(id)) = id else { return Ok(()) };
    let sent = match &outcome {
        Ok(result) => Cow::Borrowed(result.get()),
        // It came as JSON.
        Err(error) => Cow::Owned(serde_json::to_string(error).unwrap_or_default()),
    };
    let outcome = match screening::why_not_in(engine, &sent) {
        Some(why) => Err(ErrorObject::new(ErrorCode::INVALID_PARAMS, why)),
        None => outcome.and_then(|result| {
            let answer = read::<Sole<Value>>(result).map(|Sole(answer)| answer);
            answer.map_err(|error| ErrorObject::new(ErrorCode::PARSE_ERROR, error.to_string()))
        }),
    };
    match session.streams().answer(id, outcome) {
        Ok(()) => Ok(()),
        Err(outcome) => engine.send_on(session, Mail::Answered(id.clone(), outcome)).await,
    }
}

/// Answers `logging/setLevel` (utilities, "Logging").
pub(super) fn set_level(context: &RequestContext, params: Option<&RawValue>) -> Answer {
    #[derive(serde::Deserialize)]
    struct Params {
        level: LoggingLevel,
    }
    let Some(Ok(Params { level })) = params.map(read) else {
        let text = "logging/setLevel needs `level`, one of debug, info, notice, warning, error, critical, alert, \
                    emergency";
        return Answer::error(ErrorCode::INVALID_PARAMS, text);
    };
    if let Peer::Session(activity) = context.peer() {
        activity.session().streams().set_level(level);
    }
    reply::result(context, Lifetime::NONE, serde_json::Map::new())
}

fn read<T: serde::de::DeserializeOwned>(json: &RawValue) -> serde_json::Result<T> {
    serde_json::from_str(json.get())
}
