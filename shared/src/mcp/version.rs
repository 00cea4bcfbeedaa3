//! The revisions of the protocol.

use std::{fmt, str::FromStr};

/// A revision of MCP that this project speaks, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolVersion {
    /// Streamable HTTP arrives; JSON-RPC batches are allowed.
    V2025_03_26,
    /// `structuredContent`, elicitation, the version header; batches are gone.
    V2025_06_18,
    /// The newest revision with sessions.
    V2025_11_25,
}

/// The text names no revision that this project speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unsupported protocol version; supported: 2025-03-26, 2025-06-18, 2025-11-25")]
pub struct UnsupportedVersion;

impl ProtocolVersion {
    /// Every revision, oldest first.
    pub const ALL: [Self; 3] = [Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25];

    /// The newest revision that opens sessions.
    pub const LATEST_WITH_SESSIONS: Self = Self::V2025_11_25;

    /// The revision's name on the wire: a date.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }

    /// What a server answers to a client that asks for `requested`: the same revision where it is spoken here,
    /// otherwise the newest one (lifecycle, "Version Negotiation").
    #[must_use]
    pub fn negotiate(requested: &str) -> Self {
        requested.parse().unwrap_or(Self::LATEST_WITH_SESSIONS)
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProtocolVersion {
    type Err = UnsupportedVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|version| version.as_str() == text).ok_or(UnsupportedVersion)
    }
}
