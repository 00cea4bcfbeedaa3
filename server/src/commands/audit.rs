//! `server audit`: reading the audit trail, and whether it is as it was written.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Desk, table};
use crate::{
    audit::{
        Told,
        chain::{Head, Verdict, verify},
    },
    clock::UnixMillis,
    store::{AuditFilter, KeyId, Outcome},
};

/// How often `tail` looks for new records, once it has shown those that are there.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How many records an export reads at a time.
const STEP: u32 = 1_000;

const HEADER: [&str; 9] = ["number", "at", "user", "key", "tool", "outcome", "rule", "ms", "client"];

/// What can be done with the audit trail.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List records, the newest first
    List {
        #[command(flatten)]
        which: Which,
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Show records as they are written, one JSON object a line, until interrupted
    Tail {
        /// How many of the records that are there already to begin with
        #[arg(long, default_value_t = 10)]
        lines: u32,
    },
    /// Check that no record was changed or removed, and print the newest one's number and hash to keep elsewhere
    Verify {
        /// What an earlier check printed: fails if that record is gone
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Option<Head>,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Write every record, the oldest first, one JSON object a line
    Export,
}

/// Which records.
#[derive(Debug, Args)]
pub struct Which {
    /// Those of this user
    #[arg(long)]
    user: Option<String>,
    /// Those of this key
    #[arg(long)]
    key: Option<String>,
    /// Those of this tool
    #[arg(long)]
    tool: Option<String>,
    /// Those that ended so, such as ok or denied
    #[arg(long)]
    outcome: Option<Outcome>,
    /// Those from then on: an RFC 3339 time
    #[arg(long)]
    since: Option<UnixMillis>,
}

impl From<Which> for AuditFilter {
    fn from(which: Which) -> Self {
        Self {
            username: which.user,
            key: which.key.map(KeyId),
            tool: which.tool,
            outcome: which.outcome,
            since: which.since,
        }
    }
}

pub(super) async fn run(command: Audit, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    match command {
        Audit::List { which, limit, json } => {
            let entries = desk.store.audit_page(which.into(), None, limit).await?;
            let told: Vec<Told> = entries.iter().map(Told::from).collect();
            if json {
                return desk.say_json(&told);
            }
            desk.say(&table::draw(HEADER, told.iter().map(Told::cells)))
        }
        Audit::Tail { lines } => tail(lines, desk).await,
        Audit::Verify { head, json } => check(head, json, desk).await,
        Audit::Export => export(desk).await,
    }
}

async fn tail(lines: u32, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    let mut entries = desk.store.audit_page(AuditFilter::default(), None, lines.max(1)).await?;
    let mut after = entries.first().map(|newest| newest.seq);
    entries.truncate(usize::try_from(lines).unwrap_or(usize::MAX));
    for entry in entries.iter().rev() {
        desk.say_json(&Told::from(entry))?;
    }
    // One and the same all the time: what comes while something is printed is heard afterwards.
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut pause = LOOK_EVERY;
    loop {
        tokio::select! {
            biased;
            interrupted = &mut interrupt => return Ok(interrupted?),
            () = tokio::time::sleep(pause) => {}
        }
        let entries = desk.store.audit_after(after, STEP).await?;
        for entry in &entries {
            after = Some(entry.seq);
            desk.say_json(&Told::from(entry))?;
        }
        // Where there were so many there may be more already.
        let is_full = u32::try_from(entries.len()).is_ok_and(|count| count >= STEP);
        pause = if is_full { Duration::ZERO } else { LOOK_EVERY };
    }
}

async fn check(known: Option<Head>, json: bool, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    match verify(desk.store.as_ref(), known).await? {
        Verdict::Whole { chained, before, head } => {
            let head = head.map(|head| head.to_string());
            if json {
                let told = serde_json::json!({ "whole": true, "chained": chained, "unchained": before, "head": head });
                return desk.say_json(&told);
            }
            desk.say(&format!("{chained} records, as they were written"))?;
            if before > 0 {
                desk.say(&format!("{before} older ones were written before there was a chain"))?;
            }
            head.map_or(Ok(()), |head| desk.say(&format!("head {head}")))
        }
        Verdict::Broken { seq, reason } => {
            if json {
                desk.say_json(&serde_json::json!({ "whole": false, "number": seq, "reason": reason }))?;
            }
            Err(anyhow::anyhow!("the audit trail was changed: record {seq}: {reason}"))
        }
    }
}

async fn export(desk: &mut Desk<'_>) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let entries = desk.store.audit_after(after, STEP).await?;
        let Some(last) = entries.last() else { return Ok(()) };
        after = Some(last.seq);
        for entry in &entries {
            desk.say_json(&Told::from(entry))?;
        }
    }
}
