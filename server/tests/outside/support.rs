//! What the tests share: a server on a port of its own, and hands to speak to it with.

pub(crate) mod app;
#[path = "../store_contract/changes.rs"]
pub(crate) mod changes;
pub(crate) mod client;
pub(crate) mod events;
#[path = "../../examples/kit/credentials.rs"]
pub(crate) mod kit;
#[path = "../../examples/lossy/proxy.rs"]
pub(crate) mod lossy;
pub(crate) mod modern;
#[path = "../../../shared/tests/support/official.rs"]
pub(crate) mod official;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod secrets;
pub(crate) mod stage;
pub(crate) mod wire;

use std::{future::Future, time::Duration};

/// The longest that anything in these tests may take. Nothing waits for it unless something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The result of `future`, which must come in time; `what` says what did not.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(result) => result,
        Err(_) => panic!("{what}: nothing happened for {PATIENCE:?}"),
    }
}

/// Asks `condition` again and again until it holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    soon(what, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Moves whole dollars from one demo user to another, as something else on the same database might.
pub(crate) async fn pay(app: &app::App, from: &str, to: &str, dollars: i64) {
    pay_on(app, from, to, dollars, "2024-03-22").await;
}

/// The same on a day.
pub(crate) async fn pay_on(app: &app::App, from: &str, to: &str, dollars: i64, day: &str) {
    use server::{
        money::{Amount, Currency},
        store::{NewTransfer, UserId},
    };
    let user = |name: &str| match name {
        "bob" => UserId(1),
        "charlie" => UserId(2),
        "alice" => UserId(3),
        other => panic!("{other} is no demo user"),
    };
    let amount = Amount::from_minor(dollars * 100, Currency::USD);
    let transfer =
        NewTransfer { id: None, from: user(from), to: user(to), amount, date: day.parse().unwrap() };
    app.store.post(transfer).await.unwrap();
}
