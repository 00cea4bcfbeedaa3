//! Settings from a table of variables: what each takes, what it refuses, and how it says so.

use super::*;
use crate::{risk::Threshold, risk_service::Rules};

fn read(set: &[(&'static str, &str)], behind_proxy: bool) -> Result<Config, ConfigError> {
    let lookup = |name: &str| {
        set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| std::ffi::OsString::from(*value))
    };
    let flags = StartFlags { behind_proxy, ..StartFlags::default() };
    Config::from_variables(&Variables::new(&lookup), &flags)
}

#[test]
fn with_nothing_set_every_setting_has_its_published_default() {
    let config = read(&[], false).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.database, "sqlite://data/payments.db".parse().unwrap());
    assert!(config.pepper.is_none() && config.demo.is_some() && config.exposed.is_none());
    assert_eq!(config.sessions.idle, Duration::from_secs(1_800));
    assert_eq!(config.sessions.max, Duration::from_secs(86_400));
    assert_eq!((config.sessions.per_key, config.sessions.total), (1_000, 100_000));
    assert_eq!(config.limits.unwrap().calls.get(), 12_000);
    assert_eq!(config.log, LogConfig::default());
}

#[test]
fn a_variable_that_is_set_to_nothing_counts_as_not_set() {
    let config = read(&[("PORT", ""), ("KEY_PEPPER", " "), ("ALLOWED_HOSTS", ""), ("RUST_LOG", "")], false);
    assert_eq!(config.unwrap().listen.port(), 8080);
}

#[test]
fn every_wrong_value_is_named_by_its_variable_and_never_shown() {
    for (variable, values) in [
        ("HOST", &["example.com", "127.0.0.1:80", "[::1", "256.0.0.1"][..]),
        ("PORT", &["-1", "65536", "http", "80 80", "0x50"]),
        (
            "DATABASE_URL",
            &["mysql://secret", "payments.db", "sqlite://", "sqlite:", "postgres://secret-host"],
        ),
        ("DATABASE_CONNECTIONS", &["0", "1", "1001", "many"]),
        ("KEY_PEPPER", &["secret-but-short"]),
        ("PAYMENTS_DEMO", &["yes", "1", "TRUE "]),
        ("BOB_API_KEY", &["secret1", "a secret with spaces", "geheimer-schlüssel"]),
        ("ALICE_API_KEY", &["secret1", "a secret with spaces"]),
        ("ALLOWED_HOSTS", &["http://secret.example", "a b", "host/path"]),
        ("ALLOWED_ORIGINS", &["https://host/secret-path", "a b"]),
        ("SESSION_IDLE_SECS", &["0", "-5", "1.5", "forever", "31536001"]),
        ("SESSION_MAX_SECS", &["0", "-1", "99999999999999999999"]),
        ("MAX_SESSIONS_PER_KEY", &["0", "-1", "many"]),
        ("MAX_SESSIONS", &["0", "1e3"]),
        ("RATE_LIMIT", &["maybe", "OFF", "0"]),
        ("MAX_CALLS_PER_MINUTE", &["0", "-1", "4294967296"]),
        ("MAX_CONCURRENT_CALLS", &["0", "many"]),
        ("TRUSTED_PROXIES", &["secret-proxy", "10.0.0.0/33"]),
        ("SERVICE_KEYS", &["http://issuer.example/secret-keys"]),
        ("SERVICE_ALGORITHM", &["none", "HS256", "RS256"]),
        ("RUST_LOG", &["server=secret", "a=b=c"]),
        ("LOG_FORMAT", &["xml", "JSON"]),
        (
            "RISK_URL",
            &["secret-host", "http://secret-host.example/mcp", "https://u:secret-@risk.example/mcp"],
        ),
        ("RISK_THRESHOLD", &["-1", "1.5", "1000000001"]),
        ("RISK_TIMEOUT_MS", &["0", "49", "5001", "2s"]),
    ] {
        for value in values {
            let error = read(&[(variable, value)], false).expect_err(value).to_string();
            assert!(error.starts_with(&format!("{variable} must be ")), "{variable}={value}: {error}");
            assert!(error.contains(&format!("for example {variable}=")), "{variable}={value}: {error}");
            assert!(!error.contains("secret-") && !error.contains(&format!("={value},")), "{error}");
        }
    }
}

#[test]
fn a_session_is_idle_for_no_longer_than_it_lives() {
    for (variable, value, lives) in [
        ("SESSION_MAX_SECS", "1799", (1_799, 1_799)),
        ("SESSION_MAX_SECS", "1801", (1_800, 1_801)),
        ("SESSION_IDLE_SECS", "86401", (86_400, 86_400)),
    ] {
        let sessions = read(&[(variable, value)], false).unwrap().sessions;
        assert_eq!((sessions.idle.as_secs(), sessions.max.as_secs()), lives, "{variable}={value}");
    }
}

