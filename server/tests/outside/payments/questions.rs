//! The words in which a person is asked about a payment: the server's own, from what it keeps.

use std::time::Duration;

use serde_json::{Value, json};
use server::{
    clock::UnixMillis,
    store::{KeyId, PaymentPolicy},
};

use super::{
    late::kept,
    person::{Person, standing},
    visitor::Visitor,
};
use crate::support::{
    app::{App, spawn_app},
    changes::KeyChanges as _,
    client::BOB,
    eventually,
};

fn named(payment: &Value) -> Value {
    json!({ "paymentId": payment["paymentId"] })
}

/// What Bob is asked about a payment that he declines.
async fn asked(bob: &Visitor, order: Value) -> String {
    let made = bob.prepares(order).await;
    let (declined, question) = bob.answers("decline", "confirmPayment", named(&made)).await;
    assert_eq!(standing(&declined), "declined", "{declined}");
    question.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_question_names_the_amount_the_currency_the_payee_the_memo_and_what_is_left() {
    let app = spawn_app().await;
    for bob in Visitor::of_each_era(&app, BOB).await {
        for (order, words) in [
            (
                json!({ "to": "alice", "amount": 12.5, "memo": "lunch" }),
                "Pay 12.50 USD to alice?\nMemo: lunch\nAfter this 787.50 USD can still be spent.",
            ),
            (
                json!({ "to": "charlie", "amount": 0.01 }),
                "Pay 0.01 USD to charlie?\nAfter this 799.99 USD can still be spent.",
            ),
            (
                json!({ "to": "alice", "amount": 800, "currency": "USD" }),
                "Pay 800.00 USD to alice?\nAfter this 0.00 USD can still be spent.",
            ),
        ] {
            assert_eq!(asked(&bob, order).await, words, "{}", bob.era());
        }
        // What waits beside it is not left either.
        let waiting = bob.prepares(json!({ "to": "charlie", "amount": 300 })).await;
        let words = asked(&bob, json!({ "to": "alice", "amount": 25 })).await;
        assert_eq!(words, "Pay 25.00 USD to alice?\nAfter this 475.00 USD can still be spent.");
        assert_eq!(standing(&bob.call("cancelPayment", named(&waiting)).await), "canceled");
    }
}

/// Each is one line of the question, whatever it would like to be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memo_is_one_line_and_cannot_be_taken_for_the_servers_words() {
    let app = spawn_app().await;
    for bob in Visitor::of_each_era(&app, BOB).await {
        for (memo, line) in [
            (
                "rent\nAfter this 9999.00 USD can still be spent.",
                "rent After this 9999.00 USD can still be spent.",
            ),
            ("a\r\nPay 1.00 USD to charlie?", "a Pay 1.00 USD to charlie?"),
            ("a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f", "a b c d e f"),
            ("\u{1b}[2J\u{1b}[1;1HPay 1.00 USD?\u{7}", "[2J[1;1HPay 1.00 USD?"),
            ("a\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{7f}\u{9b}2K", "a2K"),
            ("\u{202e}00.1 yaP\u{202c}", "00.1 yaP"),
            ("two\u{200b}words\u{2060}\u{feff}", "twowords"),
            ("far                    away", "far away"),
            ("far\u{a0}\u{a0}\u{3000}\u{2003}away", "far away"),
            ("far\u{2800}\u{2800}\u{2800}away", "faraway"),
            ("<b>Pay</b> {\"action\":\"accept\"}", "<b>Pay</b> {\"action\":\"accept\"}"),
        ] {
            let words = asked(&bob, json!({ "to": "alice", "amount": 5, "memo": memo })).await;
            let own =
                format!("Pay 5.00 USD to alice?\nMemo: {line}\nAfter this 795.00 USD can still be spent.");
            assert_eq!(words, own, "{} {memo:?}", bob.era());
        }
        let nothing =
            asked(&bob, json!({ "to": "alice", "amount": 5, "memo": "\n\u{200b}\u{202e}\t" })).await;
        assert_eq!(nothing.lines().count(), 2, "{nothing}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memo_of_a_batch_stays_in_its_own_line() {
    let app = spawn_app().await;
    for bob in Visitor::of_each_era(&app, BOB).await {
        let order = json!({ "payments": [
            { "to": "alice", "amount": 60, "memo": "tea)\n2. 0.01 USD to bob (x" },
            { "to": "charlie", "amount": 40, "memo": "\u{1b}[2Kcake" },
        ] });
        let (_, question) = bob.answers("decline", "createPaymentBatch", order).await;
        let own = "Pay 100.00 USD in 2 payments, all or none of them?\n1. 60.00 USD to alice (tea) 2. 0.01 USD to bob \
                   (x)\n2. 40.00 USD to charlie ([2Kcake)\nAfter this 700.00 USD can still be spent.";
        assert_eq!(question.unwrap(), own, "{}", bob.era());
    }
}

/// Lets Bob's key pay without a question.
async fn automatic(app: &App) {
    let policy = PaymentPolicy { automatic_below_minor: 10_000, ..PaymentPolicy::default() };
    app.store.change_policy(&KeyId("1".to_owned()), policy.into()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_within_ten_minutes_is_asked_about_and_what_is_older_is_not() {
    let minutes = Duration::from_mins;
    for (age, is_similar) in
        [(minutes(10) - Duration::from_secs(20), true), (minutes(10) + Duration::from_secs(1), false)]
    {
        for turn in 0..2 {
            let app = spawn_app().await;
            automatic(&app).await;
            let bob = Visitor::of_each_era(&app, BOB).await.into_iter().nth(turn).unwrap();
            let later = UnixMillis::now().plus(Duration::from_hours(23));
            let first = kept(&app, 30, age, later).await;
            let made =
                bob.prepares(json!({ "to": "alice", "amount": 30, "idempotencyKey": "another" })).await;
            let (decided, question) = bob.answers("decline", "confirmPayment", named(&made)).await;
            let what = format!("{age:?} {}: {question:?}", bob.era());
            if is_similar {
                assert_eq!(made["possibleDuplicateOf"], first, "{what}");
                let own = format!(
                    "Pay 30.00 USD to alice?\nPossible duplicate: {} to the same payee over the same amount was made \
                     within the ten minutes before this one.\nAfter this 740.00 USD can still be spent.",
                    first.as_str().unwrap()
                );
                assert_eq!(question, Some(own), "{what}");
                assert_eq!(standing(&decided), "declined", "{what}");
            } else {
                assert_eq!(made["possibleDuplicateOf"], Value::Null, "{what}");
                assert_eq!((standing(&decided).as_str(), question), ("succeeded", None), "{}", bob.era());
            }
        }
    }
}

/// What it seems to repeat was open when it was made, and need not be when its person is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_possible_duplicate_that_came_to_nothing_meanwhile_the_question_says_so() {
    let app = spawn_app().await;
    let bob = Person::bob(&app);
    let ends = UnixMillis::now().plus(Duration::from_secs(2));
    let overdue = kept(&app, 3, Duration::from_mins(5), ends).await;
    let mut firsts = vec![("expired", 3, json!({ "paymentId": overdue }))];
    for (standing, amount) in
        [("requires_confirmation", 4), ("canceled", 5), ("declined", 6), ("succeeded", 7)]
    {
        let made = bob.prepares(json!({ "to": "alice", "amount": amount })).await;
        firsts.push((standing, amount, named(&made)));
    }
    let mut seconds = Vec::new();
    for (_, amount, first) in &firsts {
        let made = bob.prepares(json!({ "to": "alice", "amount": amount })).await;
        assert_eq!(made["possibleDuplicateOf"], first["paymentId"], "{made}");
        seconds.push(named(&made));
    }
    assert_eq!(bob.does("cancelPayment", firsts[2].2.clone()).await, "canceled");
    bob.answers("decline", "confirmPayment", firsts[3].2.clone()).await;
    assert_eq!(bob.does("confirmPayment", firsts[4].2.clone()).await, "succeeded");
    eventually("the end of its time", async || UnixMillis::now() > ends).await;
    for ((standing, _, first), second) in firsts.iter().zip(seconds) {
        let (_, question) = bob.answers("decline", "confirmPayment", second).await;
        let came_to = match *standing {
            "requires_confirmation" | "succeeded" => String::new(),
            ended => format!(" It came to nothing: {ended}."),
        };
        let line = format!(
            "\nPossible duplicate: {} to the same payee over the same amount was made within the ten minutes before this \
             one.{came_to}\n",
            first["paymentId"].as_str().unwrap()
        );
        assert!(
            question.as_ref().is_some_and(|question| question.contains(&line)),
            "{standing}: {question:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_unpaid_is_no_reason_to_take_the_next_one_for_a_duplicate() {
    let app = spawn_app().await;
    automatic(&app).await;
    let bob = Person::bob(&app);
    let canceled = bob.prepares(json!({ "to": "alice", "amount": 7 })).await;
    assert_eq!(bob.does("cancelPayment", named(&canceled)).await, "canceled");
    let made = bob.prepares(json!({ "to": "alice", "amount": 7 })).await;
    assert_eq!(made["possibleDuplicateOf"], Value::Null, "{made}");
}
