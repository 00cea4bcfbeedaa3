//! Asking without a stream (2026-07-28, "Multi Round-Trip Requests"): a question is a result, and the answer comes with
//! the repeated request.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::value::RawValue;
use shared::mcp::{
    input::{InputRequests, InputResponses},
    lifecycle::ClientCapabilities,
    modern::LoggingLevel,
};

use super::answers;
use crate::limits::{Admission, Limited};

/// What a request of a revision without sessions brought along.
pub(super) struct Rounds {
    /// What the client can do.
    pub(super) capabilities: ClientCapabilities,
    /// From which level on it wants log messages; `None` when it wants none.
    pub(super) log_level: Option<LoggingLevel>,
    /// `_meta` of every result: who the server is.
    pub(super) server_meta: Arc<RawValue>,
    /// How many rounds there were before this one.
    pub(super) round: u32,
    /// The answers of this round and of those before it, to questions that were asked.
    pub(super) answers: InputResponses,
    /// Answers to nothing that was asked: they came without a sealed state.
    pub(super) unsealed: InputResponses,
    /// Whether there is room for the call, where that was asked before its state was looked at. Held as long as the request.
    pub(super) admission: Option<Result<Admission, Limited>>,
    takes_unsealed: AtomicBool,
}

impl Rounds {
    pub(super) fn new(
        capabilities: ClientCapabilities,
        log_level: Option<LoggingLevel>,
        server_meta: Arc<RawValue>,
    ) -> Self {
        Self {
            capabilities,
            log_level,
            server_meta,
            round: 0,
            answers: InputResponses::new(),
            unsealed: InputResponses::new(),
            admission: None,
            takes_unsealed: AtomicBool::new(false),
        }
    }

    /// From now on answers count that came before the question.
    pub(super) fn take_unsealed(&self) {
        self.takes_unsealed.store(true, Ordering::Relaxed);
    }

    /// The answers to all of `questions`, or those questions that have no answer yet, or none that can be read.
    pub(super) fn answers_to(&self, questions: InputRequests) -> Result<InputResponses, InputRequests> {
        let takes_unsealed = self.takes_unsealed.load(Ordering::Relaxed);
        let given =
            |key: &str| self.answers.get(key).or_else(|| self.unsealed.get(key).filter(|_| takes_unsealed));
        let mut answers = InputResponses::new();
        let mut open = InputRequests::new();
        for (key, question) in questions {
            match given(&key).and_then(|answer| answers::taken(&question, answer).ok()) {
                Some(answer) => {
                    answers.insert(key, answer);
                }
                None => {
                    open.insert(key, question);
                }
            }
        }
        if open.is_empty() { Ok(answers) } else { Err(open) }
    }
}
