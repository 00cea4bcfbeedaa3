//! Servers and databases that die under load: what was acknowledged is there, and there once.

use std::time::Duration;

use serde_json::json;

use super::{
    Replicas,
    load::{Load, Paid},
};
use crate::support::{eventually, modern::Caller, process::Program, wire::Ask};

/// A key of Bob's that pays without asking.
fn trusted_key(replicas: &Replicas) -> String {
    let made = replicas.told(&[
        "keys",
        "create",
        "--user",
        "bob",
        "--role",
        "customer",
        "--automatic-below",
        "1000",
    ]);
    made["key"].as_str().unwrap().to_owned()
}

async fn until_paid(load: &Load, more: usize) {
    let wanted = load.count() + more;
    eventually("payments", async || load.count() >= wanted).await;
}

/// The books, held against what clients were told.
async fn hold_against(replicas: &Replicas, alive: &Program, key: &str, paid: &Paid) {
    let listed = replicas.told(&["payments", "list", "--status", "succeeded", "--limit", "1000"]);
    let mut kept: Vec<_> =
        listed.as_array().unwrap().iter().map(|one| one["paymentId"].as_str().unwrap().to_owned()).collect();
    let mut told: Vec<_> = paid.acknowledged.iter().map(|(id, _)| id.clone()).collect();
    kept.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, kept, "what was acknowledged is what is there");
    let all = replicas.told(&["payments", "list", "--limit", "1000"]);
    assert_eq!(all.as_array().unwrap().len(), kept.len(), "nothing was made twice and left behind");
    let sum: i64 = paid.acknowledged.iter().map(|(_, cents)| cents).sum();
    let balance = Caller::new(alive.address, key).call("getAccountBalance", json!({})).await;
    let balance = balance["structuredContent"]["balance"].as_f64().unwrap();
    #[expect(clippy::cast_possible_truncation, clippy::float_arithmetic, reason = "two decimals")]
    let balance = (balance * 100.0).round() as i64;
    assert_eq!(balance, -20_000 - sum);
    let verdict = replicas.operate(&["audit", "verify"]);
    assert!(verdict.status.success(), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_servers_is_killed_mid_flow_and_clients_go_on() {
    let Some(mut replicas) = Replicas::start().await else { return };
    let key = trusted_key(&replicas);
    let load = Load::start(replicas.front, &key, 6);
    until_paid(&load, 20).await;
    replicas.servers.remove(1).kill();
    until_paid(&load, 20).await;
    replicas.servers.remove(0).kill();
    until_paid(&load, 20).await;
    let paid = load.end().await;
    let alive = replicas.servers.remove(0);
    hold_against(&replicas, &alive, &key, &paid).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_stopped_killed_and_started_under_load_and_nothing_is_lost_or_done_twice() {
    let Some(mut replicas) = Replicas::start().await else { return };
    let key = trusted_key(&replicas);
    let load = Load::start(replicas.front, &key, 6);
    let ready = |address| async move { Ask::bare("GET").to("/readyz").send(address).await.status };
    for round in 0..4 {
        until_paid(&load, 15).await;
        if round % 2 == 0 {
            replicas.postgres.stop()
        } else {
            replicas.postgres.kill()
        }
        for address in replicas.addresses() {
            let began = std::time::Instant::now();
            eventually("the end of readiness", async || ready(address).await == 503).await;
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        }
        replicas.postgres.go_on();
        for address in replicas.addresses() {
            eventually("readiness", async || ready(address).await == 200).await;
        }
    }
    until_paid(&load, 15).await;
    let paid = load.end().await;
    assert!(paid.repeated > 0, "nobody noticed");
    let alive = replicas.servers.remove(0);
    hold_against(&replicas, &alive, &key, &paid).await;
}
