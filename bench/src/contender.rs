//! What is measured: how each server is started and what work it is given.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use shared::{
    demo,
    headers::{API_KEY, PROTOCOL_VERSION, SESSION_ID},
};

use crate::{
    http::{Wire, post},
    process::Process,
};

/// A server that takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contender {
    /// axum alone.
    Bare,
    /// The payment server: durable SQLite store, authentication, audit; calls within an open session.
    Sessions,
}

/// One request that is sent again and again, and the result it must bring.
#[derive(Debug)]
pub(crate) struct Work {
    /// The request, up to the digits of its JSON-RPC id.
    pub(crate) before_id: Vec<u8>,
    /// The request after them.
    pub(crate) after_id: Vec<u8>,
    /// The `result` that every answer must carry.
    pub(crate) expected: Value,
}

/// How many digits every JSON-RPC id has, so that `Content-Length` never changes.
pub(crate) const ID_DIGITS: usize = 9;

impl Contender {
    /// Everyone, in the order of the table.
    pub(crate) const ALL: [Self; 2] = [Self::Bare, Self::Sessions];

    /// Its name in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare axum, one JSON body in, one out",
            Self::Sessions => "payment server, session calls",
        }
    }

    /// Starts it, with its files in `scratch`.
    pub(crate) async fn start(self, binaries: &Path, scratch: &Path) -> anyhow::Result<Process> {
        match self {
            Self::Bare => Process::start(&binaries.join("bench"), &["bare"], &[]).await,
            Self::Sessions => {
                let database = format!("sqlite://{}", scratch.join("payments.db").display());
                let environment = [
                    ("PORT", "0".to_owned()),
                    ("DATABASE_URL", database),
                    ("RATE_LIMIT", "off".to_owned()),
                    ("RUST_LOG", "warn".to_owned()),
                ];
                Process::start(&binaries.join("server"), &[], &environment).await
            }
        }
    }

    /// Prepares one connection: opens what it needs, and learns by one call each what the answers must be.
    pub(crate) async fn prepare(self, wire: &mut Wire, address: &str) -> anyhow::Result<Vec<Work>> {
        let mut headers = vec![(API_KEY, demo::BOB_API_KEY.to_owned())];
        if self == Self::Sessions {
            headers.push((SESSION_ID, open_session(wire, address).await?));
            headers.push((PROTOCOL_VERSION, "2025-11-25".to_owned()));
        }
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut works = Vec::new();
        for tool in ["getAccountBalance", "getLatestTransactions"] {
            let id = "1".repeat(ID_DIGITS);
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#
            );
            let request = post(address, &headers, &body);
            let expected = result(wire.exchange(&request).await?.body)?;
            let at = request.windows(ID_DIGITS).rposition(|window| window == id.as_bytes());
            let at = at.context("the request lost its id")?;
            let (before_id, rest) = request.split_at(at);
            works.push(Work {
                before_id: before_id.to_vec(),
                after_id: rest.get(ID_DIGITS..).unwrap_or_default().to_vec(),
                expected,
            });
        }
        Ok(works)
    }
}

/// Opens an MCP session of Bob's and returns its id.
pub(crate) async fn open_session(wire: &mut Wire, address: &str) -> anyhow::Result<String> {
    open_session_with(wire, address, demo::BOB_API_KEY).await
}

/// Opens an MCP session with a key and returns its id.
pub(crate) async fn open_session_with(wire: &mut Wire, address: &str, key: &str) -> anyhow::Result<String> {
    let key = (API_KEY, key);
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    let answer = wire.exchange(&post(address, &[key], initialize)).await?;
    ensure!(answer.status == 200, "initialize was answered with {}: {}", answer.status, answer.body);
    let session = answer.header(SESSION_ID).context("no session id")?.to_owned();
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let answer = wire.exchange(&post(address, &[key, (SESSION_ID, &session)], initialized)).await?;
    ensure!(answer.status == 202, "notifications/initialized was answered with {}", answer.status);
    Ok(session)
}

/// The `result` of an answer.
pub(crate) fn result(body: &str) -> anyhow::Result<Value> {
    let mut message: Value = serde_json::from_str(body).with_context(|| format!("not JSON: {body}"))?;
    message.get_mut("result").map(Value::take).with_context(|| format!("no result: {body}"))
}
