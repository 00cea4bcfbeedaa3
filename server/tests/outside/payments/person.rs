//! Bob and Alice, who can be asked, and what they say.

use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{ALICE, BOB},
    modern::Caller,
};

/// Somebody with a key who can be asked.
pub(super) struct Person(pub(super) Caller);

impl Person {
    pub(super) fn bob(app: &App) -> Self {
        Self(Caller::new(app.address, BOB).able(json!({ "elicitation": {} })))
    }

    pub(super) fn alice(app: &App) -> Self {
        Self(Caller::new(app.address, ALICE).able(json!({ "elicitation": {} })))
    }

    /// What a tool came to, and the words of the question, if there was one; the person answers it with `action`.
    pub(super) async fn answers(
        &self,
        action: &str,
        tool: &str,
        arguments: Value,
    ) -> (Value, Option<String>) {
        let asked = self.0.call(tool, arguments.clone()).await;
        if asked["resultType"] != "input_required" {
            return (asked, None);
        }
        let question = question(&asked).1.to_owned();
        (self.says(action, tool, &arguments, &asked).await, Some(question))
    }

    /// What a call comes to that has asked, once the person has said so.
    pub(super) async fn says(&self, action: &str, tool: &str, arguments: &Value, asked: &Value) -> Value {
        let (key, _) = question(asked);
        let call = json!({
            "name": tool,
            "arguments": arguments,
            "requestState": asked["requestState"],
            "inputResponses": { key: { "action": action, "content": {} } },
        });
        self.0.result("tools/call", call).await
    }

    /// What a tool came to where the person says yes: its status, or the code of the refusal.
    pub(super) async fn does(&self, tool: &str, arguments: Value) -> String {
        standing(&self.answers("accept", tool, arguments).await.0)
    }

    /// A payment, prepared.
    pub(super) async fn prepares(&self, order: Value) -> Value {
        let made = self.0.call("createPayment", order).await;
        assert!(made["structuredContent"]["paymentId"].is_string(), "{made}");
        made["structuredContent"].clone()
    }

    pub(super) async fn balance(&self) -> f64 {
        let told = self.0.call("getAccountBalance", json!({})).await;
        told["structuredContent"]["balance"].as_f64().unwrap()
    }
}

/// The one question of a result that asks: its key and its words.
pub(super) fn question(asked: &Value) -> (&str, &str) {
    let questions = asked["inputRequests"].as_object().unwrap_or_else(|| panic!("{asked}"));
    let (key, question) = questions.iter().next().unwrap();
    assert_eq!(questions.len(), 1, "{asked}");
    (key, question["params"]["message"].as_str().unwrap())
}

/// The status in a result, or the code of the refusal.
pub(super) fn standing(result: &Value) -> String {
    match result["structuredContent"]["status"].as_str() {
        Some(status) => status.to_owned(),
        None => text(result).split(':').next().unwrap().to_owned(),
    }
}

/// The words of a result.
pub(super) fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"))
}
