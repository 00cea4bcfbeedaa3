//! Settings about risk: how the payment server reaches the risk service, and what the risk service itself is like.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use client::mcp::{Endpoint, TokenOrigin};

use super::{Config, ConfigError, Exposed, StartFlags, variables::Variables};
use crate::{
    risk::{BreakerSettings, RiskCredentials, RiskSettings, Threshold},
    risk_service::Rules,
    store::{DatabaseUrl, sqlite::SqliteLocation},
};

/// The longest that one attempt may be given, in milliseconds: three of them, and the waits between, must be over before
/// whoever waits for the payment is.
const TIMEOUT_MAX_MS: u64 = 5_000;

/// The largest amount that a setting may name, in major units.
const MAJOR_MAX: u64 = 1_000_000_000;

/// Every setting of the risk service. Made by [`RiskServiceConfig::from_env`] and, for tests,
/// [`RiskServiceConfig::ephemeral`].
#[derive(Debug)]
pub struct RiskServiceConfig {
    /// What it has in common with the payment server. Where it listens (`RISK_HOST`, `RISK_PORT`), its database
    /// (`RISK_DATABASE_URL`) and for whom tokens must be (`RISK_AUDIENCE`) are its own; it has no demo users.
    pub server: Config,
    /// Its database (`RISK_DATABASE_URL`), a file; what `server` has for one is the same.
    pub database: SqliteLocation,
    /// What is too much (`RISK_PAYMENT_LIMIT`, `RISK_EXPOSURE_LIMIT`).
    pub rules: Rules,
}

impl RiskServiceConfig {
    /// Reads the environment; what `flags` say goes before it.
    ///
    /// # Errors
    /// [`ConfigError`] for the first setting that is wrong.
    #[expect(clippy::disallowed_methods, reason = "the environment is read in this room alone")]
    pub fn from_env(flags: &StartFlags) -> Result<Self, ConfigError> {
        Self::from_variables(&Variables::new(&|name| std::env::var_os(name)), flags)
    }

    /// Every default, on a free loopback port, over a database in memory: for tests.
    ///
    /// # Errors
    /// None that a test would see: the defaults are right.
    pub fn ephemeral() -> Result<Self, ConfigError> {
        let mut config = Self::from_variables(&Variables::new(&|_| None), &StartFlags::default())?;
        config.server.listen.set_port(0);
        config.database = SqliteLocation::Memory;
        config.server.database = DatabaseUrl::Sqlite(SqliteLocation::Memory);
        Ok(config)
    }

    pub(super) fn from_variables(variables: &Variables<'_>, flags: &StartFlags) -> Result<Self, ConfigError> {
        let host = super::host(variables, "RISK_HOST")?;
        let port = super::port(variables, "RISK_PORT", "8090", 8_090)?;
        let database = super::database::file(variables, "RISK_DATABASE_URL", "sqlite://data/risk.db")?;
        let rules = Rules {
            payment_limit: major(variables, "RISK_PAYMENT_LIMIT", "2500", 2_500)?,
            exposure_limit: major(variables, "RISK_EXPOSURE_LIMIT", "5000", 5_000)?,
        };
        let lookup = |name: &str| match name {
            "HOST" | "PORT" | "DATABASE_URL" | "RISK_URL" => None,
            "PAYMENTS_DEMO" => Some("false".into()),
            "SERVICE_AUDIENCE" => variables.raw("RISK_AUDIENCE"),
            other => variables.raw(other),
        };
        let server = Config::from_variables(&Variables::new(&lookup), flags);
        let mut server = server.map_err(|error| match error {
            ConfigError::IncompleteIssuer { .. } => {
                ConfigError::IncompleteIssuer { audience: "RISK_AUDIENCE" }
            }
            other => other,
        })?;
        server.listen = SocketAddr::new(host, port);
        server.exposed = Exposed::of("RISK_HOST", host, flags.behind_proxy);
        server.guard = super::guard(variables, host)?;
        server.database = DatabaseUrl::Sqlite(database.clone());
        if !flags.listens_nowhere {
            server.may_be_exposed()?;
        }
        Ok(Self { server, database, rules })
    }
}

fn major(
    variables: &Variables<'_>,
    variable: &'static str,
    example: &'static str,
    default: u32,
) -> Result<u32, ConfigError> {
    let number = variables.number(variable, 0..=MAJOR_MAX, example, u64::from(default))?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// How the risk service is reached, if it is asked.
pub(super) fn client(variables: &Variables<'_>) -> Result<Option<RiskSettings>, ConfigError> {
    let endpoint = variables.parsed(
        "RISK_URL",
        "an https URL (http on this machine only), without a user, a password or a `#` part",
        "https://risk.example.com/mcp",
        |text| Endpoint::new(text, None, false).ok().map(Some),
        None,
    )?;
    let timeout = variables.number("RISK_TIMEOUT_MS", 50..=TIMEOUT_MAX_MS, "2000", 2_000)?;
    let threshold = major(variables, "RISK_THRESHOLD", "100", 100)?;
    let credentials = credentials(variables)?;
    let Some(endpoint) = endpoint else { return Ok(None) };
    if credentials.token.is_none() && credentials.certificate.is_none() {
        return Err(ConfigError::NoRiskCredentials);
    }
    Ok(Some(RiskSettings {
        endpoint,
        credentials,
        timeout: Duration::from_millis(timeout),
        threshold: Threshold::from_major(threshold),
        breaker: BreakerSettings::default(),
    }))
}

fn credentials(variables: &Variables<'_>) -> Result<RiskCredentials, ConfigError> {
    let file = variables.text("RISK_TOKEN_FILE")?.map(PathBuf::from);
    let token = match (file, variables.text("RISK_TOKEN_COMMAND")?) {
        (Some(_), Some(_)) => {
            return Err(ConfigError::Wrong {
                variable: "RISK_TOKEN_COMMAND",
                rule: "left out where RISK_TOKEN_FILE is set".to_owned(),
                example: "",
            });
        }
        (Some(file), None) => Some(TokenOrigin::File(file)),
        (None, command) => command.map(TokenOrigin::Command),
    };
    let path = |text: Option<String>| text.map(PathBuf::from);
    let certificate = path(variables.text("RISK_CLIENT_CERT")?);
    let key = path(variables.text("RISK_CLIENT_KEY")?);
    let certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(ConfigError::IncompleteRiskCertificate),
    };
    Ok(RiskCredentials { token, certificate, roots: path(variables.text("RISK_CA")?) })
}
