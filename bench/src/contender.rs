//! Who is measured: how each server is started, and how one connection to it is prepared.

use std::{path::Path, time::Duration};

use crate::{
    ask::{Ask, Era, Work},
    http::Wire,
    process::{Process, Program},
    session::open_session,
    setup::Setup,
};

/// A server that takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// axum alone.
    Bare,
    /// axum, and the payment server's store on SQLite.
    Stored,
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
    pub(crate) const ALL: [Self; 8] = [
        Self::Bare,
        Self::Stored,
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
            Self::Stored => "bare axum and our store",
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
            Self::Stored => "stored",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Rmcp => "rmcp",
            Self::RmcpStateless => "rmcp-stateless",
            Self::FastMcp => "fastmcp",
            Self::Sdk2 => "sdk2",
        }
    }

    /// The URL of a new database for it.
    pub(crate) async fn database(self, setup: &Setup, scratch: &Path) -> anyhow::Result<String> {
        match self {
            Self::Postgres => setup.new_database().await,
            Self::Bare
            | Self::Stored
            | Self::Sqlite
            | Self::Rmcp
            | Self::RmcpStateless
            | Self::FastMcp
            | Self::Sdk2 => Ok(format!("sqlite://{}", scratch.join("payments.db").display())),
        }
    }

    /// How long it is kept busy before it is measured: half as long where nothing is compiled meanwhile.
    pub(crate) fn warms_for(self, setup: &Setup) -> Duration {
        match self {
            Self::FastMcp | Self::Sdk2 => setup.effort.warm,
            Self::Bare | Self::Stored | Self::Sqlite | Self::Postgres | Self::Rmcp | Self::RmcpStateless => {
                setup.effort.warm / 2
            }
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
            Self::Stored => {
                let database = scratch.join("payments.db").display().to_string();
                Program::of(&setup.binaries.join("bench"), &["stored", &database])
            }
            Self::Rmcp => Program::of(&setup.binaries.join("bench"), &["rmcp", "--sessions"]),
            Self::RmcpStateless => Program::of(&setup.binaries.join("bench"), &["rmcp"]),
            Self::FastMcp => setup.counterpart("fastmcp-server.mjs", "fastmcp")?,
            Self::Sdk2 => setup.counterpart("sdk2-server.mjs", "both")?,
            Self::Sqlite | Self::Postgres => setup.payment_server(&self.database(setup, scratch).await?),
        };
        Process::start(&program.with(more), scratch, &setup.server_core(0)).await
    }
}

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
        Era::Sessions if !matches!(server, Server::Bare | Server::Stored) => {
            Some(open_session(wire, address).await?)
        }
        Era::Sessions | Era::Sessionless | Era::Modern => None,
    };
    let mut works = Vec::new();
    for (tool, must_say) in CALLS {
        let ask = Ask { session: session.as_deref(), era, ..Ask::tool(tool, "{}") };
        works.push(Work::learn(wire, &ask, address, must_say).await?);
    }
    Ok(works)
}
