//! What a server says when nothing was asked: the stream of a session that GET opens (2025-11-25, Streamable HTTP
//! transport, "Listening for Messages from the Server").
//!
//! It is listened to where somebody can be asked, since a server may put its questions there.

use std::{mem, sync::Arc, time::Duration};

use reqwest::header::HeaderValue;
use shared::jsonrpc::Incoming;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{peer::Peer, reopening::Reopening, session::outside_a_session};
use crate::mcp::{
    McpError, TimedOut,
    exchange::{Messages, SessionHeaders},
};

/// How long the first call waits for the server to begin the stream.
const BEGUN_WITHIN: Duration = Duration::from_secs(1);

/// How often in a row at most it is tried to open the stream.
const ATTEMPTS_MAX: u32 = 5;

impl Peer {
    /// Listens in `session` until what is returned is dropped, the session ends or the server offers no stream. Returns
    /// when the stream has begun, as far as that is soon.
    pub(super) async fn listen(self: &Arc<Self>, session: &SessionHeaders) -> Option<DropGuard> {
        self.answerer.as_ref()?;
        let stop = CancellationToken::new();
        let begun = CancellationToken::new();
        let listener = Listener { peer: Arc::clone(self), session: session.clone(), begun: begun.clone() };
        let stopped = stop.clone();
        tokio::spawn(async move { stopped.run_until_cancelled(listener.run()).await });
        drop(timeout(BEGUN_WITHIN, begun.cancelled()).await);
        Some(stop.drop_guard())
    }
}

struct Listener {
    peer: Arc<Peer>,
    session: SessionHeaders,
    /// Cancelled when the stream has begun, or will not.
    begun: CancellationToken,
}

/// After which event, and after how long, to go on.
#[derive(Debug, Default)]
struct Place {
    last: Option<HeaderValue>,
    pause: Option<Duration>,
    has_delivered: bool,
}

impl Listener {
    async fn run(self) {
        let mut place = Place::default();
        let mut reopening = Reopening::default();
        let mut failed = 0_u32;
        while failed < ATTEMPTS_MAX {
            match self.listen_once(&mut place).await {
                Ok(()) => failed = 0,
                Err(McpError::Broken(_) | McpError::Unreachable { .. } | McpError::TimedOut(_)) => {
                    failed = failed.saturating_add(1);
                }
                Err(reason) => {
                    tracing::debug!(%reason, "nothing is listened to in this session");
                    break;
                }
            }
            self.begun.cancel();
            reopening.ended(mem::take(&mut place.has_delivered));
            sleep(reopening.pause(place.pause)).await;
        }
        self.begun.cancel();
    }

    /// Hears one stream to its end.
    async fn listen_once(&self, place: &mut Place) -> Result<(), McpError> {
        let answer = self.peer.wire.listen(&self.session, place.last.as_ref()).await?;
        let mut messages = answer.messages(Some(&self.session)).await.map_err(outside_a_session)?;
        self.begun.cancel();
        let heard = self.hear(&mut messages).await;
        place.has_delivered = messages.has_delivered();
        place.pause = messages.retry();
        place.last = messages.last_event_id().or_else(|| place.last.take());
        messages.end(heard.as_ref().err()).await;
        heard
    }

    async fn hear(&self, messages: &mut Messages<'_>) -> Result<(), McpError> {
        loop {
            let text = match messages.next().await {
                Ok(Some(text)) => text,
                Ok(None) => return Ok(()),
                // Nobody has to say anything here.
                Err(McpError::TimedOut(TimedOut::Idle)) => continue,
                Err(error) => return Err(error),
            };
            match Incoming::parse(&text) {
                Ok(Incoming::Request { id, method, params }) => {
                    // Which call it was asked for is not said, so none ends because of it.
                    self.peer.reply(&self.session, &id, &method, params).await.ok();
                }
                Ok(Incoming::Notification { method, .. }) => self.peer.cache.heed(&method),
                Ok(Incoming::Response { .. }) | Err(_) => {
                    tracing::debug!("a message on the stream of the session was not understood");
                }
            }
        }
    }
}
