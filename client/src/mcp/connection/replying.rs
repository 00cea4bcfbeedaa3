//! Requests of the server, answered: in the revisions with sessions it may ask whether this client is there, and the
//! person at it.

use std::time::Duration;

use serde_json::{Value, json, value::RawValue};
use shared::{
    jsonrpc::{ErrorCode, ErrorObject, ErrorResponse, RequestId, ResultResponse},
    mcp::{elicitation::ElicitRequestParams, methods},
};
use tokio::time::timeout;

use super::peer::Peer;
use crate::mcp::{asking, exchange::SessionHeaders};

/// How long an answer may take to deliver: the call it came with waits for it.
const REPLY_LIMIT: Duration = Duration::from_secs(5);

impl Peer {
    /// Answers a request of the server in `session`.
    pub(super) async fn reply(
        &self,
        session: &SessionHeaders,
        id: &RequestId,
        method: &str,
        params: Option<&RawValue>,
    ) {
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
            Ok(result) => timeout(REPLY_LIMIT, self.deliver(session, &ResultResponse::new(id, result))).await,
            Err(error) => {
                timeout(REPLY_LIMIT, self.deliver(session, &ErrorResponse::new(Some(id), error))).await
            }
        };
        if !matches!(delivered, Ok(Ok(()))) {
            tracing::debug!(rpc.method = ?method, "the answer to a request of the server could not be delivered");
        }
    }

    /// Asks the person, if there is one.
    async fn elicit(&self, params: Option<&RawValue>) -> Result<Value, ErrorObject> {
        let question = params.map(|params| serde_json::from_str::<ElicitRequestParams>(params.get()));
        let Some(Ok(question)) = question else {
            let text = "the question cannot be read";
            return Err(ErrorObject::new(ErrorCode::INVALID_PARAMS, text));
        };
        let _asking = self.asked_for.begin();
        let answer = asking::answer(self.answerer.as_ref(), &question).await;
        Ok(Value::Object(asking::object(&answer)))
    }
}
