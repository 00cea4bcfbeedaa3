//! What a key may do decides what it sees and what it can call, by one rule, and at once when it changes.

use std::time::{Duration, Instant};

use serde_json::json;
use server::{
    clock::UnixMillis,
    identity::{Permission, PermissionSet, Role},
    store::{KeyId, Outcome},
};
use shared::demo::{AUDITOR_API_KEY as AUDITOR, CHARLIE_API_KEY as CHARLIE};

use crate::support::{
    app::{App, spawn_app},
    changes::KeyChanges as _,
    client::{ALICE, BOB, Client, request},
    events::Events,
    modern::Caller,
    soon,
};

const ALL: [&str; 12] = [
    "getAllTransactions",
    "getLatestTransactions",
    "getAccountBalance",
    "createPayment",
    "confirmPayment",
    "getPayment",
    "listPayments",
    "cancelPayment",
    "refundPayment",
    "createPaymentBatch",
    "whoAmI",
    "listAuditRecords",
];

async fn listed(client: &Client) -> Vec<String> {
    let answer = client.post(request(4, "tools/list", json!({}))).send(client.address).await.json();
    let tools = answer["result"]["tools"].as_array().unwrap().clone();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

async fn permit(app: &App, key: &str, permissions: PermissionSet) {
    let role = Role::name_of(permissions).to_owned();
    let key = app.store.permit_key(&KeyId(key.to_owned()), permissions.bits(), role).await.unwrap();
    assert!(key.is_some());
}

#[tokio::test]
async fn rule_07_each_role_sees_its_own_tools_and_nothing_else() {
    let app = spawn_app().await;
    for (key, sees) in [
        (BOB, &ALL[..11]),
        (CHARLIE, &["getAccountBalance", "whoAmI"]),
        (AUDITOR, &["whoAmI", "listAuditRecords"]),
    ] {
        let client = Client::open(app.address, key).await;
        assert_eq!(listed(&client).await, sees);
        let stateless = Caller::new(app.address, key).result("tools/list", json!({})).await;
        let names: Vec<&str> = stateless["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, sees);
    }
}

/// For every set of permissions: a tool is listed if and only if it can be called, in both eras.
#[tokio::test]
async fn rule_07_what_is_listed_is_what_can_be_called_whatever_a_key_may_do() {
    let app = spawn_app().await;
    let considered = [
        Permission::IdentityRead,
        Permission::BalanceRead,
        Permission::TransactionsRead,
        Permission::PaymentsWrite,
        Permission::PaymentsRefund,
        Permission::AuditRead,
    ];
    for bits in 0_usize..1 << considered.len() {
        let of = considered.iter().enumerate().filter(|(place, _)| bits & (1 << place) != 0);
        let set: Vec<Permission> = of.map(|(_, permission)| *permission).collect();
        permit(&app, "1", PermissionSet::of(&set)).await;
        let bob = Client::open(app.address, BOB).await;
        let caller = Caller::new(app.address, BOB);
        let visible = listed(&bob).await;
        for tool in ALL {
            let in_session = bob.call(tool, json!({})).send(app.address).await;
            let params = json!({ "name": tool, "arguments": {} });
            let stateless = caller.answer("tools/call", params).await;
            let is_listed = visible.iter().any(|name| name == tool);
            for answer in [in_session, stateless] {
                let result = answer.json()["result"].clone();
                assert!(result.is_object(), "{tool} of {set:?}: {answer:?}");
                let text = result["content"][0]["text"].as_str().unwrap();
                assert_eq!(text.starts_with("permission_denied: "), !is_listed, "{tool} of {set:?}: {text}");
            }
        }
        bob.end().await;
    }
}

#[tokio::test]
async fn who_am_i_tells_user_key_permissions_limits_and_session() {
    let app = spawn_app().await;
    let charlie = Client::open(app.address, CHARLIE).await;
    let told = charlie.result("whoAmI", json!({})).await["structuredContent"].clone();
    assert_eq!(
        (&told["username"], &told["key"], &told["role"], &told["permissions"]),
        (&json!("charlie"), &json!("3"), &json!("custom"), &json!(["identity:read", "balance:read"]))
    );
    assert_eq!(told["limits"]["sessionsPerKey"], 1000);
    assert_eq!(told["session"].as_str().unwrap().len(), 8);
    assert!(!told.to_string().contains(&charlie.session) && !told.to_string().contains(CHARLIE));
    let stateless = Caller::new(app.address, CHARLIE).call("whoAmI", json!({})).await;
    assert_eq!(stateless["structuredContent"].get("session"), None);
    assert_eq!(stateless["structuredContent"]["protocolVersion"], "2026-07-28");
}

#[tokio::test]
async fn an_auditor_reads_who_did_what_in_pages_and_a_denial_is_in_it() {
    let app = spawn_app().await;
    let charlie = Client::open(app.address, CHARLIE).await;
    for _ in 0..5 {
        charlie.result("getAccountBalance", json!({})).await;
    }
    charlie.call("getAllTransactions", json!({})).send(app.address).await;
    app.store.flush_audit().await.unwrap();
    let auditor = Client::open(app.address, AUDITOR).await;
    let mut arguments = json!({ "user": "charlie", "limit": 4 });
    let mut numbers = Vec::new();
    for expected in [4, 2] {
        let page = auditor.result("listAuditRecords", arguments.clone()).await["structuredContent"].clone();
        let records = page["records"].as_array().unwrap();
        assert_eq!(records.len(), expected, "{page}");
        numbers.extend(records.iter().map(|record| record["number"].as_i64().unwrap()));
        arguments["cursor"] = page["nextCursor"].clone();
        if expected == 2 {
            assert_eq!(page.get("nextCursor"), None);
        }
    }
    assert!(numbers.is_sorted_by(|one, next| one > next), "newest first, none twice: {numbers:?}");
    let denied = auditor.result("listAuditRecords", json!({ "outcome": "denied" })).await;
    let record = &denied["structuredContent"]["records"][0];
    assert_eq!(
        (&record["user"], &record["tool"], &record["rule"]),
        (&json!("charlie"), &json!("getAllTransactions"), &json!("transactions:read"))
    );
    for wrong in [json!({ "outcome": "nice" }), json!({ "since": "yesterday" }), json!({ "cursor": "x" })] {
        let refused = auditor.result("listAuditRecords", wrong.clone()).await;
        assert_eq!(refused["isError"], true, "{wrong}");
    }
}

/// The standing stream of a session, and a stateless subscription, of one key.
async fn streams(app: &App, key: &str) -> (Client, Events, Events) {
    let client = Client::open(app.address, key).await;
    let standing = Events::open(&client.dress(crate::support::wire::Ask::get()), app.address).await;
    let wanted = json!({ "notifications": { "toolsListChanged": true } });
    let ask = Caller::new(app.address, key).ask("subscriptions/listen", wanted);
    let mut listening = Events::open(&ask, app.address).await;
    listening.one().await;
    (client, standing, listening)
}

#[tokio::test]
async fn rule_06_revoking_a_key_ends_its_sessions_and_streams_within_a_second_and_nobody_elses() {
    let app = spawn_app().await;
    let (bob, standing, listening) = streams(&app, BOB).await;
    let (alice, mut hers, _listening) = streams(&app, ALICE).await;
    let began = Instant::now();
    app.store.revoke_key(&KeyId("1".to_owned()), UnixMillis::now()).await.unwrap();
    assert_eq!(bob.ping().await.status, 401, "the next request");
    soon("the end of the session's stream", standing.rest()).await;
    soon("the end of the subscription", listening.rest()).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(alice.ping().await.status, 200);
    let waited = tokio::time::timeout(Duration::from_millis(300), hers.next()).await;
    assert!(waited.is_err() || waited.unwrap().is_some(), "her stream ended");
}

#[tokio::test]
async fn rule_06_a_key_that_may_do_less_loses_its_streams_and_one_that_may_do_more_is_told_of_other_lists() {
    let app = spawn_app().await;
    let (charlie, mut standing, mut listening) = streams(&app, CHARLIE).await;
    assert_eq!(listed(&charlie).await.len(), 2);
    permit(&app, "3", Role::Customer.permissions()).await;
    let told = async {
        loop {
            let event = standing.one().await;
            if event.data.as_deref().is_some_and(|data| data.contains("tools/list_changed")) {
                return;
            }
        }
    };
    soon("tools/list_changed in the session", told).await;
    let changed = soon("tools/list_changed without one", listening.one()).await.json();
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    assert_eq!(listed(&charlie).await.len(), 11, "the same session");
    permit(&app, "3", PermissionSet::of(&[Permission::BalanceRead])).await;
    soon("the end of the session's stream", standing.rest()).await;
    soon("the end of the subscription", listening.rest()).await;
}

/// The lists that the client of a session is told have changed, until the session has ended.
async fn changed(client: &Client, streams: Vec<Events>) -> Vec<String> {
    assert_eq!(client.end().await.status, 204);
    let mut methods = Vec::new();
    for stream in streams {
        let events = soon("the end of the stream", stream.rest()).await;
        let said = events.iter().filter(|event| event.data.as_deref().is_some_and(|data| !data.is_empty()));
        methods.extend(said.map(|event| event.json()["method"].as_str().unwrap().to_owned()));
    }
    methods
}

const EVERY_LIST: [&str; 3] = [
    "notifications/tools/list_changed",
    "notifications/resources/list_changed",
    "notifications/prompts/list_changed",
];

#[tokio::test]
async fn a_session_is_told_once_of_other_lists_however_many_streams_it_has() {
    let app = spawn_app().await;
    let charlie = Client::open(app.address, CHARLIE).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = Events::open(&charlie.dress(crate::support::wire::Ask::get()), app.address).await;
        stream.one().await;
        streams.push(stream);
    }
    permit(&app, "3", Role::Customer.permissions()).await;
    let first = soon("the newest stream is told", streams[2].one()).await.json();
    assert_eq!(first["method"], EVERY_LIST[0]);
    assert_eq!(changed(&charlie, streams).await, EVERY_LIST[1..]);
}

#[tokio::test]
async fn a_session_is_told_of_lists_that_changed_while_it_had_no_stream() {
    let app = spawn_app().await;
    let get = crate::support::wire::Ask::get;
    let charlie = Client::open(app.address, CHARLIE).await;
    let more = [Permission::IdentityRead, Permission::BalanceRead, Permission::TransactionsRead];
    permit(&app, "3", PermissionSet::of(&more)).await;
    let mut first = Events::open(&charlie.dress(get()), app.address).await;
    let mut last = first.one().await.id().to_owned();
    for method in EVERY_LIST {
        let event = soon("of before it was opened", first.one()).await;
        assert_eq!(event.json()["method"], method);
        last = event.id().to_owned();
    }
    drop(first);
    permit(&app, "3", Role::Customer.permissions()).await;
    let mut resumed = Events::open(&charlie.resume(&last), app.address).await;
    resumed.one().await;
    for method in EVERY_LIST {
        assert_eq!(soon("of between", resumed.one()).await.json()["method"], method);
    }
    let another = Events::open(&charlie.dress(get()), app.address).await;
    assert!(changed(&charlie, vec![resumed, another]).await.is_empty(), "nothing is new");
}

#[tokio::test]
async fn rule_06_a_key_whose_time_is_over_takes_its_streams_along() {
    let app = spawn_app().await;
    let (_bob, standing, listening) = streams(&app, BOB).await;
    let mut key = app.store.key(&KeyId("1".to_owned())).await.unwrap().unwrap();
    key.expires_at = Some(UnixMillis::now().plus(Duration::from_millis(400)));
    app.store.put_key(key).await.unwrap();
    soon("the end of the session's stream", standing.rest()).await;
    soon("the end of the subscription", listening.rest()).await;
}

#[tokio::test]
async fn a_session_that_another_process_ended_is_over_here_too() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let standing = Events::open(&bob.dress(crate::support::wire::Ask::get()), app.address).await;
    let sessions = app.store.sessions(Default::default()).await.unwrap();
    assert!(app.store.end_session(&sessions[0].hash).await.unwrap());
    soon("the end of the stream", standing.rest()).await;
    assert_eq!(bob.ping().await.status, 404);
}

#[tokio::test]
async fn rule_14_every_call_leaves_one_record_with_its_trace_and_the_chain_holds() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    bob.call("getAccountBalance", json!({})).with("traceparent", trace).send(app.address).await;
    bob.result("getLatestTransactions", json!({ "limit": 0 })).await;
    bob.call("nothing", json!({})).send(app.address).await;
    app.store.flush_audit().await.unwrap();
    let records = app.store.latest_audit(10).await.unwrap();
    let outcomes: Vec<Outcome> = records.iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::UnknownTool, Outcome::InvalidArguments, Outcome::Ok]);
    assert_eq!(records[2].trace.unwrap()[..2], [0x4b, 0xf9]);
    let verdict = server::audit::chain::verify(app.store.as_ref(), None).await.unwrap();
    assert!(
        matches!(verdict, server::audit::chain::Verdict::Whole { chained: 3, before: 0, .. }),
        "{verdict:?}"
    );
}
