//! What is said between a person, a model and the tools.

use shared::mcp::{content::ContentBlock, resources::ResourceBody, tools::CallToolResult};

/// How much of one tool result a language model is given, in bytes.
pub const MAX_RESULT_BYTES: usize = 64 * 1024;

/// The messages of one conversation, oldest first. It only grows, and a model always sees a tool call together with
/// its result.
#[derive(Debug, Clone, Default)]
pub struct Conversation {
    messages: Vec<Message>,
}

/// One message.
#[derive(Debug, Clone)]
pub enum Message {
    /// How the model is to behave: at the start for good, later on for the question at hand.
    System(String),
    /// What the person asks.
    User(String),
    /// What the model said and which tools it wants called.
    Assistant(Reply),
    /// What came of one tool call.
    ToolResult(ToolResult),
}

/// A model's reply: text, tool calls or both. Without tool calls it is the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// What it said.
    pub text: String,
    /// The tools it wants called, in its order.
    pub tool_calls: Vec<ToolCall>,
    /// It ended before the model was done: its tokens were used up, or a filter stopped it.
    pub is_cut_off: bool,
}

/// One tool call that a model asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The model's name for this call; unique in the conversation.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// The arguments as the model wrote them: meant to be a JSON object, not yet believed to be one.
    pub arguments: String,
    /// The reply ended before the model had written all of the arguments.
    pub is_cut_off: bool,
}

/// What came of one tool call.
#[derive(Debug, Clone)]
pub struct ToolResult {
    /// The call's id.
    pub call_id: String,
    /// The tool's name.
    pub name: String,
    /// The result; everything that went wrong is a tool error in it, in words for a model.
    pub result: CallToolResult,
}

impl ToolCall {
    /// What came of this call.
    #[must_use]
    pub fn answered(&self, result: CallToolResult) -> ToolResult {
        ToolResult { call_id: self.id.clone(), name: self.name.clone(), result }
    }
}

impl ToolResult {
    /// The result as a text for a language model, of [`MAX_RESULT_BYTES`] and a note at most. What is no text is
    /// named; a result without content is told by its structured content. That a tool failed is said first.
    #[must_use]
    pub fn text_for_model(&self) -> String {
        let mut text = if self.result.failed() { "The tool failed: ".to_owned() } else { String::new() };
        match (self.result.content.as_slice(), &self.result.structured_content) {
            ([], Some(structured)) => text.push_str(&structured.to_string()),
            ([], None) => text.push_str("(no content)"),
            (content, _) => {
                text.push_str(&content.iter().map(describe).collect::<Vec<_>>().join("\n"));
            }
        }
        let whole = text.len();
        if whole > MAX_RESULT_BYTES {
            text.truncate(text.floor_char_boundary(MAX_RESULT_BYTES));
            let note = format!(
                "\n[Cut here: the result has {whole} bytes, and {MAX_RESULT_BYTES} of them are shown. Ask for less.]"
            );
            text.push_str(&note);
        }
        text
    }
}

fn describe(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(media) => format!("[an image, {}]", media.mime_type),
        ContentBlock::Audio(media) => format!("[a sound, {}]", media.mime_type),
        ContentBlock::ResourceLink(link) => format!("[the resource {}: {}]", link.name, link.uri),
        ContentBlock::Resource(embedded) => match &embedded.resource.body {
            ResourceBody::Text(text) => text.clone(),
            ResourceBody::Blob(_) => format!("[the resource {}]", embedded.resource.uri),
        },
    }
}

impl Conversation {
    /// A conversation that begins with how the model is to behave.
    pub fn new(system: impl Into<String>) -> Self {
        Self { messages: vec![Message::System(system.into())] }
    }

    /// The messages so far, oldest first.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Adds a message.
    pub fn push(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// The messages since the last question, that question first. Empty before the first one.
    #[must_use]
    pub fn since_question(&self) -> &[Message] {
        let start = self.messages.iter().rposition(|message| matches!(message, Message::User(_)));
        start.and_then(|start| self.messages.get(start..)).unwrap_or_default()
    }
}
