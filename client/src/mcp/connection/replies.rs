//! Requests of the server that are answered beside the reading of its stream: while a person is asked, the server can
//! ask something else, take its question back, or answer.

use std::{
    future::{Future, pending},
    pin::pin,
};

use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use serde_json::value::RawValue;
use shared::{
    jsonrpc::RequestId,
    mcp::{methods, utilities::CancelledNotificationParams},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::replying::{REPLY_LIMIT, ServerRequest};
use crate::mcp::McpError;

/// How many requests of one stream are answered at once. With more of them the stream is not read on until one was.
const AT_ONCE_MAX: usize = 16;

/// The requests of one stream, and of those that go on with it, that are being answered.
#[derive(Default)]
pub(super) struct Replies<'p> {
    running: FuturesUnordered<BoxFuture<'p, (RequestId, Result<(), McpError>)>>,
    /// Cancelled where nobody waits for what a person answers.
    open: Vec<(RequestId, CancellationToken)>,
}

impl<'p> Replies<'p> {
    /// Begins to answer a request, once there is room for it. `reply` is told when its question is taken back.
    ///
    /// # Errors
    /// That of one before it, as [`Replies::beside`].
    pub(super) async fn begin<F>(
        &mut self,
        request: ServerRequest,
        reply: impl FnOnce(ServerRequest, CancellationToken) -> F,
    ) -> Result<(), McpError>
    where
        F: Future<Output = Result<(), McpError>> + Send + 'p,
    {
        if self.open.iter().any(|(open, _)| *open == request.id) {
            // It was sent once more, and is being answered.
            return Ok(());
        }
        while self.open.len() >= AT_ONCE_MAX {
            self.next().await?;
        }
        let (id, taken_back) = (request.id.clone(), CancellationToken::new());
        self.open.push((id.clone(), taken_back.clone()));
        let reply = reply(request, taken_back);
        self.running.push(Box::pin(async move { (id, reply.await) }));
        Ok(())
    }

    /// What comes of `work`; meanwhile requests are answered.
    ///
    /// # Errors
    /// The first that the answering of one has.
    pub(super) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> Result<T, McpError> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                answered = self.next() => answered?,
            }
        }
    }

    /// Takes back the question that a notification says is cancelled (utilities, "Cancellation").
    pub(super) fn heed(&self, notification: &str, params: Option<&RawValue>) {
        let params = params.filter(|_| notification == methods::CANCELLED);
        let cancelled =
            params.map(|params| serde_json::from_str::<CancelledNotificationParams>(params.get()));
        let Some(Ok(cancelled)) = cancelled else { return };
        for (_, taken_back) in self.open.iter().filter(|(id, _)| *id == cancelled.request_id) {
            taken_back.cancel();
        }
    }

    /// The call that the requests came with has ended: what a person has not answered yet is taken back, and the answers
    /// that are on their way may arrive.
    pub(super) async fn end(self) {
        for (_, taken_back) in &self.open {
            taken_back.cancel();
        }
        if timeout(REPLY_LIMIT, self.rest()).await.is_err() {
            tracing::debug!("an answer to a request of the server did not arrive before the call ended");
        }
    }

    /// Returns when every request was answered.
    pub(super) async fn rest(mut self) {
        while self.running.next().await.is_some() {}
    }

    /// The next that was answered; never while there is none.
    async fn next(&mut self) -> Result<(), McpError> {
        let Some((answered, outcome)) = self.running.next().await else { return pending().await };
        if let Some(at) = self.open.iter().position(|(id, _)| *id == answered) {
            self.open.swap_remove(at);
        }
        outcome
    }
}
