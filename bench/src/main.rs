//! Measures what a call costs the payment server, beside what it costs a bare HTTP server.
//!
//! `bench run` starts each contender in turn, several rounds interleaved, drives the same work through 32 kept-alive
//! connections, checks every answer, and reports the server process's CPU time a call: on a machine with noisy
//! neighbours that is the steady figure, calls a second is not. `bench bare` is the ceiling: axum, one JSON body in and
//! one out, no protocol, no key, no store.

mod bare;
mod contender;
mod http;
mod load;
mod process;
mod report;
mod security;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures the payment server beside a bare HTTP server.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The ceiling: a bare axum server on a free port of the loopback address, which it prints.
    Bare,
    /// What abandoned sessions hold, what wrong keys do to a good caller, how long a revoked key goes on.
    Security {
        /// The folder of the release binary `server`.
        #[arg(long, default_value = "target/release")]
        binaries: PathBuf,
    },
    /// Measures, and prints a table.
    Run(RunArguments),
}

/// How to measure.
#[derive(Debug, Clone, clap::Args)]
struct RunArguments {
    /// The folder of the release binaries `server` and `bench`.
    #[arg(long, default_value = "target/release")]
    binaries: PathBuf,
    /// Rounds; each contender runs once a round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Calls a round.
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    calls: u32,
    /// Connections.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    connections: u32,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments.command {
        Command::Bare => runtime.block_on(bare::serve()),
        Command::Security { binaries } => runtime.block_on(security::run(&binaries)),
        Command::Run(arguments) => runtime.block_on(report::run(&arguments)),
    }
}
