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
/// Which resources are there? (resources, "Listing Resources")
pub const LIST_RESOURCES: &str = "resources/list";
/// Which families of resources are there? (resources, "Resource Templates")
pub const LIST_RESOURCE_TEMPLATES: &str = "resources/templates/list";
/// What does a resource hold? (resources, "Reading Resources")
pub const READ_RESOURCE: &str = "resources/read";
/// Tell of changes to a resource; up to 2025-11-25 (resources, "Subscriptions").
pub const SUBSCRIBE: &str = "resources/subscribe";
/// Tell no more of them; up to 2025-11-25.
pub const UNSUBSCRIBE: &str = "resources/unsubscribe";
/// A resource has changed (resources, "Subscriptions").
pub const RESOURCE_UPDATED: &str = "notifications/resources/updated";
/// The list of resources has changed (resources, "List Changed Notification").
pub const RESOURCES_LIST_CHANGED: &str = "notifications/resources/list_changed";
/// The list of tools has changed (tools, "List Changed Notification").
pub const TOOLS_LIST_CHANGED: &str = "notifications/tools/list_changed";
/// The list of prompts has changed (prompts, "List Changed Notification").
pub const PROMPTS_LIST_CHANGED: &str = "notifications/prompts/list_changed";
/// Which prompts are there? (prompts, "Listing Prompts")
pub const LIST_PROMPTS: &str = "prompts/list";
/// Fill in a prompt (prompts, "Getting a Prompt").
pub const GET_PROMPT: &str = "prompts/get";
/// Propose values for an argument (utilities, "Completion").
pub const COMPLETE: &str = "completion/complete";
/// From which level on does the client want log messages? Up to 2025-11-25 (utilities, "Logging").
pub const SET_LEVEL: &str = "logging/setLevel";
/// A log message (utilities, "Logging").
pub const MESSAGE: &str = "notifications/message";
/// Ask the user (client, "Elicitation").
pub const ELICIT: &str = "elicitation/create";
/// A page that the user was to open has been dealt with; 2025-11-25 (client, "Elicitation").
pub const ELICITATION_COMPLETE: &str = "notifications/elicitation/complete";
/// Ask the model (client, "Sampling").
pub const CREATE_MESSAGE: &str = "sampling/createMessage";
/// Name the folders (client, "Roots").
pub const LIST_ROOTS: &str = "roots/list";
/// What does the server offer? Since 2026-07-28 (server, "Discovery").
pub const DISCOVER: &str = "server/discover";
/// Open a stream of change notifications; since 2026-07-28 (patterns, "Subscriptions").
pub const LISTEN: &str = "subscriptions/listen";
/// What the stream will tell of; since 2026-07-28 (patterns, "Subscriptions").
pub const SUBSCRIPTIONS_ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
