//! A key in words: for people and for scripts.

use serde::Serialize;

use super::{
    super::{Desk, table},
    limit::{self, ToldPolicy},
};
use crate::{
    clock::UnixMillis,
    identity::{ApiKey, Permission, PermissionSet},
    store::{KeyEnd, KeyMode, StoredKey},
};

/// A key as it is told of: everything but its secret, unless it was made just now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told<'a> {
    pub(super) id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    pub(super) user: &'a str,
    pub(super) name: &'a str,
    pub(super) role: &'a str,
    permissions: Vec<&'static str>,
    pub(super) mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    pub(super) state: &'static str,
    pub(super) last_four: &'a str,
    lineage: &'a str,
    sources: &'a [String],
    created_at: String,
    pub(super) expires_at: Option<String>,
    revoked_at: Option<String>,
    pub(super) used_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payments: Option<&'a ToldPolicy>,
}

impl<'a> Told<'a> {
    pub(super) fn of(
        key: &'a StoredKey,
        secret: Option<&'a ApiKey>,
        payments: Option<&'a ToldPolicy>,
    ) -> Self {
        let now = UnixMillis::now();
        Self {
            id: &key.id.0,
            key: secret.map(ApiKey::expose),
            user: &key.username,
            name: &key.name,
            role: &key.role,
            permissions: PermissionSet::from_bits(key.permissions).iter().map(Permission::as_str).collect(),
            mode: match key.mode {
                KeyMode::Demo => "demo",
                KeyMode::Live => "live",
            },
            service: key.service.as_deref(),
            state: match key.ended(now) {
                Some(KeyEnd::Revoked) => "revoked",
                Some(KeyEnd::Expired) => "expired",
                None => "active",
            },
            last_four: &key.last_four,
            lineage: &key.lineage.0,
            sources: &key.sources,
            created_at: key.created_at.to_string(),
            expires_at: key.expires_at.map(|at| at.to_string()),
            revoked_at: key.revoked_at.map(|at| at.to_string()),
            used_at: key.used_at.map(|at| at.to_string()),
            payments,
        }
    }

    /// One line for each thing that there is to know.
    fn in_full(&self) -> String {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "never".to_owned());
        let sources = if self.sources.is_empty() { "everywhere".to_owned() } else { self.sources.join(", ") };
        let mut rows = vec![
            ("id", self.id.to_owned()),
            ("user", self.user.to_owned()),
            ("name", self.name.to_owned()),
            ("role", self.role.to_owned()),
            ("permissions", self.permissions.join(", ")),
            ("mode", self.mode.to_owned()),
            ("state", self.state.to_owned()),
            ("proven by", self.service.unwrap_or("its secret").to_owned()),
            ("ends with", self.last_four.to_owned()),
            ("first of its line", self.lineage.to_owned()),
            ("accepted from", sources),
            ("created", self.created_at.clone()),
            ("expires", or_none(&self.expires_at)),
            ("revoked", or_none(&self.revoked_at)),
            ("last used", or_none(&self.used_at)),
        ];
        rows.extend(self.payments.map(ToldPolicy::rows).into_iter().flatten());
        table::draw(["", ""], rows.into_iter().map(|(name, value)| [name.to_owned(), value]))
    }
}

/// Tells of one key, and shows the secret of one that was made just now, whatever else cannot be told.
pub(super) async fn tell(
    desk: &mut Desk<'_>,
    key: &StoredKey,
    json: bool,
    secret: Option<&ApiKey>,
) -> anyhow::Result<()> {
    let (payments, unread) = match limit::told(desk, key).await {
        Ok(payments) => (payments, None),
        Err(error) if secret.is_some() => (None, Some(error)),
        Err(error) => return Err(error),
    };
    let told = Told::of(key, secret, payments.as_ref());
    if json {
        desk.say_json(&told)?;
    } else {
        if let Some(secret) = secret {
            desk.say(&format!("{}\n\nThis is the only time that the key is shown.\n", secret.expose()))?;
        }
        desk.say(&told.in_full())?;
    }
    match unread {
        Some(error) => Err(error.context("the key was made, but what it may pay cannot be shown")),
        None => Ok(()),
    }
}
