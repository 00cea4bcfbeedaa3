//! What a database is made to be before it is served: one whose pepper is known, and the demo's where that is wanted.

use anyhow::Context as _;

use crate::{
    clock::UnixMillis,
    config::{ConfigError, DemoConfig},
    identity::{ApiKey, Pepper},
    payments::demo::{DemoKey, DemoKeys, SeedError, is_for_the_demo, seed_demo},
    store::Store,
};

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
