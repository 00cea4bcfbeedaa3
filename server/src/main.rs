//! The program: reads its settings, starts the server, and ends with a code that says how it went.
//!
//! 0 after an orderly shutdown (SIGINT or SIGTERM), 2 when a setting or an argument is wrong, 1 for everything else.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use server::{
    app::Application,
    commands,
    config::{Config, ConfigError, load_dotenv},
    telemetry,
};

/// An authenticated, stateful MCP server over payment data.
///
/// Settings come from the environment, or from a file `.env` in this folder or one above; `.env.example` lists them.
#[derive(Debug, Parser)]
#[command(name = "payment-server", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve MCP over HTTP until SIGINT or SIGTERM; what happens without a command, too
    Serve(Serve),
    #[command(flatten)]
    Operator(commands::Command),
}

#[derive(Debug, Default, Args)]
struct Serve {
    /// A proxy in front ends TLS and is the only one that can connect: other addresses than loopback are allowed, the
    /// published demo keys are not
    #[arg(long)]
    behind_proxy: bool,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Some(Command::Serve(serve)) => run(&serve),
        Some(Command::Operator(command)) => operate(command),
        None => run(&Serve::default()),
    };
    done.unwrap_or_else(|error| {
        // There is nobody left to tell when even this cannot be written.
        let _ = writeln!(io::stderr(), "payment-server: {error:#}");
        let is_ours_to_mend = !error.is::<ConfigError>() && !error.is::<commands::Mistake>();
        if is_ours_to_mend { ExitCode::FAILURE } else { ExitCode::from(2) }
    })
}

/// Does one thing on the database, beside whatever serves it.
fn operate(command: commands::Command) -> anyhow::Result<ExitCode> {
    load_dotenv()?;
    let config = Config::from_env(false)?;
    telemetry::start(&config.log.filter, config.log.format, false)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime does not start")?
        .block_on(commands::run(command, &config, &mut io::stdout()))
}

fn run(serve: &Serve) -> anyhow::Result<ExitCode> {
    // Before there is a second thread: the environment is the process's.
    load_dotenv()?;
    let config = Config::from_env(serve.behind_proxy)?;
    let colour = io::stderr().is_terminal() && !config.log.no_colour;
    telemetry::start(&config.log.filter, config.log.format, colour)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime does not start")?
        .block_on(async {
            let shutdown = shutdown_signal().context("signals cannot be received")?;
            let application = Application::build(config).await?;
            announce(&application);
            application.run(shutdown).await.map(|()| ExitCode::SUCCESS)
        })
}

/// Tells the person who started the server where it is and whom it knows. Scripts read the first line; keys are never
/// shown.
fn announce(application: &Application) {
    let mut lines = format!("{} listening on {}\n", shared::demo::SERVER_NAME, application.url());
    if !application.demo_users().is_empty() {
        lines.push_str(&format!("demo users: {}\n", application.demo_users().join(", ")));
    }
    let mut stdout = io::stdout().lock();
    // A server whose output nobody reads goes on serving.
    let _ = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush());
}

/// Resolves at the first SIGINT or SIGTERM. Both are caught from now on.
#[cfg(unix)]
fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Resolves at the first Ctrl-C.
#[cfg(not(unix))]
fn shutdown_signal() -> io::Result<impl Future<Output = ()> + Send> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
