//! The client's side of MCP: one [`Connection`] to one server, over Streamable HTTP.
//!
//! The room does not know what a model is. What it promises its callers:
//!
//! - one call in, one result or one [`McpError`] out, always within the [`Timeouts`];
//! - a call is repeated only when it cannot have run, or when running twice does no harm ([`Repetition`]);
//! - the key goes to the endpoint it was given for and nowhere else: no redirect is followed, and plain HTTP is spoken
//!   to loopback addresses only, unless the caller insists.

mod arguments;
mod asking;
mod cache;
mod connection;
mod credentials;
mod endpoint;
mod error;
mod excerpt;
mod exchange;
#[cfg(fuzzing)]
pub mod fuzzing;
mod options;
mod repetition;
mod retry;
mod sse;
mod tap;

pub use arguments::{Arguments, NotArguments};
pub use asking::{Answerer, declined, defaults};
pub use connection::{CallOptions, Connection, RejectedTool, ToolList};
pub use credentials::{ClientCertificate, Credentials, NotPem, Roots, TokenOrigin, TokenSource};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{McpError, TimedOut};
pub use options::{ConnectOptions, Era, Timeouts};
pub use repetition::{IDEMPOTENCY_KEY, Repetition};
pub use retry::RetryPolicy;
pub use tap::{NoTap, WireEvent, WireTap};

/// What the agent's way to a model endpoint shares with this room: the same rules for keys, redirects and waiting.
#[cfg(feature = "agent")]
pub(crate) use self::{
    excerpt::excerpt,
    exchange::{causes, http_client},
    retry::retry_after,
};
