//! Every setting of the server, read from the environment once, here and nowhere else.
//!
//! Settings are parsed into types that cannot be wrong, so nothing behind this file checks them again. A wrong one
//! stops the start with one sentence that names the variable, the rule and an example, and never the value: it may be
//! a secret in the wrong place. A variable that is set to nothing counts as not set.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use shared::demo;

use crate::{
    http::{guard::Guard, peer::TrustedProxies, tls::TlsSettings},
    identity::{ApiKey, IssuerSettings},
    limits::LimitSettings,
    risk::RiskSettings,
    store::{DatabaseUrl, sqlite::SqliteLocation},
    telemetry::{LogFilter, LogFormat},
};

use self::variables::Variables;
pub use self::{dotenv::load_dotenv, error::ConfigError, risk::RiskServiceConfig};

mod access;
mod database;
mod dotenv;
mod error;
mod risk;
mod variables;

/// Shortest pepper that is taken, in bytes: as long as what it keys.
const PEPPER_MIN_BYTES: usize = 32;

/// Every setting of the server. Made by [`Config::from_env`] and, for tests, [`Config::ephemeral`].
#[derive(Debug)]
pub struct Config {
    /// Where to listen (`HOST`, `PORT`). Port 0 picks a free one.
    pub listen: SocketAddr,
    /// What lets other machines in, if anything does.
    pub exposed: Option<Exposed>,
    /// Where the store keeps its data (`DATABASE_URL`, `DATABASE_CONNECTIONS`, `DATABASE_CA`).
    pub database: DatabaseUrl,
    /// What key digests are made with (`KEY_PEPPER`). Without it a random one is kept beside a database that is a file.
    pub pepper: Option<SecretString>,
    /// The demo users and their keys (`PAYMENTS_DEMO`, `BOB_API_KEY` and the others); `None` for a real deployment.
    pub demo: Option<DemoConfig>,
    /// Which hosts and origins requests may name (`ALLOWED_HOSTS`, `ALLOWED_ORIGINS`).
    pub guard: Guard,
    /// How long sessions live and how many there may be.
    pub sessions: SessionConfig,
    /// How often callers may do what costs something (`RATE_LIMIT`, `MAX_CALLS_PER_MINUTE` and the others); `None` for
    /// no limit.
    pub limits: Option<LimitSettings>,
    /// Whose word is taken about where a request comes from (`TRUSTED_PROXIES`).
    pub trusted_proxies: TrustedProxies,
    /// TLS, where it ends here (`TLS_CERT`, `TLS_KEY`, `CLIENT_CA`, and the flags).
    pub tls: Option<TlsSettings>,
    /// Whose tokens are believed (`SERVICE_ISSUER` and the others).
    pub issuer: Option<IssuerSettings>,
    /// Who is asked before much money moves (`RISK_URL` and the others); nobody without it.
    pub risk: Option<RiskSettings>,
    /// What is logged, and how (`RUST_LOG`, `LOG_FORMAT`, `NO_COLOR`).
    pub log: LogConfig,
}

/// What is said on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartFlags {
    /// A proxy in front ends TLS.
    pub behind_proxy: bool,
    /// The server's certificate.
    pub tls_cert: Option<PathBuf>,
    /// Its private key.
    pub tls_key: Option<PathBuf>,
    /// The roots of clients' certificates.
    pub client_ca: Option<PathBuf>,
    /// Nothing is served, so that nobody is let in.
    pub listens_nowhere: bool,
}

impl StartFlags {
    /// Those of somebody who operates on the database of a server, which may have been started with any.
    #[must_use]
    pub fn operating() -> Self {
        Self { listens_nowhere: true, ..Self::default() }
    }
}

/// What lets other machines in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposed {
    /// An address that is not loopback, with nothing before it.
    Address {
        /// Which setting says so.
        variable: &'static str,
        /// The address.
        host: IpAddr,
    },
    /// A proxy that ends TLS (`--behind-proxy`).
    Proxy,
}

impl Exposed {
    fn of(variable: &'static str, host: IpAddr, behind_proxy: bool) -> Option<Self> {
        if behind_proxy {
            Some(Self::Proxy)
        } else {
            (!host.to_canonical().is_loopback()).then_some(Self::Address { variable, host })
        }
    }
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { variable, host } => write!(f, "{variable}={host}"),
            Self::Proxy => f.write_str("--behind-proxy"),
        }
    }
}

/// The keys of the demo users, no two the same.
#[derive(Debug)]
pub struct DemoConfig {
    /// Bob's (`BOB_API_KEY`).
    pub bob: ApiKey,
    /// Alice's (`ALICE_API_KEY`).
    pub alice: ApiKey,
    /// Charlie's (`CHARLIE_API_KEY`).
    pub charlie: ApiKey,
    /// The auditor's (`AUDITOR_API_KEY`).
    pub auditor: ApiKey,
}

