//! Asking without a stream (2026-07-28, "Multi Round-Trip Requests"): a question is a result, and the answer comes with
//! the repeated request.

use shared::mcp::{
    input::{InputRequests, InputResponses},
    lifecycle::ClientCapabilities,
    modern::LoggingLevel,
};

/// What a request of a revision without sessions brought along.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// What the client can do.
    pub(super) capabilities: ClientCapabilities,
    /// From which level on it wants log messages; `None` when it wants none.
    pub(super) log_level: Option<LoggingLevel>,
    /// The answers of this round and of those before it.
    pub(super) answers: InputResponses,
}

impl Rounds {
    /// The answers to all of `questions`, or those questions that have none yet.
    pub(super) fn answers_to(&self, questions: InputRequests) -> Result<InputResponses, InputRequests> {
        let open: InputRequests = questions
            .iter()
            .filter(|(key, _)| !self.answers.contains_key(*key))
            .map(|(key, question)| (key.clone(), question.clone()))
            .collect();
        if !open.is_empty() {
            return Err(open);
        }
        let answer = |key: &String| self.answers.get(key).map(|answer| (key.clone(), answer.clone()));
        Ok(questions.keys().filter_map(answer).collect())
    }
}
