//! Events as bytes (HTML Living Standard, "Server-sent events").

use std::{fmt::Display, time::Duration};

use bytes::Bytes;

/// A comment, which says that the stream is alive and nothing else.
pub(super) const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// After how long a client should come back when a connection ends before its stream does, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// A message as an event that can be resumed after. A message is JSON on one line.
pub(super) fn event(id: impl Display, message: &[u8]) -> Bytes {
    let mut event = format!("id: {id}\ndata: ").into_bytes();
    event.extend_from_slice(message);
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// A message as an event that cannot be resumed after.
pub(super) fn plain(message: &[u8]) -> Bytes {
    [b"data: ", message, b"\n\n"].concat().into()
}

/// The event that tells a stream's id before anything has happened: its data is empty (2025-11-25, Streamable HTTP
/// transport, "Sending Messages to the Server").
pub(super) fn priming(id: impl Display) -> Bytes {
    format!("id: {id}\nretry: {RETRY_MS}\ndata: \n\n").into()
}

/// The last words of a connection whose stream goes on: come back after `wait`.
pub(super) fn come_back(wait: Duration) -> Bytes {
    format!("retry: {}\n\n", wait.as_millis()).into()
}
