//! Tells the tap what passes in one exchange, and hides what must not be seen.

use reqwest::{
    Request, Response,
    header::{HeaderMap, HeaderName},
};
use shared::headers;
use tokio::time::Instant;

use super::Wire;
use crate::mcp::{McpError, WireEvent};

/// How many characters of a session id are shown.
const SHOWN_OF_SESSION: usize = 8;

/// The exchange as the tap sees it. Where it is dropped before [`Trace::end`], the tap hears that it was abandoned.
#[derive(Debug)]
pub(super) struct Trace<'w> {
    wire: &'w Wire,
    exchange: u64,
    began: Instant,
    ended: bool,
}

impl<'w> Trace<'w> {
    /// A request is about to be sent.
    pub(super) fn begin(wire: &'w Wire, request: &Request, body: Option<&str>) -> Self {
        let exchange = wire.exchanges.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let trace = Self { wire, exchange, began: Instant::now(), ended: !wire.tap.is_watching() };
        if !trace.ended {
            let body = body.map(|body| wire.hidden(body));
            wire.tap.saw(&WireEvent::RequestSent {
                exchange,
                method: request.method().as_str(),
                url: wire.endpoint.url(),
                headers: &shown_headers(wire, request.headers()),
                body: body.as_deref(),
            });
        }
        trace
    }

    /// Status and headers are there.
    pub(super) fn answer_began(&self, response: &Response) {
        if !self.ended {
            self.wire.tap.saw(&WireEvent::AnswerBegan {
                exchange: self.exchange,
                status: response.status().as_u16(),
                headers: &shown_headers(self.wire, response.headers()),
                elapsed: self.began.elapsed(),
            });
        }
    }

    /// A JSON body or an event with data is there.
    pub(super) fn message(&self, data: &str, event_id: Option<&str>) {
        if !self.ended {
            self.wire.tap.saw(&WireEvent::Message {
                exchange: self.exchange,
                data: &self.wire.hidden(data),
                event_id: event_id.map(|id| self.wire.hidden(id)).as_deref(),
            });
        }
    }

    /// The exchange is over.
    pub(super) fn end(&mut self, error: Option<&McpError>) {
        let error = error.map(ToString::to_string);
        self.finish(error.as_deref());
    }

    fn finish(&mut self, error: Option<&str>) {
        if !std::mem::replace(&mut self.ended, true) {
            let elapsed = self.began.elapsed();
            self.wire.tap.saw(&WireEvent::Ended { exchange: self.exchange, elapsed, error });
        }
    }
}

impl Drop for Trace<'_> {
    fn drop(&mut self) {
        self.finish(Some("abandoned before its end"));
    }
}

/// A session id as it may be shown: enough to tell two apart, not enough to use one.
pub(in crate::mcp) fn shown_session(id: &str) -> String {
    let shown: String = id.chars().take(SHOWN_OF_SESSION.min(id.len() / 4)).collect();
    format!("{shown}…")
}

fn shown_headers(wire: &Wire, headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            let shown = match Secrecy::of(name) {
                Secrecy::Open => wire.hidden(&value).into_owned(),
                Secrecy::Place => wire.hidden(without_query(&value)).into_owned(),
                Secrecy::Session => shown_session(&value),
                Secrecy::Hidden => "[hidden]".to_owned(),
            };
            (name.as_str().to_owned(), shown)
        })
        .collect()
}

/// How much of a header may be seen.
enum Secrecy {
    Open,
    /// A URL: its query may carry secrets.
    Place,
    Session,
    Hidden,
}

impl Secrecy {
    fn of(name: &HeaderName) -> Self {
        match name.as_str() {
            headers::SESSION_ID => Self::Session,
            headers::API_KEY | "authorization" | "proxy-authorization" | "cookie" | "set-cookie" => {
                Self::Hidden
            }
            "location" | "content-location" => Self::Place,
            _ => Self::Open,
        }
    }
}

/// A URL, or a reference to one, up to its query.
pub(super) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_is_shown_as_a_prefix_that_cannot_be_used() {
        assert_eq!(shown_session("0123456789abcdef0123456789abcdef"), "01234567…");
        assert_eq!(shown_session("secret"), "s…");
    }
}
