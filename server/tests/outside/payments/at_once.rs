//! Many at once: one handle is one transfer, and a budget is spent to the cent and no further.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    books::Books,
    in_flight::{self, answered},
    person::{Person, question, standing},
};
use crate::support::{
    client::{BOB, Client, NEWEST},
    events::Events,
    eventually,
    modern::Caller,
};

/// A payment to Alice: its handle, or the text of the refusal.
async fn prepared(caller: &Caller, amount: f64) -> Result<Value, String> {
    let made = caller.call("createPayment", json!({ "to": "alice", "amount": amount })).await;
    let id = &made["structuredContent"]["paymentId"];
    if id.is_string() { Ok(id.clone()) } else { Err(text(&made)) }
}

fn text(result: &Value) -> String {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned()
}

/// The call that confirms, as it goes on when a person was asked and says yes.
fn agreed(payment: &Value, asked: &Value) -> Value {
    json!({
        "name": "confirmPayment",
        "arguments": { "paymentId": payment },
        "requestState": asked["requestState"],
        "inputResponses": { "confirmation": { "action": "accept", "content": {} } },
    })
}

/// Confirms, with a yes where somebody is asked.
async fn confirmed(caller: &Caller, payment: &Value) -> Value {
    let asked = caller.call("confirmPayment", json!({ "paymentId": payment })).await;
    if asked["resultType"] != "input_required" {
        return asked;
    }
    caller.result("tools/call", agreed(payment, &asked)).await
}

/// One of these paid, and every other says that it was paid before.
fn one_paid(results: &[Value]) {
    for result in results {
        assert_eq!(result["structuredContent"]["status"], "succeeded", "{result}");
    }
    let replayed = results.iter().filter(|result| result["structuredContent"]["replayed"] == true).count();
    assert_eq!((results.len(), replayed), (50, 49));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_handle_confirmed_by_fifty_at_once_is_one_transfer_and_forty_nine_replays() {
    for books in Books::of_each_kind().await {
        let (_, key) = books.key(&["--automatic-below", "100"]);
        let payment = prepared(&books.caller(&key, 0), 12.5).await.unwrap();
        let before = books.transfers().await;
        let callers: Vec<_> = (0..50).map(|turn| books.caller(&key, turn)).collect();
        let arguments = json!({ "paymentId": payment });
        let results = join_all(callers.iter().map(|caller| caller.call("confirmPayment", arguments.clone())));
        one_paid(&results.await);
        assert_eq!(books.transfers().await, before + 1);
        assert_eq!(books.balances().await, [-212.5, 192.5]);
        books.verify();
    }
}

/// Whoever was quickest has decided, and everybody is told the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_that_is_confirmed_and_cancelled_at_once_is_either_paid_or_canceled() {
    for books in Books::of_each_kind().await {
        let (_, key) = books.key(&["--automatic-below", "100"]);
        let (mut paid, mut moved) = (0, 0.0);
        for round in 1..=10_u8 {
            let payment = prepared(&books.caller(&key, 0), round.into()).await.unwrap();
            let arguments = json!({ "paymentId": payment });
            let ends = join_all((0..8).map(async |turn| {
                let tool = ["confirmPayment", "cancelPayment"][(turn / 2 + usize::from(round)) % 2];
                (tool, standing(&books.caller(&key, turn).call(tool, arguments.clone()).await))
            }));
            let ends = ends.await;
            let is_paid = ends.contains(&("confirmPayment", "succeeded".to_owned()));
            for (tool, end) in &ends {
                let expected = match *tool {
                    _ if !is_paid => "canceled",
                    "confirmPayment" => "succeeded",
                    _ => "invalid_state",
                };
                assert_eq!(end, expected, "{tool}: {ends:?}");
            }
            paid += usize::from(is_paid);
            moved += if is_paid { f64::from(round) } else { 0.0 };
        }
        assert_eq!((books.count("succeeded"), books.count("canceled")), (paid, 10 - paid));
        assert_eq!(books.balances().await, [-200.0 - moved, 180.0 + moved]);
        books.verify();
    }
}

