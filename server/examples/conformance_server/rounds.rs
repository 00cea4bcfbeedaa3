//! Tools that take several rounds where there are no sessions.

use serde_json::{Value, json};
use server::mcp::{Content, Definition, EngineBuilder, RequestContext, Tool, ToolError};
use shared::mcp::input::{InputRequest, InputRequests, InputResponses};

use super::tools::{Blocks, Nothing, definition, question, tool};

/// Adds every tool.
pub(crate) fn register(builder: EngineBuilder) -> EngineBuilder {
    builder
        .tool(Name)
        .tool(Capital)
        .tool(Roots)
        .tool(Confirmed)
        .tool(ThreeThings)
        .tool(TwoSteps)
        .tool(Tampered)
        .tool(WhatItCan)
        .tool(NeedsSampling)
}

fn form(message: &str, field: &str, kind: &str) -> Value {
    json!({ "method": "elicitation/create", "params": {
        "message": message,
        "requestedSchema": {
            "type": "object",
            "properties": { field: { "type": kind } },
            "required": [field],
        },
    } })
}

fn sampling(text: &str, max_tokens: u32) -> Value {
    json!({ "method": "sampling/createMessage", "params": {
        "messages": [{ "role": "user", "content": { "type": "text", "text": text } }],
        "maxTokens": max_tokens,
    } })
}

fn roots() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

async fn ask<const N: usize>(
    context: &RequestContext,
    questions: [(&str, Value); N],
) -> Result<InputResponses, ToolError> {
    let mut requests = InputRequests::new();
    for (key, json) in questions {
        requests.insert(key.to_owned(), question::<InputRequest>(json)?);
    }
    Ok(context.ask(requests).await?)
}

/// What was filled in at `field`, as text.
fn filled(answers: &InputResponses, key: &str, field: &str) -> String {
    let value = answers.get(key).and_then(|answer| answer.pointer(&format!("/content/{field}")));
    value.map_or_else(String::new, |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

tool!(
    Name,
    "test_input_required_result_elicitation",
    "Asks for a name and greets",
    Nothing,
    async |context: RequestContext, _| {
        // A name is data like any argument, so it may come with the first request.
        context.take_answers_in_advance();
        let answers = ask(&context, [("user_name", form("What is your name?", "name", "string"))]).await?;
        Ok::<_, ToolError>(Blocks::text(format!("Hello, {}!", filled(&answers, "user_name", "name"))))
    }
);

tool!(
    Capital,
    "test_input_required_result_sampling",
    "Asks the client's model for a capital",
    Nothing,
    async |context: RequestContext, _| {
        let answers =
            ask(&context, [("capital_question", sampling("What is the capital of France?", 100))]).await?;
        Ok::<_, ToolError>(Blocks::text(filled(&answers, "capital_question", "text")))
    }
);

tool!(
    Roots,
    "test_input_required_result_list_roots",
    "Asks for the client's folders",
    Nothing,
    async |context: RequestContext, _| {
        let answers = ask(&context, [("client_roots", roots())]).await?;
        Ok::<_, ToolError>(Blocks::text(json!(answers.get("client_roots")).to_string()))
    }
);

tool!(
    Confirmed,
    "test_input_required_result_request_state",
    "Asks for a confirmation",
    Nothing,
    async |context: RequestContext, _| {
        ask(&context, [("confirm", form("Please confirm", "ok", "boolean"))]).await?;
        // The tool comes this far only when the engine has taken the state back.
        Ok::<_, ToolError>(Blocks::text("state-ok"))
    }
);

tool!(
    ThreeThings,
    "test_input_required_result_multiple_inputs",
    "Asks three things at once",
    Nothing,
    async |context: RequestContext, _| {
        let questions = [
            ("user_name", form("What is your name?", "name", "string")),
            ("greeting", sampling("Generate a greeting", 50)),
            ("client_roots", roots()),
        ];
        let answers = ask(&context, questions).await?;
        Ok::<_, ToolError>(Blocks::text(format!("Hello, {}!", filled(&answers, "user_name", "name"))))
    }
);

tool!(
    TwoSteps,
    "test_input_required_result_multi_round",
    "Asks one thing after the other",
    Nothing,
    async |context: RequestContext, _| {
        let first = ask(&context, [("step1", form("Step 1: What is your name?", "name", "string"))]).await?;
        let second =
            ask(&context, [("step2", form("Step 2: What is your favorite color?", "color", "string"))])
                .await?;
        let (name, colour) = (filled(&first, "step1", "name"), filled(&second, "step2", "color"));
        Ok::<_, ToolError>(Blocks::text(format!("{name} likes {colour}")))
    }
);

tool!(
    Tampered,
    "test_input_required_result_tampered_state",
    "Asks for a confirmation whose state must not be changed",
    Nothing,
    async |context: RequestContext, _| {
        ask(&context, [("confirm", form("Please confirm", "ok", "boolean"))]).await?;
        Ok::<_, ToolError>(Blocks::text("The state came back as it was"))
    }
);

tool!(
    WhatItCan,
    "test_input_required_result_capabilities",
    "Asks the user, or where there is nobody to ask, the model",
    Nothing,
    async |context: RequestContext, _| {
        if context.can_elicit() {
            ask(&context, [("user_name", form("What is your name?", "name", "string"))]).await?;
        }
        match ask(&context, [("reply", sampling("Say something", 50))]).await {
            Err(ToolError::CannotBeAsked(_)) if context.can_elicit() => {}
            asked => drop(asked?),
        }
        Ok::<_, ToolError>(Blocks::text("Asked whoever could be asked"))
    }
);

tool!(
    NeedsSampling,
    "test_missing_capability",
    "Cannot do without the client's model",
    Nothing,
    async |context: RequestContext, _| {
        let asked = ask(&context, [("reply", sampling("Say something", 50))]).await;
        asked.map(|_| Blocks::text("The model answered"))
    }
);
