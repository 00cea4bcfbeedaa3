//! Where a PostgreSQL database is, and how it is spoken to.

use std::{fmt, str::FromStr, time::Duration};

use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

/// How long a connection may take where the URL says nothing.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// After how long a database is given up that does not acknowledge what is sent to it.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);

/// After how long an idle connection is looked at.
const IDLE: Duration = Duration::from_secs(10);

/// A PostgreSQL database, as its URL names it. It holds the password and never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(Box<Config>);

/// The text is no such URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `postgres://USER:PASSWORD@HOST/DATABASE`")]
pub struct NotAPostgresUrl;

impl PostgresUrl {
    /// Whether a text means to be one.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        text.starts_with("postgres://") || text.starts_with("postgresql://")
    }

    pub(super) fn config(&self) -> &Config {
        &self.0
    }
}

impl FromStr for PostgresUrl {
    type Err = NotAPostgresUrl;

    fn from_str(text: &str) -> Result<Self, NotAPostgresUrl> {
        if !Self::is_meant_by(text) {
            return Err(NotAPostgresUrl);
        }
        let (text, says_how) = encryption_in(text);
        let mut config: Config = text.parse().map_err(|_| NotAPostgresUrl)?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none() {
            return Err(NotAPostgresUrl);
        }
        if !says_how {
            // Where both are named it is the address that is connected to.
            let is_near = config.get_hosts().iter().all(is_on_this_machine)
                && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
            config.ssl_mode(if is_near { SslMode::Disable } else { SslMode::Require });
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_WITHIN);
        }
        // Of several hosts a standby is passed over: it takes no write, and what it tells is late.
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        config.tcp_user_timeout(ACKNOWLEDGED_WITHIN).keepalives_idle(IDLE).application_name("payment-server");
        Ok(Self(Box::new(config)))
    }
}

/// A URL in the words that are known here, and whether it says how to encrypt: a parameter does, behind the credentials and
/// the place. Whoever encrypts here also looks whom to, so that three words mean the same; and to prefer it says nothing, as
/// whoever stands between could refuse it.
fn encryption_in(url: &str) -> (String, bool) {
    let behind_credentials = url.find('@').unwrap_or_default();
    let (credentials, rest) = url.split_at_checked(behind_credentials).unwrap_or((url, ""));
    let Some((place, parameters)) = rest.split_once('?') else { return (url.to_owned(), false) };
    let mut says_how = false;
    let parameters = parameters.split('&').map(|parameter| match parameter.split_once('=') {
        Some(("sslmode", how)) => {
            says_how = how != "prefer";
            if matches!(how, "verify-full" | "verify-ca") { "sslmode=require" } else { parameter }
        }
        Some(_) | None => parameter,
    });
    let parameters: Vec<_> = parameters.collect();
    (format!("{credentials}{place}?{}", parameters.join("&")), says_how)
}

fn is_on_this_machine(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        for (place, host) in self.0.get_hosts().iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            match host {
                Host::Tcp(name) => f.write_str(name)?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{}", path.display())?,
            }
            if let [port] = self.0.get_ports() {
                write!(f, ":{port}")?;
            } else if let Some(port) = self.0.get_ports().get(place) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.0.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_its_password_is_never_shown() {
        let url: PostgresUrl = "postgres://bob:s3cret@db.example:6432/payments".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://db.example:6432/payments");
        assert_eq!(format!("{url:?}"), "PostgresUrl(postgres://db.example:6432/payments)");
        for text in ["", "postgres://", "postgres://host", "mysql://host/db", "postgres://h/d?sslmode=maybe"]
        {
            assert_eq!(text.parse::<PostgresUrl>(), Err(NotAPostgresUrl), "{text}");
        }
    }

    #[test]
    fn what_crosses_a_network_is_encrypted_unless_somebody_says_otherwise() {
        for (text, mode) in [
            ("postgres://localhost/p", SslMode::Disable),
            ("postgresql://127.0.0.1/p", SslMode::Disable),
            ("postgres://[::1]/p", SslMode::Disable),
            ("postgres://db.example/p", SslMode::Require),
            ("postgres://localhost,db.example/p", SslMode::Require),
            ("postgres://db.example/p?sslmode=disable", SslMode::Disable),
            ("postgres://db.example/p?sslmode=prefer", SslMode::Require),
            ("postgres://localhost/p?sslmode=verify-full", SslMode::Require),
            ("postgres://localhost/p?sslmode=verify-ca", SslMode::Require),
            ("postgres://localhost/p?hostaddr=203.0.113.5", SslMode::Require),
            ("postgres://localhost/p?hostaddr=127.0.0.1", SslMode::Disable),
            ("postgres://localhost,127.0.0.1/p?hostaddr=127.0.0.1,203.0.113.5", SslMode::Require),
            ("postgres://bob:sslmode=@db.example/p", SslMode::Require),
            ("postgres://bob:?sslmode=disable@db.example/p", SslMode::Require),
            ("postgres://db.example/p?options=-csslmode=1", SslMode::Require),
            ("postgres://bob:p@db.example/p?connect_timeout=3&sslmode=disable", SslMode::Disable),
        ] {
            assert_eq!(text.parse::<PostgresUrl>().unwrap().0.get_ssl_mode(), mode, "{text}");
        }
    }

    #[test]
    fn a_password_stays_what_it_is_whatever_words_are_in_it() {
        let url: PostgresUrl =
            "postgres://bob:sslmode=verify-ca@db.example/p?sslmode=verify-ca".parse().unwrap();
        assert_eq!(url.0.get_password(), Some(b"sslmode=verify-ca".as_slice()));
    }

    #[test]
    fn a_database_that_takes_no_writes_is_none_to_connect_to() {
        for text in [
            "postgres://localhost/p",
            "postgres://one.example,two.example:6432/p",
            "postgres://one.example,two.example/p?target_session_attrs=any",
            "postgres://one.example,two.example/p?target_session_attrs=read-write",
        ] {
            let wanted = text.parse::<PostgresUrl>().unwrap().0.get_target_session_attrs();
            assert_eq!(wanted, TargetSessionAttrs::ReadWrite, "{text}");
        }
    }
}
