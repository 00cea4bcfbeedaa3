//! Measures what a call costs the payment server, beside what it costs others.
//!
//! `bench run` starts each contender in turn, several rounds interleaved, drives the same work through 32 kept-alive
//! connections, checks every answer, and reports the server process's CPU time a call: on a machine with noisy
//! neighbours that is the steady figure, calls a second is not. `bench bare` is the ceiling: axum and the demo's tools, with a
//! check of the key, no protocol beyond that, no session, no store; `bench stored` the same with the payment server's store
//! behind it; `bench rmcp` the same tools on the official Rust SDK.

mod ask;
mod compare;
mod contender;
mod desk;
mod figures;
mod findings;
mod http;
mod load;
mod machine;
mod modes;
mod page;
mod peers;
mod plot;
mod process;
mod rows;
mod run;
mod security;
mod session;
mod setup;
mod targets;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use setup::Places;

/// Measures the payment server beside others.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The ceiling: a bare axum server on a free port of the loopback address, which it prints.
    Bare,
    /// The same on the payment server's store, with a record of every call.
    Stored {
        /// The database, which is made where there is none.
        database: PathBuf,
    },
    /// The demo's three tools on the official Rust SDK, likewise.
    Rmcp {
        /// Keep sessions and answer in event streams, instead of neither.
        #[arg(long)]
        sessions: bool,
    },
    /// What abandoned sessions hold, what wrong keys do to a good caller, how long a revoked key goes on.
    Security {
        /// The folder of the release binary `server`.
        #[arg(long, default_value = "target/release")]
        binaries: PathBuf,
        #[command(flatten)]
        places: Places,
    },
    /// Builds of the payment server beside one another: what a read call costs each.
    Compare(compare::CompareArguments),
    /// Measures, and writes the page.
    Run(run::RunArguments),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments.command {
        Command::Bare => runtime.block_on(peers::bare::serve()),
        Command::Stored { database } => runtime.block_on(peers::stored::serve(database)),
        Command::Rmcp { sessions } => runtime.block_on(peers::rmcp::serve(sessions)),
        Command::Security { binaries, places } => runtime.block_on(security::run(&binaries, &places)),
        Command::Compare(arguments) => runtime.block_on(compare::run(&arguments)),
        Command::Run(arguments) => runtime.block_on(run::run(&arguments)),
    }
}

/// Writes to the standard output.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).context("cannot write to the standard output")?;
    out.flush().context("cannot write to the standard output")
}
