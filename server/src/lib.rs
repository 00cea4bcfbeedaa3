//! An authenticated, stateful MCP payment server.
//!
//! The rooms, from the door inwards; each imports only what stands below it (`tests/architecture.rs` sees to that):
//!
//! - [`app`] wires everything together from a [`config`], serves, and drains.
//! - [`http`] has every route and every check that HTTP can make.
//! - [`tools`] are the payment tools, [`resources`] what can be read by URI, and [`prompts`] what a person picks from a
//!   menu; one file each.
//! - [`mcp`] is the protocol engine. It knows no payment: it serves whatever set of tools it is given.
//! - [`payments`] are the rules of money, and [`audit`] is what is recorded of every call.
//! - [`risk`] asks another server whether a payment may be made; [`risk_service`] is that server.
//! - [`identity`] turns a key into a `Principal`, and is the only room that can.
//! - [`limits`] are how often callers may do what costs something.
//! - [`store`] is the one place that keeps anything, behind a trait; `store/sqlite` is the only SQL.
//! - [`metrics`] counts, and [`telemetry`] logs, for all of them.
//! - [`money`] and [`clock`] are the values that all of them speak in, and [`text`] is what others may write to them.

pub mod app;
pub mod audit;
pub mod clock;
pub mod commands;
pub mod config;
pub mod http;
pub mod identity;
pub mod limits;
pub mod mcp;
pub mod metrics;
pub mod money;
pub mod payments;
pub mod prompts;
pub mod resources;
pub mod risk;
pub mod risk_service;

pub mod store;
pub mod telemetry;
pub mod text;
pub mod tools;
