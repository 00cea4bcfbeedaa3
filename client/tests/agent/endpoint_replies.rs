//! What goes to an OpenAI-compatible endpoint, and replies in every shape that endpoints have.

#![cfg(test)]

use client::agent::{Conversation, ModelError, Prompt, Reply, ToolCall, Toolbox};
use serde_json::json;

use crate::{
    KEY, ask, model_at,
    openai_server::{Arm, OpenAiServer, Piece, calls, delta, event, finish, says},
    scripted::{ScriptedModel, ScriptedToolbox, Turn, text},
    settings,
};
use client::agent::{Model, OpenAi};

/// One reply to one question, and the pieces it was shown in.
async fn reply(server: &OpenAiServer) -> (Result<Reply, ModelError>, Vec<String>) {
    let conversation = Conversation::new("Be brief.");
    let mut pieces = Vec::new();
    let prompt = Prompt { conversation: &conversation, tools: &[] };
    let reply = model_at(server).reply(prompt, &mut |piece| pieces.push(piece.to_owned())).await;
    (reply, pieces)
}

async fn reply_to(pieces: Vec<Piece>) -> Reply {
    let server = OpenAiServer::armed([Arm::Stream(pieces)]).await;
    let (reply, shown) = reply(&server).await;
    let reply = reply.unwrap();
    assert_eq!(shown.concat(), reply.text);
    reply
}

#[tokio::test]
async fn the_wire_of_one_question_is_exactly_this() {
    let server = OpenAiServer::armed([
        Arm::Stream(calls(&[("call_x", "read.balance", ""), ("call_y", "write", "{\"n\":")])),
        Arm::Stream(says(&["It ", "is 7."])),
    ])
    .await;
    let toolbox = ScriptedToolbox::new(&["read.balance", "write"], |_, _, _| async { Ok(text("7")) });
    let asked = ask(&model_at(&server), &toolbox).await;
    assert_eq!(asked.answer().text, "It is 7.");
    assert_eq!(toolbox.calls(), [("read.balance".to_owned(), json!({}))]);

    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    for seen in &seen {
        assert_eq!(seen.path, "/v1/chat/completions");
        assert_eq!(seen.authorization, Some(format!("Bearer {KEY}")));
    }
    let function = |name: &str, description: &str| {
        let parameters = json!({ "type": "object", "properties": {} });
        json!({ "type": "function", "function": { "name": name, "description": description, "parameters": parameters } })
    };
    let tools =
        json!([function("read_balance", "The tool read.balance"), function("write", "The tool write")]);
    let mut messages = vec![
        json!({ "role": "system", "content": "Be brief." }),
        json!({ "role": "user", "content": "How much?" }),
    ];
    let first = json!({ "model": "test-model", "stream": true, "messages": messages, "tools": tools });
    assert_eq!(seen[0].body, first);

    let call = |id: &str, name: &str| json!({ "type": "function", "id": id, "function": { "name": name, "arguments": "{}" } });
    let malformed = seen[1].body["messages"][4]["content"].as_str().unwrap().to_owned();
    assert!(malformed.contains("must be one JSON object"), "{malformed}");
    messages.extend([
        json!({ "role": "assistant", "tool_calls": [call("call_x", "read_balance"), call("call_y", "write")] }),
        json!({ "role": "tool", "tool_call_id": "call_x", "content": "7" }),
        json!({ "role": "tool", "tool_call_id": "call_y", "content": malformed }),
    ]);
    let second = json!({ "model": "test-model", "stream": true, "messages": messages, "tools": tools });
    assert_eq!(seen[1].body, second);
}

#[tokio::test]
async fn without_a_key_no_authorization_is_sent_and_without_tools_no_tools() {
    let server = OpenAiServer::armed([Arm::Stream(says(&["Hi."]))]).await;
    let base_url = format!("{}/v1/", server.base());
    let model = OpenAi::new(client::agent::OpenAiSettings { api_key: None, ..settings(&base_url) }).unwrap();
    ask(&model, &ScriptedToolbox::echo(&[])).await.outcome.unwrap();
    let seen = &server.seen()[0];
    assert_eq!((seen.path.as_str(), &seen.authorization), ("/v1/chat/completions", &None));
    assert_eq!(seen.body.get("tools"), None);
    assert_eq!(model.label(), format!("test-model at {}/v1", server.base()));
}

