//! The room's parsers, for the fuzz targets alone (`cargo fuzz` sets `cfg(fuzzing)`).

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use tokio::runtime;

use super::{
    Endpoint,
    connection::read_tool_page,
    sse::{EventReader, Heard},
};

/// Reads a stream of events that arrives in pieces of `size` bytes. The events as text, and whether it ended well.
#[must_use]
pub fn events(bytes: &[u8], size: usize) -> (Vec<String>, bool) {
    let pieces: Vec<_> =
        bytes.chunks(size.max(1)).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
    let reading = async {
        let mut reader = EventReader::new(stream::iter(pieces), 1 << 16);
        let mut events = Vec::new();
        while let Some(heard) = reader.next().await {
            match heard {
                Ok(Heard::Event(event)) => events.push(format!("{event:?}")),
                Ok(Heard::SignOfLife) => {}
                Err(_) => return (events, false),
            }
        }
        (events, true)
    };
    let runtime = runtime::Builder::new_current_thread().build();
    runtime.map(|runtime| runtime.block_on(reading)).unwrap_or_default()
}

/// Reads a URL as an endpoint, and writes it as people see it.
#[must_use]
pub fn endpoint(text: &str) -> Option<String> {
    Endpoint::new(text, None, false).ok().map(|endpoint| endpoint.url().to_owned())
}

/// Reads a page of `tools/list`. How many tools were taken and left out.
#[must_use]
pub fn tool_page(json: &str) -> Option<(usize, usize)> {
    read_tool_page(json)
}
