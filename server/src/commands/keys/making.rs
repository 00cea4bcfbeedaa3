//! Keys that are made.

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::{
    super::{Desk, mistake},
    change, in_words,
    limit::{Limited, Limits},
    span,
    told::tell,
};
use crate::{
    clock::UnixMillis,
    identity::{ApiKey, Permission, PermissionSet, Role, ServiceName},
    store::{KeyChange, KeyMode, StoreError, StoredKey},
};

/// Longest name of a key, in characters.
const NAME_MAX: usize = 100;

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
    pub(super) fn set(&self) -> PermissionSet {
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

/// Makes a key, and tells it.
pub(super) async fn make(create: Create, desk: &mut Desk<'_>) -> anyhow::Result<()> {
    let pepper = desk.pepper().await?;
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
        Some(name) => pepper.digest_of_service(name),
        None => pepper.digest(&secret),
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
    let Limited { policy, becomes } = create.limits.change(desk, &key).await?.unwrap_or_default();
    let may = [in_words(set), becomes].into_iter().filter(|words| !words.is_empty());
    let may = may.collect::<Vec<_>>().join("; ");
    let creation = KeyChange::Create(Box::new(key.clone()), policy);
    let created = change(desk, "create", &key, creation, Some(may)).await;
    created.map_err(|error| {
        let is_taken = matches!(error.downcast_ref(), Some(StoreError::Taken(_)));
        if !is_taken || service.is_none() {
            return error;
        }
        mistake("there is a key for this service already: permit or limit that one, or revoke it first")
    })?;
    tell(desk, &key, create.json, service.is_none().then_some(&secret)).await
}

/// Whether a key may have these permissions: some are for services only.
pub(super) fn may_have(set: PermissionSet, is_service: bool) -> anyhow::Result<()> {
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
