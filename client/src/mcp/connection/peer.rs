//! Gets one request answered: sends it, repeats it where that is right, and tells the server when nobody waits for the
//! answer any more. What the server says in between is [`super::hearing`]'s.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use data_encoding::HEXLOWER;
use reqwest::{StatusCode, header::HeaderMap};
use serde::Serialize;
use serde_json::{Value, json};
use shared::{
    jsonrpc::{Notification, Request, RequestId},
    mcp::{JsonObject, lifecycle::Implementation, methods, utilities::CancelledNotificationParams},
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    deadline,
    hearing::{Answered, Hearing, TellProgress},
    replies::Replies,
    stopwatch::Stopwatch,
};
use crate::mcp::{
    Answerer, Arguments, ConnectOptions, Endpoint, McpError, RetryPolicy, TimedOut,
    asking::AskedFor,
    cache::Cache,
    exchange::{Failure, SessionHeaders, Wire},
    retry::Attempts,
};

/// How long the server is told that a call is cancelled: the caller waits for it.
const CANCEL_NOTICE_LIMIT: Duration = Duration::from_millis(500);

/// How long ending a session may take.
const CLOSING_LIMIT: Duration = Duration::from_secs(5);

/// The server as something that can be asked.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) wire: Wire,
    pub(super) client: Implementation,
    pub(super) answerer: Option<Arc<dyn Answerer>>,
    pub(super) cache: Cache,
    pub(super) asked_for: Arc<AskedFor>,
    retry: RetryPolicy,
    last_id: AtomicI64,
}

/// A request to be answered.
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    pub(super) params: JsonObject,
    /// Those of a tool, beside the other parameters.
    pub(super) arguments: Option<Arguments>,
    pub(super) repeatable: bool,
    /// How long one attempt may take without an answer and without progress.
    pub(super) timeout: Option<Duration>,
    pub(super) progress: Option<&'a TellProgress<'a>>,
    /// The trace that it is part of.
    pub(super) trace: Option<[u8; 16]>,
    /// `_meta`, without the progress token and the trace.
    pub(super) meta: JsonObject,
    /// Headers that repeat what the request says.
    pub(super) headers: HeaderMap,
}

/// The parameters of a request as they are written.
#[derive(Serialize)]
struct Params<'a> {
    #[serde(flatten)]
    members: &'a JsonObject,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a Arguments>,
}

impl Call<'_> {
    /// A call that may run twice, without progress.
    pub(super) fn repeatable(method: &'static str, params: JsonObject) -> Self {
        Self {
            method,
            params,
            arguments: None,
            repeatable: true,
            timeout: None,
            progress: None,
            trace: None,
            meta: JsonObject::new(),
            headers: HeaderMap::new(),
        }
    }
}

/// How long and how often a caller wants to try.
pub(super) struct Patience<'a> {
    pub(super) deadline: Instant,
    pub(super) cancel: &'a CancellationToken,
    /// For how long people are asked; the deadline moves by what is added since `asked_before`.
    asked_for: Arc<AskedFor>,
    asked_before: Duration,
    policy: RetryPolicy,
    attempts: Attempts,
}

impl<'a> Patience<'a> {
    /// The same deadline and cancellation, attempts not yet counted.
    pub(super) fn afresh(&self) -> Self {
        Self {
            deadline: self.deadline,
            cancel: self.cancel,
            asked_for: Arc::clone(&self.asked_for),
            asked_before: self.asked_before,
            policy: self.policy,
            attempts: Attempts::new(self.policy),
        }
    }

    /// Begins to count attempts afresh: for the next of several requests that have nothing to do with each other.
    pub(super) fn renew_attempts(&mut self) {
        self.attempts = Attempts::new(self.policy);
    }

    /// Allows as many attempts again, for the next round of a request or one that begins anew.
    pub(super) const fn count_anew(&mut self) {
        self.attempts.count_anew();
    }

    /// Whether an attempt of the present round that was repeated may have run.
    pub(super) const fn is_in_doubt(&self) -> bool {
        self.attempts.are_in_doubt()
    }

    /// What the caller learns when there are no more attempts.
    pub(super) fn concluded(&self, last: McpError) -> McpError {
        self.attempts.concluded(last)
    }