#[test]
fn two_users_cannot_share_a_key() {
    let error =
        read(&[("BOB_API_KEY", "the-same-key"), ("ALICE_API_KEY", "the-same-key")], false).unwrap_err();
    assert!(error.to_string().contains("ALICE_API_KEY must be another key than BOB_API_KEY"), "{error}");
}

#[test]
fn servers_that_may_share_a_database_are_given_their_pepper() {
    let pepper = ("KEY_PEPPER", "a pepper that every server on it has");
    for url in ["postgres://user:secret@db/payments", "postgresql://user:secret@db/payments?sslmode=disable"]
    {
        let error = read(&[("DATABASE_URL", url), ("PAYMENTS_DEMO", "false")], false).unwrap_err();
        assert_eq!(error, ConfigError::PepperMissing);
        let demo = read(&[("DATABASE_URL", url)], false).unwrap();
        assert!(demo.pepper.is_some() && demo.exposed.is_none());
        assert!(!error.to_string().contains("secret@"));
        let config = read(&[("DATABASE_URL", url), ("DATABASE_CONNECTIONS", "9"), pepper], false).unwrap();
        let DatabaseUrl::Postgres(_, settings) = &config.database else { panic!("{url}") };
        assert_eq!(settings.connections, 9);
        assert!(!format!("{config:?}").contains("secret@"), "{config:?}");
    }
}

#[test]
fn other_machines_are_let_in_through_a_proxy_only_and_never_to_the_demo() {
    for host in ["0.0.0.0", "::", "192.0.2.7", "::ffff:192.0.2.7"] {
        let demo = read(&[("HOST", host)], true).unwrap_err();
        assert!(matches!(demo, ConfigError::PublicDemo { .. }), "{host}: {demo}");
        let plain = read(&[("HOST", host), ("PAYMENTS_DEMO", "false")], false).unwrap_err();
        assert!(matches!(plain, ConfigError::PublicWithoutTls { .. }), "{host}: {plain}");
        let unlimited = read(&[("HOST", host), ("PAYMENTS_DEMO", "false"), ("RATE_LIMIT", "off")], true);
        assert!(matches!(unlimited, Err(ConfigError::PublicWithoutRateLimit { .. })), "{host}");
        assert!(read(&[("HOST", host), ("PAYMENTS_DEMO", "false")], true).is_ok(), "{host}");
    }
    for host in ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]", "::ffff:127.0.0.1"] {
        assert!(read(&[("HOST", host), ("RATE_LIMIT", "off")], false).is_ok(), "{host}");
    }
    let proxied = read(&[("HOST", "127.0.0.1")], true).unwrap_err();
    assert!(proxied.to_string().starts_with("--behind-proxy lets other machines in"), "{proxied}");
}

#[test]
fn the_address_that_is_listened_on_is_a_host_of_ours_where_it_is_this_machines_and_no_list_is_set() {
    let lets_in = |guard: &Guard, host: &str| {
        let request = http::Request::builder().uri("/mcp").header("host", host);
        guard.check(&request.header("origin", format!("http://{host}")).body(()).unwrap()).is_ok()
    };
    let lists = [("ALLOWED_HOSTS", "localhost"), ("ALLOWED_ORIGINS", "localhost")];
    for (host, named) in [("127.0.0.2", "127.0.0.2:8080"), ("::ffff:127.0.0.1", "[::ffff:7f00:1]:8080")] {
        let ours = read(&[("HOST", host)], false).unwrap().guard;
        let risk = read_risk(&[("RISK_HOST", host)]).unwrap().server.guard;
        for guard in [&ours, &risk] {
            assert!(lets_in(guard, named) && lets_in(guard, "localhost:8080"), "{host}");
            assert!(!lets_in(guard, "127.0.0.3:8080"), "{host}");
        }
        for list in lists {
            let guard = read(&[("HOST", host), list], false).unwrap().guard;
            assert!(!lets_in(&guard, named) && lets_in(&guard, "localhost:8080"), "{host}: {list:?}");
        }
    }
    assert!(!lets_in(&read_risk(&[("HOST", "127.0.0.2")]).unwrap().server.guard, "127.0.0.2:8090"));
    let public = read(&[("HOST", "192.0.2.7"), ("PAYMENTS_DEMO", "false")], true).unwrap().guard;
    assert!(!lets_in(&public, "192.0.2.7:8080"));
}

