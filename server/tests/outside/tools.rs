//! The three tools of the original demo, to the byte: text, structure, order and defaults.

use serde_json::{Value, json};

use crate::support::{
    app::spawn_app,
    client::{ALICE, BOB, Client, request},
};

const BOB_ALL: &str = r#"[
  {
    "id": 1,
    "from": "bob",
    "to": "alice",
    "amount": 100,
    "date": "2024-03-15"
  },
  {
    "id": 3,
    "from": "bob",
    "to": "charlie",
    "amount": 75,
    "date": "2024-03-17"
  },
  {
    "id": 5,
    "from": "bob",
    "to": "alice",
    "amount": 200,
    "date": "2024-03-19"
  },
  {
    "id": 6,
    "from": "alice",
    "to": "bob",
    "amount": 150,
    "date": "2024-03-20"
  },
  {
    "id": 4,
    "from": "charlie",
    "to": "bob",
    "amount": 25,
    "date": "2024-03-18"
  }
]"#;

/// The numbers of the transactions in a result.
fn ids(result: &Value) -> Vec<i64> {
    let rows = result["structuredContent"]["transactions"].as_array().unwrap();
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

/// One row of Bob's, as it is written among all of them.
fn row(id: i64) -> String {
    let rows = BOB_ALL.trim_start_matches("[\n").trim_end_matches("\n]").split("},\n");
    let row =
        rows.map(|row| row.trim_end_matches("\n  }")).find(|row| row.contains(&format!("\"id\": {id},")));
    format!("{}\n  }}", row.unwrap().trim_end())
}

/// The text of a result whose only content is one text.
fn text(result: &Value) -> &str {
    assert_eq!(result["content"].as_array().unwrap().len(), 1, "{result}");
    assert_eq!(result["content"][0]["type"], "text");
    result["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn all_transactions_come_in_the_order_in_which_they_were_posted() {
    let app = spawn_app().await;
    let result = Client::open(app.address, BOB).await.result("getAllTransactions", json!({})).await;
    assert_eq!(text(&result), BOB_ALL);
    assert_eq!(
        result["structuredContent"],
        json!({ "transactions": serde_json::from_str::<Value>(BOB_ALL).unwrap() })
    );
    let result = Client::open(app.address, ALICE).await.result("getAllTransactions", json!({})).await;
    assert_eq!(ids(&result), [1, 5, 2, 6, 7]);
}

#[tokio::test]
async fn the_balance_is_the_originals_to_the_byte() {
    let app = spawn_app().await;
    for (key, name, balance) in [(BOB, "bob", -200), (ALICE, "alice", 180)] {
        let client = Client::open(app.address, key).await;
        let answer = client.call("getAccountBalance", json!({})).send(app.address).await;
        let text = format!("{{\n  \"username\": \"{name}\",\n  \"balance\": {balance}\n}}");
        let expected = format!(
            r#"{{"jsonrpc":"2.0","id":2,"result":{{"content":[{{"type":"text","text":{}}}],"structuredContent":{{"username":"{name}","balance":{balance}}}}}}}"#,
            serde_json::to_string(&text).unwrap(),
        );
        assert_eq!(answer.body, expected);
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn the_latest_transactions_are_three_unless_told_otherwise_newest_first() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for (arguments, expected) in [
        (json!({}), &[6, 5, 4][..]),
        (json!({ "limit": 3 }), &[6, 5, 4]),
        (json!({ "limit": 1 }), &[6]),
        (json!({ "limit": 5 }), &[6, 5, 4, 3, 1]),
        (json!({ "limit": 100 }), &[6, 5, 4, 3, 1]),
    ] {
        let result = bob.result("getLatestTransactions", arguments.clone()).await;
        assert_eq!(ids(&result), expected, "{arguments}");
        let rows: Value = serde_json::from_str(text(&result)).unwrap();
        assert_eq!(rows, result["structuredContent"]["transactions"], "{arguments}");
        let written: Vec<String> = expected.iter().map(|id| row(*id)).collect();
        assert_eq!(text(&result), format!("[\n{}\n]", written.join(",\n")), "{arguments}");
        assert!(result.get("isError").is_none_or(|failed| failed == false), "{arguments}");
    }
    let alice = Client::open(app.address, ALICE).await;
    assert_eq!(ids(&alice.result("getLatestTransactions", json!({})).await), [7, 6, 5]);
}

#[tokio::test]
async fn arguments_may_be_left_out_altogether() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let call = request(3, "tools/call", json!({ "name": "getLatestTransactions" }));
    let answer = bob.post(call).send(app.address).await;
    assert_eq!(ids(&answer.json()["result"]), [6, 5, 4]);
}

#[tokio::test]
async fn the_list_names_the_tools_of_a_customer_with_schemas_and_hints() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let answer = bob.post(request(4, "tools/list", json!({}))).send(app.address).await;
    let tools = answer.json()["result"]["tools"].clone();
    let named: Vec<(&str, &str)> = tools
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| (tool["name"].as_str().unwrap(), tool["description"].as_str().unwrap()))
        .collect();
    assert_eq!(
        named,
        [
            ("getAllTransactions", "Get a list of all transactions for the authenticated user"),
            ("getLatestTransactions", "Get the latest transactions for the authenticated user"),
            ("getAccountBalance", "Get the current account balance for the authenticated user"),
            (
                "createPayment",
                "Prepare a payment from the authenticated user to another user. Returns a payment to confirm with \
                 confirmPayment; it expires after 24 hours unless confirmed."
            ),
            (
                "confirmPayment",
                "Ask the user to confirm a prepared payment, and execute it if the user accepts."
            ),
            ("getPayment", "Get one payment by its id."),
            ("listPayments", "List the authenticated user's payments, newest first."),
            (
                "cancelPayment",
                "Cancel a payment that has not been executed, or the batch that it is part of."
            ),
            ("refundPayment", "Give back all or part of a payment that the authenticated user received."),
            ("createPaymentBatch", "Pay several users at once, all or nothing, after one confirmation."),
            ("whoAmI", "Tell which user and key is calling, what the key may do, and what is limited"),
        ]
    );
    for tool in tools.as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        let reads = ["get", "list", "whoAmI"].iter().any(|start| name.starts_with(start));
        assert_eq!(tool["annotations"]["readOnlyHint"], reads, "{tool}");
        let repeats = reads || ["confirmPayment", "cancelPayment"].contains(&name);
        assert_eq!(tool["annotations"]["idempotentHint"], repeats, "{tool}");
        assert!(!tool["inputSchema"].to_string().contains("\"format\":\"decimal\""), "{tool}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
    }
    let limit = &tools[1]["inputSchema"]["properties"]["limit"];
    assert_eq!(limit["description"], "Number of latest transactions to return");
    assert_eq!(
        (&limit["minimum"], &limit["maximum"], &limit["default"]),
        (&json!(1), &json!(100), &json!(3))
    );
    assert!(tools[1]["inputSchema"].get("required").is_none(), "{}", tools[1]);
}

