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

/// How long one attempt to deliver an answer may take, and how long those that are on their way are waited for when the call
/// they came with has ended.
pub(super) const REPLY_LIMIT: Duration = Duration::from_secs(5);

/// A request of the server.
pub(super) struct ServerRequest {
    pub(super) id: RequestId,
    pub(super) method: String,
    pub(super) params: Option<Box<RawValue>>,
}

impl Peer {
    /// Answers a request of the server in `session`, unless what it asks a person is taken back before they answered.
    ///
    /// # Errors
    /// [`McpError::Protocol`] when the server did not take what a person answered: the call that it asked for waits in
    /// vain.
    pub(super) async fn reply(
        &self,
        session: &SessionHeaders,
        request: ServerRequest,
        taken_back: CancellationToken,
    ) -> Result<(), McpError> {
        let ServerRequest { id, method, params } = &request;
        let outcome = match method.as_str() {
            methods::PING => Ok(json!({})),
            methods::ELICIT => match self.elicit(params.as_deref(), &taken_back).await {
                Some(outcome) => outcome,
                None => return Ok(()),
            },
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

    /// Asks the person, in a way that was announced. `None` where the question is taken back before they answered.
    async fn elicit(
        &self,
        params: Option<&RawValue>,
        taken_back: &CancellationToken,
    ) -> Option<Result<Value, ErrorObject>> {
        let refusal = |text| Some(Err(ErrorObject::new(ErrorCode::INVALID_PARAMS, text)));
        let question = params.map(|params| serde_json::from_str::<ElicitRequestParams>(params.get()));
        let Some(Ok(question)) = question else { return refusal("the question cannot be read") };
        let Some(answerer) = asking::whom(self.answerer.as_ref(), &question) else {
            return refusal("this client did not announce that it can be asked so");
        };
        let _asking = self.asked_for.begin();
        let answer = taken_back.run_until_cancelled(answerer.elicit(&question)).await?;
        Some(Ok(Value::Object(asking::object(&answer))))
    }
}
