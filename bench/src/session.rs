//! Opening MCP sessions.

use std::borrow::Cow;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use shared::{
    demo,
    headers::{API_KEY, SESSION_ID},
};

use crate::http::{Wire, post};

/// Opens an MCP session of Bob's and returns its id.
pub(crate) async fn open_session(wire: &mut Wire, address: &str) -> anyhow::Result<String> {
    open_session_with(wire, address, demo::BOB_API_KEY).await
}

/// What must be in the answer to `initialize`.
#[derive(Deserialize)]
struct Initialized<'a> {
    id: u64,
    #[serde(borrow)]
    result: Agreed<'a>,
}

/// The revision that was agreed on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Agreed<'a> {
    #[serde(borrow)]
    protocol_version: Cow<'a, str>,
}

/// Opens an MCP session with a key and returns its id.
pub(crate) async fn open_session_with(wire: &mut Wire, address: &str, key: &str) -> anyhow::Result<String> {
    let key = (API_KEY, key);
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    let answer = wire.exchange(&post(address, &[key], initialize)).await?;
    ensure!(answer.status == 200, "initialize was answered with {}: {}", answer.status, answer.body);
    let Initialized { id, result } = serde_json::from_str(answer.body)
        .with_context(|| format!("initialize was answered with {}", answer.body))?;
    let is_right = id == 1 && result.protocol_version == "2025-11-25";
    ensure!(is_right, "initialize was answered with {}", answer.body);
    let session = answer.header(SESSION_ID).context("no session id")?.to_owned();
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let answer = wire.exchange(&post(address, &[key, (SESSION_ID, &session)], initialized)).await?;
    ensure!(answer.status == 202, "notifications/initialized was answered with {}", answer.status);
    Ok(session)
}
