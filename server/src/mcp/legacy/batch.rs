//! Messages in an array: 2025-03-26 has them, later revisions do not. They are worked on at once and answered in order,
//! in one array; what else would be sent before an answer is left out.

use futures_util::future::join_all;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use shared::{
    jsonrpc::{ErrorObject, Incoming, MessageError},
    mcp::{ProtocolVersion, methods},
};

use super::{begin, context, message_of, notices, session};
use crate::mcp::{
    Engine, Exchange,
    dispatch::Begun,
    outbox::Outbox,
    reply::{self, Refusal, Reply},
    run_to_end::RunToEnd,
    session::Activity,
};

/// How many messages a batch may hold.
const BATCH_MAX: usize = 100;

/// Answers a batch.
pub(super) async fn answer(engine: &Engine, exchange: Exchange<'_>, text: &str) -> Result<Reply, Refusal> {
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
    let has_requests = messages.iter().any(|message| matches!(message, Ok(Incoming::Request { .. })));
    let answering = messages.into_iter().map(|message| answer_one(engine, &exchange, &activity, message));
    let (mut answers, mut refused) = (Vec::new(), None);
    for answer in join_all(answering).await {
        match answer {
            Ok(answer) => answers.extend(answer),
            Err(refusal) => refused = Some(refusal),
        }
    }
    match refused {
        None if answers.is_empty() => return Ok(Reply::Accepted),
        None => {}
        Some(refusal) if answers.is_empty() && !has_requests => return Err(refusal),
        // What the others did may not happen again, also where none of them has an answer: one that was cancelled has none.
        Some(refusal) => {
            let error = &refusal as &dyn std::error::Error;
            let cause = error.source().map(tracing::field::display);
            tracing::warn!(error, cause, "a message of a batch was refused");
            answers.push(reply::error(None, &ErrorObject::new(refusal.code(), refusal.to_string())));
        }
    }
    Ok(Reply::Message([b"[", answers.join(&b","[..]).as_slice(), b"]"].concat()))
}

/// The answer to one message of a batch, where it wants one. Refused is what wants none and did not reach its server.
async fn answer_one(
    engine: &Engine,
    exchange: &Exchange<'_>,
    activity: &Activity,
    message: Result<Incoming<'_>, MessageError>,
) -> Result<Option<Vec<u8>>, Refusal> {
    match message {
        Ok(Incoming::Request { id, method, params }) => {
            let context = context(engine, exchange, activity.again(), &id, params, Outbox::shut());
            let answer = match begin(engine, &context, &method, params) {
                Begun::Over(answer) => answer,
                Begun::Running(work) => RunToEnd::new(work, &engine.left_behind).await,
            };
            Ok(message_of(&id, answer))
        }
        Ok(Incoming::Notification { method, params }) => {
            notices::take(engine, activity.session(), &method, params).await.map(|()| None)
        }
        Ok(Incoming::Response { id, outcome }) => {
            let taken = notices::take_response(engine, activity.session(), id.as_ref(), outcome).await;
            taken.map(|()| None)
        }
        Err(error) => {
            let told = ErrorObject::new(error.code(), error.to_string());
            Ok(Some(reply::error(error.id(), &told)))
        }
    }
}
