//! Errors: their codes, the protocol's and our own, and the object in which a response carries one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A code of a JSON-RPC error. The first five are JSON-RPC's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorCode(pub i64);

impl ErrorCode {
    /// What arrived is not JSON.
    pub const PARSE_ERROR: Self = Self(-32700);
    /// What arrived is JSON but not a JSON-RPC message, or not one that is allowed here.
    pub const INVALID_REQUEST: Self = Self(-32600);
    /// There is no such method.
    pub const METHOD_NOT_FOUND: Self = Self(-32601);
    /// The parameters are not what the method takes; in MCP also an unknown tool.
    pub const INVALID_PARAMS: Self = Self(-32602);
    /// The receiver failed.
    pub const INTERNAL_ERROR: Self = Self(-32603);
    /// The caller is not authenticated (of the range that JSON-RPC leaves to servers).
    pub const UNAUTHORIZED: Self = Self(-32001);
    /// There is no such resource, up to 2025-11-25 (resources, "Error Handling").
    pub const RESOURCE_NOT_FOUND: Self = Self(-32002);
    /// The session is unknown, ended or another's.
    pub const SESSION_NOT_FOUND: Self = Self(-32004);
    /// A limit was reached; the HTTP answer carries `Retry-After`.
    pub const LIMITED: Self = Self(-32005);
    /// A header contradicts the body, or is missing (2026-07-28, Streamable HTTP transport, "Server Validation").
    pub const HEADER_MISMATCH: Self = Self(-32020);
    /// The client would have to be able to do what it did not announce (2026-07-28).
    pub const MISSING_CLIENT_CAPABILITY: Self = Self(-32021);
    /// The revision is not spoken here (2026-07-28, "Versioning").
    pub const UNSUPPORTED_PROTOCOL_VERSION: Self = Self(-32022);
    /// The user has to open a page first, and the request is to be sent again after that (2025-11-25, "Elicitation").
    pub const URL_ELICITATION_REQUIRED: Self = Self(-32042);

    /// Whether nothing of the request was done, by what the protocol says of the code. Any other code may come from
    /// something that began, and those that each server chooses for itself mean nothing to who does not know the server.
    #[must_use]
    pub const fn says_nothing_ran(self) -> bool {
        matches!(
            self,
            Self::PARSE_ERROR
                | Self::INVALID_REQUEST
                | Self::METHOD_NOT_FOUND
                | Self::INVALID_PARAMS
                | Self::HEADER_MISMATCH
                | Self::MISSING_CLIENT_CAPABILITY
                | Self::UNSUPPORTED_PROTOCOL_VERSION
                | Self::URL_ELICITATION_REQUIRED
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The `error` member of a response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct ErrorObject {
    /// What kind of error.
    pub code: ErrorCode,
    /// One sentence for a person, and the next step.
    pub message: String,
    /// Details for a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

impl ErrorObject {
    /// An error without `data`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }
}
