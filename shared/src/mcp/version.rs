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
    /// Without sessions: every request says by itself what it needs to say.
    V2026_07_28,
}

/// The text names no revision that this project speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unsupported protocol version; supported: 2025-03-26, 2025-06-18, 2025-11-25, 2026-07-28")]
pub struct UnsupportedVersion;

impl ProtocolVersion {
    /// Every revision, oldest first.
    pub const ALL: [Self; 4] = [Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];

    /// The revisions that open sessions, oldest first.
    pub const WITH_SESSIONS: [Self; 3] = [Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25];

    /// The revisions that know no session, oldest first.
    pub const STATELESS: [Self; 1] = [Self::V2026_07_28];

    /// The newest revision that opens sessions.
    pub const LATEST_WITH_SESSIONS: Self = Self::V2025_11_25;

    /// The newest revision.
    pub const LATEST: Self = Self::V2026_07_28;

    /// The revision's name on the wire: a date.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether it opens sessions.
    #[must_use]
    pub const fn has_sessions(self) -> bool {
        match self {
            Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => true,
            Self::V2026_07_28 => false,
        }
    }

    /// What a server answers to a client that asks in `initialize` for `requested`: the same revision where it is
    /// spoken here and has sessions, otherwise the newest one that has (lifecycle, "Version Negotiation").
    #[must_use]
    pub fn negotiate(requested: &str) -> Self {
        requested
            .parse()
            .ok()
            .filter(|version: &Self| version.has_sessions())
            .unwrap_or(Self::LATEST_WITH_SESSIONS)
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
