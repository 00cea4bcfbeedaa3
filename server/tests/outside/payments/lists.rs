//! `listPayments`: what is found by how far it has come, by its key, and page by page.

use serde_json::{Value, json};
use server::store::PaymentStatus;

use super::{
    person::{Person, standing, text},
    steps::paid_until,
    visitor::Visitor,
};
use crate::support::{
    app::{App, spawn_app},
    client::{ALICE, BOB},
};

/// The handles on a page.
fn handles(page: &Value) -> Vec<Value> {
    let payments = page["structuredContent"]["payments"].as_array().unwrap_or_else(|| panic!("{page}"));
    payments.iter().map(|payment| payment["paymentId"].clone()).collect()
}

/// What is found by these arguments, page after page until there is none.
async fn walk(visitor: &Visitor, wanted: &Value, limit: usize) -> Vec<Value> {
    let mut found = Vec::new();
    let mut arguments = wanted.clone();
    arguments["limit"] = json!(limit);
    loop {
        let page = visitor.call("listPayments", arguments.clone()).await;
        let handles = handles(&page);
        let next = page["structuredContent"]["nextCursor"].clone();
        assert!(handles.len() == limit || next.is_null(), "a page in the middle is full: {page}");
        assert!(!handles.is_empty() || found.is_empty(), "the last page holds something: {page}");
        found.extend(handles);
        assert!(found.len() <= 100, "the walk goes in circles: {found:?}");
        if next.is_null() {
            return found;
        }
        arguments["cursor"] = next;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_are_found_by_how_far_they_have_come() {
    let app = spawn_app().await;
    let mut made = Vec::new();
    let reached =
        ["declined", "canceled", "failed", "expired", "succeeded", "partially_refunded", "refunded"];
    for (amount, status) in (10..).zip(reached) {
        made.push((status, paid_until(&app, status, amount).await));
    }
    let bob = Person::bob(&app);
    let waiting = bob.prepares(json!({ "to": "alice", "amount": 20 })).await;
    made.push(("requires_confirmation", waiting["paymentId"].clone()));
    let [alone, _] = Visitor::unaskable(&app, BOB).await;
    let waiting = alone.prepares(json!({ "to": "alice", "amount": 21 })).await;
    alone.call("confirmPayment", json!({ "paymentId": waiting["paymentId"] })).await;
    made.push(("requires_action", waiting["paymentId"].clone()));
    for (bob, alice) in
        Visitor::of_each_era(&app, BOB).await.iter().zip(&Visitor::of_each_era(&app, ALICE).await)
    {
        for status in PaymentStatus::ALL.map(PaymentStatus::as_str) {
            let page = bob.call("listPayments", json!({ "status": status })).await;
            let those: Vec<_> =
                made.iter().filter(|(reached, _)| *reached == status).map(|(_, id)| id.clone()).collect();
            assert_eq!(handles(&page), those, "{status} {}", bob.era());
            for payment in page["structuredContent"]["payments"].as_array().unwrap() {
                assert_eq!(payment["status"], status, "{payment}");
            }
            // The payee sees what is paid, and nothing else of it.
            let paid = ["succeeded", "partially_refunded", "refunded"].contains(&status);
            let seen = bob_s(&alice.call("listPayments", json!({ "status": status })).await);
            assert_eq!(seen, if paid { those } else { vec![] }, "{status} {}", alice.era());
        }
        let all: Vec<_> = made.iter().rev().map(|(_, id)| id.clone()).collect();
        assert_eq!(handles(&bob.call("listPayments", json!({})).await), all);
    }
}

fn bob_s(page: &Value) -> Vec<Value> {
    for payment in page["structuredContent"]["payments"].as_array().unwrap() {
        assert_eq!(payment["from"], "bob", "{payment}");
    }
    handles(page)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_are_found_by_the_key_under_which_they_were_asked_for() {
    let app = spawn_app().await;
    let [bob, stateless] = Visitor::of_each_era(&app, BOB).await;
    let keyed = |amount: u32, key: &str| json!({ "to": "alice", "amount": amount, "idempotencyKey": key });
    let first = bob.prepares(keyed(1, "first")).await["paymentId"].clone();
    let second = stateless.prepares(keyed(2, "second")).await["paymentId"].clone();
    bob.prepares(json!({ "to": "alice", "amount": 3 })).await;
    let of_alice = Person::alice(&app);
    let made = of_alice.prepares(json!({ "to": "bob", "amount": 4, "idempotencyKey": "first" })).await;
    of_alice.does("confirmPayment", json!({ "paymentId": made["paymentId"] })).await;
    bob.prepares(keyed(1, "first")).await;
    for bob in [&bob, &stateless] {
        let found = async |wanted: Value| handles(&bob.call("listPayments", wanted).await);
        assert_eq!(found(json!({ "idempotencyKey": "second" })).await, std::slice::from_ref(&second));
        // What Alice paid Bob under a key of that name was not asked for by Bob.
        assert_eq!(found(json!({ "idempotencyKey": "first" })).await, std::slice::from_ref(&first));
        for other in ["First", "firs", "first2", "%", "f_rst", "third"] {
            assert!(found(json!({ "idempotencyKey": other })).await.is_empty(), "{other}");
        }
        let both = |status: &str| json!({ "idempotencyKey": "first", "status": status });
        assert_eq!(found(both("requires_confirmation")).await, std::slice::from_ref(&first));
        assert!(found(both("succeeded")).await.is_empty());
    }
}

/// Payments between Bob, Alice and Charlie, of which Bob may see some: their handles, the newest first.
async fn between_three(app: &App) -> Vec<Value> {
    let (bob, alice) = (Person::bob(app), Person::alice(app));
    let mut of_bob = Vec::new();
    for turn in 1..=4 {
        for (payer, payee, is_paid) in [
            (&bob, "alice", true),
            (&bob, "charlie", false),
            (&alice, "bob", true),
            (&alice, "bob", false),
            (&alice, "charlie", true),
        ] {
            let made = payer.prepares(json!({ "to": payee, "amount": turn })).await;
            if is_paid {
                let paid = payer.does("confirmPayment", json!({ "paymentId": made["paymentId"] })).await;
                assert_eq!(paid, "succeeded");
            }
            if made["from"] == "bob" || (payee == "bob" && is_paid) {
                of_bob.insert(0, made["paymentId"].clone());
            }
        }
    }
    of_bob
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walking_the_pages_finds_every_payment_of_ones_own_once_the_newest_first() {
    let app = spawn_app().await;
    let all = between_three(&app).await;
    assert_eq!(all.len(), 12);
    for bob in Visitor::of_each_era(&app, BOB).await {
        for limit in [1, 2, 3, 5, 11, 12, 13, 100] {
            assert_eq!(walk(&bob, &json!({}), limit).await, all, "{limit} {}", bob.era());
        }
        let waiting = walk(&bob, &json!({ "status": "requires_confirmation" }), 3).await;
        let paid = walk(&bob, &json!({ "status": "succeeded" }), 3).await;
        let is_waiting = |id: &&Value| waiting.contains(id);
        assert_eq!((waiting.len(), paid.len()), (4, 8));
        assert_eq!(all.iter().filter(is_waiting).cloned().collect::<Vec<_>>(), waiting);
        assert_eq!(all.iter().filter(|id| !is_waiting(id)).cloned().collect::<Vec<_>>(), paid);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_goes_on_where_it_was_although_payments_are_made_meanwhile_and_in_either_era() {
    let app = spawn_app().await;
    let all = between_three(&app).await;
    let [bob, stateless] = Visitor::of_each_era(&app, BOB).await;
    let first = bob.call("listPayments", json!({ "limit": 5 })).await;
    let cursor = first["structuredContent"]["nextCursor"].clone();
    let newest = bob.prepares(json!({ "to": "alice", "amount": 9 })).await["paymentId"].clone();
    let rest = stateless.call("listPayments", json!({ "cursor": cursor, "limit": 100 })).await;
    assert_eq!([handles(&first), handles(&rest)].concat(), all, "none is told twice and none is left out");
    assert_eq!(rest["structuredContent"]["nextCursor"], Value::Null);
    assert_eq!(handles(&bob.call("listPayments", json!({ "limit": 1 })).await), [newest]);
    // A place in Bob's list is none in Alice's.
    for alice in Visitor::of_each_era(&app, ALICE).await {
        let refused = alice.call("listPayments", json!({ "cursor": cursor })).await;
        assert_eq!(standing(&refused), "invalid_cursor", "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_looked_for_is_refused_with_what_can() {
    let app = spawn_app().await;
    for bob in Visitor::of_each_era(&app, BOB).await {
        for (wanted, code, names) in [
            (json!({ "status": "paid" }), "invalid_argument", "requires_confirmation"),
            (json!({ "status": "SUCCEEDED" }), "invalid_argument", "succeeded"),
            (json!({ "status": "" }), "invalid_argument", "status"),
            (json!({ "idempotencyKey": "" }), "invalid_argument", "idempotencyKey"),
            (json!({ "limit": 0 }), "invalid_argument", "limit"),
            (json!({ "limit": 101 }), "invalid_argument", "limit"),
            (json!({ "limit": 1.5 }), "invalid_argument", "limit"),
            (json!({ "from": "alice" }), "invalid_argument", "from"),
            (json!({ "cursor": "1" }), "invalid_cursor", "nextCursor"),
        ] {
            let refused = bob.call("listPayments", wanted.clone()).await;
            assert_eq!(standing(&refused), code, "{wanted} {}: {refused}", bob.era());
            assert!(text(&refused).contains(names), "{wanted}: {refused}");
        }
    }
}
