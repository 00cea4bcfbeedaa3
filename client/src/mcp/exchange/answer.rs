//! What a server answers: one JSON body or a stream of events, read alike, within limits.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::Stream;
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use shared::headers;
use tokio::{task::yield_now, time::timeout};

use super::{SessionHeaders, Trace, Wire, refusal::Failure};
use crate::mcp::{
    McpError, TimedOut,
    sse::{EventReader, Heard, StreamFault},
};

/// How long one message may be.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// How many pieces of a body are taken before time limits and cancellation, which share the task, get their turn.
const PIECES_AT_ONCE: u8 = 128;

/// How many events one answer may have.
const MAX_EVENTS: u32 = 100_000;

/// How long to wait, once the response is there, for the stream to end, so that the connection can be used again.
const LINGER: Duration = Duration::from_millis(2);

/// How much of a refusal is read, and for how long: it is there to be shown.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;
const REFUSAL_LIMIT: Duration = Duration::from_secs(5);

/// An answer of which status and headers arrived.
#[derive(Debug)]
pub(in crate::mcp) struct Answer<'w> {
    pub(super) wire: &'w Wire,
    pub(super) trace: Trace<'w>,
    pub(super) response: Response,
}

impl<'w> Answer<'w> {
    pub(in crate::mcp) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The session that the server opened, for all to come.
    pub(in crate::mcp) fn session_id(&self) -> Option<HeaderValue> {
        self.response.headers().get(headers::SESSION_ID).cloned()
    }

    /// The messages in the answer to a request.
    ///
    /// # Errors
    /// A [`Failure`] for every status but success, and for success that carries no messages.
    pub(in crate::mcp) async fn messages(
        self,
        session: Option<&SessionHeaders>,
    ) -> Result<Messages<'w>, Failure> {
        if !self.status().is_success() {
            return Err(self.refused(session).await);
        }
        let Self { wire, mut trace, response } = self;
        let fault = match media_type(&response).as_str() {
            _ if matches!(response.status(), StatusCode::ACCEPTED | StatusCode::NO_CONTENT) => {
                format!(
                    "it answered a request with HTTP status {} and no response",
                    response.status().as_u16()
                )
            }
            "application/json" => {
                return Ok(Messages {
                    wire,
                    trace,
                    source: Source::Json(Some(response)),
                    has_delivered: false,
                });
            }
            "text/event-stream" => {
                let bytes: ByteStream = Box::pin(response.bytes_stream());
                let reader = EventReader::new(bytes, MAX_MESSAGE_BYTES);
                let source = Source::Events { reader, room: Some(MAX_EVENTS) };
                return Ok(Messages { wire, trace, source, has_delivered: false });
            }
            "text/html" => "it answered with a web page".to_owned(),
            "" if response.content_length() == Some(0) => "it answered with nothing".to_owned(),
            "" => "it answered without saying in which format".to_owned(),
            other => format!("it answered with {}", wire.quote(other)),
        };
        let error = wire.not_understood(session, fault);
        trace.end(Some(&error));
        Err(error.into())
    }

    /// Takes note of an answer that carries nothing: to a notification, a response or DELETE.
    ///
    /// # Errors
    /// A [`Failure`] for every status but success.
    pub(in crate::mcp) async fn accepted(mut self, session: &SessionHeaders) -> Result<(), Failure> {
        if !self.status().is_success() {
            return Err(self.refused(Some(session)).await);
        }
        self.trace.end(None);
        Ok(())
    }

    async fn refused(self, session: Option<&SessionHeaders>) -> Failure {
        let Self { wire, mut trace, mut response } = self;
        let mut body = Vec::new();
        let reading = async {
            while let Ok(Some(piece)) = response.chunk().await {
                let room = MAX_REFUSAL_BYTES.saturating_sub(body.len());
                body.extend_from_slice(piece.get(..room).unwrap_or(&piece));
                if piece.len() >= room {
                    break;
                }
            }
        };
        // What arrived in time is shown; the status alone is enough to go by.
        drop(timeout(REFUSAL_LIMIT.min(wire.timeouts.idle), reading).await);
        let body = String::from_utf8_lossy(&body);
        if !body.is_empty() {
            trace.message(&body, None);
        }
        trace.end(None);
        wire.refusal(&response, &media_type(&response), &body, session)
    }
}

