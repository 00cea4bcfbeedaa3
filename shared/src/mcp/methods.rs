//! Names of the methods.

/// Opens a session (lifecycle, "Initialization").
pub const INITIALIZE: &str = "initialize";
/// The client is ready (lifecycle, "Initialization").
pub const INITIALIZED: &str = "notifications/initialized";
/// Is the peer there? (utilities, "Ping")
pub const PING: &str = "ping";
/// Which tools are there? (tools, "Listing Tools")
pub const LIST_TOOLS: &str = "tools/list";
/// Run a tool (tools, "Calling Tools").
pub const CALL_TOOL: &str = "tools/call";
/// A request is no longer wanted (utilities, "Cancellation").
pub const CANCELLED: &str = "notifications/cancelled";
/// How far a request has come (utilities, "Progress").
pub const PROGRESS: &str = "notifications/progress";
