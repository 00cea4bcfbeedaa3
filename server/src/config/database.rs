//! Which database, and how it is reached.

use super::{ConfigError, variables::Variables};
use crate::store::{DatabaseUrl, postgres::PostgresSettings, sqlite::SqliteLocation};

const DEFAULT: &str = "sqlite://data/payments.db";

pub(super) fn database(variables: &Variables<'_>) -> Result<DatabaseUrl, ConfigError> {
    let text = variables.text("DATABASE_URL")?.unwrap_or_else(|| DEFAULT.to_owned());
    let settings = settings(variables)?;
    match text.parse() {
        Ok(DatabaseUrl::Postgres(url, _)) if settings.can_check(&url) => {
            Ok(DatabaseUrl::Postgres(url, settings))
        }
        Ok(DatabaseUrl::Postgres(..)) => Err(ConfigError::Wrong {
            variable: "DATABASE_CA",
            rule: "a file with certificates of roots in PEM".to_owned(),
            example: "/etc/payments/database-ca.pem",
        }),
        Ok(database @ DatabaseUrl::Sqlite(_)) => Ok(database),
        Err(_) => Err(ConfigError::Wrong {
            variable: "DATABASE_URL",
            rule: "sqlite:// and a path, sqlite::memory:, or postgres://USER:PASSWORD@HOST/DATABASE"
                .to_owned(),
            example: DEFAULT,
        }),
    }
}

/// A database of which there is one kind.
pub(super) fn file(
    variables: &Variables<'_>,
    variable: &'static str,
    default: &'static str,
) -> Result<SqliteLocation, ConfigError> {
    let text = variables.text(variable)?.unwrap_or_else(|| default.to_owned());
    text.parse().map_err(|_| ConfigError::Wrong {
        variable,
        rule: "sqlite:// and a path, or sqlite::memory: (PostgreSQL is for the payment server)".to_owned(),
        example: default,
    })
}

fn settings(variables: &Variables<'_>) -> Result<PostgresSettings, ConfigError> {
    let connections = variables.parsed(
        "DATABASE_CONNECTIONS",
        "a whole number from 2 to 1000",
        "16",
        |text| text.parse().ok().filter(|number| (2..=1_000).contains(number)),
        PostgresSettings::default().connections,
    )?;
    let roots = variables.text("DATABASE_CA")?.map(Into::into);
    Ok(PostgresSettings { connections, roots })
}
