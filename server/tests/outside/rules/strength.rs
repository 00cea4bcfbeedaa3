//! Rules 5 and 9: which keys go on with a session, and from where a key is accepted.

use serde_json::json;
use server::{
    clock::UnixMillis,
    http::peer::TrustedProxies,
    identity::Role,
    store::{Replacement, Rotation},
};

use super::{key, spawn_known, user};
use crate::support::{
    app::spawn_app_with,
    changes::KeyChanges as _,
    client::{Client, NEWEST, initialize},
    modern::Caller,
    wire::{Ask, Wire},
};

#[tokio::test]
async fn rule_09_a_session_goes_on_with_the_key_that_replaced_its_own_and_with_no_other_of_the_same_user() {
    let app = spawn_known().await;
    let dana = user(&app, 900, "dana").await;
    let (strong, kept) = key(&app, dana, Role::Customer).await;
    let (weak, _) = key(&app, dana, Role::ReadOnly).await;
    let (as_strong, _) = key(&app, dana, Role::Customer).await;
    let session = Client::open(app.address, &strong).await;
    let with = |key: &str| Client { key: key.to_owned(), ..session.clone() };
    for (what, other) in [("weaker", &weak), ("as strong", &as_strong)] {
        let other = with(other);
        let unknown = Client { session: "never-was".to_owned(), ..other.clone() };
        for ask in [Ask::get(), Ask::delete(), Ask::post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)] {
            let answer = other.dress(ask.clone()).send(app.address).await;
            assert_eq!(answer.status, 404, "{what}: {answer:?}");
            let nobodys = unknown.dress(ask).send(app.address).await;
            assert_eq!(answer.without_moment(), nobodys.without_moment(), "{what}");
        }
    }
    let (replacement, new) = key(&app, dana, Role::Customer).await;
    assert_eq!(with(&replacement).ping().await.status, 404, "it replaced nothing yet");
    // The store wants a key that was not there: the same secret under another id.
    app.store.revoke_key(&new.id, UnixMillis::now()).await.unwrap();
    let (id, secret) = server::identity::ApiKey::generate(server::store::KeyMode::Live).unwrap();
    let pepper = server::identity::Pepper::from_secret(&super::PEPPER.into());
    let digest = pepper.digest(&secret);
    let new = Replacement { id, digest, last_four: kept.last_four.clone(), created_at: UnixMillis::now() };
    let until = UnixMillis::now().plus(std::time::Duration::from_secs(60));
    assert!(matches!(app.store.rotate_key(&kept.id, until, new).await.unwrap(), Rotation::Done(_)));
    let replaced = with(secret.expose());
    assert_eq!((session.ping().await.status, replaced.ping().await.status), (200, 200));
}

#[tokio::test]
async fn rule_05_a_key_with_networks_of_its_own_is_refused_from_everywhere_else() {
    let app = spawn_known().await;
    let dana = user(&app, 900, "dana").await;
    let (secret, kept) = key(&app, dana, Role::Customer).await;
    for (sources, status) in
        [(vec!["10.0.0.0/8"], 401), (vec!["10.0.0.0/8", "127.0.0.0/8"], 200), (vec!["::1/128"], 401)]
    {
        let sources: Vec<String> = sources.into_iter().map(str::to_owned).collect();
        app.store.put_key(server::store::StoredKey { sources, ..kept.clone() }).await.unwrap();
        let answer = Ask::post(initialize(NEWEST)).key(&secret).send(app.address).await;
        assert_eq!(answer.status, status, "{answer:?}");
        // Nobody can say where they come from.
        let claimed = Ask::post(initialize(NEWEST)).key(&secret).with("x-forwarded-for", "10.1.1.1");
        assert_eq!(claimed.send(app.address).await.status, status);
    }
}

/// Whatever somebody else writes before the address that the proxy writes.
#[tokio::test]
async fn rule_05_a_key_of_the_proxys_network_is_refused_to_whoever_comes_through_the_proxy() {
    let app = spawn_app_with(|config| {
        config.pepper = Some(super::PEPPER.into());
        config.trusted_proxies = TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
    })
    .await;
    let dana = user(&app, 900, "dana").await;
    let (secret, kept) = key(&app, dana, Role::Customer).await;
    let sources = vec!["127.0.0.0/8".to_owned()];
    app.store.put_key(server::store::StoredKey { sources, ..kept }).await.unwrap();
    for (forwarded, status) in [
        ("127.0.0.1", 200),
        ("198.51.100.1", 401),
        ("\u{1}, 198.51.100.1", 401),
        ("127.0.0.1, \u{1}, 127.0.0.1", 200),
    ] {
        let ask = Ask::post(initialize(NEWEST)).key(&secret).with("x-forwarded-for", forwarded);
        let mut bytes = ask.bytes(app.address);
        // What is no text in any encoding.
        bytes.iter_mut().filter(|byte| **byte == 1).for_each(|byte| *byte = 0xff);
        let mut wire = Wire::connect(app.address).await;
        wire.write(&bytes).await;
        assert_eq!(wire.answer().await.status, status, "{forwarded}");
    }
}

#[tokio::test]
async fn rule_05_keys_cannot_make_keys() {
    let app = spawn_known().await;
    let dana = user(&app, 900, "dana").await;
    for role in Role::ALL {
        let caller = Caller::new(app.address, &key(&app, dana, role).await.0);
        let listed = caller.result("tools/list", json!({})).await["tools"].clone();
        for tool in listed.as_array().unwrap() {
            let name = tool["name"].as_str().unwrap();
            assert!(!name.to_lowercase().contains("key"), "{}: {name}", role.as_str());
        }
    }
    let before = app.store.keys().await.unwrap().len();
    let caller = Caller::new(app.address, &key(&app, dana, Role::Operator).await.0);
    for name in ["createKey", "keys/create", "rotateKey", "revokeKey", "permitKey"] {
        let answer =
            caller.answer("tools/call", json!({ "name": name, "arguments": { "user": "dana" } })).await;
        assert_eq!(answer.code(), Some(-32602), "{answer:?}");
        assert_eq!(caller.answer(name, json!({})).await.status, 404);
    }
    assert_eq!(app.store.keys().await.unwrap().len(), before + 1);
}
