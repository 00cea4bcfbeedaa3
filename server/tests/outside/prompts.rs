//! Prompts and completion: what a person picks, fills in and is proposed.

use serde_json::{Value, json};

use crate::support::{
    app::spawn_app,
    client::{ALICE, BOB, Client, request},
};

async fn ask(client: &Client, method: &str, params: Value) -> Value {
    client.post(request(5, method, params)).send(client.address).await.json()
}

#[tokio::test]
async fn the_menu_has_two_prompts_with_what_to_fill_in() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let prompts = ask(&bob, "prompts/list", json!({})).await["result"]["prompts"].clone();
    let names: Vec<_> = prompts.as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, [json!("explain-spending"), json!("prepare-payment")]);
    assert_eq!(
        prompts[0]["arguments"],
        json!([{ "name": "month", "title": "Month", "description": "The month, as YYYY-MM", "required": true }])
    );
}

#[tokio::test]
async fn explaining_a_month_brings_the_statement_along() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let params = json!({ "name": "explain-spending", "arguments": { "month": "2024-03" } });
    let result = ask(&bob, "prompts/get", params).await["result"].clone();
    let messages = result["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2);
    let resource = &messages[0]["content"]["resource"];
    assert_eq!(resource["uri"], "payments://statements/2024-03");
    assert!(resource["text"].as_str().unwrap().contains("\"closingBalance\":-200"), "{resource}");
    assert!(messages[1]["content"]["text"].as_str().unwrap().contains("2024-03"));
}

#[tokio::test]
async fn preparing_a_payment_says_what_is_to_be_paid_and_that_nothing_is_paid_yet() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let arguments = json!({ "to": "alice", "amount": "12.50", "memo": "lunch\" and more" });
    let params = json!({ "name": "prepare-payment", "arguments": arguments });
    let result = ask(&bob, "prompts/get", params).await["result"].clone();
    let text = result["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(text.contains("pay 12.50 USD to \"alice\", for \"lunch and more\""), "{text}");
    assert!(text.contains("-200.00 USD") && text.contains("ask me before"), "{text}");
}

#[tokio::test]
async fn what_is_filled_in_wrongly_is_refused_with_the_rule() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for (params, says) in [
        (json!({ "name": "explain-spending" }), "`month` must be filled in"),
        (json!({ "name": "explain-spending", "arguments": { "month": " " } }), "`month` must be filled in"),
        (json!({ "name": "explain-spending", "arguments": { "month": "soon" } }), "YYYY-MM"),
        (
            json!({ "name": "explain-spending", "arguments": { "month": "2024-03", "x": "1" } }),
            "unknown argument `x`",
        ),
        (json!({ "name": "explain-spending", "arguments": { "month": 3 } }), "texts by name"),
        (json!({ "name": "prepare-payment", "arguments": { "to": "alice", "amount": "1e3" } }), "`amount`"),
        (
            json!({ "name": "prepare-payment", "arguments": { "to": "a".repeat(300), "amount": "1" } }),
            "at most 200",
        ),
        (json!({ "name": "nothing" }), "Unknown prompt: nothing"),
        (json!({}), "`name`"),
    ] {
        let error = ask(&bob, "prompts/get", params.clone()).await["error"].clone();
        assert_eq!(error["code"], -32602, "{params}: {error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{params}: {error}");
    }
}

#[tokio::test]
async fn months_and_payees_are_proposed_to_whom_they_concern() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let alice = Client::open(app.address, ALICE).await;
    let month = |typed: &str| {
        json!({
            "ref": { "type": "ref/prompt", "name": "explain-spending" }, "argument": { "name": "month", "value": typed },
        })
    };
    let payee = |typed: &str| {
        json!({
            "ref": { "type": "ref/prompt", "name": "prepare-payment" }, "argument": { "name": "to", "value": typed },
        })
    };
    let uri = json!({
        "ref": { "type": "ref/resource", "uri": "payments://statements/{month}" },
        "argument": { "name": "month", "value": "20" },
    });
    for (client, params, values) in [
        (&bob, month(""), json!(["2024-03"])),
        (&bob, month("2023"), json!([])),
        (&bob, payee(""), json!(["alice", "charlie"])),
        (&bob, payee("AL"), json!(["alice"])),
        (&alice, payee(""), json!(["bob", "charlie"])),
        (&bob, uri, json!(["2024-03"])),
    ] {
        let completion =
            ask(client, "completion/complete", params.clone()).await["result"]["completion"].clone();
        let total = values.as_array().unwrap().len();
        assert_eq!(completion, json!({ "values": values, "total": total, "hasMore": false }), "{params}");
    }
    for params in [
        json!({ "ref": { "type": "ref/prompt", "name": "nothing" }, "argument": { "name": "a", "value": "" } }),
        json!({ "ref": { "type": "ref/prompt", "name": "explain-spending" }, "argument": { "name": "a", "value": "" } }),
        json!({ "ref": { "type": "ref/resource", "uri": "x://{y}" }, "argument": { "name": "y", "value": "" } }),
        json!({ "ref": ["ref/prompt", "explain-spending"], "argument": { "name": "month", "value": "2" } }),
        json!({ "ref": { "type": "ref/prompt", "name": "explain-spending" }, "argument": ["month", "2"] }),
        json!({ "ref": { "type": "ref/else" }, "argument": { "name": "a", "value": "" } }),
        json!({}),
    ] {
        let answer = ask(&bob, "completion/complete", params.clone()).await;
        assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
    }
}
