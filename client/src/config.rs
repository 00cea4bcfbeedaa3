//! Every setting of the program: the command line and the environment, read once and checked.
//!
//! This is the only file that reads the environment. The rest of the program gets [`Settings`], in which what cannot be
//! used no longer occurs. Keys come from the environment alone: a command line can be read by every process of the
//! machine.

pub mod arguments;
pub mod dotenv;
mod model;
mod service;
mod user;

use std::{collections::BTreeMap, ffi::OsString, time::Duration};

use serde_json::value::RawValue;

pub use model::{EndpointSettings, ModelChoice};
pub use user::{Key, User};

use crate::mcp::{self, Credentials, Endpoint, EndpointError, NotArguments};
use arguments::{Arguments, Confirm, Protocol, Subcommand};

/// A setting that cannot be used. The text names it and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// The value of a flag or a variable breaks its rule.
    #[error("{setting}: {rule}")]
    Invalid {
        /// The flag or the variable.
        setting: String,
        /// What is wrong and what is allowed.
        rule: String,
    },
    /// A variable whose value is not text.
    #[error("{0} is not valid UTF-8 text")]
    NotText(String),
}

impl UsageError {
    fn invalid(setting: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::Invalid { setting: setting.into(), rule: rule.into() }
    }
}

/// Where variables are looked up: the process's own, or a test's.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The variables of this process.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the environment")]
pub fn process_environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// What the program is to do, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What to do.
    pub command: Command,
    /// The server's endpoint, checked but for the key.
    pub url: String,
    /// Whether plain HTTP may leave this machine.
    pub allow_plain_http: bool,
    /// What a service shows of itself.
    pub credentials: Credentials,
    /// The revision to ask for.
    pub protocol: Protocol,
    /// Who answers questions.
    pub model: ModelChoice,
    /// Model turns for one question.
    pub max_steps: u32,
    /// How long one call of a tool may take; `None` leaves it to the `mcp` room.
    pub timeout: Option<Duration>,
    /// What to say when the server asks yes or no.
    pub confirm: Confirm,
    /// Show what passes on the wire.
    pub wire: bool,
    /// Tell scripts instead of people.
    pub json: bool,
    /// The terminal can only show text.
    pub dumb_terminal: bool,
    /// Which log lines to write to stderr; `None` is none.
    pub log_filter: Option<String>,
}

/// What the program can do.
#[derive(Debug, Clone)]
pub enum Command {
    /// The questions of the demo, for each user in turn.
    Demo {
        /// Who asks.
        users: Vec<User>,
    },
    /// One question.
    Ask {
        /// Who asks.
        user: User,
        /// What.
        question: String,
    },
    /// A conversation.
    Chat {
        /// Who asks.
        user: User,
    },
    /// What the server offers.
    Tools {
        /// In whose name.
        user: User,
    },
    /// One tool call, without a model.
    Call {
        /// In whose name.
        user: User,
        /// The tool's name.
        tool: String,
        /// Its arguments, as they were written.
        arguments: mcp::Arguments,
    },
    /// The resources that the server offers, or what is in one.
    Resources {
        /// In whose name.
        user: User,
        /// Which to read; `None` lists them.
        uri: Option<String>,
    },
    /// The prompts that the server offers, or one filled in.
    Prompts {
        /// In whose name.
        user: User,
        /// Which to fill in, and with what; `None` lists them.
        prompt: Option<(String, BTreeMap<String, String>)>,
    },
    /// What works and what does not.
    Doctor {
        /// In whose name.
        user: User,
    },
}

impl Settings {
    /// Merges the command line with the environment; the command line wins, and an empty variable is an absent one.
    ///
    /// # Errors
    /// [`UsageError`] for the first setting that cannot be used.
    pub fn new(arguments: Arguments, environment: Environment<'_>) -> Result<Self, UsageError> {
        let variables = Variables(environment);
        let shared = arguments.shared;
        let url = match shared.url {
            Some(url) => checked_url("--url", url, shared.allow_plain_http)?,
            None => match variables.text("MCP_URL")? {
                Some(url) => checked_url("MCP_URL", url, shared.allow_plain_http)?,
                None => checked_url("--url", shared::demo::DEFAULT_URL.to_owned(), false)?,
            },
        };
        let credentials = service::credentials(shared.service, &variables)?;
        if credentials.token.is_some() && shared.name.is_some() {
            let rule = "a token says who calls, so no name is given beside it";
            return Err(UsageError::invalid("--as", rule));
        }
        let is_service = credentials.token.is_some() || credentials.certificate.is_some();
        let name = shared.name.as_deref();
        let users = UserLookup { name, is_service, loopback: url.loopback, variables: &variables };
        Ok(Self {
            command: command(arguments.command, &users)?,
            url: url.text,
            allow_plain_http: shared.allow_plain_http,
            credentials,
            protocol: shared.protocol,
            model: ModelChoice::new(shared.model, &variables)?,
            max_steps: shared.max_steps.map_or(shared::demo::MAX_STEPS, u32::from),
            timeout: shared.timeout.map(|seconds| Duration::from_secs(u64::from(seconds))),
            confirm: shared.confirm,
            wire: shared.wire,
            json: shared.json,
            dumb_terminal: variables.text("TERM")?.is_some_and(|terminal| terminal == "dumb"),
            log_filter: variables.text("RUST_LOG")?,
        })
    }

