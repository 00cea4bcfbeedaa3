//! Settings about callers: how often they may call, whose word is taken about where they are, and who vouches for them.

use std::{net::IpAddr, num::NonZeroU32, path::PathBuf};

use ipnet::IpNet;

use super::{ConfigError, StartFlags, variables::Variables};
use crate::{
    http::{peer::TrustedProxies, tls::TlsSettings},
    identity::issuer::{IssuerSettings, TokenAlgorithm},
    limits::LimitSettings,
};

pub(super) fn limits(variables: &Variables<'_>) -> Result<Option<LimitSettings>, ConfigError> {
    let number = |variable: &'static str, example: &'static str, default: u32| {
        let many = 1..=u64::from(u32::MAX);
        let number = variables.number(variable, many, example, u64::from(default))?;
        let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
        Ok::<_, ConfigError>(number.unwrap_or(NonZeroU32::MAX))
    };
    let limits = LimitSettings {
        refused_keys: number("MAX_REFUSED_KEYS_PER_MINUTE", "300", 300)?,
        initializations: number("MAX_INITIALIZE_PER_MINUTE", "3000", 3_000)?,
        calls: number("MAX_CALLS_PER_MINUTE", "12000", 12_000)?,
        calls_at_once: number("MAX_CONCURRENT_CALLS", "256", 256)?,
    };
    let is_on = variables.one_of("RATE_LIMIT", &[("on", true), ("off", false)], true)?;
    Ok(is_on.then_some(limits))
}

pub(super) fn trusted_proxies(variables: &Variables<'_>) -> Result<TrustedProxies, ConfigError> {
    let listed = variables.list("TRUSTED_PROXIES")?.unwrap_or_default();
    let network = |text: &String| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let networks: Result<Vec<IpNet>, _> = listed.iter().map(network).collect();
    networks.map(TrustedProxies::new).map_err(|_| ConfigError::Wrong {
        variable: "TRUSTED_PROXIES",
        rule: "addresses or networks, with commas between them".to_owned(),
        example: "10.0.0.0/8,192.0.2.7",
    })
}

/// TLS, by flags or else by the environment; none for a command that listens nowhere.
pub(super) fn tls(variables: &Variables<'_>, flags: &StartFlags) -> Result<Option<TlsSettings>, ConfigError> {
    if flags.listens_nowhere {
        return Ok(None);
    }
    let path = |flag: &Option<PathBuf>, variable: &'static str| {
        let set = variables.text(variable)?.map(PathBuf::from);
        Ok::<_, ConfigError>(flag.clone().or(set))
    };
    let certificate = path(&flags.tls_cert, "TLS_CERT")?;
    let key = path(&flags.tls_key, "TLS_KEY")?;
    let client_ca = path(&flags.client_ca, "CLIENT_CA")?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsSettings { certificate, key, client_ca })),
        (None, None) if client_ca.is_none() => Ok(None),
        _ => Err(ConfigError::IncompleteTls),
    }
}

/// The issuer whose tokens are believed, if any is.
pub(super) fn issuer(variables: &Variables<'_>) -> Result<Option<IssuerSettings>, ConfigError> {
    let issuer = variables.text("SERVICE_ISSUER")?;
    let audience = variables.text("SERVICE_AUDIENCE")?;
    let keys = variables.parsed(
        "SERVICE_KEYS",
        "a path, or an https URL (http on a loopback address only)",
        "https://issuer.example.com/.well-known/jwks.json",
        |text| text.parse().ok().map(Some),
        None,
    )?;
    let algorithm = variables.one_of(
        "SERVICE_ALGORITHM",
        &[("EdDSA", TokenAlgorithm::EdDsa), ("ES256", TokenAlgorithm::Es256)],
        TokenAlgorithm::EdDsa,
    )?;
    match (issuer, audience, keys) {
        (Some(issuer), Some(audience), Some(keys)) => {
            Ok(Some(IssuerSettings { issuer, audience, algorithm, keys }))
        }
        (None, None, None) => Ok(None),
        _ => Err(ConfigError::IncompleteIssuer { audience: "SERVICE_AUDIENCE" }),
    }
}
