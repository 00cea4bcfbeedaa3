//! One request to the endpoint, sent once.
//!
//! async-openai's own transport repeats 429 and 5xx up to three times by itself and forgets the status of an error
//! whose body it does not understand. This one does neither. It also watches the bytes of a reply pass, for two things
//! that nothing above can see: whether the endpoint marked the end, and whether the reply grows without end.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use async_openai::{error::OpenAIError, middleware::HttpRequestFactory};
use futures_util::StreamExt;
use reqwest::{
    Body, Response,
    header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER},
};
use tower_service::Service;

use super::{
    endpoint::ModelEndpoint,
    failure::{self, Refusal},
};
use crate::{agent::ModelError, mcp::retry_after};

/// The most of an error's body that is read.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The most that one reply may have on the wire. Every token comes in an envelope of some hundred bytes.
const MAX_REPLY_BYTES: usize = 32 * 1024 * 1024;

/// What a stream ends with.
const DONE: &[u8] = b"[DONE]";

/// The way of one request.
#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    endpoint: ModelEndpoint,
    done: Arc<AtomicBool>,
}

impl Transport {
    /// A way for one request; the next one needs another.
    pub(super) fn new(http: reqwest::Client, endpoint: ModelEndpoint) -> Self {
        Self { http, endpoint, done: Arc::default() }
    }

    /// Whether the endpoint has marked the end of its reply.
    pub(super) fn saw_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    async fn send(self, request: HttpRequestFactory) -> Result<Response, ModelError> {
        let request = request.build().await.map_err(|error| failure::from_library(error, &self.endpoint))?;
        let response = match self.http.execute(request).await {
            Ok(response) => response,
            Err(error) => return Err(failure::from_network(error, &self.endpoint)),
        };
        let status = response.status();
        if !status.is_success() {
            let wait = asked_wait(response.headers());
            let body = read_error(response).await;
            return Err(
                Refusal { status: status.as_u16(), retry_after: wait, body: &body }.explain(&self.endpoint)
            );
        }
        if !may_be_stream(response.headers()) {
            let body = read_error(response).await;
            return Err(failure::not_a_stream(&body, &self.endpoint));
        }
        Ok(self.watch(response))
    }

    fn watch(self, response: Response) -> Response {
        let mut ending = Ending::default();
        let mut length = 0_usize;
        let bytes = response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(|error| io::Error::other(error.without_url()))?;
            length = length.saturating_add(chunk.len());
            if length > MAX_REPLY_BYTES {
                return Err(io::Error::other("the reply grows without end"));
            }
            if ending.add(&chunk) {
                self.done.store(true, Ordering::Release);
            }
            Ok(chunk)
        });
        Response::from(http::Response::new(Body::wrap_stream(bytes)))
    }
}

impl Service<HttpRequestFactory> for Transport {
    type Response = Response;
    type Error = ModelError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, ModelError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ModelError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequestFactory) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

impl From<ModelError> for OpenAIError {
    /// Carries the error through async-openai; `failure::from_library` takes it out again.
    fn from(error: ModelError) -> Self {
        Self::Boxed(Box::new(error))
    }
}

/// Looks for a line that is `data: [DONE]`, however its bytes are cut. No text of a model can look like it, since
/// line breaks within JSON are escaped.
#[derive(Default)]
struct Ending {
    line: Vec<u8>,
    seen: bool,
}

impl Ending {
    fn add(&mut self, bytes: &[u8]) -> bool {
        /// Longer than the line that is looked for, blanks and all.
        const ENOUGH: usize = 32;
        for &byte in bytes {
            if matches!(byte, b'\n' | b'\r') {
                self.seen |= self.line.strip_prefix(b"data:").is_some_and(|data| data.trim_ascii() == DONE);
                self.line.clear();
            } else if self.line.len() < ENOUGH {
                self.line.push(byte);
            }
        }
        self.seen
    }
}

fn asked_wait(headers: &HeaderMap) -> Option<std::time::Duration> {
    let text = |name| headers.get(name).and_then(|value: &reqwest::header::HeaderValue| value.to_str().ok());
    let now = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    retry_after(text(RETRY_AFTER)?, now.unwrap_or_else(std::time::SystemTime::now))
}

/// Whether the answer says that it is a stream, or nothing about it.
fn may_be_stream(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else { return true };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    !matches!(kind.as_str(), "text/html" | "application/json")
}

async fn read_error(mut response: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_ERROR_BYTES {
            body.truncate(MAX_ERROR_BYTES);
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(pieces: &[&[u8]]) -> bool {
        let mut ending = Ending::default();
        pieces.iter().fold(false, |_, piece| ending.add(piece))
    }

    #[test]
    fn the_end_is_recognised_however_it_is_cut_and_nothing_else_is() {
        for end in ["data: [DONE]\n\n", "data:[DONE]\r\n\r\n", "data: {}\n\ndata: [DONE]\n"] {
            assert!(ends(&[end.as_bytes()]), "{end:?}");
            let bytes: Vec<_> = end.as_bytes().chunks(1).collect();
            assert!(ends(&bytes), "{end:?} byte by byte");
        }
        for other in
            ["data: {\"content\":\"data: [DONE]\"}\n\n", "[DONE]\n", ": data: [DONE]\n", "data: [DO\n"]
        {
            assert!(!ends(&[other.as_bytes()]), "{other:?}");
        }
    }
}