#[tokio::test]
async fn the_note_at_the_step_limit_follows_the_results_and_is_no_second_system_message() {
    let again = |n: usize| Arm::Stream(calls(&[("same_id", "read", ["{\"n\":1}", "{\"n\":2}"][n % 2])]));
    let server = OpenAiServer::armed((0..20).map(again).chain([Arm::Stream(says(&["So far."]))])).await;
    let asked = ask(&model_at(&server), &ScriptedToolbox::echo(&["read"])).await;
    assert_eq!(asked.answer().text, "So far.");
    let seen = server.seen();
    assert_eq!(seen.len(), 21);
    let last = &seen[20].body;
    assert_eq!(last.get("tools"), None);
    let messages = last["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    let mut expected = vec!["system", "user"];
    expected.extend(["assistant", "tool"].repeat(20));
    expected.push("user");
    assert_eq!(roles, expected);
    for pair in messages[2..42].chunks(2) {
        assert_eq!(pair[0]["tool_calls"][0]["id"], pair[1]["tool_call_id"]);
    }
}

#[tokio::test]
async fn text_is_handed_on_as_it_arrives() {
    let server = OpenAiServer::armed([Arm::Stream(says(&["Grü", "ße ✓"]))]).await;
    let (whole, pieces) = reply(&server).await;
    assert_eq!(whole.unwrap().text, "Grüße ✓");
    assert_eq!(pieces, ["Grü", "ße ✓"]);
}

#[tokio::test]
async fn a_stream_may_come_one_byte_at_a_time() {
    let Piece::Send(text) = says(&["Grü", "ße ✓"]).remove(0) else { unreachable!() };
    assert_eq!(reply_to(vec![Piece::Bytewise(text)]).await.text, "Grüße ✓");
    let Piece::Send(text) = calls(&[("a", "read", "{\"n\":\"ü\"}")]).remove(0) else { unreachable!() };
    assert_eq!(reply_to(vec![Piece::Bytewise(text)]).await.tool_calls[0].arguments, "{\"n\":\"ü\"}");
}

#[tokio::test]
async fn a_whole_call_in_one_chunk_without_index_or_id_and_with_the_wrong_reason_is_a_call() {
    let whole = delta(&json!({ "tool_calls": [{ "function": { "name": "read", "arguments": "" } }] }));
    let got = reply_to(vec![Piece::Send(whole + &finish("stop"))]).await;
    let call =
        ToolCall { id: String::new(), name: "read".to_owned(), arguments: String::new(), is_cut_off: false };
    assert_eq!(got, Reply { tool_calls: vec![call], ..Reply::default() });
}

/// A reply that wants a read and a write, whose arguments begin so, and that ends for this reason.
fn broken_off(arguments: &str, reason: &str) -> Arm {
    let call = |index: usize, name: &str, arguments: &str| {
        let function = json!({ "name": name, "arguments": arguments });
        delta(&json!({ "tool_calls": [{ "index": index, "id": name, "function": function }] }))
    };
    Arm::Stream(vec![Piece::Send(call(0, "read", "") + &call(1, "write", arguments) + &finish(reason))])
}

#[tokio::test]
async fn a_call_that_the_reply_broke_off_in_is_not_made_and_the_model_is_told() {
    for (arguments, reason, is_made) in [
        ("", "length", false),
        (" ", "length", false),
        ("{\"n\":", "length", false),
        ("", "content_filter", false),
        ("{\"n\":1}", "length", true),
        ("", "tool_calls", true),
    ] {
        let server = OpenAiServer::armed([broken_off(arguments, reason), Arm::Stream(says(&["So."]))]).await;
        let toolbox = ScriptedToolbox::echo(&["read", "write"]);
        let asked = ask(&model_at(&server), &toolbox).await;
        let what = format!("{arguments:?}, {reason}");
        let called: Vec<_> = toolbox.calls().into_iter().map(|(name, _)| name).collect();
        let expected = if is_made { &["read", "write"][..] } else { &["read"] };
        assert_eq!(called, expected, "{what}");
        let told = asked.result_texts().remove(1);
        assert_eq!(told.contains("its arguments must be one JSON object"), !is_made, "{what}: {told}");
        assert_eq!(told.contains("cut off"), !is_made, "{what}: {told}");
    }
}

#[tokio::test]
async fn what_an_endpoint_adds_of_its_own_is_passed_over() {
    let mut stream = ": OPENROUTER PROCESSING\n\nevent: x\nid: 7\nretry: 10\n".to_owned();
    stream += &event(&json!({ "choices": [], "prompt_filter_results": [{ "x": 1 }] }));
    stream += &delta(&json!({ "role": "assistant", "reasoning_content": "hm", "reasoning": "hm" }));
    stream += &delta(&json!({ "content": "Hi.", "extra": { "deep": [1] }, "tool_calls": null }));
    stream +=
        &event(&json!({ "choices": [{ "delta": null, "finish_reason": "eos_token" }], "service_tier": 5 }));
    stream += &event(&json!({ "choices": null, "usage": { "total_tokens": 1 }, "timings": {} }));
    assert_eq!(reply_to(vec![Piece::Send(stream + "data: [DONE]\n\n")]).await.text, "Hi.");
}

#[tokio::test]
async fn either_mark_of_the_end_is_enough() {
    let text = delta(&json!({ "content": "Hi." }));
    let only_done = vec![Piece::Send(text.clone() + "data: [DONE]\n\n")];
    assert_eq!(reply_to(only_done).await.text, "Hi.");
    let reason = event(&json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] }));
    let only_reason = vec![Piece::Send(text.clone() + &reason)];
    assert_eq!(reply_to(only_reason).await.text, "Hi.");
    let and_then_cut = vec![Piece::Send(text + &reason), Piece::Cut];
    assert_eq!(reply_to(and_then_cut).await.text, "Hi.");
}

#[tokio::test]
async fn a_scripted_model_and_an_endpoint_are_driven_alike() {
    let script = [("a", "read", "{\"n\":1}"), ("b", "write", "{}")];
    let server = OpenAiServer::armed([Arm::Stream(calls(&script)), Arm::Stream(says(&["Done."]))]).await;
    let scripted = ScriptedModel::new([Turn::Call("", script.to_vec()), Turn::Say("Done.")]);
    let (one, other) = (ScriptedToolbox::echo(&["read", "write"]), ScriptedToolbox::echo(&["read", "write"]));
    let (real, pretended) = (ask(&model_at(&server), &one).await, ask(&scripted, &other).await);
    assert_eq!(real.heard.lines(), pretended.heard.lines());
    assert_eq!(one.calls(), other.calls());
    assert_eq!(one.tools().len(), 2);
}
