//! The ceiling: what HTTP alone costs. It reads one JSON body and writes one of the size of a tool's answer.

use anyhow::Context as _;
use axum::{Router, body::Bytes, http::header, response::IntoResponse, routing::post};
use shared::jsonrpc::{Incoming, ResultResponse};
use tokio::net::TcpListener;

/// Serves until it is killed; prints its URL first.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on the loopback address")?;
    print_line(&format!("bare listening on http://{}/mcp", listener.local_addr()?))?;
    let router = Router::new().route("/mcp", post(answer));
    axum::serve(tcp_nodelay(listener), router).await.context("the bare server failed")
}

fn tcp_nodelay(listener: TcpListener) -> impl axum::serve::Listener<Addr = std::net::SocketAddr> {
    use axum::serve::ListenerExt as _;
    listener.tap_io(|stream| {
        // Without it the figures would measure Nagle's algorithm; a socket that refuses it is measured with it.
        if let Err(error) = stream.set_nodelay(true) {
            let _ = print_line(&format!("no TCP_NODELAY: {error}"));
        }
    })
}

async fn answer(body: Bytes) -> impl IntoResponse {
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let json = match Incoming::parse(text) {
        Ok(Incoming::Request { id, .. }) => {
            serde_json::to_string(&ResultResponse::new(&id, ANSWER)).unwrap_or_default()
        }
        Ok(Incoming::Notification { .. } | Incoming::Response { .. }) | Err(_) => String::new(),
    };
    ([(header::CONTENT_TYPE, "application/json")], json)
}

const ANSWER: &str = "a text about as long as the answer of a tool of the payment server: {\"content\":[{\"type\":\
    \"text\",\"text\":\"username bob balance -200\"}],\"structuredContent\":{\"username\":\"bob\",\"balance\":-200}}";

/// Writes one line to standard output.
fn print_line(line: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
