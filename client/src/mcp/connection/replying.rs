//! Requests of the server, answered: in the revisions with sessions it may ask whether this client is there, and the
//! person at it.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use shared::{
    jsonrpc::{ErrorCode, ErrorObject, ErrorResponse, RequestId, ResultResponse},
    mcp::{elicitation::ElicitRequestParams, methods},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{peer::Peer, session::outside_a_session};
use crate::mcp::{
    McpError, TimedOut, asking,
    exchange::{Failure, SessionHeaders},
};

/// How long one attempt to deliver an answer may take: the call it came with waits for it.
const REPLY_LIMIT: Duration = Duration::from_secs(5);

impl Peer {
    /// Answers a request of the server in `session`.
    ///
    /// # Errors
    /// [`McpError::Protocol`] when the server did not take what a person answered: the call that it asked for waits in
    /// vain.
    pub(super) async fn reply(
        &self,
        session: &SessionHeaders,
        id: &RequestId,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<(), McpError> {
        let outcome = match method {
            methods::PING => Ok(json!({})),
            methods::ELICIT => self.elicit(params).await,
            _ => {
                let text =
                    "this client answers `ping` and, where somebody can be asked, `elicitation/create`";
                Err(ErrorObject::new(ErrorCode::METHOD_NOT_FOUND, text))
            }
        };
        let delivered = match &outcome {
            Ok(result) => self.deliver_answer(session, &ResultResponse::new(id, result)).await,
            Err(error) => self.deliver_answer(session, &ErrorResponse::new(Some(id), error)).await,
        };
        let Err(error) = delivered.map_err(outside_a_session) else { return Ok(()) };
        tracing::warn!(rpc.method = ?method, reason = %error, "the answer to a request of the server could not be delivered");
        // A server that refused the answer has heard it, one that said nothing may have: they can go on.
        let may_be_heard = matches!(error, McpError::Rpc(_) | McpError::TimedOut(TimedOut::FirstByte));
        if method != methods::ELICIT || may_be_heard {
            return Ok(());
        }
        Err(McpError::Protocol(format!("it did not take the answer to its question: {error}")))
    }

    /// Sends an answer, again if need be: the server knows a second one by its id.
    async fn deliver_answer(&self, session: &SessionHeaders, answer: &impl Serialize) -> Result<(), Failure> {
        let never = CancellationToken::new();
        let mut patience = self.patience(&never);
        loop {
            let attempt = timeout(REPLY_LIMIT, self.deliver(session, answer)).await;
            match attempt.unwrap_or(Err(McpError::TimedOut(TimedOut::FirstByte).into())) {
                Ok(()) => return Ok(()),
                Err(failure) => patience.pause(failure, true).await?,
            }
        }
    }

    /// Asks the person, in a way that was announced.
    async fn elicit(&self, params: Option<&RawValue>) -> Result<Value, ErrorObject> {
        let question = params.map(|params| serde_json::from_str::<ElicitRequestParams>(params.get()));
        let Some(Ok(question)) = question else {
            let text = "the question cannot be read";
            return Err(ErrorObject::new(ErrorCode::INVALID_PARAMS, text));
        };
        let _asking = self.asked_for.begin();
        let answer = asking::answer(self.answerer.as_ref(), &question).await.ok_or_else(|| {
            let text = "this client did not announce that it can be asked so";
            ErrorObject::new(ErrorCode::INVALID_PARAMS, text)
        })?;
        Ok(Value::Object(asking::object(&answer)))
    }
}
