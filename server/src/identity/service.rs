//! Services: callers that prove who they are with a token or a certificate, and otherwise are like any key.

use std::fmt;

/// How a service is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceName {
    /// By the issuer and the subject of its tokens.
    Token {
        /// `iss`.
        issuer: String,
        /// `sub`.
        subject: String,
    },
    /// By the name in its certificate.
    Certificate(String),
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token { issuer, subject } => write!(f, "token of {subject} from {issuer}"),
            Self::Certificate(name) => write!(f, "certificate of {name}"),
        }
    }
}
