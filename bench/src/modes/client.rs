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

/// Runs the client as a person would, against a model that answers at once.
pub(crate) async fn run(setup: &Setup) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(
        "The client",
        "`client --help`, from start to end; and one turn of the agent: a reply of the model, the tool call that it asks for \
         and its result. A turn is the difference between a question that takes 18 tool calls and one that takes one, for \
         each call more: the server's answer and the model's, which answers at once from the load generator, are in it.",
        &["what", "median, ms (min-max)"],
    );
    let scratch = tempfile::tempdir().context("no scratch folder")?;
    let client = setup.binaries.join("client");
    let help = timed(&Program::of(&client, &["--help"]), scratch.path()).await?;
    findings.figure("help_micros", help.median);
    findings.row(["`client --help`".to_owned(), help.thousandths()]);

    let server = Server::Sqlite.start(setup, scratch.path(), &[]).await?;
    let mut spreads = Vec::new();
    for calls in [SHORT, LONG] {
        let question = ask(&client, &server, &model(calls).await?);
        let spread = timed(&question, scratch.path()).await?;
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

/// How long it takes from start to end, in microseconds.
async fn timed(program: &Program, scratch: &Path) -> anyhow::Result<Spread> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        let run = program.command(None).current_dir(scratch).output();
        let output =
            tokio::time::timeout(Duration::from_secs(30), run).await.context("the client hangs")??;
        times.push(u64::try_from(began.elapsed().as_micros())?);
        ensure!(output.status.success(), "the client failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(Spread::of(times))
}

fn ask(client: &Path, server: &Process, model: &str) -> Program {
    let (url, endpoint) = (format!("http://{}/mcp", server.address), format!("http://{model}/v1"));
    Program::of(client, &["ask", "What happened on my account?", "--as", "bob", "--json"]).with(&[
        ("MCP_URL", &url),
        (demo::BOB_KEY_VARIABLE, demo::BOB_API_KEY),
        ("OPENAI_BASE_URL", &endpoint),
        ("OPENAI_API_KEY", "none"),
        ("OPENAI_MODEL", "bench"),
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
        (json!({ "role": "assistant", "content": "Not much." }), "stop")
    };
    let chunk = |delta: Value, finish: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        json!({ "id": "1", "object": "chat.completion.chunk", "created": 1, "model": "bench", "choices": [choice] })
    };
    let events =
        [chunk(delta, None).to_string(), chunk(json!({}), Some(finish)).to_string(), "[DONE]".to_owned()];
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    ([(CONTENT_TYPE, "text/event-stream")], body)
}
