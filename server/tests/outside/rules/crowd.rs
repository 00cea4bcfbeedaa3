//! Rule 18: two hundred callers at once, in both eras, with the same ids, and nobody gets another's answer.

use serde_json::json;
use server::{identity::Role, store::UserId};

use super::{key, spawn_known, user};
use crate::support::{
    client::{Client, request},
    modern::Caller,
};

const CALLERS: i64 = 200;
const ROUNDS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_18_two_hundred_principals_with_the_same_request_ids_get_their_own_answers() {
    let app = spawn_known().await;
    let mut keys = Vec::new();
    for number in 0..CALLERS {
        let name = format!("caller-{number}");
        let holder = user(&app, 1_000 + number, &name).await;
        keys.push((name, key(&app, holder, Role::ReadOnly).await.0));
        let paid = server::store::NewTransfer {
            id: None,
            from: holder,
            to: UserId(1),
            amount: server::money::Amount::from_minor((number + 1) * 100, server::money::Currency::USD),
            date: "2024-03-22".parse().unwrap(),
        };
        app.store.post(paid).await.unwrap();
    }
    let address = app.address;
    let everybody = keys.iter().enumerate().map(|(number, (name, key))| async move {
        let own = json!({ "username": name, "balance": -(i64::try_from(number).unwrap() + 1) });
        let (session, stateless) = (Client::open(address, key).await, Caller::new(address, key));
        for _ in 0..ROUNDS {
            let params = json!({ "name": "getAccountBalance", "arguments": {} });
            let in_session = session.post(request(7, "tools/call", params.clone()));
            let (one, other) = tokio::join!(in_session.send(address), stateless.answer("tools/call", params));
            for answer in [one, other] {
                let told = answer.json();
                assert_eq!(told["id"], 7);
                assert_eq!(told["result"]["structuredContent"], own, "{name}: {answer:?}");
            }
            let who = stateless.call("whoAmI", json!({})).await;
            assert_eq!(who["structuredContent"]["username"], json!(name));
        }
    });
    futures_util::future::join_all(everybody).await;
}
