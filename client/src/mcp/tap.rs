//! Watching the wire: every HTTP exchange and every JSON-RPC message as it passes, secrets hidden.

use std::{fmt::Debug, time::Duration};

/// Something that passed on the wire. The `exchange` numbers the HTTP exchanges of a connection from 1 and ties the
/// events of one exchange together; those of several may interleave.
///
/// Key and token never appear: not as a header, and not in a text that repeats them. Session ids appear as a short prefix.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum WireEvent<'a> {
    /// An HTTP request is about to be sent.
    RequestSent {
        /// Which exchange.
        exchange: u64,
        /// The HTTP method.
        method: &'a str,
        /// The URL, its query hidden.
        url: &'a str,
        /// The headers that carry meaning in MCP, names in lower case.
        headers: &'a [(String, String)],
        /// The JSON-RPC message.
        body: Option<&'a str>,
    },
    /// Status and headers of the answer arrived.
    AnswerBegan {
        /// Which exchange.
        exchange: u64,
        /// The HTTP status.
        status: u16,
        /// All headers, names in lower case.
        headers: &'a [(String, String)],
        /// Since the request was sent.
        elapsed: Duration,
    },
    /// A JSON-RPC message, or what came in its place, arrived: a JSON body, or the data of one event.
    Message {
        /// Which exchange.
        exchange: u64,
        /// The text as it arrived.
        data: &'a str,
        /// The id of the event that carried it.
        event_id: Option<&'a str>,
    },
    /// The exchange is over: read to the end of what was wanted, failed or abandoned. Comes exactly once.
    Ended {
        /// Which exchange.
        exchange: u64,
        /// Since the request was sent.
        elapsed: Duration,
        /// What went wrong on the wire; `None` also for answers that say no in good order.
        error: Option<&'a str>,
    },
}

/// Someone who watches the wire.
pub trait WireTap: Send + Sync + Debug {
    /// Called in the order of events of each exchange, from whatever task does the work: be quick, do not block.
    fn saw(&self, event: &WireEvent<'_>);

    /// Whether anything is wanted at all. Where not, no event is put together.
    fn is_watching(&self) -> bool {
        true
    }
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTap;

impl WireTap for NoTap {
    fn saw(&self, _event: &WireEvent<'_>) {}

    fn is_watching(&self) -> bool {
        false
    }
}
