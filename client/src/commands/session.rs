//! A session for the length of a command: opened, used, and closed however the work in it ended.

use std::{sync::Arc, time::Duration};

use shared::mcp::lifecycle::InitializeResult;

use super::{Failure, Run, asking::Person};
use crate::{
    config::{Key, User},
    exit::Exit,
    mcp::{ConnectOptions, Connection, Endpoint, McpError, Timeouts, ToolList},
    terminal::{Event, Wire, style},
};

/// How long the end of a session may keep the person waiting. A server ends it by itself later.
const FAREWELL: Duration = Duration::from_secs(3);

/// A user's session at the server, and what the server offers in it.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub(super) run: &'a Run,
    pub(super) user: &'a User,
    pub(super) endpoint: Endpoint,
    pub(super) connection: Connection,
    pub(super) tools: ToolList,
}

/// Opens a session, works in it, and closes it.
pub(super) async fn in_session(
    run: &Run,
    user: &User,
    work: impl AsyncFnOnce(&Session<'_>) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    let endpoint = endpoint(run, user)?;
    let connection = open(run, user, &endpoint).await?;
    let outcome = match list_tools(run, &connection).await {
        Ok(tools) => {
            let session = Session { run, user, endpoint, connection: connection.clone(), tools };
            session.tell();
            work(&session).await
        }
        Err(error) => Err(Failure::of_server(&error, user, &endpoint).into()),
    };
    match close(run, &connection).await {
        Ok(()) => run.terminal.show(&Event::SessionClosed { user: user.name.as_deref() }),
        Err(error) => {
            let remark =
                format!("the session could not be closed ({error}); the server will end it by itself");
            run.terminal.remark(&style::Text::new().styled(style::WARNING, "warning: ").plain(&remark).end());
        }
    }
    outcome
}

/// The endpoint with the user's key.
pub(super) fn endpoint(run: &Run, user: &User) -> Result<Endpoint, Failure> {
    if user.name.is_some() && matches!(user.key, Key::Missing) {
        return Err(Failure::no_key(user));
    }
    let refused = |error| Failure::new(Exit::Unauthorized, format!("{}: {error}", user.key_variable), "");
    run.settings.endpoint(user).map_err(refused)
}

/// Opens a connection; Ctrl-C gives up.
pub(super) async fn open(run: &Run, user: &User, endpoint: &Endpoint) -> Result<Connection, Failure> {
    let mut options = ConnectOptions { era: run.settings.protocol.into(), ..ConnectOptions::default() };
    if let Some(person) = Person::of(run, endpoint.url()) {
        options.answerer = Some(Arc::new(person));
    }
    options.credentials = run.settings.credentials.clone();
    options.timeouts = run.settings.timeout.map(Timeouts::within).unwrap_or_default();
    if run.settings.wire {
        options.tap = Arc::new(Wire::new(Arc::clone(&run.terminal)));
    }
    run.terminal.working(&format!("connecting to {}", endpoint.url()));
    let opened = until_stopped(run, Connection::open(endpoint.clone(), options)).await;
    opened.map_err(|error| Failure::of_server(&error, user, endpoint))
}

/// The server's tools; Ctrl-C gives up.
pub(super) async fn list_tools(run: &Run, connection: &Connection) -> Result<ToolList, McpError> {
    if connection.server().capabilities.tools.is_none() {
        return Ok(ToolList::default());
    }
    run.terminal.working("listing the tools");
    until_stopped(run, connection.list_tools()).await
}

/// Closes the connection, within a time that a person waits for.
pub(super) async fn close(run: &Run, connection: &Connection) -> Result<(), String> {
    run.terminal.working("closing the session");
    match tokio::time::timeout(FAREWELL, connection.close()).await {
        Ok(closed) => closed.map_err(|error| error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

/// The outcome of some work, or [`McpError::Cancelled`] once Ctrl-C is pressed.
pub(super) async fn until_stopped<T>(
    run: &Run,
    work: impl Future<Output = Result<T, McpError>>,
) -> Result<T, McpError> {
    tokio::select! {
        biased;
        () = run.interrupts.stop().cancelled() => Err(McpError::Cancelled),
        outcome = work => outcome,
    }
}

impl Session<'_> {
    /// What the server said of itself.
    pub(super) fn server(&self) -> InitializeResult {
        self.connection.server()
    }

    /// Waits for an answer of the server; Ctrl-C gives up.
    pub(super) async fn until_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, McpError>>,
    ) -> Result<T, Failure> {
        until_stopped(self.run, work).await.map_err(|error| self.failure(&error))
    }

    /// An error of the server in this session.
    pub(super) fn failure(&self, error: &McpError) -> Failure {
        Failure::of_server(error, self.user, &self.endpoint)
    }

    /// An error of the server about what the person named; `list` is the command that tells what there is.
    pub(super) fn failure_of_what_was_named(&self, error: &McpError, list: &str) -> Failure {
        Failure::of_what_was_named(error, self.user, &self.endpoint, list)
    }

    fn tell(&self) {
        let server = self.server();
        self.run.terminal.show(&Event::SessionOpened {
            user: self.user.name.as_deref(),
            server: &server.server_info.name,
            version: &server.server_info.version,
            protocol: &server.protocol_version,
            session: self.connection.session_id().as_deref(),
            tools: self.tools.tools.iter().map(|tool| tool.name.as_str()).collect(),
        });
        for rejected in &self.tools.rejected {
            self.run.terminal.show(&Event::ToolRejected { name: &rejected.name, reason: &rejected.reason });
        }
    }
}
