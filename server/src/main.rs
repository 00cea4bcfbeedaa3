//! The program: reads its settings, starts the server, and ends with a code that says how it went.
//!
//! 0 after an orderly shutdown (SIGINT or SIGTERM), 2 when a setting or an argument is wrong, 1 for everything else.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use mimalloc::MiMalloc;
use server::{
    app::{Application, Reloading},
    commands,
    config::{Config, ConfigError, LogConfig, RiskServiceConfig, StartFlags, load_dotenv},
    http::tls::TlsError,
    identity::issuer::KeysError,
    risk::RiskSettingsError,
    risk_service, telemetry,
};
use zeroizing_alloc::ZeroAlloc;

/// Memory is wiped when it is given back: a key that came in a header is gone once its request is, from wherever it was
/// copied to on the way. A call takes and gives back some forty pieces; below the wiping, mimalloc does so in less time than
/// the system's own.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

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
    /// Serve the risk service instead, which payment servers ask before much money moves; or operate its database
    #[command(args_conflicts_with_subcommands = true)]
    Risk(Risk),
    #[command(flatten)]
    Operator(commands::Command),
}

#[derive(Debug, Default, Args)]
struct Serve {
    /// A proxy in front ends TLS and is the only one that can connect: other addresses than loopback are allowed, the
    /// published demo keys are not
    #[arg(long)]
    behind_proxy: bool,
    /// The server's certificate in PEM, with those that lead to its root; read again at SIGHUP (`TLS_CERT`)
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key in PEM (`TLS_KEY`)
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Roots, in PEM, of the certificates that clients may present (`CLIENT_CA`)
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Risk {
    #[command(flatten)]
    serve: Serve,
    #[command(subcommand)]
    operator: Option<commands::Command>,
}

impl From<Serve> for StartFlags {
    fn from(serve: Serve) -> Self {
        let Serve { behind_proxy, tls_cert, tls_key, client_ca } = serve;
        Self { behind_proxy, tls_cert, tls_key, client_ca, listens_nowhere: false }
    }
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Some(Command::Serve(serve)) => serve_payments(serve),
        Some(Command::Risk(Risk { serve, operator: None })) => serve_risk(serve),
        Some(Command::Risk(Risk { operator: Some(command), .. })) => {
            operate(command, || Ok(RiskServiceConfig::from_env(&StartFlags::operating())?.server))
        }
        Some(Command::Operator(command)) => operate(command, || Config::from_env(&StartFlags::operating())),
        None => serve_payments(Serve::default()),
    };
    done.unwrap_or_else(|error| {
        // There is nobody left to tell when even this cannot be written.
        let _ = writeln!(io::stderr(), "payment-server: {error:#}");
        let is_a_setting = error.is::<ConfigError>()
            || error.is::<TlsError>()
            || error.is::<KeysError>()
            || error.is::<RiskSettingsError>();
        let is_ours_to_mend = !is_a_setting && !error.is::<commands::Mistake>();
        if is_ours_to_mend { ExitCode::FAILURE } else { ExitCode::from(2) }
    })
}

/// Does one thing on the database, beside whatever serves it.
fn operate(
    command: commands::Command,
    config: impl FnOnce() -> Result<Config, ConfigError>,
) -> anyhow::Result<ExitCode> {
    load_dotenv()?;
    let config = config()?;
    telemetry::start(&config.log.filter, config.log.format, false)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime does not start")?
        .block_on(commands::run(command, &config, &mut io::stdout()))
}

fn serve_payments(serve: Serve) -> anyhow::Result<ExitCode> {
    // Before there is a second thread: the environment is the process's.
    load_dotenv()?;
    let config = Config::from_env(&serve.into())?;
    let log = config.log.clone();
    run(&log, shared::demo::SERVER_NAME, Application::build(config))
}

fn serve_risk(serve: Serve) -> anyhow::Result<ExitCode> {
    load_dotenv()?;
    let config = RiskServiceConfig::from_env(&serve.into())?;
    let log = config.server.log.clone();
    run(&log, risk_service::NAME, Application::risk_service(config))
}

/// Runs what `building` builds until it is told to stop, which may be before it is built.
fn run(
    log: &LogConfig,
    name: &str,
    building: impl Future<Output = anyhow::Result<Application>>,
) -> anyhow::Result<ExitCode> {
    let colour = io::stderr().is_terminal() && !log.no_colour;
    telemetry::start(&log.filter, log.format, colour)?;
    // Where there is one core, there is nobody to share work with.
    let mut runtime = match std::thread::available_parallelism() {
        Ok(cores) if cores.get() == 1 => tokio::runtime::Builder::new_current_thread(),
        Ok(_) | Err(_) => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build().context("the runtime does not start")?;
    let ended = runtime.block_on(async {
        let mut shutdown = Box::pin(shutdown_signal().context("signals cannot be received")?);
        let hangups = hangup_signals().context("signals cannot be received")?;
        let application = tokio::select! {
            application = building => application?,
            () = &mut shutdown => {
                tracing::info!("stopped before it served");
                return Ok(ExitCode::SUCCESS);
            }
        };
        announce(name, &application);
        tokio::spawn(reload_at_hangup(hangups, application.reloading()));
        application.run(shutdown).await.map(|()| ExitCode::SUCCESS)
    });
    // What still waits for a database then is not waited for: nothing of it is committed.
    runtime.shutdown_background();
    ended
}

/// Tells the person who started the server where it is and whom it knows. Scripts read the first line; keys are never
/// shown.
fn announce(name: &str, application: &Application) {
    let mut lines = format!("{name} listening on {}\n", application.url());
    if !application.demo_users().is_empty() {
        lines.push_str(&format!("demo users: {}\n", application.demo_users().join(", ")));
    }
    let mut stdout = io::stdout().lock();
    // A server whose output nobody reads goes on serving.
    let _ = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush());
}

/// Every SIGHUP from now on.
#[cfg(unix)]
fn hangup_signals() -> io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
}

/// At every SIGHUP certificates and the issuer's keys are read again.
#[cfg(unix)]
async fn reload_at_hangup(mut hangups: tokio::signal::unix::Signal, reloading: Reloading) {
    while hangups.recv().await.is_some() {
        reloading.reload().await;
    }
}

/// There is no such signal here.
#[cfg(not(unix))]
fn hangup_signals() -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
async fn reload_at_hangup(_hangups: (), _reloading: Reloading) {}

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
