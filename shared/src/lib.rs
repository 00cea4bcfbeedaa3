//! What the server and the client have in common: the constants of the demo, and the messages of the Model Context
//! Protocol (MCP) as Rust types.
//!
//! The crate is data and its grammar only. It opens no socket, spawns no task and reads no environment, so that both
//! programs, and any third one, can build on it without inheriting a runtime.

pub mod demo;
pub mod headers;
pub mod jsonrpc;
pub mod mcp;
