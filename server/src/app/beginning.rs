//! What a database is made to be before it is served: one whose pepper is known, and the demo's where that is wanted.

use anyhow::Context as _;
use secrecy::SecretString;

use crate::{
    clock::UnixMillis,
    config::{ConfigError, DemoConfig},
    identity::{ApiKey, Pepper},
    payments::demo::{DemoKey, DemoKeys, SeedError, is_for_the_demo, seed_demo},
    store::{DEMO_KEY_IDS, DatabaseUrl, KeyMode, Store, StoredKey},
};

/// The pepper that the keys of a database are made with. Where there is none, one is made, unless good keys need the one
/// that was noted: the new one would lie where theirs belongs, and be taken for it.
pub(super) async fn pepper(
    store: &dyn Store,
    set: Option<&SecretString>,
    database: &DatabaseUrl,
    now: UnixMillis,
) -> anyhow::Result<Pepper> {
    if let Some(pepper) = super::pepper(set, database)? {
        return Ok(pepper);
    }
    let is_of_the_demo =
        |key: &StoredKey| key.mode == KeyMode::Demo && DEMO_KEY_IDS.contains(&key.id.0.as_str());
    let needs_it = |key: &StoredKey| key.ended(now).is_none() && !is_of_the_demo(key);
    if store.pepper().await?.is_some() && store.keys().await?.iter().any(needs_it) {
        // Unless another process has made it meanwhile.
        return super::pepper(set, database)?.ok_or_else(|| ConfigError::OtherPepper.into());
    }
    super::fresh_pepper(database)
}

/// Notes the pepper and seeds the demo; neither of both where one is refused. The users of the demo, where it is wanted.
pub(super) async fn begin(
    store: &dyn Store,
    demo: Option<&DemoConfig>,
    pepper: &Pepper,
    now: UnixMillis,
) -> anyhow::Result<&'static [&'static str]> {
    let context = "cannot seed the demo";
    if demo.is_some() {
        is_for_the_demo(store).await.map_err(told).context(context)?;
    }
    let keys = demo.map(|keys| kept(keys, pepper));
    let secrets = keys.as_ref().map(DemoKeys::secrets).unwrap_or_default();
    if !store.note_pepper(pepper.mark(), now, secrets).await? {
        return Err(ConfigError::OtherPepper.into());
    }
    let Some(keys) = keys else { return Ok(&[]) };
    seed_demo(store, &keys).await.map_err(told).context(context)?;
    Ok(&["bob", "alice", "charlie", "auditor"])
}

/// What is kept of the demo's keys.
fn kept(keys: &DemoConfig, pepper: &Pepper) -> DemoKeys {
    let kept = |key: &ApiKey| DemoKey { digest: pepper.digest(key), last_four: key.last_four().to_owned() };
    DemoKeys {
        bob: kept(&keys.bob),
        alice: kept(&keys.alice),
        charlie: kept(&keys.charlie),
        auditor: kept(&keys.auditor),
    }
}

fn told(error: SeedError) -> anyhow::Error {
    match error {
        SeedError::SomebodyElses(what) => ConfigError::NotOfTheDemo { what }.into(),
        SeedError::Store(error) => error.into(),
    }
}