#[tokio::test]
async fn a_user_without_transactions_is_told_so_by_name() {
    let app = spawn_app().await;
    let (user, key) = newcomer(&app).await;
    let dora = Client::open(app.address, key).await;
    let result = dora.result("getLatestTransactions", json!({})).await;
    assert_eq!(result["isError"], true);
    assert_eq!(text(&result), format!("No transactions found for user {user}"));
    let all = dora.result("getAllTransactions", json!({})).await;
    assert_eq!((text(&all), &all["structuredContent"]), ("[]", &json!({ "transactions": [] })));
    let balance = dora.result("getAccountBalance", json!({})).await;
    assert_eq!(balance["structuredContent"], json!({ "username": user, "balance": 0 }));
}

/// Takes Bob's key away from him and gives it to a user who has just come: the store knows digests only, so that no
/// new key can be put there from outside.
async fn newcomer(app: &crate::support::app::App) -> (&'static str, &'static str) {
    use server::store::{AccountHolder, KeyId, UserId};
    let holder = AccountHolder {
        user: UserId(40),
        username: "dora".to_owned(),
        currency: "USD".to_owned(),
        credit_limit_minor: 0,
    };
    app.store.put_holder(holder).await.unwrap();
    let mut key =
        app.store.keys().await.unwrap().into_iter().find(|key| key.id == KeyId("1".to_owned())).unwrap();
    key.user = UserId(40);
    app.store.put_key(key).await.unwrap();
    ("dora", BOB)
}

#[tokio::test]
async fn a_tool_that_does_not_exist_is_a_protocol_error() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for name in ["getallTransactions", "", "x\u{0}y", "../getAccountBalance", &"n".repeat(10_000)] {
        let answer = bob.call(name, json!({})).send(app.address).await;
        assert_eq!((answer.status, answer.code()), (200, Some(-32602)), "{name}: {answer:?}");
        assert!(answer.json().get("result").is_none());
    }
}

#[tokio::test]
async fn every_structured_result_is_what_its_output_schema_says() {
    let app = spawn_app().await;
    let (_, nobody) = newcomer(&app).await;
    for key in [BOB, ALICE, nobody] {
        let client = Client::open(app.address, key).await;
        let listed = client.post(request(4, "tools/list", json!({}))).send(app.address).await.json();
        for tool in listed["result"]["tools"].as_array().unwrap() {
            let schema = jsonschema::draft202012::new(&tool["outputSchema"]).unwrap();
            let result = client.result(tool["name"].as_str().unwrap(), json!({})).await;
            if result["isError"] != true {
                let structured = &result["structuredContent"];
                assert!(schema.is_valid(structured), "{}: {structured}", tool["name"]);
                assert!(!schema.is_valid(&json!({})), "{} promises nothing", tool["name"]);
            }
        }
    }
}
