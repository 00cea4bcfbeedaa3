//! What a caller may choose about a connection.

use std::{sync::Arc, time::Duration};

use shared::mcp::lifecycle::Implementation;

use super::{Answerer, Credentials, NoTap, RetryPolicy, WireTap};

/// How long to wait for what. Every limit holds on its own; the first one reached ends the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a TCP connection stands, TLS included.
    pub connect: Duration,
    /// Until an answer begins, connecting included.
    pub first_byte: Duration,
    /// Between two signs of life in an answer: an event or a comment of a stream, a piece of a JSON body. Progress
    /// is an event. Bytes that complete nothing are no sign of life.
    pub idle: Duration,
    /// For a call as a whole: repeats, the waits between them and opening the session again included.
    pub call: Duration,
}

impl Default for Timeouts {
    /// 5 s to connect, 60 s for the first byte, 60 s idle, 300 s in all.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            call: Duration::from_secs(300),
        }
    }
}

impl Timeouts {
    /// For calls that may take as long as `limit`, in silence too: whoever allows that much time means it for a server
    /// that answers late as well as for one that tells of its progress.
    #[must_use]
    pub fn within(limit: Duration) -> Self {
        let connect = Self::default().connect.min(limit);
        Self { connect, first_byte: limit, idle: limit, call: limit }
    }
}

/// Which era of the protocol to speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Era {
    /// Up to 2025-11-25: opens a session.
    #[default]
    Sessions,
    /// Since 2026-07-28: every request stands for itself.
    Stateless,
    /// Without sessions where the server knows how, otherwise with one. What was found out is remembered for the
    /// server for as long as the process lives.
    Auto,
}

/// What a connection is opened with.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// Who the client says it is.
    pub client: Implementation,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Who watches the wire.
    pub tap: Arc<dyn WireTap>,
    /// Which era to speak.
    pub era: Era,
    /// What a service shows of itself; where it has a token, no key is sent.
    pub credentials: Credentials,
    /// Whom to ask what servers ask; nobody where there is none, and then it is announced that nobody can be asked.
    pub answerer: Option<Arc<dyn Answerer>>,
}

impl Default for ConnectOptions {
    /// This crate's name and version, the default limits, nobody watching.
    fn default() -> Self {
        Self {
            client: Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            tap: Arc::new(NoTap),
            era: Era::default(),
            credentials: Credentials::default(),
            answerer: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_may_take_it_may_take_in_silence() {
        for (limit, connect) in [(1, 1), (5, 5), (60, 5), (300, 5), (3_600, 5)] {
            let limit = Duration::from_secs(limit);
            let limits = Timeouts {
                connect: Duration::from_secs(connect),
                first_byte: limit,
                idle: limit,
                call: limit,
            };
            assert_eq!(Timeouts::within(limit), limits);
        }
    }
}
