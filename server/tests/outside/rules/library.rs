//! Rule 7 for resources and prompts: what is listed is what can be read, got, completed and subscribed to.

use serde_json::{Value, json};
use server::{
    identity::{Permission, PermissionSet, Role},
    store::UserId,
};

use super::{key, spawn_known};
use crate::support::{
    changes::KeyChanges as _,
    client::{Client, request},
    modern::Caller,
    wire::Answer,
};

/// The names of what is listed.
fn named(answer: &Answer, list: &str, member: &str) -> Vec<String> {
    let listed = answer.json()["result"][list].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone();
    listed.iter().map(|one| one[member].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_07_what_is_listed_is_what_can_be_read_whatever_a_key_may_do() {
    let app = spawn_known().await;
    let balance = ("payments://balance", Permission::BalanceRead);
    let statement = ("payments://statements/2024-03", Permission::TransactionsRead);
    let filled = json!({ "to": "alice", "amount": "1" });
    let prompts = [
        ("prepare-payment", filled, Permission::BalanceRead),
        ("explain-spending", json!({ "month": "2024-03" }), Permission::TransactionsRead),
    ];
    for bits in 0_usize..1 << Permission::ALL.len() {
        // Half of them is enough: what is left out is who one is.
        let of = Permission::ALL.iter().enumerate().filter(|(place, _)| bits & (1 << place) != 0);
        let set: Vec<Permission> = of.map(|(_, permission)| *permission).collect();
        if set.contains(&Permission::IdentityRead) {
            continue;
        }
        let (secret, stored) = key(&app, UserId(1), Role::ReadOnly).await;
        let bits = PermissionSet::of(&set).bits();
        app.store.permit_key(&stored.id, bits, "custom".to_owned()).await.unwrap().unwrap();
        let (session, stateless) =
            (Client::open(app.address, &secret).await, Caller::new(app.address, &secret));
        let both = async |method: &str, params: Value| {
            let one = session.post(request(5, method, params.clone())).send(app.address).await;
            [one, stateless.answer(method, params).await]
        };
        let is_refused = |answer: &Answer| answer.json()["error"]["code"].is_i64();
        let [uris, others] =
            both("resources/list", json!({})).await.map(|one| named(&one, "resources", "uri"));
        assert_eq!(uris, others);
        let [names, others] = both("prompts/list", json!({})).await.map(|one| named(&one, "prompts", "name"));
        assert_eq!(names, others);
        for (uri, needed) in [balance, statement] {
            let may = set.contains(&needed);
            assert_eq!(uris.iter().any(|listed| listed == uri), may, "{uri}: {set:?}");
            for answer in both("resources/read", json!({ "uri": uri })).await {
                assert_eq!(is_refused(&answer), !may, "{uri}: {set:?}: {answer:?}");
            }
            let subscribed = request(6, "resources/subscribe", json!({ "uri": uri }));
            let subscribed = session.post(subscribed).send(app.address).await;
            assert_eq!(is_refused(&subscribed), !may || uri != balance.0, "{uri}: {set:?}: {subscribed:?}");
        }
        for (name, arguments, needed) in &prompts {
            let may = set.contains(needed);
            assert_eq!(names.iter().any(|listed| listed == name), may, "{name}: {set:?}");
            for answer in both("prompts/get", json!({ "name": name, "arguments": arguments })).await {
                assert_eq!(is_refused(&answer), !may, "{name}: {set:?}: {answer:?}");
            }
            let argument = arguments.as_object().unwrap().keys().next_back().unwrap();
            let typed = json!({
                "ref": { "type": "ref/prompt", "name": name }, "argument": { "name": argument, "value": "" },
            });
            for answer in both("completion/complete", typed).await {
                assert_eq!(is_refused(&answer), !may, "{name}: {set:?}: {answer:?}");
                // What is proposed is taken from transactions, whatever the prompt is for.
                let proposed = answer.json()["result"]["completion"]["values"].as_array().map_or(0, Vec::len);
                let may = may && set.contains(&Permission::TransactionsRead);
                assert_eq!(proposed > 0, may, "{name}: {set:?}: {answer:?}");
            }
        }
        session.end().await;
    }
}
