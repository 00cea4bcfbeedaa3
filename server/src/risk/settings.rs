//! How the risk service is reached, and how patiently.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use client::mcp::{ClientCertificate, Credentials, Endpoint, NotPem, Roots, TokenOrigin, TokenSource};
use secrecy::SecretString;

use super::Threshold;

/// How the risk service is reached, and from which amount on it is asked.
#[derive(Debug, Clone)]
pub struct RiskSettings {
    /// Where it is. No key goes there.
    pub endpoint: Endpoint,
    /// What is shown to it.
    pub credentials: RiskCredentials,
    /// How long one attempt may take, connecting included.
    pub timeout: Duration,
    /// From which amount on it is asked.
    pub threshold: Threshold,
    /// When it is left alone.
    pub breaker: BreakerSettings,
}

/// Where our credentials are: a token, a certificate, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RiskCredentials {
    /// Where a token comes from.
    pub token: Option<TokenOrigin>,
    /// A certificate and its private key, in PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The roots that the service's certificate must lead to, in PEM; without them, those of the machine.
    pub roots: Option<PathBuf>,
}

/// When a service that fails is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// After how many failed attempts in a row.
    pub failures: usize,
    /// For how long; then one attempt finds out whether it is back.
    pub open_for: Duration,
}

impl Default for BreakerSettings {
    /// Five, for ten seconds.
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(10) }
    }
}

/// Why the risk service cannot be asked with these settings. The message names the setting.
#[derive(Debug, thiserror::Error)]
pub enum RiskSettingsError {
    /// A file cannot be read.
    #[error("{setting} must name a file that can be read")]
    File {
        /// The setting.
        setting: &'static str,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{setting}: the file {source}")]
    Pem {
        /// The setting.
        setting: &'static str,
        /// What should be in it.
        source: NotPem,
    },
    /// The breaker cannot be made of these numbers.
    #[error("the circuit breaker needs at least one failure to open after")]
    Breaker,
}

impl RiskCredentials {
    /// Reads the files.
    ///
    /// # Errors
    /// [`RiskSettingsError`].
    pub(super) fn read(&self, token: Option<&Arc<TokenSource>>) -> Result<Credentials, RiskSettingsError> {
        let certificate = match &self.certificate {
            Some((certificate, key)) => {
                let key = SecretString::from(text("RISK_CLIENT_KEY", key)?);
                let certificate = text("RISK_CLIENT_CERT", certificate)?;
                Some(
                    ClientCertificate::from_pem(certificate.as_bytes(), &key)
                        .map_err(not_pem("RISK_CLIENT_CERT"))?,
                )
            }
            None => None,
        };
        let roots = match &self.roots {
            Some(path) => {
                Some(Roots::from_pem(text("RISK_CA", path)?.as_bytes()).map_err(not_pem("RISK_CA"))?)
            }
            None => None,
        };
        Ok(Credentials { token: token.cloned(), certificate, roots })
    }
}

fn text(setting: &'static str, path: &PathBuf) -> Result<String, RiskSettingsError> {
    fs::read_to_string(path).map_err(|source| RiskSettingsError::File { setting, source })
}

fn not_pem(setting: &'static str) -> impl Fn(NotPem) -> RiskSettingsError {
    move |source| RiskSettingsError::Pem { setting, source }
}
