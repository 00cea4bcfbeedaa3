//! Programs of this crate that the payment server is measured beside.

pub(crate) mod bare;
mod demo;
pub(crate) mod rmcp;
pub(crate) mod stored;

use tokio::net::TcpListener;

/// A listener on a free port of the loopback address; prints its URL first, as `name`.
async fn listen(name: &str) -> anyhow::Result<impl axum::serve::Listener<Addr = std::net::SocketAddr>> {
    use anyhow::Context as _;
    use axum::serve::ListenerExt as _;

    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on the loopback address")?;
    crate::print(&format!("{name} listening on http://{}/mcp\n", listener.local_addr()?))?;
    Ok(listener.tap_io(|stream| {
        // Without it the figures would measure Nagle's algorithm; a socket that refuses it is measured with it.
        if let Err(error) = stream.set_nodelay(true) {
            let _ = crate::print(&format!("no TCP_NODELAY: {error}\n"));
        }
    }))
}
