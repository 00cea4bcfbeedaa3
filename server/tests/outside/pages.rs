//! Pages: every item once, in order, and cursors that are worth nothing to others.

use serde_json::{Value, json};

use crate::support::{
    client::{ALICE, BOB, Client, request},
    modern::Caller,
    stage::spawn_stage_with,
};

async fn page(client: &Client, method: &str, cursor: Option<&str>) -> Value {
    let params = cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
    client.post(request(5, method, params)).send(client.address).await.json()
}

#[tokio::test]
async fn every_item_is_on_one_page_and_in_order() {
    let whole = spawn_stage_with(|builder| builder).await;
    let one = Client::open(whole.app.address, BOB).await;
    let all = page(&one, "tools/list", None).await["result"]["tools"].clone();
    let stage = spawn_stage_with(|builder| builder.page_size(1)).await;
    let bob = Client::open(stage.app.address, BOB).await;
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let result = page(&bob, "tools/list", cursor.as_deref()).await["result"].clone();
        found.extend(result["tools"].as_array().unwrap().clone());
        assert_eq!(result["tools"].as_array().unwrap().len(), 1);
        let Some(next) = result["nextCursor"].as_str() else { break };
        cursor = Some(next.to_owned());
    }
    assert_eq!(json!(found), all);
}

#[tokio::test]
async fn rule_08_a_cursor_is_worth_nothing_forged_or_in_other_hands() {
    let stage = spawn_stage_with(|builder| builder.page_size(1)).await;
    let bob = Client::open(stage.app.address, BOB).await;
    let alice = Client::open(stage.app.address, ALICE).await;
    let cursor = page(&bob, "tools/list", None).await["result"]["nextCursor"].as_str().unwrap().to_owned();
    let changed =
        format!("{}{}", &cursor[..cursor.len() - 2], if cursor.ends_with("AA") { "BB" } else { "AA" });
    for (name, client, cursor) in [
        ("changed", &bob, changed.as_str()),
        ("nonsense", &bob, "2"),
        ("empty", &bob, ""),
        ("another's", &alice, &cursor),
    ] {
        let error = page(client, "tools/list", Some(cursor)).await["error"].clone();
        assert_eq!(error["code"], -32602, "{name}: {error}");
        assert!(error["message"].as_str().unwrap().starts_with("Invalid cursor"), "{name}: {error}");
    }
    let again = Client::open(stage.app.address, BOB).await;
    assert!(
        page(&again, "tools/list", Some(&cursor)).await["result"].is_object(),
        "another session of the same key"
    );
    let stateless =
        Caller::new(stage.app.address, BOB).result("tools/list", json!({ "cursor": cursor })).await;
    assert_eq!(stateless["tools"].as_array().unwrap().len(), 1);
    let wrong = bob.post(request(5, "tools/list", json!({ "cursor": 7 }))).send(stage.app.address).await;
    assert_eq!(wrong.code(), Some(-32602));
}
