//! Names of the HTTP headers that MCP and this project's authentication use, in lower case as HTTP libraries want them.

/// The caller's key. `Authorization: Bearer` carries the same key.
pub const API_KEY: &str = "x-api-key";

/// The session that a request belongs to (Streamable HTTP transport, "Session Management"; revisions up to 2025-11-25).
pub const SESSION_ID: &str = "mcp-session-id";

/// The revision that was negotiated (Streamable HTTP transport, "Protocol Version Header"; since 2025-06-18).
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";

/// The last event a client saw of a stream that it resumes (Streamable HTTP transport, "Resumability and Redelivery").
pub const LAST_EVENT_ID: &str = "last-event-id";

/// The server's name for one HTTP request, on every answer and in every log line.
pub const REQUEST_ID: &str = "x-request-id";

/// The method of the body (Streamable HTTP transport, "Standard Request Headers"; since 2026-07-28).
pub const METHOD: &str = "mcp-method";

/// The tool, prompt or resource that the body asks for (Streamable HTTP transport, "Standard Request Headers"; since
/// 2026-07-28).
pub const NAME: &str = "mcp-name";

/// What the name of a header begins with that repeats a parameter of a tool (Streamable HTTP transport, "Custom Headers
/// from Tool Parameters"; since 2026-07-28).
pub const PARAMETER_PREFIX: &str = "mcp-param-";
