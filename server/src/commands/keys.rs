//! `server keys`: the life of API keys.

use std::{io::Read as _, time::Duration};

use anyhow::Context as _;
use clap::Subcommand;
use secrecy::SecretString;
use zeroize::Zeroizing;

use self::{
    limit::{Limited, Limits},
    making::{Allowed, Create, make, may_have},
    told::{Told, tell},
};
use super::{Deed, Desk, mistake, table};
use crate::{
    clock::UnixMillis,
    identity::{ApiKey, Permission, PermissionSet, Role},
    store::{KeyChange, KeyChanged, KeyEnd, KeyId, Replacement, Rotation, StoreError, StoredKey},
};

mod limit;
mod making;
mod told;

/// For how long a key that was replaced is still accepted, unless it is said.
const OVERLAP: &str = "24h";

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key and show it, this once
    Create(Create),
    /// List all keys
    List {
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Show one key: everything but its secret
    Show {
        /// The key's id
        id: String,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Make a key in the place of another one and show it, this once; both are accepted for a while
    Rotate {
        /// The id of the key to replace
        id: String,
        /// For how long the old one is still accepted: a number and s, m, h or d
        #[arg(long, default_value = OVERLAP, value_parser = span)]
        overlap: Duration,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Give a key other permissions; sessions end where it loses any, or is weaker than they are
    Permit {
        /// The key's id
        id: String,
        #[command(flatten)]
        allowed: Allowed,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Set what a key may pay; without options, show it. What is not named stays as it is
    Limit {
        /// The key's id
        id: String,
        #[command(flatten)]
        limits: Limits,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Refuse a key from now on and end its sessions
    Revoke {
        /// The key's id
        id: String,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key that was found somewhere, without knowing whose it is
    ReportLeaked {
        /// The key; read from standard input when it is left out
        key: Option<SecretString>,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(command: Keys, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    match command {
        Keys::Create(create) => make(create, desk).await,
        Keys::List { json } => list(json, desk).await,
        Keys::Show { id, json } => {
            let key = find(desk, &id).await?;
            tell(desk, &key, json, None).await
        }
        Keys::Rotate { id, overlap, json } => rotate(&id, overlap, json, desk).await,
        Keys::Permit { id, allowed, json } => {
            let set = allowed.set();
            let key = find(desk, &id).await?;
            may_have(set, key.service.is_some())?;
            let role = Role::name_of(set).to_owned();
            let permit = KeyChange::Permit { id: key.id.clone(), permissions: set.bits(), role };
            let changed = change(desk, "permit", &key, permit, Some(in_words(set))).await?;
            tell_changed(desk, &id, changed, json).await
        }
        Keys::Limit { id, limits, json } => {
            let key = find(desk, &id).await?;
            let Some(Limited { policy, becomes }) = limits.change(desk, &key).await? else {
                return tell(desk, &key, json, None).await;
            };
            let limit = KeyChange::Limit(key.id.clone(), policy);
            let changed = change(desk, "limit", &key, limit, Some(becomes)).await?;
            tell_changed(desk, &id, changed, json).await
        }
        Keys::Revoke { id, json } => {
            let key = find(desk, &id).await?;
            let revoke = KeyChange::Revoke(key.id.clone(), UnixMillis::now());
            let changed = change(desk, "revoke", &key, revoke, None).await?;
            tell_changed(desk, &id, changed, json).await
        }
        Keys::ReportLeaked { key, json } => report_leaked(key, json, desk).await,
    }
}

/// Does this to a key, and records in the same commit that it is done, with what becomes of it.
async fn change(
    desk: &Desk<'_>,
    what: &str,
    key: &StoredKey,
    change: KeyChange,
    becomes: Option<String>,
) -> anyhow::Result<KeyChanged> {
    let record = Deed { becomes, ..Deed::with_key(format!("server keys {what}"), key) }.record()?;
    Ok(desk.store.change_key(change, Some(record)).await?)
}

/// Tells of a key that was there a moment ago, as it is now.
async fn tell_changed(desk: &mut Desk<'_>, id: &str, changed: KeyChanged, json: bool) -> anyhow::Result<()> {
    let key = changed.done().ok_or_else(|| unknown(id))?;
    tell(desk, &key, json, None).await
}

/// What a key may do: the name of a role, or permissions.
fn in_words(set: PermissionSet) -> String {
    let role = Role::ALL.into_iter().find(|role| role.permissions() == set);
    let one_by_one = || set.iter().map(Permission::as_str).collect::<Vec<_>>().join(",");
    role.map_or_else(one_by_one, |role| role.as_str().to_owned())
}

async fn rotate(id: &str, overlap: Duration, json: bool, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    let pepper = desk.pepper().await?;
    let old = find(desk, id).await?;
    if let Some(service) = &old.service {
        return Err(mistake(format!("key {id} has no secret: what proves it is the {service}; rotate that")));
    }
    let (new_id, secret) = ApiKey::generate(old.mode).context("there is no randomness for a key")?;
    let now = UnixMillis::now();
    let replacement = Replacement {
        id: new_id,
        digest: pepper.digest(&secret),
        last_four: secret.last_four().to_owned(),
        created_at: now,
    };
    let new = StoredKey { id: replacement.id.clone(), ..old.clone() };
    let rotate = KeyChange::Rotate { old: old.id.clone(), until: now.plus(overlap), replacement };
    let becomes = format!("in the place of {id}");
    match change(desk, "rotate", &new, rotate, Some(becomes)).await? {
        Rotation::Done(new) => tell(desk, &new, json, Some(&secret)).await,
        Rotation::Unknown => Err(unknown(id)),
        Rotation::Replaced(newer) => Err(mistake(format!(
            "key {id} was replaced by {}: rotate that one, or revoke it first if nobody has its secret",
            newer.0
        ))),
        Rotation::Ended(KeyEnd::Revoked) => Err(mistake(format!("key {id} is revoked: create a new one"))),
        Rotation::Ended(KeyEnd::Expired) => Err(mistake(format!("key {id} has expired: create a new one"))),
    }
}

async fn report_leaked(key: Option<SecretString>, json: bool, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    let pepper = desk.pepper().await?;
    let text = match key {
        Some(key) => key,
        None => {
            let mut text = Zeroizing::new(String::new());
            std::io::stdin().take(1_024).read_to_string(&mut text).context("no key could be read")?;
            text.trim().into()
        }
    };
    let not_ours = || mistake("this is no key of this server, so nothing was revoked");
    let key = ApiKey::new(text).map_err(|_| not_ours())?;
    let found = desk.store.key_by_digest(&pepper.digest(&key)).await?.ok_or_else(not_ours)?;
    let revoke = KeyChange::Revoke(found.id.clone(), UnixMillis::now());
    let revoked = change(desk, "report-leaked", &found, revoke, None).await?;
    let revoked = revoked.done().ok_or_else(not_ours)?;
    tell(desk, &revoked, json, None).await
}

async fn list(json: bool, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    let keys = desk.store.keys().await?;
    let told: Vec<_> = keys.iter().map(|key| Told::of(key, None, None)).collect();
    if json {
        return desk.say_json(&told);
    }
    let rows = told.iter().map(|key| {
        let used = key.used_at.clone().unwrap_or_else(|| "never".to_owned());
        let expires = key.expires_at.clone().unwrap_or_else(|| "never".to_owned());
        [key.id, key.user, key.name, key.role, key.mode, key.state, key.last_four, &expires, &used]
            .map(str::to_owned)
    });
    let header = ["id", "user", "name", "role", "mode", "state", "ends with", "expires", "last used"];
    desk.say(&table::draw(header, rows))
}

async fn find(desk: &Desk<'_>, id: &str) -> anyhow::Result<StoredKey> {
    let found: Result<_, StoreError> = desk.store.key(&KeyId(id.to_owned())).await;
    found?.ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> anyhow::Error {
    mistake(format!("there is no key `{id}`: `server keys list` shows them"))
}

/// A number and a unit: 90d, 24h, 15m, 30s.
fn span(text: &str) -> Result<Duration, String> {
    let rule = || "a number and s, m, h or d, for example 90d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(rule)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(rule()),
    };
    let number: u64 = number.parse().map_err(|_| rule())?;
    // A hundred years: what is longer is a mistake.
    let span = number.checked_mul(seconds).filter(|span| *span <= 100 * 365 * 86_400);
    span.map(Duration::from_secs).ok_or_else(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        for (text, seconds) in
            [("0s", Some(0)), ("15m", Some(900)), ("24h", Some(86_400)), ("90d", Some(7_776_000))]
        {
            assert_eq!(span(text).ok().map(|span| span.as_secs()), seconds, "{text}");
        }
        for text in ["", "d", "1", "-1d", "1.5h", "1w", "1d ", "99999999999999999999d", "36501d", "１d", "é"]
        {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
