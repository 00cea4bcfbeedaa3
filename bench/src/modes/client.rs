//! What our client adds: to a turn of the agent, and before it says anything.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use axum::{Router, http::header::CONTENT_TYPE, response::IntoResponse, routing::post};
use serde_json::{Value, json};
use shared::demo;
use tokio::net::TcpListener;

use crate::{
    contender::Server,
    figures::{Spread, thousandths},
    findings::Findings,
    process::{Process, Program},
    setup::Setup,
};

/// How often each command runs.
const RUNS: u32 = 15;

/// How many tools a long conversation calls, below the client's limit of steps, and a short one.
const LONG: usize = 18;
const SHORT: usize = 1;

/// What the model is called, and what it says at last.
const MODEL: &str = "bench";
const ANSWER: &str = "Not much.";

/// Runs the client as a person would, against a model that answers at once.
pub(crate) async fn run(setup: &Setup) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(
        "The client",
        "`client --help`, from start to end; and one turn of the agent: a reply of the model, the tool call that it asks for \
         and its result. A turn is the difference between a question that takes 18 tool calls and one that takes one, for \
         each call more: the server's answer and the model's, which answers at once from the load generator, are in it.",
        &["what", "median, ms (min-max)"],
    );
    let scratch = setup.scratch()?;
    let client = setup.binaries.join("client");
    let usage = |told: &str| ensure_that(told.contains("Usage"), told);
    let help = timed(&Program::of(&client, &["--help"]), scratch.path(), usage).await?;
    findings.figure("help_micros", help.median);
    findings.row(["`client --help`".to_owned(), help.thousandths()]);

    let server = Server::Sqlite.start(setup, scratch.path(), &[]).await?;
    let mut spreads = Vec::new();
    for calls in [SHORT, LONG] {
        let question = ask(&client, &server, &model(calls).await?);
        let spread = timed(&question, scratch.path(), |told| has_called(told, calls)).await?;
        findings.row([format!("a question that takes {calls} tool calls"), spread.thousandths()]);
        spreads.push(spread.median);
    }
    server.stop().await?;
    let [short, long] = spreads.as_slice() else { anyhow::bail!("two questions were asked") };
    let turn = long.saturating_sub(*short) / u64::try_from(LONG - SHORT)?;
    findings.figure("turn_micros", turn);
    findings.row(["one turn".to_owned(), thousandths(turn, 2)]);
    Ok(findings)
}

/// How long it takes from start to end, in microseconds. What it tells is checked.
async fn timed(
    program: &Program,
    scratch: &Path,
    check: impl Fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Spread> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        let run = program.command(None).current_dir(scratch).output();
        let output =
            tokio::time::timeout(Duration::from_secs(30), run).await.context("the client hangs")??;
        times.push(u64::try_from(began.elapsed().as_micros())?);
        ensure!(output.status.success(), "the client failed: {}", String::from_utf8_lossy(&output.stderr));
        check(std::str::from_utf8(&output.stdout)?)?;
    }
    Ok(Spread::of(times))
}

fn ensure_that(is_right: bool, told: &str) -> anyhow::Result<()> {
    ensure!(is_right, "the client told something else: {told}");
    Ok(())
}

/// The client must have told of so many results of the tool, and of the model's answer.
fn has_called(told: &str, calls: usize) -> anyhow::Result<()> {
    let events: Vec<Value> = told.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let named = |name| events.iter().filter(move |event| event.get("event") == Some(&json!(name)));
    let is_result = |event: &&Value| {
        let transactions = event.pointer("/result/structuredContent/transactions");
        transactions.and_then(Value::as_array).is_some_and(|transactions| !transactions.is_empty())
    };
    let results = named("tool_call_finished").filter(is_result).count();
    let answered = named("answer").any(|event| event.get("text") == Some(&json!(ANSWER)));
    ensure_that(results == calls && answered, told)
}

fn ask(client: &Path, server: &Process, model: &str) -> Program {
    let (url, endpoint) = (format!("http://{}/mcp", server.address), format!("http://{model}/v1"));
    Program::of(client, &["ask", "What happened on my account?", "--as", "bob", "--model", MODEL, "--json"])
        .with(&[
            ("MCP_URL", &url),
            (demo::BOB_KEY_VARIABLE, demo::BOB_API_KEY),
            ("OPENAI_BASE_URL", &endpoint),
            ("OPENAI_API_KEY", "none"),
        ])
}

/// Starts a model that asks for so many tool calls, one after the other, and then has an answer.
async fn model(calls: usize) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let reply = move |body: String| async move { reply(&body, calls) };
    let router = Router::new().route("/v1/chat/completions", post(reply));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

fn reply(body: &str, calls: usize) -> impl IntoResponse + use<> {
    let asked: Value = serde_json::from_str(body).unwrap_or_default();
    let messages = asked.get("messages").and_then(Value::as_array);
    let is_result = |message: &&Value| message.get("role").and_then(Value::as_str) == Some("tool");
    let done = messages.map_or(0, |messages| messages.iter().filter(is_result).count());
    let (delta, finish) = if done < calls {
        let arguments = json!({ "limit": done + 1 }).to_string();
        let function = json!({ "name": "getLatestTransactions", "arguments": arguments });
        let call =
            json!({ "index": 0, "id": format!("call_{done}"), "type": "function", "function": function });
        (json!({ "role": "assistant", "tool_calls": [call] }), "tool_calls")
    } else {
        (json!({ "role": "assistant", "content": ANSWER }), "stop")
    };
    let chunk = |delta: Value, finish: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        json!({ "id": "1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice] })
    };
    let events =
        [chunk(delta, None).to_string(), chunk(json!({}), Some(finish)).to_string(), "[DONE]".to_owned()];
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    ([(CONTENT_TYPE, "text/event-stream")], body)
}

#[cfg(test)]
mod tests {
    use super::has_called;

    #[test]
    fn a_run_counts_with_every_result_and_the_answer() {
        let result = |structured: &str| {
            format!(r#"{{"event":"tool_call_finished","result":{{"structuredContent":{structured}}}}}"#)
        };
        let (right, answer) =
            (result(r#"{"transactions":[{}]}"#), r#"{"event":"answer","text":"Not much."}"#);
        assert!(has_called(&format!("{right}\n{right}\n{answer}\n"), 2).is_ok());
        for told in [
            format!("{right}\n{answer}"),
            format!("{right}\n{right}"),
            format!("{right}\n{}\n{answer}", result("null")),
        ] {
            assert!(has_called(&told, 2).is_err(), "{told}");
        }
    }
}