/// A session's call to confirm that waits for its person's word, and the question's id.
async fn asked_in_a_session(books: &Books, payment: &Value, turn: usize) -> (Client, Events, Value) {
    let address = books.servers[turn % 2].address;
    let client = Client::open_with(address, BOB, NEWEST, json!({ "elicitation": {} })).await;
    let mut events =
        Events::open(&client.call("confirmPayment", json!({ "paymentId": payment })), address).await;
    loop {
        let event = events.one().await;
        if event.data.as_deref().is_some_and(|data| data.contains("elicitation/create")) {
            let id = event.json()["id"].clone();
            return (client, events, id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_who_are_asked_about_one_handle_and_say_yes_at_once_pay_it_once_in_both_eras() {
    for books in Books::of_each_kind().await {
        let payment = &prepared(&books.caller(BOB, 0), 20.0).await.unwrap();
        let sessions = join_all((0..25).map(|turn| asked_in_a_session(&books, payment, turn))).await;
        let callers: Vec<_> = (0..25).map(|turn| books.caller(BOB, turn)).collect();
        let rounds = join_all(
            callers
                .iter()
                .map(async |caller| caller.call("confirmPayment", json!({ "paymentId": payment })).await),
        );
        let rounds = rounds.await;
        let in_sessions = join_all(sessions.into_iter().map(async |(client, events, question)| {
            let yes =
                json!({ "jsonrpc": "2.0", "id": question, "result": { "action": "accept", "content": {} } });
            assert_eq!(client.post(yes.to_string()).send(client.address).await.status, 202);
            events.rest().await.pop().unwrap().json()["result"].clone()
        }));
        let in_rounds = join_all(
            callers
                .iter()
                .zip(&rounds)
                .map(async |(caller, asked)| caller.result("tools/call", agreed(payment, asked)).await),
        );
        let (in_sessions, in_rounds) = tokio::join!(in_sessions, in_rounds);
        one_paid(&[in_sessions, in_rounds].concat());
        assert_eq!(books.balances().await, [-220.0, 200.0]);
        books.verify();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_payments_of_ten_at_once_a_budget_of_a_hundred_lets_ten_through() {
    for books in Books::of_each_kind().await {
        let (_, key) = books.key(&["--day-budget", "100"]);
        let callers: Vec<_> = (0..100).map(|turn| books.caller(&key, turn)).collect();
        let ends = join_all(callers.iter().map(async |caller| match prepared(caller, 10.0).await {
            Ok(payment) => {
                let result = confirmed(caller, &payment).await;
                result["structuredContent"]["status"].as_str().map_or_else(|| text(&result), str::to_owned)
            }
            Err(refusal) => refusal,
        }));
        let ends = ends.await;
        let paid = ends.iter().filter(|end| *end == "succeeded").count();
        let refused = ends.iter().filter(|end| end.starts_with("limit_exceeded: ")).count();
        assert_eq!((paid, refused), (10, 90), "{ends:?}");
        assert_eq!((books.count("succeeded"), books.balances().await), (10, [-300.0, 280.0]));
        books.verify();
    }
}

/// They are prepared under one budget and confirmed under another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_that_wait_while_the_budget_shrinks_to_a_hundred_ten_are_paid() {
    for books in Books::of_each_kind().await {
        let (id, key) = books.key(&["--day-budget", "600"]);
        let callers: Vec<_> = (0..60).map(|turn| books.caller(&key, turn)).collect();
        let payments =
            join_all(callers.iter().map(async |caller| prepared(caller, 10.0).await.unwrap())).await;
        books.told(&["keys", "limit", &id, "--day-budget", "100"]);
        let ends = join_all(
            callers.iter().zip(&payments).map(async |(caller, payment)| confirmed(caller, payment).await),
        );
        let paid = ends.await.iter().filter(|end| end["structuredContent"]["status"] == "succeeded").count();
        assert_eq!((paid, books.count("succeeded"), books.count("failed")), (10, 10, 50));
        assert_eq!(books.balances().await, [-300.0, 280.0]);
        books.verify();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_batch_sent_by_eight_at_once_one_is_paid_unasked_and_the_others_are_asked_about() {
    for books in Books::of_each_kind().await {
        let (_, key) = books.key(&["--automatic-below", "500"]);
        let order =
            json!({ "payments": [{ "to": "alice", "amount": 10 }, { "to": "charlie", "amount": 5 }] });
        let callers: Vec<_> = (0..8).map(|turn| books.caller(&key, turn)).collect();
        let results =
            join_all(callers.iter().map(|caller| caller.call("createPaymentBatch", order.clone()))).await;
        let (paid, asked): (Vec<_>, Vec<_>) =
            results.iter().partition(|result| result["structuredContent"]["status"] == "succeeded");
        assert_eq!((paid.len(), asked.len()), (1, 7), "{results:?}");
        for one in asked {
            assert!(question(one).1.contains("Possible duplicates: 2"), "{one}");
        }
        assert_eq!(books.balances().await, [-215.0, 190.0]);
        books.verify();
    }
}

/// When they are asked, neither of them knows of the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_equal_batches_that_are_asked_about_at_once_the_second_is_asked_about_again() {
    let order = json!({ "payments": [{ "to": "alice", "amount": 10 }, { "to": "charlie", "amount": 5 }] });
    for books in Books::of_each_kind().await {
        let callers = [0, 1].map(|turn| Person(books.caller(BOB, turn)));
        let first = callers[0].0.call("createPaymentBatch", order.clone()).await;
        let second = callers[1].0.call("createPaymentBatch", order.clone()).await;
        for asked in [&first, &second] {
            assert!(!question(asked).1.contains("duplicates"), "{asked}");
        }
        let paid = callers[0].says("accept", "createPaymentBatch", &order, &first).await;
        assert_eq!(standing(&paid), "succeeded", "{paid}");
        let again = callers[1].says("accept", "createPaymentBatch", &order, &second).await;
        assert_eq!(again["resultType"], "input_required", "{again}");
        assert!(question(&again).1.contains("Possible duplicates: 2"), "{again}");
        assert_eq!(books.balances().await, [-215.0, 190.0]);
        // A yes to what was asked first is none to that.
        let declined = callers[1].says("decline", "createPaymentBatch", &order, &again).await;
        assert_eq!(standing(&declined), "declined", "{declined}");
        assert_eq!(books.balances().await, [-215.0, 190.0]);
        // And whoever has heard it and says yes pays.
        let asked = callers[1].0.call("createPaymentBatch", order.clone()).await;
        assert!(question(&asked).1.contains("Possible duplicates: 2"), "{asked}");
        let paid = callers[1].says("accept", "createPaymentBatch", &order, &asked).await;
        assert_eq!(standing(&paid), "succeeded", "{paid}");
        assert_eq!(books.balances().await, [-230.0, 200.0]);
        books.verify();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_equal_batches_that_are_asked_about_in_sessions_the_second_is_asked_about_again() {
    let order = json!({ "payments": [{ "to": "alice", "amount": 10 }] });
    for books in Books::of_each_kind().await {
        let mut asked = Vec::new();
        for turn in 0..2 {
            let address = books.servers[turn].address;
            let client = Client::open_with(address, BOB, NEWEST, json!({ "elicitation": {} })).await;
            let waiting = in_flight::asked(&client, "createPaymentBatch", &order).await;
            asked.push((client, waiting));
        }
        let (client, (mut events, first)) = asked.pop().unwrap();
        let (other, waiting) = asked.pop().unwrap();
        let paid = answered(&other, waiting, "accept").await;
        assert_eq!(standing(&paid), "succeeded", "{paid}");
        let yes = json!({ "jsonrpc": "2.0", "id": first, "result": { "action": "accept", "content": {} } });
        assert_eq!(client.post(yes.to_string()).send(client.address).await.status, 202);
        let second = loop {
            let event = events.one().await;
            if event.data.as_deref().is_some_and(|data| !data.is_empty()) {
                break event.json();
            }
        };
        let words = second["params"]["message"].as_str().unwrap_or_else(|| panic!("{second}"));
        assert!(words.contains("Possible duplicates: 1"), "{words}");
        assert_eq!(books.balances().await, [-210.0, 190.0]);
        let declined = answered(&client, (events, second["id"].clone()), "decline").await;
        assert_eq!(standing(&declined), "declined", "{declined}");
        assert_eq!(books.balances().await, [-210.0, 190.0]);
        books.verify();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_refunds_of_twenty_at_once_two_are_given_of_a_payment_of_fifty() {
    for books in Books::of_each_kind().await {
        let create = ["keys", "create", "--user", "alice", "--role", "customer", "--automatic-below", "100"];
        let made = books.told(&create);
        let payment = prepared(&books.caller(BOB, 0), 50.0).await.unwrap();
        assert_eq!(standing(&confirmed(&books.caller(BOB, 0), &payment).await), "succeeded");
        let callers: Vec<_> = (0..50).map(|turn| books.caller(made["key"].as_str().unwrap(), turn)).collect();
        let refund = json!({ "paymentId": payment, "amount": 20 });
        let results = join_all(callers.iter().map(|caller| caller.call("refundPayment", refund.clone())));
        let ends: Vec<_> = results.await.iter().map(standing).collect();
        let times = |end: &str| ends.iter().filter(|other| *other == end).count();
        assert_eq!((times("partially_refunded"), times("limit_exceeded")), (2, 48), "{ends:?}");
        assert_eq!(books.balances().await, [-210.0, 190.0]);
        let told = books.caller(BOB, 1).call("getPayment", json!({ "paymentId": payment })).await;
        assert_eq!(told["structuredContent"]["refundedAmount"], 40, "{told}");
        books.verify();
    }
}

/// The refund has been looked at when it waits for the payment, and by then its key asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_whose_key_asks_by_the_time_that_it_moves_is_asked_about() {
    for books in Books::of_each_kind().await {
        let Some(beside) = books.beside().await else { continue };
        let create = ["keys", "create", "--user", "alice", "--role", "customer", "--automatic-below", "50"];
        let made = books.told(&create);
        let alice = books.caller(made["key"].as_str().unwrap(), 0);
        let payment = prepared(&books.caller(BOB, 0), 40.0).await.unwrap();
        assert_eq!(standing(&confirmed(&books.caller(BOB, 0), &payment).await), "succeeded");
        let id = payment.as_str().unwrap();
        beside.execute(&format!("BEGIN; SELECT 1 FROM payments WHERE id = '{id}' FOR UPDATE")).await;
        let all = json!({ "paymentId": payment });
        let refunding = tokio::spawn({
            let (alice, all) = (alice.clone(), all.clone());
            async move { alice.call("refundPayment", all).await }
        });
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        eventually("the refund to wait", async || beside.number(waiting).await == 1).await;
        books.told(&["keys", "limit", made["id"].as_str().unwrap(), "--automatic-below", "0"]);
        beside.execute("COMMIT").await;
        let asked = refunding.await.unwrap();
        assert_eq!(asked["resultType"], "input_required", "{asked}");
        assert_eq!(books.balances().await, [-240.0, 220.0]);
        let refunded = Person(alice).says("accept", "refundPayment", &all, &asked).await;
        assert_eq!((standing(&refunded).as_str(), books.balances().await), ("refunded", [-200.0, 180.0]));
        books.verify();
    }
}
