//! An MCP client, and the AI agent that calls tools through it.
//!
//! - [`mcp`] opens sessions over Streamable HTTP and calls tools. It knows no model.
//! - `agent` (feature `agent`) drives a model through the tool-calling loop. It knows no HTTP to a server and no
//!   terminal.
//! - `terminal` (feature `cli`) is what a person sees and types; `commands` are the program's subcommands; `config` is
//!   where settings come from; `exit` is how the program ends.
//!
//! Another server that calls MCP servers takes this crate without its default features, and gets the `mcp` room alone.

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "cli")]
pub mod commands;
#[cfg(feature = "cli")]
pub mod config;
#[cfg(feature = "cli")]
pub mod exit;
pub mod mcp;
#[cfg(feature = "cli")]
pub mod terminal;
