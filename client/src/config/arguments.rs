//! The command line, as it is typed.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use shared::mcp::ProtocolVersion;

use crate::mcp::Era;

/// The environment and the exit codes, below the flags in `--help`.
const AFTER_HELP: &str = "\
Environment (also read from a file .env in this folder or above it):
  NAME_API_KEY     the key of the user given with --as, as in BOB_API_KEY and ALICE_API_KEY
  MCP_API_KEY      the key to use without --as
  MCP_URL          the server, if --url is not given
  MCP_TOKEN_FILE, MCP_TOKEN_COMMAND, MCP_CLIENT_CERT, MCP_CLIENT_KEY, MCP_CA
                   the same as the flags of these names
  OPENAI_API_KEY   the key of the model endpoint
  OPENAI_BASE_URL  an OpenAI-compatible endpoint: Ollama, llama.cpp, vLLM and others
  OPENAI_MODEL     the model to ask for there (default: gpt-5-mini)
  MODEL            the model, if --model is not given
  NO_COLOR         set to anything: no colours
  RUST_LOG         log lines to stderr, for example client=debug

Exit codes:
  0    answered
  1    the tool that `call` ran reported an error, or the output could not be written
  2    the command line or a setting is wrong
  3    unauthorized: there is no key, or the server refused it or the request
  4    the server cannot be reached, is no MCP server, or broke the protocol
  5    the model endpoint failed
  6    stopped at the step limit, or cut off, with an answer all the same
  7    a payment was declined, or needs a confirmation that nobody can give
  130  Ctrl-C";

const URL_HELP: &str = "The server's MCP endpoint [default: http://127.0.0.1:8080/mcp]";

/// Ask an AI agent about your payments, over MCP.
///
/// Without a command it runs the demo: Bob and then Alice ask about their money, each with a key and a session of
/// their own.
#[derive(Debug, Clone, Parser)]
#[command(name = "client", version, after_long_help = AFTER_HELP, after_help = "More: client --help")]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Subcommand>,
    /// What every command takes.
    #[command(flatten)]
    pub shared: SharedArguments,
}

/// What to do.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Subcommand {
    /// Ask one question
    Ask {
        /// The question
        #[arg(required = true, value_name = "QUESTION")]
        question: Vec<String>,
    },
    /// Keep a conversation going: one session, many questions
    Chat,
    /// List the tools that the server offers
    Tools,
    /// Call a tool directly, without a model
    Call {
        /// The tool's name
        tool: String,
        /// Its arguments: a JSON object
        #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
        args: Option<String>,
    },
    /// List the resources that the server offers, or read one
    Resources {
        /// The resource to read, as in `payments://balance`
        #[arg(value_name = "URI")]
        uri: Option<String>,
    },
    /// List the prompts that the server offers, or fill one in
    Prompts {
        /// The prompt to fill in
        #[arg(value_name = "NAME")]
        prompt: Option<String>,
        /// Its arguments: a JSON object whose values are texts
        #[arg(long, value_name = "JSON", requires = "prompt")]
        args: Option<String>,
    },
    /// Check step by step what works, and say what to do about what does not
    Doctor,
}

/// The flags of every command; they may stand before or after its name.
#[derive(Debug, Clone, Args)]
pub struct SharedArguments {
    /// In whose name: the key is read from `NAME_API_KEY`
    #[arg(long = "as", value_name = "NAME", global = true)]
    pub name: Option<String>,
    /// The server's MCP endpoint; without it the payment server on this machine.
    #[arg(long, value_name = "URL", global = true, help = URL_HELP)]
    pub url: Option<String>,
    /// Who answers: `auto`, `offline`, or the name of a model at the endpoint in `OPENAI_BASE_URL` [default: auto]
    #[arg(long, value_name = "MODEL", global = true)]
    pub model: Option<String>,
    /// How many turns the model may take for one question, 1 to 100 [default: 20]
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub max_steps: Option<u8>,
    /// How a service says who it is.
    #[command(flatten)]
    pub service: ServiceArguments,
    /// The revision of MCP to speak
    #[arg(long, value_name = "REVISION", global = true, default_value = "2025-11-25")]
    pub protocol: Protocol,
    /// The longest that one call may take, in seconds, 1 to 3600 [default: 300]
    #[arg(long, value_name = "SECONDS", global = true, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub timeout: Option<u16>,
    /// What to say when the server asks yes or no, as it does before a payment
    #[arg(long, value_name = "ANSWER", global = true, default_value = "ask")]
    pub confirm: Confirm,
    /// Show every HTTP exchange and JSON-RPC message on stderr as it passes, keys hidden
    #[arg(long, global = true)]
    pub wire: bool,
    /// One JSON event a line on stdout, for scripts
    #[arg(long, global = true)]
    pub json: bool,
    /// Send keys over plain http:// to other machines too, where everyone on the way can read them
    #[arg(long, global = true)]
    pub allow_plain_http: bool,
}

/// How a service says who it is, in the place of a user's key.
#[derive(Debug, Clone, Default, Args)]
pub struct ServiceArguments {
    /// A file with a signed token, read again before the token ends
    #[arg(long, value_name = "FILE", global = true, help_heading = "Services")]
    pub token_file: Option<PathBuf>,
    /// A command of the shell that prints a signed token
    #[arg(long, value_name = "COMMAND", global = true, help_heading = "Services")]
    pub token_command: Option<String>,
    /// A client certificate, in PEM
    #[arg(long, value_name = "FILE", global = true, help_heading = "Services")]
    pub client_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(long, value_name = "FILE", global = true, help_heading = "Services")]
    pub client_key: Option<PathBuf>,
    /// Certificates of authorities, in PEM, to trust instead of those of this machine
    #[arg(long, value_name = "FILE", global = true, help_heading = "Services")]
    pub ca: Option<PathBuf>,
}

/// What to say when the server asks yes or no.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Confirm {
    /// Ask at the terminal; where nobody sits at one, the server is told that nobody can be asked
    #[default]
    Ask,
    /// Yes to everything, unseen: every payment that a model prepares is paid
    Yes,
    /// No to everything
    No,
}

/// A revision of MCP that this client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Opens a session
    #[value(name = "2025-11-25")]
    Sessions,
    /// Without a session: every request stands for itself
    #[value(name = "2026-07-28")]
    Stateless,
    /// Without a session where the server knows how, otherwise with one
    Auto,
}

impl Protocol {
    /// As it is typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => ProtocolVersion::LATEST_WITH_SESSIONS.as_str(),
            Self::Stateless => ProtocolVersion::V2026_07_28.as_str(),
            Self::Auto => "auto",
        }
    }
}

impl From<Protocol> for Era {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Sessions => Self::Sessions,
            Protocol::Stateless => Self::Stateless,
            Protocol::Auto => Self::Auto,
        }
    }
}
