//! What is an amount and what is none, as it is written on the wire.

use serde_json::json;

use super::person::{Person, standing};
use crate::support::{
    app::spawn_app,
    client::{BOB, Client, request},
    modern::{Caller, STATELESS},
    wire::Ask,
};

/// A call that prepares a payment over an amount that is written so.
fn raw(person: &Person, amount: &str) -> Ask {
    let arguments = json!({ "to": "alice", "amount": "AMOUNT" });
    let body = person.0.body(7, "tools/call", json!({ "name": "createPayment", "arguments": arguments }));
    Ask::post(body.to_string().replace("\"AMOUNT\"", amount))
        .key(&person.0.key)
        .with("mcp-protocol-version", STATELESS)
        .with("mcp-method", "tools/call")
        .with("mcp-name", "createPayment")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amount_is_paid_to_the_cent_or_refused_and_never_rounded() {
    let app = spawn_app().await;
    let bob = Person::bob(&app);
    for (written, becomes) in [
        ("25.00", "requires_confirmation"),
        ("0.01", "requires_confirmation"),
        ("12.5", "requires_confirmation"),
        ("0", "invalid_amount"),
        ("0.00", "invalid_amount"),
        ("-0", "invalid_amount"),
        ("-1", "invalid_amount"),
        ("1e3", "invalid_amount"),
        ("1E2", "invalid_amount"),
        ("1e400", "invalid_amount"),
        ("1.005", "invalid_amount"),
        ("0.001", "invalid_amount"),
        ("92233720368547758.08", "invalid_amount"),
        ("100000000000000000000000000000", "invalid_amount"),
        ("92233720368547758.07", "insufficient_funds"),
        ("\"25\"", "invalid_amount"),
        ("\"1,000\"", "invalid_amount"),
        ("\"NaN\"", "invalid_amount"),
        ("null", "invalid_amount"),
        ("true", "invalid_amount"),
        ("[25]", "invalid_amount"),
        ("{}", "invalid_amount"),
    ] {
        let told = raw(&bob, written).send(app.address).await;
        assert_eq!(told.status, 200, "{written}: {told:?}");
        assert_eq!(standing(&told.json()["result"]), becomes, "{written}: {told:?}");
    }
    // No JSON, whatever some write.
    for written in ["NaN", "Infinity", "1,000", "01", "+1", ".5", "1.", "0x10", "1_000"] {
        let told = raw(&bob, written).send(app.address).await;
        assert_eq!((told.status, told.code()), (400, Some(-32700)), "{written}: {told:?}");
    }
    let kept = bob.0.call("listPayments", json!({})).await;
    let amounts: Vec<_> = kept["structuredContent"]["payments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["amount"].to_string())
        .collect();
    assert_eq!(amounts, ["12.5", "0.01", "25"], "what was refused is not there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amount_that_no_number_holds_is_named_where_it_is_in_a_batch() {
    let app = spawn_app().await;
    let (bob, caller) = (Client::open(app.address, BOB).await, Caller::new(app.address, BOB));
    let digits = format!("1{}", "0".repeat(400));
    for (payment, written, words) in [
        (
            json!({ "to": "alice", "amount": "HERE" }),
            "1e400",
            ["invalid_amount: `/payments/1/amount` must be a number of more than 0", "it is too large"],
        ),
        (
            json!({ "to": "alice", "amount": "HERE" }),
            &*digits,
            ["invalid_amount: `/payments/1/amount` must be", "it is too large. Correct `amount` and call"],
        ),
        (
            json!({ "to": "alice", "amount": "HERE" }),
            "-1e400",
            ["invalid_amount: `/payments/1/amount` must be", "it is too small"],
        ),
        (
            json!({ "to": "alice", "amount": 1, "after": [1, "HERE"] }),
            "1e400",
            ["invalid_argument: `/payments/1/after/1` must be a whole number", "it is too large"],
        ),
    ] {
        let payments = json!([{ "to": "alice", "amount": 1.5 }, payment]);
        let params = json!({ "name": "createPaymentBatch", "arguments": { "payments": payments } });
        let raw = |body: String| body.replace("\"HERE\"", written);
        let body = caller.body(7, "tools/call", params.clone());
        let stateless = caller.dress(&body).saying(raw(body.to_string()));
        for ask in [stateless, bob.post(raw(request(3, "tools/call", params)))] {
            let result = ask.send(app.address).await.json()["result"].clone();
            let text = result["content"][0]["text"].as_str().unwrap_or_default();
            let is_told = text.starts_with(words[0]) && text.contains(words[1]);
            assert!(result["isError"] == true && is_told, "{written}: {result}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_paid_in_what_and_why_is_checked_before_anything_is_kept() {
    let app = spawn_app().await;
    let bob = Person::bob(&app);
    for (order, becomes) in [
        (json!({ "to": "nobody", "amount": 1 }), "not_found"),
        (json!({ "to": "Alice", "amount": 1 }), "not_found"),
        (json!({ "to": "alice ", "amount": 1 }), "not_found"),
        (json!({ "to": "bob", "amount": 1 }), "invalid_argument"),
        (json!({ "to": "", "amount": 1 }), "invalid_argument"),
        (json!({ "to": "alice", "amount": 1, "currency": "EUR" }), "invalid_currency"),
        (json!({ "to": "alice", "amount": 1, "currency": "usd" }), "invalid_currency"),
        (json!({ "to": "alice", "amount": 1, "currency": "DOLLAR" }), "invalid_argument"),
        (json!({ "to": "alice", "amount": 1, "memo": 7 }), "invalid_argument"),
        (json!({ "to": "alice", "amount": 1, "from": "charlie" }), "invalid_argument"),
        (json!({ "to": "alice", "amount": 1, "confirmed": true }), "invalid_argument"),
        (json!({ "to": "alice", "amount": 1, "idempotencyKey": "" }), "invalid_argument"),
        (json!({ "to": "alice", "amount": 1, "idempotencyKey": "two words" }), "invalid_argument"),
        (json!({ "to": "alice", "amount": 1, "idempotencyKey": "k".repeat(129) }), "invalid_argument"),
        (json!({ "to": "alice", "amount": 800.01 }), "insufficient_funds"),
    ] {
        assert_eq!(bob.does("createPayment", order.clone()).await, becomes, "{order}");
    }
    let kept = bob.0.call("listPayments", json!({})).await;
    assert_eq!(kept["structuredContent"]["payments"], json!([]));
    assert_eq!(
        bob.does("createPayment", json!({ "to": "alice", "amount": 800, "currency": "USD" })).await,
        "requires_confirmation"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_left_out_is_refused_in_as_many_words_as_what_may_not() {
    let app = spawn_app().await;
    let bob = Person::bob(&app);
    let payment = json!({ "to": "alice", "amount": 1 });
    let refund = json!({ "paymentId": "pay_0000000000000000000000" });
    for (tool, order, name, value, words) in [
        (
            "refundPayment",
            &refund,
            "amount",
            json!("25"),
            "invalid_amount: `amount` must be a number of more than 0",
        ),
        (
            "refundPayment",
            &refund,
            "amount",
            json!(0),
            "invalid_amount: `amount` must be a number of more than 0",
        ),
        ("createPayment", &payment, "memo", json!(7), "`memo` must be a string of"),
        ("createPayment", &payment, "currency", json!("DOLLAR"), "`currency` must be a string of"),
        ("listPayments", &json!({}), "cursor", json!(5), "`cursor` must be a string"),
    ] {
        let mut order = order.clone();
        order[name] = value;
        let told = bob.0.call(tool, order.clone()).await;
        let text = told["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(words) && !text.contains("null"), "{tool} {order}: {text}");
    }
    // Nothing is as good as left out.
    let order = json!({ "to": "alice", "amount": 1, "memo": null, "currency": null, "idempotencyKey": null });
    assert_eq!(bob.does("createPayment", order).await, "requires_confirmation");
}
