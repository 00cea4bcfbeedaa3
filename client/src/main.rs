//! The `client` program: reads its settings, runs one command, ends with its exit code.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Parser as _, error::ErrorKind};
use client::{
    commands::Run,
    config::{Settings, arguments::Arguments, dotenv, process_environment},
    exit::Exit,
    terminal::{Event, Look, Terminal, hold, log::EscapedLog},
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// What to do about a wrong command line.
const SEE_HELP: &str = "see `client --help`";

fn main() -> ExitCode {
    let settings = match read_settings() {
        Ok(settings) => settings,
        Err(exit) => return exit.into(),
    };
    match run(settings) {
        Ok(exit) => exit.into(),
        Err(error) => {
            // Where even stderr is gone, the exit code says what is left to say.
            writeln!(io::stderr(), "error: {error:#}").ok();
            Exit::Failed.into()
        }
    }
}

fn run(settings: Settings) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let exit = runtime.block_on(async { Run::of_process(settings).to_end().await });
    // A thread that waits for someone to type is not waited for, but the terminal is had back from it.
    runtime.shutdown_background();
    hold::give_back();
    Ok(exit)
}

/// Merges `.env`, the environment and the command line and starts the log, or says what is wrong with them.
fn read_settings() -> Result<Settings, Exit> {
    let dotenv = dotenv::load();
    let arguments = Arguments::try_parse().map_err(|error| tell_usage(&error))?;
    let json = arguments.shared.json;
    dotenv.map_err(|error| refuse(json, &error.to_string(), error.next()))?;
    let settings = Settings::new(arguments, &process_environment)
        .map_err(|error| refuse(json, &error.to_string(), SEE_HELP))?;
    start_log(settings.log_filter.as_deref())
        .map_err(|error| refuse(json, &format!("{error:#}"), "write it like client=debug"))?;
    Ok(settings)
}

fn refuse(json: bool, message: &str, next: &str) -> Exit {
    let look = Look { json, ..Look::default() };
    Terminal::of_process(look, CancellationToken::new()).fail(Exit::Usage, message, next);
    Exit::Usage
}

/// Prints what the command line's own parser has to say: help, the version, or what is wrong.
fn tell_usage(error: &clap::Error) -> Exit {
    // A reader that has gone away has seen enough.
    error.print().ok();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Exit::Answered;
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        let look = Look { json: true, ..Look::default() };
        let message = error.to_string();
        let message = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let event = Event::Error { exit_code: Exit::Usage.code(), message, next: SEE_HELP };
        Terminal::of_process(look, CancellationToken::new()).record(&event);
    }
    Exit::Usage
}

fn start_log(filter: Option<&str>) -> anyhow::Result<()> {
    let Some(filter) = filter else { return Ok(()) };
    let filter: EnvFilter = filter.parse().context("RUST_LOG is not a filter")?;
    // It logs what it cannot read as it came, and that may repeat the key.
    let filter = filter.add_directive("async_openai=off".parse()?);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(EscapedLog::default)
        .init();
    Ok(())
}