impl Wire {
    /// A success that is no answer: from the first request on nobody knows that MCP is spoken there at all; later it
    /// is an MCP server that went wrong.
    pub(in crate::mcp) fn not_understood(
        &self,
        session: Option<&SessionHeaders>,
        reason: String,
    ) -> McpError {
        match session {
            None => self.not_mcp(reason),
            Some(_) => McpError::Protocol(reason),
        }
    }
}

type ByteStream = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// The messages of one answer.
pub(in crate::mcp) struct Messages<'w> {
    wire: &'w Wire,
    trace: Trace<'w>,
    source: Source,
    has_delivered: bool,
}

enum Source {
    /// `None` once it was read.
    Json(Option<Response>),
    Events {
        reader: EventReader<ByteStream>,
        /// For how many events there is room, where that is limited.
        room: Option<u32>,
    },
}

impl Messages<'_> {
    /// The same, with as many events as the server likes: for a stream that waits for no response.
    pub(in crate::mcp) fn without_end(mut self) -> Self {
        if let Source::Events { room, .. } = &mut self.source {
            *room = None;
        }
        self
    }

    /// The text of the next message; `None` at the end of the answer.
    ///
    /// # Errors
    /// [`McpError::TimedOut`] when nothing came for the idle limit while nobody was asked anything, [`McpError::Broken`]
    /// when the connection failed, [`McpError::Protocol`] for what is too long, too much or not text.
    pub(in crate::mcp) async fn next(&mut self) -> Result<Option<String>, McpError> {
        let idle = self.wire.timeouts.idle;
        match &mut self.source {
            Source::Json(response) => {
                let Some(response) = response.take() else { return Ok(None) };
                let body = self.wire.read_body(response).await?;
                self.trace.message(&body, None);
                self.has_delivered = true;
                Ok(Some(body))
            }
            Source::Events { reader, room } => loop {
                let Some(heard) = self.wire.asked_for.timeout(idle, reader.next()).await else {
                    return Err(McpError::TimedOut(TimedOut::Idle));
                };
                let event = match heard {
                    Some(Ok(Heard::Event(event))) => event,
                    Some(Ok(Heard::SignOfLife)) => continue,
                    Some(Err(fault)) => return Err(self.wire.stream_failure(fault)),
                    None => return Ok(None),
                };
                if let Some(room) = room {
                    *room = room.checked_sub(1).ok_or_else(|| {
                        McpError::Protocol(format!("{MAX_EVENTS} events and no response among them"))
                    })?;
                }
                if event.data.is_empty() {
                    // A priming event: an id to resume from, and nothing else.
                    continue;
                }
                self.trace.message(&event.data, (!event.id.is_empty()).then_some(&event.id));
                if event.event == "message" {
                    self.has_delivered = true;
                    return Ok(Some(event.data));
                }
                tracing::debug!(event.kind = ?event.event, "an event of a kind that MCP does not have was ignored");
            },
        }
    }

    /// What it means that the answer ended without the response.
    pub(in crate::mcp) fn ended_early(&self) -> McpError {
        match &self.source {
            Source::Json(_) => McpError::Protocol("the answer is not the response to the request".to_owned()),
            Source::Events { .. } => McpError::Broken("the stream ended without the response".to_owned()),
        }
    }

    /// Whether there was a message in it.
    pub(in crate::mcp) const fn has_delivered(&self) -> bool {
        self.has_delivered
    }

    /// How long the server wants a client to wait before it connects again.
    pub(in crate::mcp) fn retry(&self) -> Option<Duration> {
        match &self.source {
            Source::Json(_) => None,
            Source::Events { reader, .. } => reader.retry(),
        }
    }

    /// The last event id in it; an empty one says that there is none any more.
    pub(in crate::mcp) fn last_event_id(&self) -> Option<HeaderValue> {
        match &self.source {
            Source::Json(_) => None,
            Source::Events { reader, .. } => reader.last_id(),
        }
    }

    /// Ends the exchange: the response was found, or `error` happened.
    pub(in crate::mcp) async fn end(mut self, error: Option<&McpError>) {
        if let (None, Source::Events { reader, .. }) = (error, &mut self.source) {
            drop(timeout(LINGER, reader.next()).await);
        }
        self.trace.end(error);
    }
}

