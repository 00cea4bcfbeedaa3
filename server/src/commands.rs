//! What an operator does beside serving: keys, users, sessions and payments, on the same database while the server runs.
//!
//! Each command opens the store, does one thing and tells what it did: in a table for people, in JSON with `--json`.

use std::{io::Write, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::Subcommand;
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use shared::mcp::ProtocolVersion;

use crate::{
    app,
    clock::UnixMillis,
    config::{Config, ConfigError},
    identity::{ApiKey, Pepper},
    store::{
        AuditRecord, DatabaseUrl, KeyId, Outcome, SessionHash, Store, StoredKey, StoredSession, UserId,
        sqlite::SqliteLocation,
    },
};

mod audit;
mod keys;
mod payments;
mod sealing;
mod sessions;
mod table;
mod users;

/// What an operator calls with.
const COMMAND_LINE: &str = "the command line";

/// What takes a limit away, and names no user.
const NONE: &str = "none";

/// What an operator can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// API keys: create, list, show, rotate, permit, limit, revoke, report as leaked
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Users, who keys speak for: create, list
    #[command(subcommand)]
    Users(users::Users),
    /// Open MCP sessions: list, end
    #[command(subcommand)]
    Sessions(sessions::Sessions),
    /// Payments: list, show, approve, cancel, refund
    #[command(subcommand)]
    Payments(payments::PaymentsCommand),
    /// The audit trail: list, tail, verify, export
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Keys that seal cursors and request states: list, rotate
    #[command(subcommand)]
    Sealing(sealing::SealingCommand),
    /// Brings the database's schema up to date, as every server does when it starts
    Migrate,
}

/// What an operator did that cannot be done. The message says what to do instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Mistake(String);

/// What a command works on.
struct Desk<'a> {
    store: Arc<dyn Store>,
    config: &'a Config,
    out: &'a mut (dyn Write + Send),
}

/// Does what was asked, on the database that `config` names, and writes to `out` what there is to say.
///
/// # Errors
/// [`Mistake`] for what cannot be done; otherwise whatever kept the store from doing it.
pub async fn run(
    command: Command,
    config: &Config,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<ExitCode> {
    if matches!(command, Command::Migrate) {
        migrate(&config.database, out).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if let DatabaseUrl::Sqlite(SqliteLocation::File(path)) = &config.database
        && matches!(command, Command::Audit(_))
        && !path.exists()
    {
        // One made now would have nothing wrong with it.
        let text =
            format!("there is no database {}: say with DATABASE_URL which one is meant", path.display());
        return Err(mistake(text));
    }
    let store = config.database.open().await.context("cannot open the database")?;
    let mut desk = Desk { store: Arc::clone(&store), config, out };
    let done = match command {
        Command::Keys(command) => keys::run(command, &mut desk).await,
        Command::Users(command) => users::run(command, &mut desk).await,
        Command::Sessions(command) => sessions::run(command, &mut desk).await,
        Command::Payments(command) => payments::run(command, &mut desk).await,
        Command::Audit(command) => audit::run(command, &mut desk).await,
        Command::Sealing(command) => sealing::run(command, &mut desk).await,
        Command::Migrate => Ok(()),
    };
    let closed = store.close().await.context("the database did not close");
    done.and_then(|()| closed.map(|()| ExitCode::SUCCESS))
}

/// Says what became of the schema.
async fn migrate(database: &DatabaseUrl, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let migration = database.migrate().await.context("cannot migrate the database")?;
    let told = match migration.before {
        before if before == migration.now => format!("is at version {before} and stays as it is"),
        0 => format!("was empty and is at version {} now", migration.now),
        before => format!("was at version {before} and is at version {} now", migration.now),
    };
    writeln!(out, "{database} {told}").context("the output cannot be written")
}

/// What an operator does: to which user, key and session, where it is to one, and what becomes of it.
struct Deed<'a> {
    tool: String,
    user: UserId,
    username: &'a str,
    key: &'a str,
    session: Option<SessionHash>,
    becomes: Option<String>,
}

impl<'a> Deed<'a> {
    /// One that is done to no user and to no key.
    const fn new(tool: String) -> Self {
        Self { tool, user: UserId(0), username: "", key: "", session: None, becomes: None }
    }

    /// One that is done to a key.
    fn with_key(tool: String, key: &'a StoredKey) -> Self {
        Self { user: key.user, username: &key.username, key: &key.id.0, ..Self::new(tool) }
    }

    /// Its record. What becomes of what it is done to stands where a client says who it is.
    fn record(self) -> anyhow::Result<AuditRecord> {
        let Self { tool, user, username, key, session, becomes } = self;
        let mut id = [0; 16];
        getrandom::fill(&mut id).context("there is no randomness for a request id")?;
        let client =
            becomes.map_or_else(|| COMMAND_LINE.to_owned(), |what| format!("{COMMAND_LINE}: {what}"));
        Ok(AuditRecord {
            at: UnixMillis::now(),
            request_id: HEXLOWER.encode(&id).into(),
            user,
            username: username.to_owned(),
            key: KeyId(key.to_owned()),
            session,
            protocol: ProtocolVersion::LATEST,
            client: client.into(),
            tool: tool.into(),
            arguments_digest: Sha256::digest(key).into(),
            rule: "operator".into(),
            outcome: Outcome::Ok,
            duration_us: 0,
            trace: None,
        })
    }
}

impl Desk<'_> {
    /// The pepper that the servers on this database have, and no other. Where none was noted yet, this one is if there is no
    /// key that was made with another. Only commands that make a key, or look for one by its secret, need it; the others ask
    /// for none, and make none beside what may be a copy.
    async fn pepper(&self) -> anyhow::Result<Pepper> {
        let noted = self.store.pepper().await?;
        let is_bare = noted.is_none() && self.store.keys().await?.is_empty();
        let pepper = match app::pepper(self.config.pepper.as_ref(), &self.config.database)? {
            Some(pepper) => pepper,
            None if is_bare => app::fresh_pepper(&self.config.database)?,
            None => return Err(ConfigError::OtherPepper.into()),
        };
        let mark = pepper.mark();
        let is_theirs = match noted {
            None if is_bare => self.store.note_pepper(mark, UnixMillis::now(), Vec::new()).await?,
            None => true,
            Some(noted) => noted == mark,
        };
        if is_theirs { Ok(pepper) } else { Err(ConfigError::OtherPepper.into()) }
    }

    /// Ends a session, with the record of it, unless it has ended meanwhile.
    async fn end(&self, session: &StoredSession) -> anyhow::Result<()> {
        let key = self.store.key(&session.key).await?.context("the key of the session is gone")?;
        let tool = "server sessions end".to_owned();
        let deed = Deed { session: Some(session.hash), ..Deed::with_key(tool, &key) };
        self.store.record_end_of_session(&session.hash, Some(deed.record()?)).await?;
        Ok(())
    }

    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.out, "{text}").and_then(|()| self.out.flush()).context("the output cannot be written")
    }

    fn say_json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string(value)?;
        self.say(&text)
    }
}

/// A mistake; where a key stands in what is to be said of it, that is said instead.
fn mistake(text: impl Into<String>) -> anyhow::Error {
    let text = text.into();
    if ApiKey::is_in(&text) {
        let told =
            "that is a key and not its id (`server keys list`): `server keys report-leaked` revokes it";
        return Mistake(told.to_owned()).into();
    }
    Mistake(text).into()
}