    /// Runs `work` unless the caller cancels or the deadline passes, with all that people were asked for added to it.
    pub(super) async fn bound<T, E: From<McpError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let out_of_time = self.asked_for.passed(Some(self.deadline), self.asked_before);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(McpError::Cancelled.into()),
            outcome = work => outcome,
            () = out_of_time => Err(McpError::TimedOut(TimedOut::Call).into()),
        }
    }

    /// Waits for a moment before the server is asked again that wants to be.
    pub(super) async fn rest(&self) -> Result<(), McpError> {
        let wait = self.policy.base;
        self.bound(async {
            sleep(wait).await;
            Ok(())
        })
        .await
    }

    /// Whether the deadline, with all that people were asked for added to it, is further away than `wait`. While somebody
    /// is being asked it is, as it is not known how far.
    pub(super) fn has_time_for(&self, wait: Duration) -> bool {
        if self.asked_for.is_going_on() {
            return true;
        }
        let asked_for = self.asked_for.total().saturating_sub(self.asked_before);
        let end = self.deadline.checked_add(asked_for);
        Instant::now().checked_add(wait).is_some_and(|then| end.is_none_or(|end| then < end))
    }

    /// Waits for so long, unless there is no time for it, which may show only when somebody who is asked has answered.
    /// Whether it did.
    pub(super) async fn wait(&self, wait: Duration) -> bool {
        let (began, mut waited) = (Instant::now(), pin!(sleep(wait)));
        loop {
            let over = self.asked_for.over();
            if !self.has_time_for(wait.saturating_sub(began.elapsed())) {
                return false;
            }
            tokio::select! {
                biased;
                () = &mut waited => return true,
                () = over => {}
            }
        }
    }

    /// Waits before the next attempt, or returns the failure if there is to be none.
    pub(super) async fn pause(&mut self, failure: Failure, repeatable: bool) -> Result<(), Failure> {
        let Failure::Error { error, pause } = failure else { return Err(failure) };
        match self.attempts.pause_after(&error, repeatable, pause) {
            Some(wait) if self.has_time_for(wait) => {
                tracing::debug!(reason = %error, wait_ms = wait.as_millis(), "the request will be sent again");
                self.bound(async {
                    sleep(wait).await;
                    Ok(())
                })
                .await
            }
            Some(_) | None => Err(Failure::Error { error, pause }),
        }
    }
}

impl Peer {
    pub(super) fn new(endpoint: Endpoint, options: ConnectOptions) -> Result<Self, McpError> {
        let asked_for = Arc::<AskedFor>::default();
        let wire = Wire::new(endpoint, &options, Arc::clone(&asked_for))?;
        Ok(Self {
            wire,
            client: options.client,
            answerer: options.answerer,
            cache: Cache::default(),
            asked_for,
            retry: options.retry,
            last_id: AtomicI64::new(0),
        })
    }

