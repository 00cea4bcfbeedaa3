//! `client doctor`: everything that a question needs, checked in the order in which it is needed.

mod probe;

use shared::mcp::ProtocolVersion;

use super::{
    Failure, Run,
    answering::at_endpoint,
    session::{close, endpoint, list_tools, open, until_stopped},
};
use crate::{
    agent::Model as _,
    config::{Key, ModelChoice, User},
    exit::Exit,
    mcp::{Connection, Endpoint},
    terminal::{CheckStatus, Event},
};

/// Ends with the exit code of the first step that failed.
pub(super) async fn run(run: &Run, user: &User) -> anyhow::Result<Exit> {
    let checks = Checks { run };
    match checks.server(user).await {
        Exit::Interrupted => Ok(Exit::Interrupted),
        server => Ok(server.or(checks.model().await)),
    }
}

struct Checks<'a> {
    run: &'a Run,
}

impl Checks<'_> {
    fn passed(&self, name: &str, found: &str) {
        self.say(name, CheckStatus::Passed, found, "");
    }

    fn failed(&self, name: &str, failure: &Failure) -> Exit {
        self.say(name, CheckStatus::Failed, &failure.message, &failure.next);
        failure.exit
    }

    fn say(&self, name: &str, status: CheckStatus, found: &str, next: &str) {
        self.run.terminal.show(&Event::Check { name, status, found, next });
    }

    /// From the URL to the end of a session.
    async fn server(&self, user: &User) -> Exit {
        let endpoint = match self.endpoint(user).await {
            Ok(endpoint) => endpoint,
            Err(exit) => return exit,
        };
        let connection = match self.connection(user, &endpoint).await {
            Ok(connection) => connection,
            Err(exit) => return exit,
        };
        let listed = match list_tools(self.run, &connection).await {
            Ok(list) => {
                let names: Vec<&str> = list.tools.iter().map(|tool| tool.name.as_str()).collect();
                self.passed("tools", &format!("{}: {}", names.len(), names.join(", ")));
                for tool in &list.rejected {
                    let found = format!("\"{}\" is ignored: {}", tool.name, tool.reason);
                    self.say("tools", CheckStatus::Noted, &found, "correct its definition at the server");
                }
                Exit::Answered
            }
            Err(error) => self.failed("tools", &Failure::of_server(&error, user, &endpoint)),
        };
        let closed = match close(self.run, &connection).await {
            Ok(()) => {
                let closed = connection.session_id().map_or("nothing to close", |_| "session closed");
                self.passed("close", closed);
                Exit::Answered
            }
            Err(reason) => {
                let message = format!("the session could not be closed: {reason}");
                self.failed("close", &Failure::new(Exit::Server, message, "the server will end it by itself"))
            }
        };
        listed.or(closed)
    }

    /// The URL and the key, or the token in its place, before anything is sent.
    async fn endpoint(&self, user: &User) -> Result<Endpoint, Exit> {
        self.passed("url", &self.run.settings.url_for_people());
        let endpoint = endpoint(self.run, user).map_err(|failure| self.failed("key", &failure))?;
        if let Some(token) = &self.run.settings.credentials.token {
            self.run.terminal.working("reading the token");
            let read = until_stopped(self.run, token.make_ready()).await;
            read.map_err(|error| self.failed("key", &Failure::of_server(&error, user, &endpoint)))?;
        }
        let variable = &user.key_variable;
        match user.key {
            Key::Set(_) => self.passed("key", &format!("{variable} is set")),
            Key::Demo(_) => {
                self.passed(
                    "key",
                    &format!("{variable} is not set; the published demo key stands in for it"),
                );
            }
            Key::Service => self.passed("key", "a token or a certificate stands in its place"),
            Key::Missing => {
                let found = format!("{variable} is not set; trying without a key");
                self.say("key", CheckStatus::Noted, &found, &user.how_to_set_the_key());
            }
        }
        Ok(endpoint)
    }

    /// From the network to the handshake.
    async fn connection(&self, user: &User, endpoint: &Endpoint) -> Result<Connection, Exit> {
        let address = probe::address(&self.run.settings.url);
        self.run.terminal.working(&format!("connecting to {address}"));
        match until_stopped(self.run, probe::connect(&self.run.settings.url)).await {
            Ok(()) => self.passed("network", &format!("{address} accepts connections")),
            Err(error) => {
                let failure = Failure::of_server(&error, user, endpoint);
                if failure.exit == Exit::Interrupted || endpoint.is_loopback() {
                    return Err(self.failed("network", &failure));
                }
                let next = "a proxy may stand between: the next step tells";
                self.say("network", CheckStatus::Noted, &failure.message, next);
            }
        }
        let connection = match open(self.run, user, endpoint).await {
            Ok(connection) => connection,
            Err(failure) if failure.exit == Exit::Unauthorized => {
                self.passed("endpoint", "a server answers there");
                return Err(self.failed("accepted", &failure));
            }
            Err(failure) if failure.exit == Exit::NoCredentials => return Err(self.failed("key", &failure)),
            Err(failure) => return Err(self.failed("endpoint", &failure)),
        };
        self.passed("endpoint", "an MCP server answers there");
        if user.key.secret().is_some() {
            self.passed("accepted", "the server accepts the key");
        }
        let server = connection.server();
        let session = match connection.session_id() {
            Some(id) => format!("session {id}"),
            None if is_stateless(&server.protocol_version) => {
                "stateless: every request stands for itself".to_owned()
            }
            None => "no session".to_owned(),
        };
        let found = format!(
            "{} {}, protocol {}, {session}",
            server.server_info.name, server.server_info.version, server.protocol_version
        );
        self.passed("handshake", &found);
        Ok(connection)
    }

    /// Whether there is somebody to answer questions; Ctrl-C gives up.
    async fn model(&self) -> Exit {
        tokio::select! {
            biased;
            () = self.run.interrupts.stop().cancelled() => self.failed("model", &Failure::interrupted()),
            exit = self.reach_model() => exit,
        }
    }

    async fn reach_model(&self) -> Exit {
        let endpoint = match &self.run.settings.model {
            ModelChoice::Offline { by_default: true } => {
                let next = "set OPENAI_API_KEY or OPENAI_BASE_URL for a real one";
                self.say("model", CheckStatus::Noted, "the offline planner, not a language model", next);
                return Exit::Answered;
            }
            ModelChoice::Offline { by_default: false } => {
                self.passed("model", "the offline planner, as you asked for; not a language model");
                return Exit::Answered;
            }
            ModelChoice::Endpoint(endpoint) => endpoint,
        };
        let model = match at_endpoint(endpoint) {
            Ok(model) => model,
            Err(failure) => return self.failed("model", &failure),
        };
        let label = model.label();
        self.run.terminal.working(&format!("asking for {label}"));
        match model.reach().await {
            Ok(true) => self.passed("model", &format!("{label}: the endpoint answers")),
            Ok(false) => {
                let found = format!("{label}: the endpoint answers and does not list its models");
                self.say(
                    "model",
                    CheckStatus::Noted,
                    &found,
                    "ask a question to see whether it takes the key",
                );
            }
            Err(error) => return self.failed("model", &Failure::of_model(&error)),
        }
        Exit::Answered
    }
}

/// Whether a revision knows no session.
fn is_stateless(revision: &str) -> bool {
    revision.parse().is_ok_and(|revision: ProtocolVersion| !revision.has_sessions())
}
