//! The answer that is a stream of events (Streamable HTTP transport).

use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};

use super::log::Reader;

/// Events, as bytes to be sent when they come. Ends by itself; dropping it closes the client's side.
pub struct EventStream(BoxStream<'static, Bytes>);

impl EventStream {
    /// What a reader of a session's stream reads.
    pub(super) fn of(reader: Reader) -> Self {
        let pieces = stream::unfold(reader, async |mut reader| {
            let piece = reader.next().await?;
            Some((piece, reader))
        });
        Self(pieces.boxed())
    }

    /// What comes in these pieces.
    pub(super) const fn from_pieces(pieces: BoxStream<'static, Bytes>) -> Self {
        Self(pieces)
    }

    /// A stream that says nothing.
    pub(super) fn empty() -> Self {
        Self(stream::empty().boxed())
    }

    /// The next bytes to send; `None` at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.0.next().await
    }

    /// The events as a stream of bytes.
    pub fn into_bytes(self) -> impl futures_util::Stream<Item = Bytes> + Send + 'static {
        self.0
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventStream")
    }
}
