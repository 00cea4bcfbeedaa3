//! A conversation as a chat completion request, in the form that the most endpoints take.

use async_openai::types::chat::{
    ChatCompletionMessageToolCall, ChatCompletionMessageToolCalls, ChatCompletionRequestAssistantMessage,
    ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage, ChatCompletionRequestToolMessage,
    ChatCompletionRequestUserMessage, ChatCompletionTool, ChatCompletionTools, CreateChatCompletionRequest,
    FunctionCall, FunctionObject,
};
use serde_json::{Value, json};
use shared::mcp::tools::Tool;

use super::names::Names;
use crate::{
    agent::{Message, Prompt, Reply, ToolCall},
    mcp::Arguments,
};

/// The request for one reply.
pub(super) fn completion(model: &str, prompt: Prompt<'_>, names: &Names) -> CreateChatCompletionRequest {
    let messages = prompt.conversation.messages();
    let messages =
        messages.iter().enumerate().map(|(position, said)| message(said, position == 0, names)).collect();
    let tools: Vec<_> = prompt.tools.iter().map(|listed| tool(listed, names)).collect();
    CreateChatCompletionRequest {
        model: model.to_owned(),
        messages,
        stream: Some(true),
        // An empty list is refused by OpenAI.
        tools: (!tools.is_empty()).then_some(tools),
        ..CreateChatCompletionRequest::default()
    }
}

fn message(message: &Message, is_first: bool, names: &Names) -> ChatCompletionRequestMessage {
    match message {
        Message::System(text) if is_first => {
            ChatCompletionRequestMessage::System(ChatCompletionRequestSystemMessage::from(text.as_str()))
        }
        // The chat templates of several open models take a system message at the start only.
        Message::System(text) | Message::User(text) => {
            ChatCompletionRequestMessage::User(ChatCompletionRequestUserMessage::from(text.as_str()))
        }
        Message::Assistant(reply) => ChatCompletionRequestMessage::Assistant(assistant(reply, names)),
        Message::ToolResult(result) => ChatCompletionRequestMessage::Tool(ChatCompletionRequestToolMessage {
            content: result.text_for_model().into(),
            tool_call_id: result.call_id.clone(),
        }),
    }
}

fn assistant(reply: &Reply, names: &Names) -> ChatCompletionRequestAssistantMessage {
    let calls: Vec<_> = reply.tool_calls.iter().map(|call| tool_call(call, names)).collect();
    let has_content = !reply.text.is_empty() || calls.is_empty();
    ChatCompletionRequestAssistantMessage {
        content: has_content.then(|| reply.text.as_str().into()),
        tool_calls: (!calls.is_empty()).then_some(calls),
        ..ChatCompletionRequestAssistantMessage::default()
    }
}

fn tool_call(call: &ToolCall, names: &Names) -> ChatCompletionMessageToolCalls {
    // Several endpoints parse what they are shown of earlier calls and refuse the whole request over one that is no
    // JSON object. What the model wrote is in the call's result.
    let is_object = Arguments::parse(&call.arguments).is_ok();
    let arguments = if is_object { call.arguments.clone() } else { "{}".to_owned() };
    ChatCompletionMessageToolCalls::Function(ChatCompletionMessageToolCall {
        id: call.id.clone(),
        function: FunctionCall { name: names.wire(&call.name).into_owned(), arguments },
    })
}

fn tool(tool: &Tool, names: &Names) -> ChatCompletionTools {
    let mut parameters = tool.input_schema.clone();
    // OpenAI refuses an object schema without properties, which MCP allows.
    parameters.entry("type").or_insert_with(|| json!("object"));
    parameters.entry("properties").or_insert_with(|| json!({}));
    ChatCompletionTools::Function(ChatCompletionTool {
        function: FunctionObject {
            name: names.wire(&tool.name).into_owned(),
            description: tool.description.clone().or_else(|| tool.title.clone()),
            parameters: Some(Value::Object(parameters)),
            strict: None,
        },
    })
}
