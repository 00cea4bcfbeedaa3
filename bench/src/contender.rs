//! Who is measured: how each server is started, and how one connection to it is prepared.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use shared::{
    demo,
    headers::{API_KEY, METHOD, NAME, PROTOCOL_VERSION, SESSION_ID},
};

use crate::{
    http::{Wire, post},
    process::{Process, Program},
    setup::Setup,
};

/// A server that takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// axum alone.
    Bare,
    /// The payment server on SQLite, durable: authentication, authorisation, audit.
    Sqlite,
    /// The same on PostgreSQL.
    Postgres,
    /// The official Rust SDK as it comes: sessions, answers in event streams.
    Rmcp,
    /// The official Rust SDK without sessions, answers in JSON.
    RmcpStateless,
    /// FastMCP for TypeScript, which the original demo was written with.
    FastMcp,
    /// The official TypeScript SDK, second major; it has no sessions.
    Sdk2,
}

impl Server {
    /// Everyone, in the order of tables and plots.
    pub(crate) const ALL: [Self; 7] = [
        Self::Bare,
        Self::Sqlite,
        Self::Postgres,
        Self::Rmcp,
        Self::RmcpStateless,
        Self::FastMcp,
        Self::Sdk2,
    ];

    /// Its name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare axum",
            Self::Sqlite => "payment server, SQLite",
            Self::Postgres => "payment server, PostgreSQL",
            Self::Rmcp => "rmcp, sessions",
            Self::RmcpStateless => "rmcp, stateless JSON",
            Self::FastMcp => "FastMCP (TypeScript)",
            Self::Sdk2 => "TypeScript SDK v2",
        }
    }

    /// Its name among the figures.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Rmcp => "rmcp",
            Self::RmcpStateless => "rmcp-stateless",
            Self::FastMcp => "fastmcp",
            Self::Sdk2 => "sdk2",
        }
    }

    /// Starts it on the first core, with its files in `scratch`.
    pub(crate) async fn start(
        self,
        setup: &Setup,
        scratch: &Path,
        more: &[(&'static str, &str)],
    ) -> anyhow::Result<Process> {
        let program = match self {
            Self::Bare => Program::of(&setup.binaries.join("bench"), &["bare"]),
            Self::Rmcp => Program::of(&setup.binaries.join("bench"), &["rmcp", "--sessions"]),
            Self::RmcpStateless => Program::of(&setup.binaries.join("bench"), &["rmcp"]),
            Self::FastMcp => setup.counterpart("fastmcp-server.mjs", "fastmcp")?,
            Self::Sdk2 => setup.counterpart("sdk2-server.mjs", "both")?,
            Self::Sqlite => {
                let database = format!("sqlite://{}", scratch.join("payments.db").display());
                setup.payment_server(&database)
            }
            Self::Postgres => setup.payment_server(&setup.new_database().await?),
        };
        Process::start(&program.with(more), scratch, &setup.server_core(0)).await
    }
}

/// In which way a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// Revision 2025-11-25, in a session.
    Sessions,
    /// Revision 2025-11-25, each request by itself.
    Sessionless,
    /// Revision 2026-07-28.
    Modern,
}

/// One request that is sent again and again, and the answer it must bring.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// The request, up to the digits of its JSON-RPC id.
    pub(crate) before_id: Vec<u8>,
    /// The request after them.
    pub(crate) after_id: Vec<u8>,
    /// The body of its answer, around the same digits.
    pub(crate) answer: (String, String),
    /// The `result` in it, for answers that say the same in another order.
    pub(crate) expected: Value,
}

/// How many digits every JSON-RPC id has, so that `Content-Length` never changes.
pub(crate) const ID_DIGITS: usize = 9;

/// The id of the call that shows what the answers are.
const FIRST_ID: &str = "111111111";

/// Calls of the demo, and what the answer must say.
const CALLS: [(&str, &str); 2] = [("getAccountBalance", "-200"), ("getLatestTransactions", "2024-03-20")];

/// Prepares one connection: opens what it needs, and learns by one call each what the answers must be.
pub(crate) async fn prepare(
    server: Server,
    era: Era,
    wire: &mut Wire,
    address: &str,
) -> anyhow::Result<Vec<Work>> {
    let session = match era {
        Era::Sessions if server != Server::Bare => Some(open_session(wire, address).await?),
        Era::Sessions | Era::Sessionless | Era::Modern => None,
    };
    let mut works = Vec::new();
    for (tool, must_say) in CALLS {
        let call = Call { tool, arguments: "{}", key: demo::BOB_API_KEY, session: session.as_deref(), era };
        let work = learn(wire, &call.request(address, FIRST_ID)).await?;
        let said = work.expected.to_string();
        ensure!(server == Server::Bare || said.contains(must_say), "{tool} was answered with {said}");
        works.push(work);
    }
    Ok(works)
}

/// Sends a request that carries [`FIRST_ID`], and learns from the answer what all like it must be.
async fn learn(wire: &mut Wire, request: &[u8]) -> anyhow::Result<Work> {
    let answer = wire.exchange(request).await?;
    ensure!(answer.status == 200, "a call was answered with {}: {}", answer.status, answer.body);
    let expected = result(answer.body)?;
    let parts = answer.body.split_once(FIRST_ID).context("the answer lost its id")?;
    let parts = (parts.0.to_owned(), parts.1.to_owned());
    let at = request.windows(ID_DIGITS).rposition(|window| window == FIRST_ID.as_bytes());
    let (before_id, rest) = request.split_at(at.context("the request lost its id")?);
    let after_id = rest.get(ID_DIGITS..).unwrap_or_default().to_vec();
    Ok(Work { before_id: before_id.to_vec(), after_id, answer: parts, expected })
}

/// One `tools/call`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The tool.
    pub(crate) tool: &'a str,
    /// Its arguments, in JSON.
    pub(crate) arguments: &'a str,
    /// Whose.
    pub(crate) key: &'a str,
    /// In which session.
    pub(crate) session: Option<&'a str>,
    /// In which way.
    pub(crate) era: Era,
}

impl Call<'_> {
    /// The bytes of it.
    pub(crate) fn request(&self, address: &str, id: &str) -> Vec<u8> {
        let Self { tool, arguments, .. } = self;
        let mut headers = vec![(API_KEY, self.key)];
        if let Some(session) = self.session {
            headers.push((SESSION_ID, session));
        }
        let meta = if self.era == Era::Modern {
            headers.extend([(PROTOCOL_VERSION, "2026-07-28"), (METHOD, "tools/call"), (NAME, tool)]);
            META
        } else {
            headers.push((PROTOCOL_VERSION, "2025-11-25"));
            ""
        };
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}{meta}}},"id":{id}}}"#
        );
        post(address, &headers, &body)
    }
}

/// What every request of 2026-07-28 says about its sender.
const META: &str = r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

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
    match message.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => bail!("no result: {body}"),
    }
}
