//! What a command cannot go on after, in words for a person.

use shared::jsonrpc::ErrorCode;

use crate::{
    agent::{AgentError, ModelError},
    config::{Key, User},
    exit::Exit,
    mcp::{Endpoint, McpError, TimedOut},
};

/// What happened, what to do next, and the exit code that stands for it. The texts are not escaped yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// How the program ends because of it.
    pub exit: Exit,
    /// What happened, in one line.
    pub message: String,
    /// What to do next, in one line; empty when there is nothing to do.
    pub next: String,
}

impl Failure {
    /// A failure in words.
    pub fn new(exit: Exit, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit, message: message.into(), next: next.into() }
    }

    /// The person pressed Ctrl-C.
    pub(super) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted", "")
    }

    /// A user without a key.
    pub(super) fn no_key(user: &User) -> Self {
        Self::new(Exit::Unauthorized, format!("{} is not set", user.key_variable), user.how_to_set_the_key())
    }

    /// The server gave no result.
    pub(super) fn of_server(error: &McpError, user: &User, endpoint: &Endpoint) -> Self {
        let exit = match error {
            McpError::Cancelled => return Self::interrupted(),
            McpError::Unauthorized(_) => Exit::Unauthorized,
            McpError::NoCredentials(_) => Exit::NoCredentials,
            McpError::Forbidden(_) => Exit::Forbidden,
            McpError::Unreachable { .. }
            | McpError::NotMcp { .. }
            | McpError::Protocol(_)
            | McpError::Rpc(_)
            | McpError::Busy { .. }
            | McpError::ServerFailed { .. }
            | McpError::TimedOut(_)
            | McpError::Broken(_)
            | McpError::SessionEnded => Exit::Server,
        };
        Self::new(exit, what_happened(error, user), what_next(error, user, endpoint))
    }

    /// The server gave no result for what the person named: where it says that it does not have it so, the command line
    /// is wrong, and `list` is the command that tells what there is.
    pub(super) fn of_what_was_named(error: &McpError, user: &User, endpoint: &Endpoint, list: &str) -> Self {
        if let McpError::Rpc(refusal) = error
            && matches!(refusal.code, ErrorCode::INVALID_PARAMS | ErrorCode::RESOURCE_NOT_FOUND)
        {
            return Self::new(Exit::Usage, error.to_string(), format!("`{list}` lists what there is"));
        }
        Self::of_server(error, user, endpoint)
    }

    /// A question could not be answered.
    pub(super) fn of_agent(error: &AgentError, user: &User, endpoint: &Endpoint) -> Self {
        match error {
            AgentError::Server(error) => Self::of_server(error, user, endpoint),
            AgentError::Cancelled => Self::interrupted(),
            AgentError::Model(error) => Self::of_model(error),
        }
    }

    /// The model gave no reply.
    pub(super) fn of_model(error: &ModelError) -> Self {
        let next = match error {
            ModelError::Transient { .. } | ModelError::Empty { advice: None } => {
                "try again later, check OPENAI_BASE_URL, or use --model offline, which needs no endpoint"
            }
            ModelError::Refused(_) | ModelError::Empty { advice: Some(_) } => {
                "check OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL, or use --model offline, which needs none"
            }
        };
        Self::new(Exit::Model, error.to_string(), next)
    }
}

fn what_happened(error: &McpError, user: &User) -> String {
    match (error, &user.key) {
        (McpError::Unauthorized(reason), Key::Set(_)) => {
            format!("the server refused the key in {}: {reason}", user.key_variable)
        }
        (McpError::Unauthorized(reason), Key::Demo(_)) => {
            format!("the server refused the demo key that stands in for {}: {reason}", user.key_variable)
        }
        (McpError::Unauthorized(reason), Key::Service) => {
            format!("the server did not take the service's token or certificate: {reason}")
        }
        (McpError::Unauthorized(reason), Key::Missing) => {
            format!("the server wants a key and {} is not set: {reason}", user.key_variable)
        }
        (error, _) => error.to_string(),
    }
}

fn what_next(error: &McpError, user: &User, endpoint: &Endpoint) -> String {
    let variable = &user.key_variable;
    let next = match error {
        McpError::Unauthorized(_) => match &user.key {
            Key::Set(_) => {
                return format!(
                    "set {variable}, in the environment or in .env, to a key that this server knows"
                );
            }
            Key::Demo(_) => return format!("set {variable} to the key that the server was started with"),
            Key::Service => {
                "renew the token or the certificate, and see whether this server trusts its issuer"
            }
            Key::Missing => return user.how_to_set_the_key(),
        },
        McpError::NoCredentials(_) => {
            "check what --token-file or --token-command names, or MCP_TOKEN_FILE or MCP_TOKEN_COMMAND"
        }
        McpError::Forbidden(_) => {
            "check the address in --url or MCP_URL, or have whoever runs the server let such requests in"
        }
        McpError::Unreachable { .. } | McpError::TimedOut(TimedOut::Connect) if endpoint.is_loopback() => {
            "start the server with `cargo run -p server`, or name another one with --url or MCP_URL"
        }
        McpError::Unreachable { .. } | McpError::TimedOut(TimedOut::Connect) => {
            "check the address in --url or MCP_URL, and that this machine may connect to it"
        }
        McpError::NotMcp { .. } => {
            "check the path in --url or MCP_URL: the payment server answers at /mcp, as in http://127.0.0.1:8080/mcp"
        }
        McpError::Busy { .. } => "wait a little and try again",
        McpError::ServerFailed { .. } => "look into the log of the server",
        McpError::SessionEnded => "start again: a new run opens a new session",
        McpError::Broken(_) => "look whether the server still runs, and try again",
        McpError::TimedOut(TimedOut::FirstByte | TimedOut::Idle | TimedOut::Progress | TimedOut::Call) => {
            "try again, allow more time with --timeout, or see with --wire where it stops"
        }
        McpError::Protocol(_) | McpError::Rpc(_) => "see with --wire what was asked and what was answered",
        McpError::Cancelled => "",
    };
    next.to_owned()
}
