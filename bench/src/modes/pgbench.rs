//! The statements of a payment, sent by `pgbench`: what PostgreSQL takes where nobody asks for more than that.

use anyhow::{Context as _, ensure};
use tokio_postgres::config::Host;

use crate::{
    contender::Server,
    desk::payers,
    findings::LeftOut,
    process::{Process, Program},
    setup::Setup,
};

/// The statements: two transactions a payment, as the server makes them.
const STATEMENTS: &str = include_str!("../../sql/payment.sql");

/// As many connections as the server opens.
const CONNECTIONS: &str = "16";

/// How many seconds are not counted: each connection prepares its statements, and PostgreSQL compiles its triggers.
pub(super) const WARM: u64 = 2;

/// How many payments a second `pgbench` makes on a new database, in the mean over the seconds that are counted.
pub(super) async fn round(setup: &Setup, payers_wanted: u32) -> anyhow::Result<u64> {
    let version = Program::of("pgbench".as_ref(), &["--version"]).command(None).output().await?;
    ensure!(version.status.success(), LeftOut("pgbench is not here"));
    let scratch = setup.scratch()?;
    let database = Server::Postgres.database(setup, scratch.path()).await?;
    let program = setup.payment_server(&database);
    Process::start(&program, scratch.path(), &setup.server_core(0)).await?.stop().await?;
    payers(setup, &database, payers_wanted).await?;
    let file = scratch.path().join("payment.sql");
    std::fs::write(&file, STATEMENTS)?;
    let seconds = WARM + setup.effort.time.as_secs().max(1);
    let (file, seconds) = (file.display().to_string(), seconds.to_string());
    let mut arguments = vec!["-n", "-M", "prepared", "-c", CONNECTIONS, "-j", "1", "-P", "1"];
    let login = Login::of(&database)?;
    arguments.extend(["-T", &seconds, "-f", &file, "-h", &login.host, "-p", &login.port, "-U", &login.user]);
    arguments.push(&login.database);
    // Statements are planned once, as the server has it for work on money.
    let pgbench = Program::of("pgbench".as_ref(), &arguments)
        .with(&[("PGOPTIONS", "-c plan_cache_mode=force_generic_plan"), ("PGPASSWORD", &login.password)]);
    let output = pgbench.command(None).output().await?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "pgbench: {told}");
    let rates: Vec<u64> = told.lines().filter_map(rate).skip(usize::try_from(WARM)?).collect();
    let mean = rates.iter().sum::<u64>().checked_div(u64::try_from(rates.len())?);
    mean.with_context(|| format!("pgbench told no rate: {told}"))
}

/// The parts of a URL, of which the password has no place in a command line.
struct Login {
    host: String,
    port: String,
    user: String,
    password: String,
    database: String,
}

impl Login {
    fn of(url: &str) -> anyhow::Result<Self> {
        let config: tokio_postgres::Config = url.parse()?;
        let host = config.get_hosts().first().context("the URL names no host")?;
        let Host::Tcp(host) = host else { anyhow::bail!("the URL names no host that is reached by TCP") };
        let password = config.get_password().unwrap_or_default();
        Ok(Self {
            host: host.clone(),
            port: config.get_ports().first().unwrap_or(&5432).to_string(),
            user: config.get_user().context("the URL names no user")?.to_owned(),
            password: String::from_utf8_lossy(password).into_owned(),
            database: config.get_dbname().context("the URL names no database")?.to_owned(),
        })
    }
}

/// The rate in a line such as `progress: 3.0 s, 1234.5 tps, lat …`.
fn rate(line: &str) -> Option<u64> {
    let (_, rest) = line.strip_prefix("progress: ")?.split_once(" s, ")?;
    rest.split(['.', ' ']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn the_rate_of_each_second_is_read() {
        let line = "progress: 3.0 s, 1234.5 tps, lat 12.3 ms stddev 1.2, 0 failed";
        assert_eq!(rate(line), Some(1_234));
        assert_eq!(rate("pgbench (15.18)"), None);
    }
}