impl Wire {
    async fn read_body(&self, mut response: Response) -> Result<String, McpError> {
        let mut body = Vec::new();
        let mut taken = 0_u8;
        loop {
            if taken == PIECES_AT_ONCE {
                taken = 0;
                yield_now().await;
            }
            taken = taken.saturating_add(1);
            let Some(piece) = self.asked_for.timeout(self.timeouts.idle, response.chunk()).await else {
                return Err(McpError::TimedOut(TimedOut::Idle));
            };
            let Some(piece) = piece.map_err(|error| self.network_failure(error))? else { break };
            if body.len().saturating_add(piece.len()) > MAX_MESSAGE_BYTES {
                return Err(self.stream_failure(StreamFault::TooLong));
            }
            body.extend_from_slice(&piece);
        }
        if body.is_empty() {
            return Err(McpError::Protocol("the answer is empty".to_owned()));
        }
        String::from_utf8(body).map_err(|_| self.stream_failure(StreamFault::NotUtf8))
    }

    fn stream_failure(&self, fault: StreamFault<reqwest::Error>) -> McpError {
        match fault {
            StreamFault::Transport(error) => self.network_failure(error),
            StreamFault::TooLong => {
                McpError::Protocol(format!("a message is longer than {MAX_MESSAGE_BYTES} bytes"))
            }
            StreamFault::NotUtf8 => McpError::Protocol("a message is not UTF-8".to_owned()),
        }
    }
}

/// The media type of a body in lower case and without its parameters; empty where there is none.
fn media_type(response: &Response) -> String {
    let value =
        response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use futures_util::stream;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::mcp::{ConnectOptions, Endpoint, Timeouts};

    /// What comes of a stream that sends each piece 50 s after the one before.
    async fn read_slowly(
        timeouts: Timeouts,
        pieces: &'static [&'static str],
    ) -> (Result<Option<String>, McpError>, Duration) {
        let body = stream::unfold(pieces.iter(), |mut rest| async {
            let piece = rest.next()?;
            sleep(Duration::from_secs(50)).await;
            Some((Ok::<_, Infallible>(*piece), rest))
        });
        let began = Instant::now();
        let outcome = read(timeouts, "text/event-stream", reqwest::Body::wrap_stream(body)).await;
        (outcome, began.elapsed())
    }

    async fn read(
        timeouts: Timeouts,
        media_type: &str,
        body: reqwest::Body,
    ) -> Result<Option<String>, McpError> {
        let endpoint = Endpoint::new("http://127.0.0.1:9/mcp", None, false).unwrap();
        let options = ConnectOptions { timeouts, ..ConnectOptions::default() };
        let wire = Wire::new(endpoint, &options, Arc::default()).unwrap();
        let answer = axum::http::Response::builder().header("content-type", media_type).body(body).unwrap();
        let request = reqwest::Request::new(reqwest::Method::POST, wire.endpoint.target().clone());
        let trace = Trace::begin(&wire, &request, None);
        let answer = Answer { wire: &wire, trace, response: answer.into() };
        answer.messages(None).await.unwrap().next().await
    }

    #[tokio::test]
    async fn a_body_in_pieces_without_a_pause_leaves_time_limits_their_turn() {
        let pieces = std::iter::repeat_n(Ok::<_, Infallible>(" "), MAX_MESSAGE_BYTES);
        let body = reqwest::Body::wrap_stream(stream::iter(pieces));
        let reading = read(Timeouts::default(), "application/json", body);
        let limited = timeout(Duration::from_millis(50), reading).await;
        assert!(limited.is_err(), "it was read to its end");
    }

    #[tokio::test(start_paused = true)]
    async fn comments_and_events_keep_a_stream_alive() {
        let pieces =
            &[": a\n", ": b\n\n", "data:\n\n", "event: other\ndata: x\n\n", "id: 1\n\n", "data: here\n\n"];
        let (outcome, took) = read_slowly(Timeouts::default(), pieces).await;
        assert_eq!((outcome.unwrap().as_deref(), took.as_secs()), (Some("here"), 300));
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_complete_nothing_do_not_unless_a_call_may_take_longer() {
        let pieces = &["data: a", "b", "c", "\n", "\n"];
        let (outcome, took) = read_slowly(Timeouts::default(), pieces).await;
        assert!(matches!(outcome, Err(McpError::TimedOut(TimedOut::Idle))), "{outcome:?}");
        assert_eq!(took.as_secs(), 60);
        let (outcome, took) = read_slowly(Timeouts::within(Duration::from_secs(600)), pieces).await;
        assert_eq!((outcome.unwrap().as_deref(), took.as_secs()), (Some("abc"), 250));
    }
}
