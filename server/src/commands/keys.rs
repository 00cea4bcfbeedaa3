//! `server keys`: the life of API keys.

use std::{io::Read as _, time::Duration};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use secrecy::SecretString;
use zeroize::Zeroizing;

use self::{
    limit::Limits,
    told::{Told, tell},
};
use super::{Desk, mistake, table};
use crate::{
    clock::UnixMillis,
    identity::{ApiKey, Permission, PermissionSet, Role, ServiceName},
    store::{KeyEnd, KeyId, KeyMode, Replacement, Rotation, StoreError, StoredKey},
};

mod limit;
mod told;

/// For how long a key that was replaced is still accepted, unless it is said.
const OVERLAP: &str = "24h";

/// Longest name of a key, in characters.
const NAME_MAX: usize = 100;

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

/// What a new key is like.
#[derive(Debug, Args)]
pub struct Create {
    /// The user it speaks for (`server users list`)
    #[arg(long)]
    user: String,
    #[command(flatten)]
    allowed: Allowed,
    /// What its owner calls it
    #[arg(long, default_value = "API key")]
    name: String,
    /// After how long it is refused: a number and s, m, h or d
    #[arg(long, value_parser = span)]
    expires_in: Option<Duration>,
    /// Not for the holder of a secret but for the service that a token with this subject speaks for (the issuer is
    /// `SERVICE_ISSUER`)
    #[arg(long, value_name = "SUBJECT", conflicts_with_all = ["certificate_name", "mode"])]
    token_subject: Option<String>,
    /// Not for the holder of a secret but for the service with this one name (URI or DNS) in its client certificate
    #[arg(long, value_name = "NAME", conflicts_with = "mode")]
    certificate_name: Option<String>,
    /// A network it is accepted from, such as 10.0.0.0/8; may be repeated. From everywhere when left out
    #[arg(long = "source", value_name = "NETWORK")]
    sources: Vec<IpNet>,
    /// What it is for: a demo key works on a loopback address only
    #[arg(long, value_enum, default_value_t = Mode::Live)]
    mode: Mode,
    #[command(flatten)]
    limits: Limits,
    /// As JSON, for scripts
    #[arg(long)]
    json: bool,
}

/// What a key may do: a role, or permissions one by one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Allowed {
    /// A named set of permissions: customer, read-only, auditor, operator; for services risk-client
    #[arg(long)]
    role: Option<Role>,
    /// Permissions, with commas between them, such as balance:read,transactions:read
    #[arg(long, value_delimiter = ',')]
    permissions: Option<Vec<Permission>>,
}

impl Allowed {
    fn set(&self) -> PermissionSet {
        match (&self.role, &self.permissions) {
            (Some(role), _) => role.permissions(),
            (None, Some(permissions)) => {
                let own = [Permission::IdentityRead];
                PermissionSet::of(&[own.as_slice(), permissions].concat())
            }
            (None, None) => PermissionSet::default(),
        }
    }
}

/// What a key is for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// Real
    Live,
    /// For a demo, on a loopback address only
    Demo,
}

pub(super) async fn run(command: Keys, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    // The others know keys by their ids.
    if matches!(command, Keys::Create(_) | Keys::Rotate { .. } | Keys::ReportLeaked { .. }) {
        desk.recognise_pepper().await?;
    }
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
            may_have(set, find(desk, &id).await?.service.is_some())?;
            let role = Role::name_of(set).to_owned();
            let key = desk.store.permit_key(&KeyId(id.clone()), set.bits(), role).await?;
            let key = key.ok_or_else(|| unknown(&id))?;
            desk.record("permit", &key).await?;
            tell(desk, &key, json, None).await
        }
        Keys::Limit { id, limits, json } => {
            let key = find(desk, &id).await?;
            if let Some(change) = limits.change(desk, &key).await? {
                limit::change(desk, &key, change).await?;
                desk.record("limit", &key).await?;
            }
            tell(desk, &key, json, None).await
        }
        Keys::Revoke { id, json } => {
            let key = desk.store.revoke_key(&KeyId(id.clone()), UnixMillis::now()).await?;
            let key = key.ok_or_else(|| unknown(&id))?;
            desk.record("revoke", &key).await?;
            tell(desk, &key, json, None).await
        }
        Keys::ReportLeaked { key, json } => report_leaked(key, json, desk).await,
    }
}

