//! Questions put to a model that may call the tools of one session.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Failure, Run, outcome::Outcome, session::Session};
use crate::{
    agent::{
        Agent, AgentLimits, Conversation, McpToolbox, Model, Offline, OpenAi, OpenAiSettings, OpenAiTimeouts,
        Stop,
    },
    config::{EndpointSettings, ModelChoice},
    exit::Exit,
    terminal::Event,
};

/// How a model is to behave; what the server says of itself comes after it.
const BEHAVIOUR: &str = "You answer questions by calling the tools that are offered to you. State only what a tool \
     returned: never invent a figure, a name or a date. If no tool can answer, say so and say what can be asked. \
     Be brief. Show several rows as a Markdown table.";

/// The model that the settings name, announced.
pub(super) fn model(run: &Run) -> anyhow::Result<Box<dyn Model>> {
    let (model, why): (Box<dyn Model>, String) = match &run.settings.model {
        ModelChoice::Offline { by_default } => {
            let why = if *by_default { "set OPENAI_API_KEY or OPENAI_BASE_URL for a real one" } else { "" };
            (Box::new(Offline::new()), why.to_owned())
        }
        ModelChoice::Endpoint(endpoint) => {
            (Box::new(at_endpoint(endpoint)?), format!("chosen because {} is set", endpoint.because))
        }
    };
    run.terminal.show(&Event::ModelChosen { model: &model.label(), why: &why });
    Ok(model)
}

/// The model at an endpoint; nothing is sent.
pub(super) fn at_endpoint(endpoint: &EndpointSettings) -> Result<OpenAi, Failure> {
    let EndpointSettings { base_url, api_key, model, because: _ } = endpoint.clone();
    OpenAi::new(OpenAiSettings { base_url, api_key, model, timeouts: OpenAiTimeouts::default() }).map_err(
        |error| {
            let next = "correct it, or use --model offline, which needs no endpoint";
            Failure::new(Exit::Usage, error.to_string(), next)
        },
    )
}

/// A conversation within one session.
pub(super) struct Answering<'a> {
    session: &'a Session<'a>,
    model: &'a dyn Model,
    toolbox: McpToolbox,
    conversation: Conversation,
}

impl<'a> Answering<'a> {
    /// A conversation that has not begun.
    pub(super) fn new(session: &'a Session<'a>, model: &'a dyn Model) -> Self {
        let behaviour = match session.server().instructions {
            Some(instructions) => format!("{BEHAVIOUR}\n\nThe server says of itself: {instructions}"),
            None => BEHAVIOUR.to_owned(),
        };
        let terminal = Arc::clone(&session.run.terminal);
        let toolbox = McpToolbox::new(session.connection.clone(), session.tools.clone()).with_progress(
            move |tool, progress| {
                if let Some(message) = progress.message {
                    terminal.progress(&format!("{tool}: {message}"));
                }
            },
        );
        Self { session, model, toolbox, conversation: Conversation::new(behaviour) }
    }

    /// Asks a question and shows what comes of it.
    pub(super) async fn ask(&mut self, question: &str, cancel: &CancellationToken) -> anyhow::Result<Exit> {
        let run = self.session.run;
        run.terminal.show(&Event::Question { text: question });
        let limits = AgentLimits { max_steps: run.settings.max_steps, ..AgentLimits::default() };
        let agent = Agent::new(self.model, &self.toolbox, limits);
        let payments = Outcome::new(run, &self.session.tools.tools);
        let answer =
            agent.ask(&mut self.conversation, question, &payments, cancel).await.map_err(|error| {
                // A payment that waits is told of all the same.
                payments.exit();
                Failure::of_agent(&error, self.session.user, &self.session.endpoint)
            })?;
        let (complete, exit) = match answer.stop {
            Stop::Answered => (true, Exit::Answered),
            Stop::StepLimit | Stop::CutOff => (false, Exit::StepLimit),
        };
        run.terminal.show(&Event::Answer { text: &answer.text, steps: answer.steps, complete });
        Ok(payments.exit().or(exit))
    }
}
