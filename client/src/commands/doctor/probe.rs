//! Is somebody there? Asked of the network itself, before any HTTP.

use std::time::Duration;

use tokio::{net::TcpStream, time::timeout};
use url::Url;

use crate::mcp::{McpError, TimedOut};

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Host and port of a URL, for people.
pub(super) fn address(url: &str) -> String {
    host_and_port(url).map_or_else(|| url.to_owned(), |(host, port)| format!("{host}:{port}"))
}

/// Opens a TCP connection and drops it.
///
/// # Errors
/// [`McpError::Unreachable`], or that it took too long.
pub(super) async fn connect(url: &str) -> Result<(), McpError> {
    let unreachable = |reason: String| McpError::Unreachable { url: address(url), reason };
    let (host, port) = host_and_port(url).ok_or_else(|| unreachable("it names no host".to_owned()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    match timeout(PATIENCE, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(unreachable(error.to_string())),
        Err(_) => Err(McpError::TimedOut(TimedOut::Connect)),
    }
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let url = Url::parse(url.trim()).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}
