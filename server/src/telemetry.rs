//! What the process says of itself while it runs: log lines on stderr, for people or for machines.
//!
//! Standard output is left to what a person started the program for. Fields are dotted and the same everywhere:
//! `request.id`, `principal.id`, `session.hash`, `tool.name`, `duration_ms`. No secret is ever a field.

use std::{fmt, io, str::FromStr};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt, util::SubscriberInitExt, util::TryInitError,
};

/// How log lines are written (`LOG_FORMAT`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Which log lines are written (`RUST_LOG`); a filter that was parsed once and is known to be good.
#[derive(Clone, PartialEq, Eq)]
pub struct LogFilter(String);

/// The text is not a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a tracing filter")]
pub struct NotAFilter;

impl FromStr for LogFilter {
    type Err = NotAFilter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(NotAFilter),
        }
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Starts logging for the whole process. `colour` is for a terminal that wants it.
///
/// # Errors
/// When logging was started before.
pub fn start(filter: &LogFilter, format: LogFormat, colour: bool) -> Result<(), TryInitError> {
    let lines = match format {
        LogFormat::Pretty => {
            tracing_subscriber::fmt::layer::<Registry>().with_ansi(colour).with_writer(io::stderr).boxed()
        }
        LogFormat::Json => {
            tracing_subscriber::fmt::layer::<Registry>().json().with_writer(io::stderr).boxed()
        }
    };
    tracing_subscriber::registry().with(lines.with_filter(EnvFilter::new(&filter.0))).try_init()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_parsed_or_refused() {
        for good in ["info", "server=debug,hyper=warn", "trace", "off"] {
            assert!(good.parse::<LogFilter>().is_ok(), "{good}");
        }
        for bad in ["server=loud", "a=b=c", "=", "info,[["] {
            assert!(bad.parse::<LogFilter>().is_err(), "{bad}");
        }
    }
}
