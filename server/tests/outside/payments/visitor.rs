//! Somebody with a key who can be asked, or cannot, in either era.

use serde_json::{Value, json};

use super::person::Person;
use crate::support::{
    app::App,
    client::{Client, NEWEST},
    events::Events,
    modern::Caller,
};

/// Somebody with a key.
pub(super) enum Visitor {
    InSession(Client),
    Stateless(Person),
}

impl Visitor {
    /// Two who can be asked: one in a session and one without.
    pub(super) async fn of_each_era(app: &App, key: &str) -> [Self; 2] {
        Self::able(app, key, json!({ "elicitation": {} })).await
    }

    /// Two who cannot be asked.
    pub(super) async fn unaskable(app: &App, key: &str) -> [Self; 2] {
        Self::able(app, key, json!({})).await
    }

    async fn able(app: &App, key: &str, capabilities: Value) -> [Self; 2] {
        let session = Client::open_with(app.address, key, NEWEST, capabilities.clone()).await;
        let caller = Caller::new(app.address, key).able(capabilities);
        [Self::InSession(session), Self::Stateless(Person(caller))]
    }

    /// Which era it is, for what is said of a failure.
    pub(super) fn era(&self) -> &'static str {
        match self {
            Self::InSession(_) => "in a session",
            Self::Stateless(_) => "without sessions",
        }
    }

    /// The result of a call about which nobody is asked.
    pub(super) async fn call(&self, tool: &str, arguments: Value) -> Value {
        match self {
            Self::InSession(client) => client.result(tool, arguments).await,
            Self::Stateless(person) => person.0.call(tool, arguments).await,
        }
    }

    /// What a tool came to, and the words of the question, if there was one; the person answers it with `action`.
    pub(super) async fn answers(
        &self,
        action: &str,
        tool: &str,
        arguments: Value,
    ) -> (Value, Option<String>) {
        match self {
            Self::InSession(client) => answers(client, action, &client.call(tool, arguments)).await,
            Self::Stateless(person) => person.answers(action, tool, arguments).await,
        }
    }

    /// A payment, prepared.
    pub(super) async fn prepares(&self, order: Value) -> Value {
        let made = self.call("createPayment", order).await;
        assert!(made["structuredContent"]["paymentId"].is_string(), "{}: {made}", self.era());
        made["structuredContent"].clone()
    }
}

async fn answers(client: &Client, action: &str, ask: &crate::support::wire::Ask) -> (Value, Option<String>) {
    let mut events = match Events::or_answer(ask, client.address).await {
        Ok(events) => events,
        Err(answer) => return (answer.json()["result"].clone(), None),
    };
    let mut question = None;
    while let Some(event) = events.next().await {
        if event.data.as_deref().is_none_or(str::is_empty) {
            continue;
        }
        let message = event.json();
        if message["method"] != "elicitation/create" {
            return (message["result"].clone(), question);
        }
        question = Some(message["params"]["message"].as_str().unwrap().to_owned());
        let mut result = json!({ "action": action });
        if action == "accept" {
            result["content"] = json!({});
        }
        let said = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
        assert_eq!(client.post(said.to_string()).send(client.address).await.status, 202);
    }
    panic!("the stream ended without a result");
}
