//! The stream that a client opens with GET (Streamable HTTP transport, "Listening for Messages from the Server").

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::session::Activity;

/// How often a silent stream says that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The open end of a session's stream. The session is in use while it lives.
pub struct EventStream {
    ended: CancellationToken,
    stop: CancellationToken,
    next_at: Instant,
    _activity: Activity,
}

impl EventStream {
    pub(super) fn open(activity: Activity, stop: CancellationToken) -> Self {
        Self { ended: activity.session().ended(), stop, next_at: Instant::now(), _activity: activity }
    }

    /// The next bytes to send: a comment at once, so that the client and everything between sees the stream begin, then
    /// one every 15 seconds. `None` when the session has ended or the server stops.
    pub async fn next(&mut self) -> Option<Bytes> {
        tokio::select! {
            biased;
            () = self.ended.cancelled() => None,
            () = self.stop.cancelled() => None,
            () = sleep_until(self.next_at) => {
                self.next_at = Instant::now() + KEEP_ALIVE;
                Some(Bytes::from_static(b": keep-alive\n\n"))
            }
        }
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventStream")
    }
}
