//! Ids at the edges of what numbers can be, and messages in arrays.

use serde_json::{Value, json};

use super::{answer_to, assert_holds, assert_served};
use crate::support::{
    app::spawn_app,
    client::{BOB, Client},
    modern::{Caller, STATELESS},
    wire::Answer,
};

fn ping(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)
}

#[tokio::test]
async fn an_id_beyond_what_a_double_holds_comes_back_exactly_or_is_refused() {
    let app = spawn_app().await;
    let bob = Client::open(app.address, BOB).await;
    for id in [
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "-9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
        r#""9007199254740993""#,
        r#""99999999999999999999999999999999""#,
    ] {
        let answer = answer_to(&bob, &bob.post(ping(id))).await;
        assert_eq!(answer.body, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    }
    for id in [
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1e2",
        "1.0",
        "-0.0",
        "1e-400",
        "1E400",
        "0x10",
        "+1",
        "01",
        "Infinity",
        "true",
        "null",
        "{}",
        r#"["a"]"#,
    ] {
        let answer = answer_to(&bob, &bob.post(ping(id))).await;
        assert_holds(&answer, id);
        assert_eq!(answer.status, 400, "{id}: {answer:?}");
    }
    assert_served(&bob).await;
}

#[tokio::test]
async fn an_array_of_messages_is_refused_where_the_revision_has_none() {
    let app = spawn_app().await;
    for version in ["2025-06-18", "2025-11-25"] {
        let bob = Client::open_in(app.address, BOB, version).await;
        for batch in [format!("[{}]", ping("1")), format!("[{},{}]", ping("1"), ping("2")), "[]".to_owned()] {
            let answer = answer_to(&bob, &bob.post(batch)).await;
            assert_eq!((answer.status, answer.code()), (400, Some(-32600)), "{version}: {answer:?}");
        }
        assert_served(&bob).await;
    }
}

#[tokio::test]
async fn an_array_of_messages_is_answered_one_by_one_whatever_is_in_it() {
    let app = spawn_app().await;
    let bob = Client::open_in(app.address, BOB, "2025-03-26").await;
    let mixed = format!(
        r#"[{},1,null,"x",[],{{}},{{"jsonrpc":"2.0","method":"notifications/x"}},{{"jsonrpc":"1.0","id":2,"method":"ping"}},[{}],{}]"#,
        ping("1"),
        ping("9"),
        ping(r#""last""#),
    );
    let answer = answer_to(&bob, &bob.post(mixed)).await;
    assert_holds(&answer, "the mixed batch");
    assert_eq!(answer.status, 200, "{answer:?}");
    let answers = answer.json();
    let ids: Vec<&Value> = answers.as_array().unwrap().iter().filter_map(|answer| answer.get("id")).collect();
    assert_eq!(ids, [&json!(1), &json!("last")], "{answers}");
    assert!(answers.as_array().unwrap().len() > 2, "what is no message was passed over: {answers}");
    assert_served(&bob).await;
}

#[tokio::test]
async fn an_array_that_is_too_long_or_opens_a_session_is_refused_whole() {
    let app = spawn_app().await;
    let bob = Client::open_in(app.address, BOB, "2025-03-26").await;
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    for batch in [
        format!("[{}]", vec![ping("1"); 101].join(",")),
        format!("[{}]", vec![ping("1"); 5_000].join(",")),
        format!("[{},{initialize}]", ping("1")),
        format!("[{}", ping("1")),
        format!("[{},]", ping("1")),
        format!("[{}]]", ping("1")),
        "[".to_owned(),
    ] {
        let answer = answer_to(&bob, &bob.post(batch)).await;
        assert_holds(&answer, "a batch");
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_served(&bob).await;
}

#[tokio::test]
async fn a_request_that_is_malformed_is_refused_by_its_id_where_that_can_be_read() {
    let app = spawn_app().await;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    let refused = |answer: &Answer, id: Value, what: &str| {
        assert_holds(answer, what);
        assert_eq!((answer.status, answer.code()), (400, Some(-32600)), "{what}: {answer:?}");
        assert_eq!(answer.json().get("id").cloned().unwrap_or_default(), id, "{what}: {answer:?}");
    };
    for (id, body) in [
        (json!(5), r#"{"jsonrpc":"2.0","id":5,"method":"tools/list","params":[]}"#.to_owned()),
        (json!("five"), r#"{"jsonrpc":"2.0","id":"five","method":7}"#.to_owned()),
        (json!(5), r#"{"jsonrpc":"2.0","id":5}"#.to_owned()),
        (json!(5), format!(r#"{{"jsonrpc":"2.0","id":5,"method":"tools/list","params":{deep}}}"#)),
        (Value::Null, r#"{"jsonrpc":"1.0","id":5,"method":"tools/list"}"#.to_owned()),
        (Value::Null, r#"{"jsonrpc":"2.0","id":5,"id":6,"method":"tools/list"}"#.to_owned()),
        // It would be an id of ours.
        (Value::Null, r#"{"jsonrpc":"2.0","id":5,"result":{},"error":{"code":1,"message":"m"}}"#.to_owned()),
    ] {
        for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
            let bob = Client::open_in(app.address, BOB, version).await;
            refused(&answer_to(&bob, &bob.post(body.clone())).await, id.clone(), &body);
        }
        let stateless = Caller::new(app.address, BOB).ask("tools/list", json!({})).saying(body.clone());
        refused(&stateless.send(app.address).await, id, &format!("{STATELESS}: {body}"));
    }
    let bob = Client::open_in(app.address, BOB, "2025-03-26").await;
    let batch = format!(r#"[{},{{"jsonrpc":"2.0","id":5,"method":"tools/list","params":[]}}]"#, ping("1"));
    let answers = answer_to(&bob, &bob.post(batch)).await.json();
    let of = |id: i64| answers.as_array().unwrap().iter().find(|answer| answer["id"] == id);
    assert_eq!(of(5).unwrap()["error"]["code"], -32600, "{answers}");
    assert_eq!(of(1).unwrap()["result"], json!({}), "{answers}");
}
