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

/// Notes the pepper, which is made where there is none, and seeds the demo; nothing of it where one is refused. The pepper,
/// and the users of the demo where it is wanted.
pub(super) async fn begin(
    store: &dyn Store,
    set: Option<&SecretString>,
    database: &DatabaseUrl,
    demo: Option<&DemoConfig>,
    now: UnixMillis,
) -> anyhow::Result<(Pepper, &'static [&'static str])> {
    let context = "cannot seed the demo";
    let found = found_pepper(store, set, database, now).await?;
    if demo.is_some() {
        is_for_the_demo(store).await.map_err(told).context(context)?;
    }
    let pepper = match found {
        Some(pepper) => pepper,
        None => super::fresh_pepper(database)?,
    };
    let keys = demo.map(|keys| kept(keys, &pepper));
    let secrets = keys.as_ref().map(DemoKeys::secrets).unwrap_or_default();
    if !store.note_pepper(pepper.mark(), now, secrets).await? {
        return Err(ConfigError::OtherPepper.into());
    }
    let Some(keys) = keys else { return Ok((pepper, &[])) };
    seed_demo(store, &keys).await.map_err(told).context(context)?;
    Ok((pepper, &["bob", "alice", "charlie", "auditor"]))
}

/// The pepper that the keys of a database are made with; `None` where one may be made. It may not where good keys need the
/// one that is missing, whether that was noted or not: the new one would lie where theirs belongs, and be taken for it.
async fn found_pepper(
    store: &dyn Store,
    set: Option<&SecretString>,
    database: &DatabaseUrl,
    now: UnixMillis,
) -> anyhow::Result<Option<Pepper>> {
    if let Some(pepper) = super::pepper(set, database)? {
        return Ok(Some(pepper));
    }
    let is_of_the_demo =
        |key: &StoredKey| key.mode == KeyMode::Demo && DEMO_KEY_IDS.contains(&key.id.0.as_str());
    let needs_it = |key: &StoredKey| key.ended(now).is_none() && !is_of_the_demo(key);
    if !store.keys().await?.iter().any(needs_it) {
        return Ok(None);
    }
    // Unless another process has made it meanwhile.
    let pepper = super::pepper(set, database)?.ok_or(ConfigError::OtherPepper)?;
    Ok(Some(pepper))
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