/// Lives and numbers of MCP sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionConfig {
    /// A session ends when it was not used for this long (`SESSION_IDLE_SECS`, where that is the shorter one).
    pub idle: Duration,
    /// A session ends this long after it was opened, used or not (`SESSION_MAX_SECS`).
    pub max: Duration,
    /// How many sessions one key may have (`MAX_SESSIONS_PER_KEY`).
    pub per_key: u64,
    /// How many there may be in all (`MAX_SESSIONS`).
    pub total: u64,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogConfig {
    /// Which lines (`RUST_LOG`).
    pub filter: LogFilter,
    /// In which form (`LOG_FORMAT`).
    pub format: LogFormat,
    /// Whether colours are unwelcome (`NO_COLOR`).
    pub no_colour: bool,
}

impl Config {
    /// Reads the environment; what `flags` say goes before it.
    ///
    /// # Errors
    /// [`ConfigError`] for the first setting that is wrong.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn from_env(flags: &StartFlags) -> Result<Self, ConfigError> {
        Self::from_variables(&Variables::new(&|name| std::env::var_os(name)), flags)
    }

    /// Every default, on a free loopback port, over a database in memory: for tests.
    ///
    /// # Errors
    /// None that a test would see: the defaults are right.
    pub fn ephemeral() -> Result<Self, ConfigError> {
        let mut config = Self::from_variables(&Variables::new(&|_| None), &StartFlags::default())?;
        config.listen.set_port(0);
        config.database = DatabaseUrl::Sqlite(SqliteLocation::Memory);
        Ok(config)
    }

    fn from_variables(variables: &Variables<'_>, flags: &StartFlags) -> Result<Self, ConfigError> {
        let host = host(variables, "HOST")?;
        let port = port(variables, "PORT", "8080", demo::DEFAULT_PORT)?;
        let mut config = Self {
            listen: SocketAddr::new(host, port),
            exposed: Exposed::of("HOST", host, flags.behind_proxy),
            database: database::database(variables)?,
            pepper: pepper(variables)?,
            demo: demo_users(variables)?,
            guard: guard(variables, host)?,
            sessions: sessions(variables)?,
            limits: access::limits(variables)?,
            trusted_proxies: access::trusted_proxies(variables)?,
            tls: access::tls(variables, flags)?,
            issuer: access::issuer(variables)?,
            risk: risk::client(variables)?,
            log: log(variables)?,
        };
        config.share_a_pepper(!flags.listens_nowhere)?;
        if !flags.listens_nowhere {
            config.may_be_exposed()?;
        }
        Ok(config)
    }

    /// Servers on one database have one pepper: in the demo a published one, like its keys. Whoever operates is asked for it
    /// when they need it.
    fn share_a_pepper(&mut self, serves: bool) -> Result<(), ConfigError> {
        match self.database {
            DatabaseUrl::Postgres(..) if self.pepper.is_none() => {
                let is_demo = self.demo.is_some() && self.exposed.is_none();
                self.pepper = is_demo.then(|| SecretString::from(demo::KEY_PEPPER));
                if serves && self.pepper.is_none() { Err(ConfigError::PepperMissing) } else { Ok(()) }
            }
            DatabaseUrl::Postgres(..) | DatabaseUrl::Sqlite(_) => Ok(()),
        }
    }

    /// What is published or unlimited stays at home; what goes out goes through TLS.
    fn may_be_exposed(&self) -> Result<(), ConfigError> {
        let Some(exposed) = self.exposed else { return Ok(()) };
        if self.demo.is_some() {
            return Err(ConfigError::PublicDemo { exposed });
        }
        if self.limits.is_none() {
            return Err(ConfigError::PublicWithoutRateLimit { exposed });
        }
        match exposed {
            Exposed::Proxy => Ok(()),
            Exposed::Address { .. } if self.tls.is_some() => Ok(()),
            Exposed::Address { .. } => Err(ConfigError::PublicWithoutTls { exposed }),
        }
    }
}

