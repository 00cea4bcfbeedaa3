//! A payment that waited too long: it ends at its time, whether or not anybody has swept it up.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use server::{
    clock::UnixMillis,
    store::{Ending, NewPayment, PaymentId, StoreError, Transaction, Work, transact},
};

use super::{
    person::{Person, standing},
    visitor::Visitor,
};
use crate::support::{
    app::{App, spawn_app},
    client::{BOB, Client, NEWEST},
    events::Events,
    eventually,
};

/// Keeps a payment as `createPayment` does, at a time of its own.
struct Keep(NewPayment);

#[async_trait]
impl Work for Keep {
    type Output = ();

    async fn run(&self, transaction: &mut dyn Transaction) -> Result<Ending<()>, StoreError> {
        let Self(payment) = self;
        transaction.insert_payment(payment).await?;
        transaction.spend(&payment.lineage, payment.created_at, payment.amount.minor()).await?;
        Ok(Ending::Keep(()))
    }
}

/// The handle of a payment of Bob's to Alice that was made so long ago, and ends then.
pub(super) async fn kept(app: &App, amount: u32, age: Duration, expires_at: UnixMillis) -> Value {
    // Another server makes it, so that everything about it but its times is as it is made.
    let elsewhere = spawn_app().await;
    let made = Person::bob(&elsewhere).prepares(json!({ "to": "alice", "amount": amount })).await;
    let id = PaymentId(made["paymentId"].as_str().unwrap().to_owned());
    let made = elsewhere.store.payment(&id).await.unwrap().unwrap().payment;
    let created_at =
        UnixMillis::from_millis(UnixMillis::now().as_millis() - i64::try_from(age.as_millis()).unwrap());
    transact(&*app.store, Keep(NewPayment { created_at, expires_at, ..made })).await.unwrap();
    json!(id.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_expired_is_not_asked_about_and_not_paid_though_nobody_swept_it_up() {
    for turn in 0..2 {
        let app = spawn_app().await;
        let bob = Visitor::of_each_era(&app, BOB).await.into_iter().nth(turn).unwrap();
        let day = Duration::from_hours(24);
        let id = kept(&app, 500, day, UnixMillis::now()).await;
        let (refused, question) = bob.answers("accept", "confirmPayment", json!({ "paymentId": id })).await;
        assert_eq!((standing(&refused).as_str(), question), ("expired", None), "{}: {refused}", bob.era());
        assert_eq!(refused["isError"], true, "{refused}");
        let (refused, question) = bob.answers("accept", "confirmPayment", json!({ "paymentId": id })).await;
        assert_eq!((standing(&refused).as_str(), question), ("expired", None), "{}: {refused}", bob.era());
        assert_eq!(Person::bob(&app).balance().await, -200.0);
    }
}

/// A payment of Bob's whose time is over in a moment, and the moment.
async fn ending_soon(app: &App) -> (Value, UnixMillis) {
    let ends = UnixMillis::now().plus(Duration::from_secs(2));
    (json!({ "paymentId": kept(app, 500, Duration::from_hours(24), ends).await }), ends)
}

/// Nothing moved, and what was set aside is free.
async fn came_to_nothing(app: &App, named: &Value) {
    let bob = Person::bob(app);
    eventually("the end of the payment", async || {
        standing(&bob.0.call("getPayment", named.clone()).await) == "expired"
    })
    .await;
    assert_eq!(bob.balance().await, -200.0);
    let all = json!({ "to": "alice", "amount": 800 });
    assert_eq!(bob.does("createPayment", all).await, "requires_confirmation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_that_comes_in_a_session_when_the_time_is_over_pays_nothing() {
    let app = spawn_app().await;
    let client = Client::open_with(app.address, BOB, NEWEST, json!({ "elicitation": {} })).await;
    let (named, ends) = ending_soon(&app).await;
    let mut events = Events::open(&client.call("confirmPayment", named.clone()), app.address).await;
    let question = loop {
        let event = events.one().await;
        if event.data.as_deref().is_some_and(|data| data.contains("elicitation/create")) {
            break event.json()["id"].clone();
        }
    };
    eventually("the end of its time", async || UnixMillis::now() > ends).await;
    let yes = json!({ "jsonrpc": "2.0", "id": question, "result": { "action": "accept", "content": {} } });
    assert_eq!(client.post(yes.to_string()).send(app.address).await.status, 202);
    let late = events.rest().await.pop().unwrap().json()["result"].clone();
    assert_eq!(standing(&late), "expired", "{late}");
    came_to_nothing(&app, &named).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_that_comes_without_a_session_when_the_time_is_over_pays_nothing() {
    let app = spawn_app().await;
    let bob = Person::bob(&app);
    let (arguments, ends) = ending_soon(&app).await;
    let asked = bob.0.call("confirmPayment", arguments.clone()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    eventually("the end of its time", async || UnixMillis::now() > ends).await;
    let yes = json!({
        "name": "confirmPayment", "arguments": arguments, "requestState": asked["requestState"],
        "inputResponses": { "confirmation": { "action": "accept", "content": {} } },
    });
    let late = bob.0.result("tools/call", yes).await;
    assert_eq!(standing(&late), "expired", "{late}");
    came_to_nothing(&app, &arguments).await;
}
