//! Rule 6 across processes: two servers on one database, an operator on the command line, and at most a second.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    client::{Client, NEWEST},
    events::Events,
    modern::Caller,
    process::{Program, run},
    soon,
    wire::Ask,
};

const A_SECOND: Duration = Duration::from_secs(1);

/// The JSON that an operator's command printed.
fn operate(folder: &Path, arguments: &[&str]) -> Value {
    let ended = run(folder, &[arguments, &["--json"]].concat(), &[]);
    assert!(ended.status.success(), "{arguments:?}: {ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

fn customer(folder: &Path) -> (String, String) {
    let made = operate(folder, &["keys", "create", "--user", "bob", "--role", "customer"]);
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

/// What is open in one process in the name of a key.
struct Open {
    session: Client,
    standing: Events,
    listening: Events,
    /// The stream of a call that asks whether to pay, the payment and the question's id.
    asking: (Events, String, Value),
}

async fn open(program: &Program, key: &str) -> Open {
    let address = program.address;
    let session = Client::open_with(address, key, NEWEST, json!({ "elicitation": {} })).await;
    let standing = Events::open(&session.dress(Ask::get()), address).await;
    let wanted = json!({ "notifications": { "toolsListChanged": true } });
    let mut listening =
        Events::open(&Caller::new(address, key).ask("subscriptions/listen", wanted), address).await;
    listening.one().await;
    let made = session.result("createPayment", json!({ "to": "alice", "amount": 1 })).await;
    let payment = made["structuredContent"]["paymentId"].as_str().unwrap().to_owned();
    let mut asked =
        Events::open(&session.call("confirmPayment", json!({ "paymentId": payment })), address).await;
    let question = loop {
        let event = asked.one().await;
        if event.data.as_deref().is_some_and(|data| data.contains("elicitation/create")) {
            break event.json()["id"].clone();
        }
    };
    Open { session, standing, listening, asking: (asked, payment, question) }
}

/// Everything of it is over within a second since `began`, and the question cannot be answered any more.
async fn is_over(what: &str, open: Open, began: Instant, status: u16) {
    let Open { session, standing, listening, asking: (asked, _, question) } = open;
    soon("the end of the session's stream", standing.rest()).await;
    soon("the end of the call that asks", asked.rest()).await;
    assert!(began.elapsed() < A_SECOND, "{what}: streams ended after {:?}", began.elapsed());
    let yes = json!({ "jsonrpc": "2.0", "id": question, "result": { "action": "accept", "content": {} } });
    let answered = session.post(yes.to_string()).send(session.address).await;
    assert_eq!(answered.status, status, "{what}: {answered:?}");
    if status == 401 {
        soon("the end of the subscription", listening.rest()).await;
        assert!(began.elapsed() < A_SECOND, "{what}: the subscription ended after {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_06_whatever_ends_a_key_or_a_session_ends_it_in_every_replica_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (one, other) = (Program::start(folder, &[]), Program::start(folder, &[]));
    for what in ["revoke", "permit", "rotate", "end"] {
        let (id, key) = customer(folder);
        let (here, there) = (open(&one, &key).await, open(&other, &key).await);
        // A session that one process opened goes on in the other.
        let moved = Client { address: other.address, ..here.session.clone() };
        assert_eq!(moved.ping().await.status, 200, "{what}");
        let payments = [here.asking.1.clone(), there.asking.1.clone()];
        let (command, status): (&[&str], u16) = match what {
            "revoke" => (&["keys", "revoke", &id], 401),
            "permit" => (&["keys", "permit", &id, "--permissions", "balance:read"], 404),
            "rotate" => (&["keys", "rotate", &id, "--overlap", "0s"], 401),
            _ => (&["sessions", "end", "--key", &id], 404),
        };
        operate(folder, command);
        let began = Instant::now();
        for session in [&here.session, &moved, &there.session] {
            while session.ping().await.status != status {
                assert!(began.elapsed() < A_SECOND, "{what}: still served after {:?}", began.elapsed());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        tokio::join!(is_over(what, here, began, status), is_over(what, there, began, status));
        for payment in payments {
            let shown = operate(folder, &["payments", "show", &payment]);
            assert_ne!(shown[0]["status"], "succeeded", "{what}: {shown}");
        }
    }
}

/// What a client of the revision without sessions was asked is void, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_06_a_confirmation_that_was_asked_for_is_void_when_the_key_may_do_less_in_every_replica() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (one, other) = (Program::start(folder, &[]), Program::start(folder, &[]));
    let (id, key) = customer(folder);
    let caller = Caller::new(one.address, &key).able(json!({ "elicitation": {} }));
    let made = caller.call("createPayment", json!({ "to": "alice", "amount": 1 })).await;
    let payment = made["structuredContent"]["paymentId"].clone();
    let arguments = json!({ "paymentId": payment });
    let asked = caller.call("confirmPayment", arguments.clone()).await;
    let question = asked["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    operate(folder, &["keys", "permit", &id, "--permissions", "balance:read,payments:write"]);
    let answer = json!({
        "name": "confirmPayment", "arguments": arguments, "requestState": asked["requestState"],
        "inputResponses": { question: { "action": "accept", "content": {} } },
    });
    for address in [one.address, other.address] {
        let caller = Caller { address, ..caller.clone() };
        let refused = caller.answer("tools/call", answer.clone()).await;
        assert_eq!((refused.status, refused.code()), (400, Some(-32602)), "{refused:?}");
    }
    let shown = operate(folder, &["payments", "show", payment.as_str().unwrap()]);
    assert_eq!(shown[0]["status"], "requires_confirmation", "{shown}");
}
