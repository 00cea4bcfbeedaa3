//! The ceiling: what HTTP alone costs. It reads one JSON body and writes one of the size of a tool's answer.

use anyhow::Context as _;
use axum::{Router, body::Bytes, http::header, response::IntoResponse, routing::post};
use shared::jsonrpc::{Incoming, ResultResponse};

use super::listen;

/// Serves until it is killed; prints its URL first.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = listen("bare").await?;
    let router = Router::new().route("/mcp", post(answer));
    axum::serve(listener, router).await.context("the bare server failed")
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
