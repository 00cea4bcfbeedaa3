//! Answers and cancellations that come to another server than the one that waits for them.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Replicas, settings};
use crate::support::{
    client::{BOB, Client, NEWEST, request},
    events::Events,
    eventually,
    postgres::{Connected, Postgres},
    process::Program,
    soon,
    wire::Ask,
};

/// A call that waits for a person's word, and what the question is known by.
struct Asked {
    events: Events,
    question: Value,
}

/// Prepares a payment and begins to confirm it, in a request of this number.
async fn asked(bob: &Client, number: u32) -> Asked {
    let made = bob.result("createPayment", json!({ "to": "alice", "amount": 1 })).await;
    let arguments = json!({ "paymentId": made["structuredContent"]["paymentId"] });
    let call = request(number, "tools/call", json!({ "name": "confirmPayment", "arguments": arguments }));
    let mut events = Events::open(&bob.post(call), bob.address).await;
    loop {
        let event = events.one().await;
        if event.data.as_deref().is_some_and(|data| data.contains("elicitation/create")) {
            return Asked { question: event.json()["id"].clone(), events };
        }
    }
}

impl Asked {
    async fn ends_paid(self) {
        let result = self.events.rest().await.last().unwrap().json()["result"].clone();
        assert_eq!(result["structuredContent"]["status"], "succeeded", "{result}");
    }
}

fn yes(question: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": question, "result": { "action": "accept", "content": {} } })
}

fn cancel(request: u32) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": request } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_reach_its_server_is_refused_and_as_good_when_it_is_sent_again() {
    let Some(replicas) = Replicas::start().await else { return };
    let [a, _, c] = replicas.addresses().try_into().unwrap();
    let bob = Client::open_with(a, BOB, NEWEST, json!({ "elicitation": {} })).await;
    let old = Client::open_in(a, BOB, "2025-03-26").await;
    let asked = asked(&bob, 3).await;
    let database = Connected::to(&replicas.postgres).await;
    database.execute("ALTER TABLE session_mail ADD CONSTRAINT closed CHECK (false) NOT VALID").await;
    let refused = async |ask: Ask| {
        let answer = ask.send(c).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")), "{answer:?}");
    };
    refused(bob.post(yes(&asked.question).to_string())).await;
    refused(bob.post(cancel(7).to_string())).await;
    refused(old.post(json!([cancel(7), cancel(8)]).to_string())).await;
    // What else was in a batch was done, and is answered.
    let ping = json!({ "jsonrpc": "2.0", "id": 9, "method": "ping" });
    let both = old.post(json!([cancel(7), ping]).to_string()).send(c).await;
    assert_eq!(both.status, 200, "{both:?}");
    let both = both.json();
    assert_eq!((&both[0]["id"], &both[1]["error"]["code"]), (&json!(9), &json!(-32603)), "{both}");
    let balance = json!({ "name": "getAccountBalance", "arguments": {} });
    let call = json!({ "jsonrpc": "2.0", "id": 10, "method": "tools/call", "params": balance });
    let cancelled = old.post(json!([call, cancel(10), cancel(7)]).to_string()).send(c).await;
    assert_eq!(cancelled.status, 200, "a call that has no answer was done, too: {cancelled:?}");
    let cancelled = cancelled.json();
    assert_eq!((cancelled.as_array().unwrap().len(), &cancelled[0]["error"]["code"]), (1, &json!(-32603)));
    database.execute("ALTER TABLE session_mail DROP CONSTRAINT closed").await;
    for message in [cancel(7), yes(&asked.question)] {
        assert_eq!(bob.post(message.to_string()).send(c).await.status, 202, "{message}");
    }
    asked.ends_paid().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_answers_as_are_waited_for_reach_the_server_that_asked() {
    let Some(replicas) = Replicas::start().await else { return };
    let [a, _, c] = replicas.addresses().try_into().unwrap();
    let bob = Client::open_with(a, BOB, NEWEST, json!({ "elicitation": {} })).await;
    let calls = join_all((0..40).map(|number| asked(&bob, 10 + number))).await;
    // It does not look until all of them are there.
    replicas.servers[0].signal("STOP");
    let answers = calls.iter().map(|call| bob.post(yes(&call.question).to_string()));
    for answer in join_all(answers.map(async |answer| answer.send(c).await)).await {
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    replicas.servers[0].signal("CONT");
    soon("the payments", join_all(calls.into_iter().map(Asked::ends_paid))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_12_what_is_left_for_another_server_is_small_and_goes_away_when_nobody_takes_it() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &settings(&postgres.url()));
    let bob = Client::open(program.address, BOB).await;
    // As if something had been asked.
    let answer = |kibibytes: usize| {
        let result = json!({ "x": "x".repeat(kibibytes * 1024) });
        bob.post(json!({ "jsonrpc": "2.0", "id": "00000000-1", "result": result }).to_string())
    };
    let refused = answer(900).send(program.address).await;
    assert_eq!((refused.status, refused.code()), (413, Some(-32600)), "{refused:?}");
    for left in [answer(63), bob.post(cancel(7).to_string()), bob.post(cancel(8).to_string())] {
        assert_eq!(left.send(program.address).await.status, 202);
    }
    bob.end().await;
    let database = Connected::to(&postgres).await;
    let left = || database.number("SELECT count(*) FROM session_mail");
    assert_eq!(left().await, 3);
    database.execute("UPDATE session_mail SET expires_at = 1").await;
    eventually("what nobody took is cleared away", async || left().await == 0).await;
}

/// What is lost between the database and a server is there for its next look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_removed_when_it_has_arrived_and_not_before() {
    let Some(replicas) = Replicas::start().await else { return };
    let [a, _, c] = replicas.addresses().try_into().unwrap();
    let bob = Client::open_with(a, BOB, NEWEST, json!({ "elicitation": {} })).await;
    let asked = asked(&bob, 3).await;
    let database = Connected::to(&replicas.postgres).await;
    let keep =
        "CREATE FUNCTION keep () RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'it stays'; END $$;
                CREATE TRIGGER keep BEFORE DELETE ON session_mail FOR EACH ROW EXECUTE FUNCTION keep ()";
    database.execute(keep).await;
    assert_eq!(bob.post(yes(&asked.question).to_string()).send(c).await.status, 202);
    soon("the payment", asked.ends_paid()).await;
    assert_eq!(database.number("SELECT count(*) FROM session_mail").await, 1);
}