fn host(variables: &Variables<'_>, variable: &'static str) -> Result<IpAddr, ConfigError> {
    let rule = "an IP address of this machine, or localhost";
    variables.parsed(variable, rule, "127.0.0.1", parse_host, IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn port(
    variables: &Variables<'_>,
    variable: &'static str,
    example: &'static str,
    default: u16,
) -> Result<u16, ConfigError> {
    let rule = "a port from 0 to 65535 (0 picks a free one)";
    variables.parsed(variable, rule, example, |text| text.parse().ok(), default)
}

fn parse_host(text: &str) -> Option<IpAddr> {
    let literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if text.eq_ignore_ascii_case("localhost") {
        Some(IpAddr::V4(Ipv4Addr::LOCALHOST))
    } else {
        literal.parse().ok()
    }
}

fn pepper(variables: &Variables<'_>) -> Result<Option<SecretString>, ConfigError> {
    let Some(text) = variables.secret("KEY_PEPPER")? else { return Ok(None) };
    if text.expose_secret().len() < PEPPER_MIN_BYTES {
        return Err(ConfigError::Wrong {
            variable: "KEY_PEPPER",
            rule: format!("a secret of at least {PEPPER_MIN_BYTES} characters"),
            example: "$(openssl rand -hex 32)",
        });
    }
    Ok(Some(text))
}

/// How to make a key of one's own.
const FRESH_KEY: &str = "$(openssl rand -hex 20)";

fn demo_users(variables: &Variables<'_>) -> Result<Option<DemoConfig>, ConfigError> {
    if !variables.one_of("PAYMENTS_DEMO", &[("true", true), ("false", false)], true)? {
        return Ok(None);
    }
    let bob = demo_key(variables, demo::BOB_KEY_VARIABLE, demo::BOB_API_KEY)?;
    let alice = demo_key(variables, demo::ALICE_KEY_VARIABLE, demo::ALICE_API_KEY)?;
    let charlie = demo_key(variables, demo::CHARLIE_KEY_VARIABLE, demo::CHARLIE_API_KEY)?;
    let auditor = demo_key(variables, demo::AUDITOR_KEY_VARIABLE, demo::AUDITOR_API_KEY)?;
    let all = [
        (&bob, demo::BOB_KEY_VARIABLE),
        (&alice, demo::ALICE_KEY_VARIABLE),
        (&charlie, demo::CHARLIE_KEY_VARIABLE),
        (&auditor, demo::AUDITOR_KEY_VARIABLE),
    ];
    for (number, (key, variable)) in all.iter().enumerate() {
        if let Some((_, other)) = all.iter().take(number).find(|(other, _)| other.is_same_as(key)) {
            let rule = format!("another key than {other}");
            return Err(ConfigError::Wrong { variable, rule, example: FRESH_KEY });
        }
    }
    Ok(Some(DemoConfig { bob, alice, charlie, auditor }))
}

fn demo_key(
    variables: &Variables<'_>,
    variable: &'static str,
    published: &'static str,
) -> Result<ApiKey, ConfigError> {
    let secret = variables.secret(variable)?.unwrap_or_else(|| published.into());
    ApiKey::new(secret).map_err(|error| ConfigError::Wrong {
        variable,
        rule: format!("a key ({error})"),
        example: FRESH_KEY,
    })
}

/// A list that is not set has the names of this machine, and the address that is listened on where that is another one
/// of them.
fn guard(variables: &Variables<'_>, host: IpAddr) -> Result<Guard, ConfigError> {
    let mut loopback = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec();
    if host.to_canonical().is_loopback() {
        loopback.push(host.to_string());
    }
    let hosts = variables.list("ALLOWED_HOSTS")?.unwrap_or_else(|| loopback.clone());
    let origins = variables.list("ALLOWED_ORIGINS")?.unwrap_or(loopback);
    // The lists are tried one by one, so that the error names the one that is wrong.
    // What `Guard` says of an entry is not passed on, because it quotes it.
    Guard::new(&hosts, &[]).map_err(|_| ConfigError::Wrong {
        variable: "ALLOWED_HOSTS",
        rule: "names or addresses of hosts, without scheme and path, with commas between them".to_owned(),
        example: "payments.example.com,localhost",
    })?;
    Guard::new(&hosts, &origins).map_err(|_| ConfigError::Wrong {
        variable: "ALLOWED_ORIGINS",
        rule: "origins without a path, or hosts for any scheme, and any port unless they name one, with commas between them"
            .to_owned(),
        example: "https://app.example.com,localhost",
    })
}

fn sessions(variables: &Variables<'_>) -> Result<SessionConfig, ConfigError> {
    // A year: longer lives are mistakes, and would leave the range of dates one day.
    let secs = 1..=31_536_000;
    let idle = variables.number("SESSION_IDLE_SECS", secs.clone(), "1800", 1_800)?;
    let max = variables.number("SESSION_MAX_SECS", secs, "86400", 86_400)?;
    let many = 1..=10_000_000;
    Ok(SessionConfig {
        // What is said to callers is what holds: no session is idle for longer than it lives.
        idle: Duration::from_secs(idle.min(max)),
        max: Duration::from_secs(max),
        per_key: variables.number("MAX_SESSIONS_PER_KEY", many.clone(), "1000", 1_000)?,
        total: variables.number("MAX_SESSIONS", many, "100000", 100_000)?,
    })
}

fn log(variables: &Variables<'_>) -> Result<LogConfig, ConfigError> {
    Ok(LogConfig {
        filter: variables.parsed(
            "RUST_LOG",
            "a tracing filter",
            "info,server=debug",
            |text| text.parse().ok(),
            LogFilter::default(),
        )?,
        format: variables.one_of(
            "LOG_FORMAT",
            &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)],
            LogFormat::Pretty,
        )?,
        no_colour: variables.text("NO_COLOR")?.is_some(),
    })
}

#[cfg(test)]
mod tests;