#[test]
fn what_belongs_together_is_set_together() {
    for (variable, value) in [
        ("TLS_CERT", "cert.pem"),
        ("TLS_KEY", "key.pem"),
        ("CLIENT_CA", "ca.pem"),
        ("SERVICE_ISSUER", "https://issuer.example"),
        ("SERVICE_AUDIENCE", "payments"),
        ("SERVICE_KEYS", "keys.json"),
    ] {
        let error = read(&[(variable, value)], false).unwrap_err().to_string();
        assert!(error.contains(variable) && error.contains("together"), "{error}");
    }
    let tls = [("TLS_CERT", "cert.pem"), ("TLS_KEY", "key.pem"), ("HOST", "0.0.0.0")];
    let public = read(&[&tls[..], &[("PAYMENTS_DEMO", "false")]].concat(), false).unwrap();
    assert!(public.tls.is_some(), "with TLS other machines may be let in");
    assert!(matches!(read(&tls, false), Err(ConfigError::PublicDemo { .. })));
}

#[test]
fn the_risk_service_is_asked_where_it_has_a_url_and_we_have_credentials() {
    assert!(read(&[], false).unwrap().risk.is_none());
    let url = ("RISK_URL", "https://risk.example/mcp");
    assert!(read(&[("RISK_TOKEN_FILE", "t.jwt")], false).unwrap().risk.is_none());
    assert_eq!(read(&[url], false).unwrap_err(), ConfigError::NoRiskCredentials);
    let settings = read(&[url, ("RISK_TOKEN_FILE", "t.jwt")], false).unwrap().risk.unwrap();
    assert_eq!(settings.endpoint.url(), "https://risk.example/mcp");
    assert_eq!((settings.timeout, settings.threshold), (Duration::from_secs(2), Threshold::from_major(100)));
    let halves = [url, ("RISK_CLIENT_CERT", "c.pem")];
    assert_eq!(read(&halves, false).unwrap_err(), ConfigError::IncompleteRiskCertificate);
    let both = read(&[url, ("RISK_TOKEN_FILE", "t.jwt"), ("RISK_TOKEN_COMMAND", "echo")], false);
    assert!(both.unwrap_err().to_string().starts_with("RISK_TOKEN_COMMAND must be left out"));
}

fn read_risk(set: &[(&'static str, &str)]) -> Result<RiskServiceConfig, ConfigError> {
    let lookup = |name: &str| {
        set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| std::ffi::OsString::from(*value))
    };
    RiskServiceConfig::from_variables(&Variables::new(&lookup), &StartFlags::default())
}

#[test]
fn the_risk_service_has_settings_of_its_own_and_shares_the_others() {
    let config = read_risk(&[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8090");
    assert_eq!(config.server.database, "sqlite://data/risk.db".parse().unwrap());
    assert_eq!(config.rules, Rules { payment_limit: 2_500, exposure_limit: 5_000 });
    assert!(config.server.demo.is_none() && config.server.risk.is_none());

    // What is the payment server's is not this one's.
    let others = [("HOST", "0.0.0.0"), ("PORT", "1"), ("DATABASE_URL", "nonsense"), ("RISK_URL", "nonsense")];
    assert_eq!(read_risk(&others).unwrap().server.listen.port(), 8_090);
    let trusting = [
        ("SERVICE_ISSUER", "https://issuer.example"),
        ("SERVICE_KEYS", "keys.json"),
        ("SERVICE_AUDIENCE", "payments"),
        ("RISK_AUDIENCE", "risk"),
        ("MAX_CALLS_PER_MINUTE", "7"),
    ];
    let config = read_risk(&trusting).unwrap().server;
    assert_eq!(config.issuer.unwrap().audience, "risk");
    assert_eq!(config.limits.unwrap().calls.get(), 7);

    for (set, named) in [
        (&trusting[..3], "SERVICE_ISSUER, RISK_AUDIENCE and SERVICE_KEYS belong together"),
        (&[("RISK_HOST", "0.0.0.0")], "RISK_HOST=0.0.0.0 can be reached from other machines"),
        (&[("RISK_HOST", "risk.example")], "RISK_HOST must be"),
        (&[("RISK_PORT", "http")], "RISK_PORT must be"),
        (&[("RISK_DATABASE_URL", "risk.db")], "RISK_DATABASE_URL must be"),
        (&[("RISK_PAYMENT_LIMIT", "-1")], "RISK_PAYMENT_LIMIT must be"),
        (&[("RISK_EXPOSURE_LIMIT", "much")], "RISK_EXPOSURE_LIMIT must be"),
    ] {
        let error = read_risk(set).unwrap_err().to_string();
        assert!(error.starts_with(named), "{error}");
    }
}

#[test]
fn no_secret_is_shown_by_debug() {
    let set = [
        ("KEY_PEPPER", "canary-pepper-canary-pepper-canary-pepper"),
        ("BOB_API_KEY", "canary-bob"),
        ("ALICE_API_KEY", "canary-alice"),
    ];
    let shown = format!("{:?}", read(&set, false).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let lookup = |name: &str| (name == "HOST").then(|| std::ffi::OsString::from_vec(vec![0xFF]));
    let error = Config::from_variables(&Variables::new(&lookup), &StartFlags::default()).unwrap_err();
    assert!(error.to_string().starts_with("HOST must be text in UTF-8"), "{error}");
}
