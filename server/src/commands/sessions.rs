//! `server sessions`: which MCP sessions are open, and ending them.

use clap::{Args, Subcommand};
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::{Desk, mistake, table};
use crate::store::{SessionFilter, StoredSession};

/// What can be done with sessions.
#[derive(Debug, Subcommand)]
pub enum Sessions {
    /// List open sessions, the most recently used first
    List {
        #[command(flatten)]
        which: Which,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// End sessions: one by its hash, or all of a key or a user
    End {
        /// The session's hash, or the first characters of it, as the list, the log and the audit show it
        #[arg(conflicts_with_all = ["key", "user"], required_unless_present_any = ["key", "user"])]
        hash: Option<String>,
        #[command(flatten)]
        which: Which,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

/// Which sessions.
#[derive(Debug, Args)]
pub struct Which {
    /// Those of this key
    #[arg(long)]
    key: Option<String>,
    /// Those of this user
    #[arg(long)]
    user: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    hash: String,
    user: i64,
    key: String,
    protocol: &'static str,
    client: String,
    opened_at: String,
    used_at: String,
}

impl From<&StoredSession> for Told {
    fn from(session: &StoredSession) -> Self {
        Self {
            hash: HEXLOWER.encode(&session.hash.0),
            user: session.user.0,
            key: session.key.0.clone(),
            protocol: session.protocol.as_str(),
            client: session.client.clone(),
            opened_at: session.created_at.to_string(),
            used_at: session.seen_at.to_string(),
        }
    }
}

pub(super) async fn run(command: Sessions, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    match command {
        Sessions::List { which, json } => {
            let sessions = select(desk, which).await?;
            tell(desk, &sessions, json)
        }
        Sessions::End { hash, which, json } => {
            let mut sessions = select(desk, which).await?;
            if let Some(hash) = hash {
                sessions.retain(|session| HEXLOWER.encode(&session.hash.0).starts_with(&hash));
                if sessions.len() > 1 || hash.len() < 8 {
                    return Err(mistake(
                        "give at least eight characters of the hash, so many that one session is meant",
                    ));
                }
            }
            if sessions.is_empty() {
                return Err(mistake(
                    "there is no such session: `server sessions list` shows those that are open",
                ));
            }
            for session in &sessions {
                desk.end(session).await?;
            }
            tell(desk, &sessions, json)
        }
    }
}

async fn select(desk: &Desk<'_>, which: Which) -> anyhow::Result<Vec<StoredSession>> {
    let user = match which.user {
        Some(name) => {
            let holders = desk.store.holders().await?;
            let holder = holders.into_iter().find(|holder| holder.username == name);
            Some(holder.ok_or_else(|| mistake(format!("there is no user `{name}`")))?.user)
        }
        None => None,
    };
    let key = which.key.map(crate::store::KeyId);
    Ok(desk.store.sessions(SessionFilter { user, key }).await?)
}

fn tell(desk: &mut Desk<'_>, sessions: &[StoredSession], json: bool) -> anyhow::Result<()> {
    let told: Vec<_> = sessions.iter().map(Told::from).collect();
    if json {
        return desk.say_json(&told);
    }
    let rows = told.into_iter().map(|session| {
        let short = session.hash.get(..12).unwrap_or_default().to_owned();
        let user = session.user.to_string();
        [
            short,
            user,
            session.key,
            session.protocol.to_owned(),
            session.client,
            session.opened_at,
            session.used_at,
        ]
    });
    desk.say(&table::draw(["hash", "user", "key", "protocol", "client", "opened", "last used"], rows))
}