async fn make(create: Create, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    let holders = desk.store.holders().await?;
    let holder = holders.into_iter().find(|holder| holder.username == create.user);
    let holder = holder.ok_or_else(|| {
        mistake(format!("there is no user `{}`: `server users create` makes one", create.user))
    })?;
    if create.name.trim().is_empty() || create.name.chars().count() > NAME_MAX {
        return Err(mistake(format!("--name must have 1 to {NAME_MAX} characters")));
    }
    let mode = match create.mode {
        Mode::Live => KeyMode::Live,
        Mode::Demo => KeyMode::Demo,
    };
    if mode == KeyMode::Demo && desk.config.exposed.is_some() {
        return Err(mistake("demo keys work on a loopback address only: leave --mode out"));
    }
    let (id, secret) = ApiKey::generate(mode).context("there is no randomness for a key")?;
    let service = service(&create, desk)?;
    let digest = match &service {
        Some(name) => desk.pepper.digest_of_service(name),
        None => desk.pepper.digest(&secret),
    };
    let set = create.allowed.set();
    may_have(set, service.is_some())?;
    let now = UnixMillis::now();
    let key = StoredKey {
        digest,
        user: holder.user,
        username: holder.username,
        lineage: id.clone(),
        id,
        sources: create.sources.iter().map(|network| network.trunc().to_string()).collect(),
        permissions: set.bits(),
        role: Role::name_of(set).to_owned(),
        name: create.name.trim().to_owned(),
        mode,
        last_four: if service.is_some() { String::new() } else { secret.last_four().to_owned() },
        service: service.as_ref().map(ToString::to_string),
        created_at: now,
        expires_at: create.expires_in.map(|span| now.plus(span)),
        revoked_at: None,
        used_at: None,
    };
    let change = create.limits.change(desk, &key).await?;
    match desk.store.create_key(key.clone(), change.unwrap_or_default()).await {
        Err(StoreError::Taken(_)) if service.is_some() => {
            return Err(mistake(
                "there is a key for this service already: permit or limit that one, or revoke it first",
            ));
        }
        created => created?,
    }
    desk.record("create", &key).await?;
    tell(desk, &key, create.json, service.is_none().then_some(&secret)).await
}

/// Whether a key may have these permissions: some are for services only.
fn may_have(set: PermissionSet, is_service: bool) -> anyhow::Result<()> {
    if is_service || set == set.without_what_services_do() {
        return Ok(());
    }
    Err(mistake(
        "payments:assess is for services only: make a key with --token-subject or --certificate-name for it",
    ))
}

/// The service that a new key stands for, where it is not for the holder of a secret.
fn service(create: &Create, desk: &Desk<'_>) -> anyhow::Result<Option<ServiceName>> {
    if let Some(name) = &create.certificate_name {
        return Ok(Some(ServiceName::Certificate(name.clone())));
    }
    let Some(subject) = &create.token_subject else { return Ok(None) };
    let issuer = desk.config.issuer.as_ref().ok_or_else(|| {
        mistake("no issuer is trusted: set SERVICE_ISSUER, SERVICE_AUDIENCE and SERVICE_KEYS")
    })?;
    Ok(Some(ServiceName::Token { issuer: issuer.issuer.clone(), subject: subject.clone() }))
}

async fn rotate(id: &str, overlap: Duration, json: bool, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    let old = find(desk, id).await?;
    if let Some(service) = &old.service {
        return Err(mistake(format!("key {id} has no secret: what proves it is the {service}; rotate that")));
    }
    let (new_id, secret) = ApiKey::generate(old.mode).context("there is no randomness for a key")?;
    let now = UnixMillis::now();
    let replacement = Replacement {
        id: new_id,
        digest: desk.pepper.digest(&secret),
        last_four: secret.last_four().to_owned(),
        created_at: now,
    };
    match desk.store.rotate_key(&old.id, now.plus(overlap), replacement).await? {
        Rotation::Done(new) => {
            desk.record("rotate", &new).await?;
            tell(desk, &new, json, Some(&secret)).await
        }
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
    let found = desk.store.key_by_digest(&desk.pepper.digest(&key)).await?.ok_or_else(not_ours)?;
    let revoked = desk.store.revoke_key(&found.id, UnixMillis::now()).await?.ok_or_else(not_ours)?;
    desk.record("report-leaked", &revoked).await?;
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
