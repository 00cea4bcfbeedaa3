//! How a service says who it is: flags and variables that name files, and what is in them.

use std::{fs, path::PathBuf, sync::Arc};

use secrecy::SecretString;

use super::{UsageError, Variables, arguments::ServiceArguments};
use crate::mcp::{ClientCertificate, Credentials, Roots, TokenOrigin, TokenSource};

/// Reads what the flags name, or else the variables.
pub(super) fn credentials(
    arguments: ServiceArguments,
    variables: &Variables<'_>,
) -> Result<Credentials, UsageError> {
    let ServiceArguments { token_file, token_command, client_cert, client_key, ca } = arguments;
    let path = |flag: Option<PathBuf>, variable| {
        Ok::<_, UsageError>(flag.or(variables.text(variable)?.map(PathBuf::from)))
    };
    let token_command = match (token_command, &token_file) {
        (None, None) => variables.text("MCP_TOKEN_COMMAND")?,
        (flag, _) => flag,
    };
    let token_file = if token_command.is_some() { token_file } else { path(token_file, "MCP_TOKEN_FILE")? };
    let origin = match (token_file, token_command) {
        (Some(_), Some(_)) => {
            return Err(UsageError::invalid(
                "--token-command",
                "a token comes from a file or from a command",
            ));
        }
        (Some(file), None) => Some(TokenOrigin::File(file)),
        (None, Some(command)) => Some(TokenOrigin::Command(command)),
        (None, None) => None,
    };
    let certificate = match (path(client_cert, "MCP_CLIENT_CERT")?, path(client_key, "MCP_CLIENT_KEY")?) {
        (Some(certificate), Some(key)) => {
            let key = SecretString::from(read("--client-key", key)?);
            let pem = read("--client-cert", certificate)?;
            let both = ClientCertificate::from_pem(pem.as_bytes(), &key);
            Some(both.map_err(|error| UsageError::invalid("--client-cert", error.to_string()))?)
        }
        (None, None) => None,
        _ => return Err(UsageError::invalid("--client-cert", "it and --client-key belong together")),
    };
    let roots = path(ca, "MCP_CA")?.map(|path| {
        let roots = Roots::from_pem(read("--ca", path)?.as_bytes());
        roots.map_err(|error| UsageError::invalid("--ca", error.to_string()))
    });
    Ok(Credentials {
        token: origin.map(|origin| Arc::new(TokenSource::new(origin))),
        certificate,
        roots: roots.transpose()?,
    })
}

fn read(setting: &str, path: PathBuf) -> Result<String, UsageError> {
    fs::read_to_string(&path)
        .map_err(|error| UsageError::invalid(setting, format!("{} cannot be read: {error}", path.display())))
}