    /// The patience of one caller, from now on.
    pub(super) fn patience<'a>(&self, cancel: &'a CancellationToken) -> Patience<'a> {
        let deadline = deadline(self.wire.timeouts().call);
        let asked_for = Arc::clone(&self.asked_for);
        let asked_before = asked_for.total();
        let attempts = Attempts::new(self.retry);
        Patience { deadline, cancel, asked_for, asked_before, policy: self.retry, attempts }
    }

    pub(super) fn url(&self) -> &str {
        self.wire.url()
    }

    pub(super) fn quote(&self, text: &str) -> String {
        self.wire.quote(text)
    }

    pub(super) fn closing_limit(&self) -> Duration {
        CLOSING_LIMIT.min(self.wire.timeouts().call)
    }

    /// Gets `call` answered. `session` is `None` for `initialize`.
    ///
    /// # Errors
    /// A [`Failure`] that repeating did not help, or must not.
    pub(super) async fn call(
        &self,
        session: Option<&SessionHeaders>,
        call: &mut Call<'_>,
        patience: &mut Patience<'_>,
    ) -> Result<Answered, Failure> {
        loop {
            match self.attempt(session, call, patience).await {
                Ok(answered) => return Ok(answered),
                Err(failure) => patience.pause(failure, call.repeatable).await?,
            }
        }
    }

    /// Sends a notification, again if need be.
    ///
    /// # Errors
    /// As [`Peer::call`].
    pub(super) async fn notify(
        &self,
        session: &SessionHeaders,
        method: &str,
        patience: &mut Patience<'_>,
    ) -> Result<(), Failure> {
        let notification = Notification::<JsonObject>::new(method, None);
        loop {
            match patience.bound(self.deliver(session, &notification)).await {
                Ok(()) => return Ok(()),
                Err(failure) => patience.pause(failure, true).await?,
            }
        }
    }

    /// Ends a session at the server.
    pub(super) async fn end(&self, session: &SessionHeaders) -> Result<(), McpError> {
        let answer = self.wire.delete(session).await?;
        let is_tolerated = matches!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        match answer.accepted(session).await {
            Ok(()) | Err(Failure::SessionUnknown) => Ok(()),
            Err(Failure::Error { .. }) if is_tolerated => Ok(()),
            Err(Failure::Error { error, .. }) => Err(error),
        }
    }

    async fn attempt(
        &self,
        session: Option<&SessionHeaders>,
        call: &mut Call<'_>,
        patience: &Patience<'_>,
    ) -> Result<Answered, Failure> {
        if patience.cancel.is_cancelled() {
            // Nothing was sent, so there is nothing to tell the server either.
            return Err(McpError::Cancelled.into());
        }
        // An id is never used twice in a session, so a repeated call has an id of its own.
        let id = RequestId::Number(self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1));
        let mut meta = call.meta.clone();
        if call.progress.is_some() || call.timeout.is_some() {
            meta.insert("progressToken".to_owned(), json!(&id));
        }
        if let Some(parent) = call.trace.and_then(traceparent) {
            meta.insert("traceparent".to_owned(), Value::String(parent));
        }
        if !meta.is_empty() {
            call.params.insert("_meta".to_owned(), Value::Object(meta));
        }
        let params = Params { members: &call.params, arguments: call.arguments.as_ref() };
        let body = text(&Request::new(&id, call.method, params))?;
        let stopwatch = Stopwatch::new(call.timeout, &self.asked_for);
        let hearing = Hearing {
            peer: self,
            session,
            id: &id,
            progress: call.progress,
            stopwatch: &stopwatch,
            patience,
        };
        let mut replies = Replies::default();
        // In one piece with everything that waits for it, it would be large for a thread's stack.
        let conversing = Box::pin(hearing.converse(&call.headers, body, &mut replies));
        let outcome = patience.bound(stopwatch.bound(conversing)).await;
        let is_given_up = matches!(
            &outcome,
            Err(Failure::Error { error: McpError::Cancelled | McpError::TimedOut(_), .. })
        );
        if !is_given_up {
            patience.cancel.run_until_cancelled(replies.end()).await;
        }
        if let (Some(session), Err(Failure::Error { error, .. })) = (session, &outcome) {
            self.say_cancelled(session, &id, error).await;
        }
        outcome
    }

    /// Tells the server that nobody waits for request `id` any more (utilities, "Cancellation"), where that is so.
    async fn say_cancelled(&self, session: &SessionHeaders, id: &RequestId, error: &McpError) {
        if !session.version.has_sessions() {
            // Closing the stream has told it.
            return;
        }
        let Some(reason) = error.why_given_up() else { return };
        let params = CancelledNotificationParams {
            request_id: id.clone(),
            reason: Some(reason.to_owned()),
            meta: None,
        };
        let notification = Notification::new(methods::CANCELLED, Some(params));
        if !matches!(timeout(CANCEL_NOTICE_LIMIT, self.deliver(session, &notification)).await, Ok(Ok(()))) {
            tracing::debug!(rpc.id = %id, "the server could not be told that the call is cancelled");
        }
    }

    /// Sends a message that gets no answer, once.
    pub(super) async fn deliver(
        &self,
        session: &SessionHeaders,
        message: &impl Serialize,
    ) -> Result<(), Failure> {
        self.wire.post(Some(session), &HeaderMap::new(), text(message)?).await?.accepted(session).await
    }
}

/// The trace, with this attempt as its newest part; `None` where the operating system has no randomness to name it with.
fn traceparent(trace: [u8; 16]) -> Option<String> {
    let mut parent = [0; 8];
    getrandom::fill(&mut parent).ok()?;
    Some(format!("00-{}-{}-01", HEXLOWER.encode(&trace), HEXLOWER.encode(&parent)))
}

fn text(message: &impl Serialize) -> Result<String, McpError> {
    serde_json::to_string(message)
        .map_err(|error| McpError::Protocol(format!("cannot be written as JSON: {error}")))
}
