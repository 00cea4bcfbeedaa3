//! What is wrong with a setting, in one sentence that never shows its value.

use std::{io, path::PathBuf};

use super::{Exposed, PEPPER_MIN_BYTES};

/// Why the server does not start: a setting is wrong. The person who started it puts it right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A variable holds something it cannot.
    #[error("{variable} must be {rule}, for example {variable}={example}")]
    Wrong {
        /// The variable's name.
        variable: &'static str,
        /// What it takes.
        rule: String,
        /// A value that would do.
        example: &'static str,
    },
    /// Servers that share a database share the pepper, too, and a file beside one of them would be that one's alone.
    #[error(
        "KEY_PEPPER must be set with a PostgreSQL database, the same for every server on it: a secret of at least \
         {PEPPER_MIN_BYTES} characters, for example KEY_PEPPER=$(openssl rand -hex 32)"
    )]
    PepperMissing,
    /// With another pepper no key of the database would be found, and none could be revoked by its secret.
    #[error(
        "the keys in the database are made with another pepper: set KEY_PEPPER to that one, or put the file back that lay \
         beside the database"
    )]
    OtherPepper,
    /// Without TLS, keys would cross the network in the clear.
    #[error(
        "{exposed} can be reached from other machines, and nothing would be encrypted: set TLS_CERT and TLS_KEY, or put a \
         proxy that ends TLS before it and start with `server serve --behind-proxy`, or use an address of this machine, \
         such as 127.0.0.1"
    )]
    PublicWithoutTls {
        /// What lets them in.
        exposed: Exposed,
    },
    /// Of TLS one thing is set and another is missing.
    #[error("TLS_CERT and TLS_KEY belong together, and CLIENT_CA needs both")]
    IncompleteTls,
    /// Of an issuer one thing is set and another is missing.
    #[error("SERVICE_ISSUER, {audience} and SERVICE_KEYS belong together: set all of them, or none")]
    IncompleteIssuer {
        /// The variable with the audience.
        audience: &'static str,
    },
    /// The risk service takes services only.
    #[error(
        "RISK_URL needs credentials: set RISK_TOKEN_FILE or RISK_TOKEN_COMMAND, or RISK_CLIENT_CERT and RISK_CLIENT_KEY"
    )]
    NoRiskCredentials,
    /// Of a certificate for the risk service one half is set.
    #[error("RISK_CLIENT_CERT and RISK_CLIENT_KEY belong together: set both of them, or none")]
    IncompleteRiskCertificate,
    /// Nobody could ever call the risk service.
    #[error(
        "the risk service lets services in only, and none could prove who it is: set SERVICE_ISSUER, RISK_AUDIENCE and \
         SERVICE_KEYS, or TLS_CERT, TLS_KEY and CLIENT_CA"
    )]
    RiskWithoutServices,
    /// The demo keys are published, so they stay on the machine.
    #[error(
        "{exposed} lets other machines in, and the demo keys are public: set PAYMENTS_DEMO=false, or stay on \
         HOST=127.0.0.1 without a proxy"
    )]
    PublicDemo {
        /// What lets them in.
        exposed: Exposed,
    },
    /// The database was used for the demo before, and the keys are in it.
    #[error(
        "{exposed} lets other machines in, and the database holds demo keys, which are public: use another \
         DATABASE_URL, or stay on HOST=127.0.0.1 without a proxy"
    )]
    PublicDemoKeysStored {
        /// What lets them in.
        exposed: Exposed,
    },
    /// The demo is wanted, and the database is a real deployment's.
    #[error(
        "the database has {what} not of the demo: set PAYMENTS_DEMO=false to serve it, or use another DATABASE_URL"
    )]
    NotOfTheDemo {
        /// What it has.
        what: &'static str,
    },
    /// Benchmarks are run at home.
    #[error(
        "{exposed} lets other machines in, where RATE_LIMIT must be on; off is for an address such as 127.0.0.1 without a proxy"
    )]
    PublicWithoutRateLimit {
        /// What lets them in.
        exposed: Exposed,
    },
    /// A file with settings could not be read.
    #[error(".env cannot be read: every line must be NAME=value, with quotes around a value that has spaces")]
    DotEnv,
    /// Whether there is such a file, or what is in it, is not for whoever starts the program to see.
    #[error(
        "{path:?} cannot be looked at ({reason}): start from a folder that you may enter, or make the file readable to \
         whoever starts the program"
    )]
    DotEnvOutOfReach {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        reason: io::ErrorKind,
    },
    /// A file with settings that somebody put there who has no say in them.
    #[error(
        "{0:?} belongs to somebody else, who could set anything with it: remove it, or write a .env of your own, in \
         this folder"
    )]
    ForeignDotEnv(PathBuf),
}
