//! A month in which something happens for the first time has a statement, and the list of resources is another one.

use serde_json::{Value, json};
use server::{identity::Role, store::KeyId};
use shared::demo::CHARLIE_API_KEY as CHARLIE;

use crate::support::{
    app::{App, spawn_app},
    changes::KeyChanges as _,
    client::{BOB, Client, request},
    events::Events,
    modern::Caller,
    pay, pay_on, soon,
    wire::Ask,
};

const CHANGED: &str = "notifications/resources/list_changed";

/// Somebody in both eras: a session with its stream, and a subscription.
struct Listener {
    client: Client,
    standing: Events,
    caller: Caller,
    subscribed: Events,
}

impl Listener {
    async fn new(app: &App, key: &str) -> Self {
        let client = Client::open(app.address, key).await;
        let mut standing = Events::open(&client.dress(Ask::get()), app.address).await;
        standing.one().await;
        let caller = Caller::new(app.address, key);
        let wanted = json!({ "notifications": { "resourcesListChanged": true } });
        let mut subscribed =
            Events::open(&caller.ask("subscriptions/listen", wanted.clone()), app.address).await;
        assert_eq!(subscribed.one().await.json()["params"]["notifications"], wanted["notifications"]);
        Self { client, standing, caller, subscribed }
    }

    /// The methods of what both streams tell next.
    async fn told(&mut self) -> [Value; 2] {
        let both = async { [self.standing.one().await.json(), self.subscribed.one().await.json()] };
        soon("of another list", both).await.map(|told| told["method"].clone())
    }

    /// How many resources there are.
    async fn listed(&self) -> usize {
        let list = self.client.post(request(5, "resources/list", json!({}))).send(self.client.address).await;
        let list = list.json()["result"]["resources"].as_array().unwrap().len();
        let same = self.caller.result("resources/list", json!({})).await;
        assert_eq!(same["resources"].as_array().unwrap().len(), list);
        list
    }

    /// What it was told that it did not ask about so far: by its session's stream, which ends with the session.
    async fn rest(self) -> Vec<Value> {
        assert_eq!(self.client.end().await.status, 204);
        let said = soon("the end of the stream", self.standing.rest()).await;
        said.iter().map(crate::support::events::Event::json).collect()
    }
}

#[tokio::test]
async fn whoever_listens_is_told_when_a_month_has_its_first_transaction_and_of_no_other() {
    let app = spawn_app().await;
    let mut bob = Listener::new(&app, BOB).await;
    assert_eq!(bob.listed().await, 2);
    pay(&app, "bob", "alice", 1).await;
    pay_on(&app, "bob", "alice", 1, "2024-05-01").await;
    assert_eq!(bob.told().await, [CHANGED, CHANGED]);
    assert_eq!(bob.listed().await, 3);
    pay_on(&app, "alice", "bob", 1, "2024-05-31").await;
    pay_on(&app, "alice", "bob", 1, "2023-12-31").await;
    assert_eq!(bob.told().await, [CHANGED, CHANGED]);
    assert_eq!(bob.listed().await, 4);
    assert_eq!(bob.rest().await, [Value::Null; 0], "it is told once");
}

#[tokio::test]
async fn a_session_is_told_once_however_many_streams_it_has_and_when_it_goes_on_with_one() {
    let app = spawn_app().await;
    let bob = Listener::new(&app, BOB).await;
    let mut newest = Events::open(&bob.client.dress(Ask::get()), app.address).await;
    let priming = newest.one().await.id().to_owned();
    pay_on(&app, "bob", "alice", 1, "2024-05-01").await;
    let told = soon("of another list", newest.one()).await;
    assert_eq!(told.json()["method"], CHANGED);
    let Listener { client, standing, mut subscribed, .. } = bob;
    assert_eq!(soon("of the same", subscribed.one()).await.json()["method"], CHANGED);
    drop((newest, standing));
    pay_on(&app, "bob", "alice", 1, "2024-06-01").await;
    soon("of another list", subscribed.one()).await;
    let mut resumed = Events::open(&client.resume(told.id()), app.address).await;
    let said = [resumed.one().await, soon("of what was missed", resumed.one()).await];
    assert_ne!(said[0].id(), priming);
    assert_eq!(said[1].json()["method"], CHANGED);
    assert_eq!(client.end().await.status, 204);
    assert!(resumed.rest().await.is_empty(), "it is told once");
}

#[tokio::test]
async fn a_key_that_may_not_see_the_statements_is_told_nothing_of_them_until_it_may() {
    let app = spawn_app().await;
    let (mut charlie, mut bob) = (Listener::new(&app, CHARLIE).await, Listener::new(&app, BOB).await);
    for month in ["2024-05-01", "2024-06-01"] {
        pay_on(&app, "bob", "charlie", 1, month).await;
        // All that is watched is looked at before it is looked at again: what the first month had to tell, it has told.
        assert_eq!(bob.told().await, [CHANGED, CHANGED]);
    }
    let (key, role) = (KeyId("3".to_owned()), Role::Customer);
    assert!(
        app.store
            .permit_key(&key, role.permissions().bits(), role.as_str().to_owned())
            .await
            .unwrap()
            .is_some()
    );
    let mut methods = Vec::new();
    for _ in 0..3 {
        methods.push(soon("that it may do more", charlie.standing.one()).await.json()["method"].clone());
    }
    let every_list =
        ["tools", "resources", "prompts"].map(|list| format!("notifications/{list}/list_changed"));
    assert_eq!(methods, every_list, "the first that it hears of");
    assert_eq!(soon("the same", charlie.subscribed.one()).await.json()["method"], CHANGED);
    pay_on(&app, "bob", "charlie", 1, "2024-07-01").await;
    assert_eq!(charlie.told().await, [CHANGED, CHANGED]);
    assert_eq!(charlie.listed().await, 5);
    assert_eq!(charlie.rest().await, [Value::Null; 0]);
}
