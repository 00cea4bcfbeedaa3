//! What the rules of `docs/security.md` need to be shown by, beyond what the other files show: attackers with good keys,
//! several servers, many callers, and the page itself.

mod abandoned;
mod consent;
mod crowd;
mod endings;
mod library;
mod narrowing;
mod page;
mod replicas;
mod scanner;
mod strength;
mod sweep;
mod text;

use secrecy::SecretString;
use server::{
    clock::UnixMillis,
    identity::{ApiKey, Pepper, Role},
    store::{AccountHolder, KeyMode, PolicyChange, StoredKey, UserId},
};

use crate::support::{
    app::{App, spawn_app_with},
    changes::KeyChanges as _,
};

pub(super) const PEPPER: &str = "a pepper that only these tests have, long enough";

/// A server whose pepper is known, so that keys can be made beside it.
async fn spawn_known() -> App {
    spawn_app_with(|config| config.pepper = Some(SecretString::from(PEPPER))).await
}

/// Another user of the server, with an account of their own.
async fn user(app: &App, number: i64, name: &str) -> UserId {
    let holder = AccountHolder {
        user: UserId(number),
        username: name.to_owned(),
        currency: "USD".to_owned(),
        credit_limit_minor: 100_000_000,
    };
    app.store.put_holder(holder).await.unwrap();
    UserId(number)
}

/// A fresh key of a user's; what is presented, and what is kept of it.
pub(super) async fn key(app: &App, user: UserId, role: Role) -> (String, StoredKey) {
    let (id, secret) = ApiKey::generate(KeyMode::Live).unwrap();
    let stored = StoredKey {
        lineage: id.clone(),
        id,
        digest: Pepper::from_secret(&SecretString::from(PEPPER)).digest(&secret),
        user,
        username: String::new(),
        sources: Vec::new(),
        permissions: role.permissions().bits(),
        role: role.as_str().to_owned(),
        name: "API key".to_owned(),
        mode: KeyMode::Live,
        last_four: secret.last_four().to_owned(),
        created_at: UnixMillis::now(),
        expires_at: None,
        revoked_at: None,
        used_at: None,
        service: None,
    };
    app.store.create_key(stored.clone(), PolicyChange::default()).await.unwrap();
    (secret.expose().to_owned(), stored)
}
