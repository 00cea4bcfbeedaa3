//! How a stream that ended is opened again, and how soon (2025-11-25, Streamable HTTP transport, "Resumability and
//! Redelivery").

use std::time::Duration;

use reqwest::{StatusCode, header::HeaderValue};

use super::{peer::Peer, session::outside_a_session};
use crate::mcp::{
    McpError,
    exchange::{Messages, SessionHeaders},
    retry::jitter,
};

/// Where the server does not say how long to wait.
const USUAL: Duration = Duration::from_secs(1);

/// Whatever a stream says.
const SHORTEST: Duration = Duration::from_millis(100);

/// How long a call waits for whoever refuses a stream.
const LONGEST_REFUSAL: Duration = Duration::from_secs(30);

/// How far the wait grows while the streams of a server end without a message.
const GROWN: Duration = Duration::from_secs(5);

/// The streams that were opened one after the other to hear one thing.
#[derive(Debug, Default)]
pub(super) struct Reopening {
    /// The last event that had an id, unless the server took it back.
    last: Option<HeaderValue>,
    /// How long a stream wants a client to wait before it connects again.
    asked: Option<Duration>,
    /// How long whoever did not open the last one wants to be left alone.
    refused_for: Option<Duration>,
    /// How many in a row ended, or did not come about, without a message.
    fruitless: u32,
}

impl Reopening {
    /// A stream ended. Where it said nothing of its place and of a pause, what one before it said still holds.
    pub(super) fn ended(&mut self, stream: &Messages<'_>) {
        if let Some(id) = stream.last_event_id() {
            self.last = Some(id).filter(|id| !id.is_empty());
        }
        self.asked = stream.retry().or(self.asked);
        self.refused_for = None;
        self.count(stream.has_delivered());
    }

    /// A stream did not come about.
    pub(super) const fn failed(&mut self, reason: &McpError) {
        self.refused_for =
            if let McpError::Busy { retry_after } | McpError::ServerFailed { retry_after, .. } = reason {
                *retry_after
            } else {
                None
            };
        self.count(false);
    }

    /// Forgets after which event to go on, where that may be what was refused. Whether there was one.
    pub(super) fn forget_last(&mut self, reason: &McpError) -> bool {
        matches!(reason, McpError::Rpc(_)) && self.last.take().is_some()
    }

    /// After which event to go on.
    pub(super) const fn last(&self) -> Option<&HeaderValue> {
        self.last.as_ref()
    }

    /// How long the server wants to be left alone, as far as it said.
    pub(super) fn wait_asked(&self) -> Option<Duration> {
        self.asked.max(self.refused_for)
    }

    /// Whether the server asks to be polled, no faster than it would be anyway.
    pub(super) fn is_polling(&self) -> bool {
        self.asked.is_some_and(|pause| pause >= USUAL)
    }

    /// Whether the server wants to be left alone for longer than a call waits for it.
    pub(super) fn is_refused_for_long(&self) -> bool {
        self.refused_for.is_some_and(|wait| wait > LONGEST_REFUSAL)
    }

    /// How long to wait before the next one: as long as was asked for, and twice as long after each fruitless stream as
    /// after the one before.
    pub(super) fn pause(&self) -> Duration {
        let doubled = 2_u32.saturating_pow(self.fruitless.saturating_sub(1));
        let grown = SHORTEST.saturating_mul(doubled).min(GROWN);
        let pause = self.asked.unwrap_or(USUAL).max(grown);
        match self.refused_for {
            // Those who were sent away together do not return together.
            Some(wait) => pause.max(wait.saturating_add(jitter(SHORTEST))),
            None => pause,
        }
    }

    const fn count(&mut self, has_delivered: bool) {
        self.fruitless = if has_delivered { 0 } else { self.fruitless.saturating_add(1) };
    }
}

impl Peer {
    /// Opens the stream of a session; after an event, one that ended.
    ///
    /// # Errors
    /// As a request has; [`McpError::Busy`] also where the server still has the stream that broke.
    pub(super) async fn open_stream(
        &self,
        session: &SessionHeaders,
        last: Option<&HeaderValue>,
    ) -> Result<Messages<'_>, McpError> {
        let answer = self.wire.listen(session, last).await?;
        let is_taken = answer.status() == StatusCode::CONFLICT;
        answer.messages(Some(session)).await.map_err(|failure| match outside_a_session(failure) {
            McpError::Rpc(_) if is_taken => McpError::Busy { retry_after: None },
            error => error,
        })
    }
}

/// Whether a stream that did not come about, or broke, may be had another time.
pub(super) const fn is_passing(reason: &McpError) -> bool {
    match reason {
        // A server that does not know GET, or offers no stream.
        McpError::ServerFailed { status: 501, .. } => false,
        McpError::Broken(_)
        | McpError::Unreachable { .. }
        | McpError::TimedOut(_)
        | McpError::Busy { .. }
        | McpError::ServerFailed { .. } => true,
        McpError::Unauthorized(_)
        | McpError::NoCredentials(_)
        | McpError::Forbidden(_)
        | McpError::NotMcp { .. }
        | McpError::Protocol(_)
        | McpError::Rpc(_)
        | McpError::SessionEnded
        | McpError::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses in ms after so many fruitless streams and a last one.
    fn pauses(asked_ms: Option<u64>) -> Vec<u128> {
        let asked = asked_ms.map(Duration::from_millis);
        let mut reopening = Reopening { asked, ..Reopening::default() };
        let fruitless = (0..9).map(|_| {
            reopening.count(false);
            reopening.pause().as_millis()
        });
        let mut pauses: Vec<_> = fruitless.collect();
        reopening.count(true);
        pauses.push(reopening.pause().as_millis());
        pauses
    }

    #[test]
    fn pauses_grow_while_nothing_is_delivered_and_are_never_shorter_than_asked() {
        assert_eq!(pauses(Some(0)), [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 100]);
        assert_eq!(pauses(None), [1_000, 1_000, 1_000, 1_000, 1_600, 3_200, 5_000, 5_000, 5_000, 1_000]);
        assert_eq!(pauses(Some(7_000)), [7_000; 10]);
        assert_eq!(pauses(Some(u64::MAX)), [u128::from(u64::MAX); 10]);
    }

    #[test]
    fn however_many_streams_there_were_the_pause_is_one() {
        let reopening = Reopening { fruitless: u32::MAX, ..Reopening::default() };
        assert_eq!(reopening.pause(), GROWN);
    }

    #[test]
    fn a_refusal_is_waited_for_as_long_as_it_says_and_until_a_stream_comes_about() {
        let mut reopening = Reopening::default();
        for (seconds, is_long) in [(2, false), (30, false), (31, true), (3_600, true)] {
            let wait = Duration::from_secs(seconds);
            reopening.failed(&McpError::Busy { retry_after: Some(wait) });
            let pause = reopening.pause();
            assert!(pause >= wait && pause <= wait + SHORTEST, "{pause:?}");
            assert_eq!(reopening.is_refused_for_long(), is_long, "{seconds}");
        }
        reopening.failed(&McpError::ServerFailed { status: 502, retry_after: None });
        assert_eq!(reopening.pause(), Duration::from_millis(1_600));
    }
}
