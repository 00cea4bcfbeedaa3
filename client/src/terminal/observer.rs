//! What the agent does, told as it happens.

use super::{Event, Terminal};
use crate::agent::{AgentEvent, Observer};

impl Observer for Terminal {
    fn on(&self, event: &AgentEvent<'_>) {
        self.show(&match *event {
            AgentEvent::TurnStarted { step } => Event::TurnStarted { step },
            AgentEvent::TextDelta(delta) => Event::Text { delta },
            AgentEvent::TextReset => Event::TextReset,
            AgentEvent::ToolCallStarted { id, name, arguments } => {
                Event::ToolCallStarted { id, name, arguments }
            }
            AgentEvent::ToolCallFinished { id, name, arguments, result, elapsed } => {
                Event::ToolCallFinished { id, name, arguments, elapsed_ms: milliseconds(elapsed), result }
            }
            AgentEvent::Retrying { reason, wait, attempt } => {
                Event::Retrying { reason, wait_ms: milliseconds(wait), attempt }
            }
            AgentEvent::AnswerCutOff => Event::AnswerCutOff,
            AgentEvent::StepLimitReached { max_steps } => Event::StepLimitReached { max_steps },
        });
    }
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
