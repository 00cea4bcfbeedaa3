//! What an operator does with a database through the server's own commands, and the payers that are made that way.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::time::timeout;

use crate::setup::Setup;

/// How long a command may take: there is one that reads the whole audit trail.
const MOST: Duration = Duration::from_secs(300);

/// Runs a command of the server on a database and returns what it told in JSON.
pub(crate) async fn operate(setup: &Setup, database: &str, command: &[&str]) -> anyhow::Result<Value> {
    let scratch = setup.scratch()?;
    let program = setup.payment_command(database, &[command, &["--json"]].concat());
    let output = timeout(MOST, program.command(None).current_dir(scratch.path()).output()).await;
    let output = output.with_context(|| format!("{command:?} takes longer than 5 minutes"))??;
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
