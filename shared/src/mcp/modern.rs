//! What revision 2026-07-28 adds around every message: the request's own `_meta` instead of a session, the kind and the
//! shelf life of a result, discovery, and streams of change notifications.

use serde::{Deserialize, Serialize};

use super::{
    JsonObject, Meta,
    lifecycle::{ClientCapabilities, Implementation, ServerCapabilities},
    object,
    utilities::ProgressToken,
};
use crate::jsonrpc::RequestId;

/// Names of the members of `_meta` that the protocol defines.
pub mod meta {
    /// The revision that a request speaks.
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// What the client can do.
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// Who the client is.
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    /// From which level on the client wants log messages.
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// Who the server is.
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    /// The subscription that a notification belongs to.
    pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
}

/// `_meta` of a request (basic, "`_meta`"): everything that a session used to remember.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestMeta {
    /// The revision that the request speaks.
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    pub protocol_version: String,
    /// What the client can do.
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities", deserialize_with = "object::object")]
    pub client_capabilities: ClientCapabilities,
    /// Who the client is.
    #[serde(
        rename = "io.modelcontextprotocol/clientInfo",
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "object::optional"
    )]
    pub client_info: Option<Implementation>,
    /// From which level on the client wants log messages.
    #[serde(rename = "io.modelcontextprotocol/logLevel", default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LoggingLevel>,
    /// Names the request in progress notifications.
    #[serde(rename = "progressToken", default, skip_serializing_if = "Option::is_none")]
    pub progress_token: Option<ProgressToken>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Meta,
}

/// Parameters of a request that has none of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestParams {
    /// What goes beside it.
    #[serde(rename = "_meta")]
    pub meta: RequestMeta,
}

/// Whether a result is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultType {
    /// It is.
    Complete,
    /// The server needs something first.
    InputRequired,
}

/// A result with its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypedResult<R> {
    /// Whether it is whole.
    pub result_type: ResultType,
    /// The result.
    #[serde(flatten)]
    pub result: R,
}

/// A result with its kind and its shelf life (utilities, "Caching").
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheableResult<R> {
    /// Whether it is whole.
    pub result_type: ResultType,
    /// For how many milliseconds it may be taken for fresh. A server must say; absent means 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// Who may share it. A server must say; absent means [`CacheScope::Private`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_scope: Option<CacheScope>,
    /// The result.
    #[serde(flatten)]
    pub result: R,
}

/// Who may share a cached result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheScope {
    /// Everybody.
    Public,
    /// Only who presents the same credential.
    Private,
}

/// Result of `server/discover`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscoverResult {
    /// The revisions that the server speaks without a session.
    pub supported_versions: Vec<String>,
    /// What the server offers.
    #[serde(deserialize_with = "object::object")]
    pub capabilities: ServerCapabilities,
    /// How a model should use the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// What goes beside it.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
}

/// Which changes a client wants to hear of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionFilter {
    /// The list of tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools_list_changed: Option<bool>,
    /// The list of prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts_list_changed: Option<bool>,
    /// The list of resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources_list_changed: Option<bool>,
    /// These resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_subscriptions: Option<Vec<String>>,
}

/// Parameters of `subscriptions/listen`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionsListenRequestParams {
    /// Which changes.
    #[serde(deserialize_with = "object::object")]
    pub notifications: SubscriptionFilter,
    /// What goes beside it.
    #[serde(rename = "_meta")]
    pub meta: RequestMeta,
}

/// Parameters of `notifications/subscriptions/acknowledged`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionsAcknowledgedNotificationParams {
    /// Which of the wanted changes the server will tell of.
    #[serde(deserialize_with = "object::object")]
    pub notifications: SubscriptionFilter,
    /// What goes beside it: the subscription's id.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<SubscriptionMeta>,
}

/// Result of `subscriptions/listen`: the server has ended the stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionsListenResult {
    /// What goes beside it: the subscription's id.
    #[serde(rename = "_meta")]
    pub meta: SubscriptionMeta,
}

/// `_meta` of everything on a subscription's stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionMeta {
    /// The id of the request that opened the stream.
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    pub subscription_id: RequestId,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Meta,
}

/// How much a log message matters: the levels of syslog (RFC 5424), least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoggingLevel {
    /// For whoever looks for a fault.
    Debug,
    /// What normally happens.
    Info,
    /// Normal, and worth noting.
    Notice,
    /// May become an error.
    Warning,
    /// Something failed.
    Error,
    /// A part is out of order.
    Critical,
    /// Somebody must act at once.
    Alert,
    /// Nothing works.
    Emergency,
}

/// Parameters of `notifications/message`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggingMessageNotificationParams {
    /// How much it matters.
    pub level: LoggingLevel,
    /// Which part of the server says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logger: Option<String>,
    /// What it says.
    pub data: serde_json::Value,
    /// What goes beside it.
    #[serde(rename = "_meta", default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
}

/// `data` of the error "unsupported protocol version" (-32022).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsupportedProtocolVersionData {
    /// The revisions that the server speaks.
    pub supported: Vec<String>,
    /// The revision that was asked for.
    pub requested: String,
}

/// `data` of the error "missing required client capability" (-32021).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingRequiredClientCapabilityData {
    /// What the client would have to be able to do.
    pub required_capabilities: JsonObject,
}
