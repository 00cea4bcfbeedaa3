//! Rule 16: what people wrote is data, all the way through the server.

use serde_json::json;

use crate::support::{
    app::spawn_app,
    client::{ALICE, BOB, Client, NEWEST, request},
    wire::Ask,
};

/// What somebody might write to change what another one sees, and what is left of it.
const CORPUS: [(&str, &str); 7] = [
    ("lunch \u{1b}[2J\u{1b}]0;owned\u{7}", "lunch [2J]0;owned"),
    ("to \u{202e}ecila\u{202c} only", "to ecila only"),
    ("zero\u{200b}width\u{feff}joined\u{200d}", "zerowidthjoined"),
    ("line\r\n2026-01-01 INFO all is well", "line 2026-01-01 INFO all is well"),
    ("isolated \u{2066}left\u{2069} \u{2028}end", "isolated left end"),
    ("tag\u{e0041}\u{e007f}s", "tags"),
    ("nul\u{0} and \u{9b}31m csi", "nul and 31m csi"),
];

#[tokio::test]
async fn rule_16_what_could_move_a_cursor_or_hide_is_left_out_of_a_memo() {
    let app = spawn_app().await;
    let (bob, alice) = (Client::open(app.address, BOB).await, Client::open(app.address, ALICE).await);
    for (written, kept) in CORPUS {
        let order = json!({ "to": "alice", "amount": 1, "memo": written });
        let made = bob.result("createPayment", order).await["structuredContent"].clone();
        assert_eq!(made["memo"], kept, "{written:?}");
        let shown = bob.result("getPayment", json!({ "paymentId": made["paymentId"] })).await;
        assert_eq!(shown["structuredContent"]["memo"], kept);
    }
    let long = bob.result("createPayment", json!({ "to": "alice", "amount": 1, "memo": "m".repeat(141) }));
    let text = long.await["content"][0]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("invalid_argument: ") && text.contains("140"), "{text}");
    let names = alice.result("createPayment", json!({ "to": "bob\u{202e}", "amount": 1 })).await;
    assert_eq!(names["isError"], true, "{names}");
    let text = names["content"][0]["text"].as_str().unwrap();
    assert!(!text.contains('\u{202e}'), "a name is repeated as it came: {text}");
}

#[tokio::test]
async fn rule_16_a_client_is_named_in_short_and_without_what_moves_a_cursor_or_hides() {
    let app = spawn_app().await;
    let client = json!({ "name": "evil\u{1b}[2J\u{202e}n\u{3164}äme\n", "version": "1".repeat(500) });
    let params = json!({ "protocolVersion": NEWEST, "capabilities": {}, "clientInfo": client });
    assert_eq!(Ask::post(request(1, "initialize", params)).key(BOB).send(app.address).await.status, 200);
    let sessions = app.store.sessions(Default::default()).await.unwrap();
    assert_eq!(sessions[0].client, format!("evil[2Jnäme/{}", "1".repeat(64)));
}
