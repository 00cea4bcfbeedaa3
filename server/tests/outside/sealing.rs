//! Sealing keys take turns while the server runs, and what was sealed before is still opened.

use serde_json::{Value, json};

use crate::support::{
    client::BOB,
    modern::Caller,
    process::{Program, run},
};

#[tokio::test]
async fn a_question_that_was_sealed_before_the_keys_took_turns_is_answered_after() {
    let folder = tempfile::tempdir().unwrap();
    let server = Program::start(folder.path(), &[]);
    let bob = Caller::new(server.address, BOB).able(json!({ "elicitation": { "form": {} } }));
    let made = bob.call("createPayment", json!({ "to": "alice", "amount": 5 })).await;
    let confirm = json!({ "paymentId": made["structuredContent"]["paymentId"] });
    let asked = bob.call("confirmPayment", confirm.clone()).await;
    let numbers = |arguments: &[&str]| {
        let ended = run(folder.path(), arguments, &[]);
        assert!(ended.status.success(), "{ended:?}");
        let keys: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
        keys.iter().map(|key| key["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&["sealing", "list", "--json"]), [1]);
    assert_eq!(numbers(&["sealing", "rotate", "--json"]), [2, 1]);
    let accepted = asked["inputRequests"]
        .as_object()
        .unwrap()
        .keys()
        .map(|question| (question.clone(), json!({ "action": "accept", "content": {} })));
    let params = json!({
        "name": "confirmPayment", "arguments": confirm, "requestState": asked["requestState"],
        "inputResponses": Value::Object(accepted.collect()),
    });
    let paid = bob.result("tools/call", params).await;
    assert_eq!(paid["structuredContent"]["status"], "succeeded", "{paid}");
}