    /// The URL as it may be shown: without its query, which may hold a secret.
    #[must_use]
    pub fn url_for_people(&self) -> String {
        Endpoint::new(&self.url, None, self.allow_plain_http)
            .map_or_else(|_| self.url.clone(), |endpoint| endpoint.url().to_owned())
    }

    /// The endpoint with a user's key.
    ///
    /// # Errors
    /// [`EndpointError::Key`] when the key cannot be sent.
    pub fn endpoint(&self, user: &User) -> Result<Endpoint, EndpointError> {
        Endpoint::new(&self.url, user.key.secret().cloned(), self.allow_plain_http)
    }
}

impl Command {
    /// The name of the subcommand.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Demo { .. } => "demo",
            Self::Ask { .. } => "ask",
            Self::Chat { .. } => "chat",
            Self::Tools { .. } => "tools",
            Self::Call { .. } => "call",
            Self::Resources { .. } => "resources",
            Self::Prompts { .. } => "prompts",
            Self::Doctor { .. } => "doctor",
        }
    }
}

/// The environment, read as text.
struct Variables<'a>(Environment<'a>);

impl Variables<'_> {
    /// The variable's value; `None` when it is absent, empty or blank.
    fn text(&self, name: &str) -> Result<Option<String>, UsageError> {
        let Some(value) = (self.0)(name) else { return Ok(None) };
        let value = value.into_string().map_err(|_| UsageError::NotText(name.to_owned()))?;
        Ok(Some(value).filter(|value| !value.trim().is_empty()))
    }
}

struct CheckedUrl {
    text: String,
    loopback: bool,
}

fn checked_url(setting: &str, text: String, allow_plain_http: bool) -> Result<CheckedUrl, UsageError> {
    match Endpoint::new(&text, None, allow_plain_http) {
        Ok(endpoint) => Ok(CheckedUrl { text, loopback: endpoint.is_loopback() }),
        Err(error @ EndpointError::PlainHttp(_)) => {
            Err(UsageError::invalid(setting, format!("{error} with --allow-plain-http")))
        }
        Err(error) => Err(UsageError::invalid(setting, error.to_string())),
    }
}

struct UserLookup<'a> {
    name: Option<&'a str>,
    is_service: bool,
    loopback: bool,
    variables: &'a Variables<'a>,
}

impl UserLookup<'_> {
    fn one(&self) -> Result<User, UsageError> {
        let mut user = User::new(self.name, self.loopback, self.variables)?;
        if self.is_service && matches!(user.key, Key::Missing) {
            user.key = Key::Service;
        }
        Ok(user)
    }

    fn of_demo(&self) -> Result<Vec<User>, UsageError> {
        if self.name.is_some() || self.is_service {
            return Ok(vec![self.one()?]);
        }
        ["bob", "alice"]
            .map(|name| User::new(Some(name), self.loopback, self.variables))
            .into_iter()
            .collect()
    }
}

fn command(subcommand: Option<Subcommand>, users: &UserLookup<'_>) -> Result<Command, UsageError> {
    Ok(match subcommand {
        None => Command::Demo { users: users.of_demo()? },
        Some(Subcommand::Ask { question }) => {
            let question = question.join(" ").trim().to_owned();
            if question.is_empty() {
                return Err(UsageError::invalid(
                    "QUESTION",
                    "there is nothing to ask; write it between quotes",
                ));
            }
            Command::Ask { user: users.one()?, question }
        }
        Some(Subcommand::Chat) => Command::Chat { user: users.one()? },
        Some(Subcommand::Tools) => Command::Tools { user: users.one()? },
        Some(Subcommand::Call { tool, args }) => {
            Command::Call { user: users.one()?, tool, arguments: json_object(args.as_deref())? }
        }
        Some(Subcommand::Resources { uri }) => Command::Resources { user: users.one()?, uri },
        Some(Subcommand::Prompts { prompt, args }) => {
            let texts = texts(&json_object(args.as_deref())?)?;
            Command::Prompts { user: users.one()?, prompt: prompt.map(|name| (name, texts)) }
        }
        Some(Subcommand::Doctor) => Command::Doctor { user: users.one()? },
    })
}

/// The arguments of a prompt: texts, all of them.
fn texts(arguments: &mcp::Arguments) -> Result<BTreeMap<String, String>, UsageError> {
    let text = |(name, value): (String, &RawValue)| match serde_json::from_str(value.get()) {
        Ok(text) => Ok((name, text)),
        Err(_) => {
            let rule =
                format!("the arguments of a prompt are texts, and \"{name}\" is not; put it between quotes");
            Err(UsageError::invalid("--args", rule))
        }
    };
    arguments.members().into_iter().map(text).collect()
}

fn json_object(text: Option<&str>) -> Result<mcp::Arguments, UsageError> {
    let Some(text) = text else { return Ok(mcp::Arguments::default()) };
    mcp::Arguments::parse(text).map_err(|reason| {
        let example = r#"write an object like '{"limit": 5}'"#;
        let rule = match reason {
            NotArguments::NotAnObject(_) => format!("this is JSON but not an object; {example}"),
            NotArguments::NotJson(reason) => format!("this is not JSON ({reason}); {example}"),
        };
        UsageError::invalid("--args", rule)
    })
}

#[cfg(test)]
mod tests;
