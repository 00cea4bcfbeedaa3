//! `server sealing`: the keys that seal cursors and request states, which take turns by themselves.

use clap::Subcommand;
use serde::Serialize;

use super::{Deed, Desk, table};
use crate::clock::UnixMillis;

/// What can be done with sealing keys.
#[derive(Debug, Subcommand)]
pub enum SealingCommand {
    /// List the keys by their numbers, newest first
    List {
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Make a new key now; every server seals with it from a minute later on, and opens older seals for a week
    Rotate {
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: u32,
    made_at: String,
}

pub(super) async fn run(command: SealingCommand, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    let (keys, json) = match command {
        SealingCommand::List { json } => (desk.store.sealing_keys().await?, json),
        SealingCommand::Rotate { json } => {
            let record = Deed::new("server sealing rotate".to_owned()).record()?;
            (desk.store.renew_sealing_keys(UnixMillis::now(), record).await?, json)
        }
    };
    let told: Vec<Told> =
        keys.iter().map(|key| Told { id: key.id, made_at: key.made_at.to_string() }).collect();
    if json {
        return desk.say_json(&told);
    }
    let rows = told.into_iter().map(|key| [key.id.to_string(), key.made_at]);
    desk.say(&table::draw(["number", "made"], rows))
}
