//! What an operator does with a database through the server's own commands, and the payers that are made that way.

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::{process::Program, setup::Setup};

/// Runs a command of the server on a database and returns what it told in JSON.
pub(crate) async fn operate(setup: &Setup, database: &str, command: &[&str]) -> anyhow::Result<Value> {
    let scratch = tempfile::tempdir()?;
    let program = Program::of(&setup.binaries.join("server"), &[command, &["--json"]].concat());
    let program = program.with(&[("DATABASE_URL", database), ("RUST_LOG", "error")]);
    let output = program.command(None).current_dir(scratch.path()).output().await?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Somebody who pays somebody else, without being asked.
#[derive(Debug, Clone)]
pub(crate) struct Payer {
    /// The key.
    pub(crate) key: String,
    /// Whom it pays.
    pub(crate) payee: String,
}

/// Makes so many users with a key each; everyone pays the next.
pub(crate) async fn payers(setup: &Setup, database: &str, many: u32) -> anyhow::Result<Vec<Payer>> {
    let name = |number: u32| format!("payer-{}", number % many);
    for number in 0..many {
        let user = name(number);
        operate(setup, database, &["users", "create", &user, "--credit-limit", "1000000000"]).await?;
    }
    let mut payers = Vec::new();
    for number in 0..many {
        let user = name(number);
        let create =
            ["keys", "create", "--user", &user, "--role", "customer", "--automatic-below", "1000000"];
        let made = operate(setup, database, &create).await?;
        let key = made.get("key").and_then(Value::as_str).context("no key was shown")?;
        payers.push(Payer { key: key.to_owned(), payee: name(number + 1) });
    }
    Ok(payers)
}
