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

    /// A stream that says nothing.
    pub(super) fn empty() -> Self {
        Self(stream::empty().boxed())
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
