//! What a server says when nothing was asked: the stream of a session that GET opens (2025-11-25, Streamable HTTP
//! transport, "Listening for Messages from the Server").
//!
//! It is listened to where somebody can be asked, since a server may put its questions there.

use std::{sync::Arc, time::Duration};

use shared::jsonrpc::Incoming;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    hearing::unpacked,
    peer::Peer,
    reopening::{Reopening, is_passing},
    replies::Replies,
    replying::ServerRequest,
};
use crate::mcp::{
    McpError, TimedOut,
    exchange::{Messages, SessionHeaders},
};

/// How long the first call waits for the server to begin the stream.
const BEGUN_WITHIN: Duration = Duration::from_secs(1);

impl Peer {
    /// Listens in `session` until what is returned is dropped, the session ends or the server offers no stream. A stream
    /// that breaks, or cannot be had yet, is asked for again, and from its beginning where the server refuses the place.
    /// Returns when it has begun, as far as that is soon.
    pub(super) async fn listen(self: &Arc<Self>, session: &SessionHeaders) -> Option<DropGuard> {
        self.answerer.as_ref()?;
        let stop = CancellationToken::new();
        let begun = CancellationToken::new();
        let listener = Listener { peer: Arc::clone(self), session: session.clone(), begun: begun.clone() };
        let stopped = stop.clone();
        // From here on: whoever gives up waiting listens no more.
        let stop = stop.drop_guard();
        tokio::spawn(async move { stopped.run_until_cancelled(listener.run()).await });
        drop(timeout(BEGUN_WITHIN, begun.cancelled()).await);
        Some(stop)
    }
}

struct Listener {
    peer: Arc<Peer>,
    session: SessionHeaders,
    /// Cancelled when the stream has begun, or will not.
    begun: CancellationToken,
}

impl Listener {
    async fn run(self) {
        let mut reopening = Reopening::default();
        let mut replies = Replies::default();
        loop {
            if let Err(reason) = self.listen_once(&mut reopening, &mut replies).await
                && !is_passing(&reason)
                && !reopening.forget_last(&reason)
            {
                tracing::debug!(%reason, "nothing is listened to in this session");
                break;
            }
            self.begun.cancel();
            replies.beside(sleep(reopening.pause())).await.ok();
        }
        self.begun.cancel();
        replies.rest().await;
    }

    /// Hears one stream to its end, whatever ends it.
    ///
    /// # Errors
    /// Why there was no stream.
    async fn listen_once<'l>(
        &'l self,
        reopening: &mut Reopening,
        replies: &mut Replies<'l>,
    ) -> Result<(), McpError> {
        let opening = self.peer.open_stream(&self.session, reopening.last());
        let opened = replies.beside(opening).await?;
        let mut messages = opened.inspect_err(|reason| reopening.failed(reason))?.without_end();
        self.begun.cancel();
        let heard = self.hear(&mut messages, replies).await;
        reopening.ended(&messages);
        messages.end(heard.as_ref().err()).await;
        if let Err(reason) = heard {
            tracing::debug!(%reason, "the stream of the session broke; it will be opened again");
        }
        Ok(())
    }

    async fn hear<'l>(
        &'l self,
        messages: &mut Messages<'_>,
        replies: &mut Replies<'l>,
    ) -> Result<(), McpError> {
        loop {
            let text = match replies.beside(messages.next()).await? {
                Ok(Some(text)) => text,
                Ok(None) => return Ok(()),
                // Nobody has to say anything here.
                Err(McpError::TimedOut(TimedOut::Idle)) => continue,
                Err(error) => return Err(error),
            };
            for message in unpacked(&text, Some(self.session.version)).unwrap_or_else(|_| vec![&text]) {
                self.take(message, replies).await?;
            }
        }
    }

    async fn take<'l>(&'l self, message: &str, replies: &mut Replies<'l>) -> Result<(), McpError> {
        match Incoming::parse(message) {
            Ok(Incoming::Request { id, method, params }) => {
                let method = method.into_owned();
                let request = ServerRequest { id, method, params: params.map(ToOwned::to_owned) };
                let reply = |request, taken_back| async {
                    // Which call it was asked for is not said, so none ends because of it.
                    self.peer.reply(&self.session, request, taken_back).await.ok();
                    Ok(())
                };
                replies.begin(request, reply).await?;
            }
            Ok(Incoming::Notification { method, params }) => {
                replies.heed(&method, params);
                self.peer.cache.heed(&method);
            }
            Ok(Incoming::Response { .. }) | Err(_) => {
                tracing::debug!("a message on the stream of the session was not understood");
            }
        }
        Ok(())
    }
}
