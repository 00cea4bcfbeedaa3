//! A language model behind an OpenAI-compatible endpoint: OpenAI, Ollama, llama.cpp, vLLM and their like, asked for
//! chat completions over async-openai, streamed.
//!
//! async-openai does the HTTP requests and the event stream. Three things are ours, because endpoints differ more than
//! its types allow, and because only the loop knows what a person has read already: the transport, which sends once
//! and never repeats; the chunks, which are read leniently; and the errors, which say what to change.

mod assembly;
mod chunk;
mod endpoint;
mod failure;
mod names;
mod reach;
mod request;
mod transport;

use std::{fmt, time::Duration};

use async_openai::Client;
use async_trait::async_trait;
use futures_util::{Stream, StreamExt};
use secrecy::SecretString;
use tokio::time::{Instant, timeout, timeout_at};

use self::{assembly::Assembly, chunk::Chunk, endpoint::ModelEndpoint, names::Names, transport::Transport};
use super::{Model, ModelError, Prompt, Reply};
use crate::mcp::{Credentials, http_client};

/// How long a stream may go on after the model has said that it is done: endpoints add how much was used.
const AFTER_FINISH: Duration = Duration::from_secs(1);

/// A model behind an endpoint.
#[derive(Clone)]
pub struct OpenAi {
    http: reqwest::Client,
    endpoint: ModelEndpoint,
    model: String,
    timeouts: OpenAiTimeouts,
}

/// Which model, and where.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// Where the endpoint is, up to and including `/v1`; `/v1` is added to a URL without a path. `None` is OpenAI.
    pub base_url: Option<String>,
    /// The key; `None` at endpoints that need none, such as Ollama.
    pub api_key: Option<SecretString>,
    /// The model's name at the endpoint.
    pub model: String,
    /// How long to wait for what.
    pub timeouts: OpenAiTimeouts,
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenAiTimeouts {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// Until the first piece of a reply, connecting included: a model may have to be loaded first.
    pub first_token: Duration,
    /// Between two pieces of a reply.
    pub idle: Duration,
}

impl Default for OpenAiTimeouts {
    /// 10 s to connect, 120 s for the first piece, 60 s between two.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_token: Duration::from_secs(120),
            idle: Duration::from_secs(60),
        }
    }
}

/// Why settings do not make a model. No variant repeats the key, or a URL with a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenAiError {
    /// The base URL leads nowhere, or somewhere the key must not go.
    #[error("OPENAI_BASE_URL: {0}")]
    BaseUrl(String),
    /// The key cannot travel in a header.
    #[error("OPENAI_API_KEY: {0}")]
    Key(String),
    /// No model is named.
    #[error("OPENAI_MODEL is empty; name a model that the endpoint has")]
    NoModel,
    /// TLS cannot be set up on this machine.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl OpenAi {
    /// Prepares the way to a model; nothing is sent.
    ///
    /// # Errors
    /// [`OpenAiError`], which names the setting to change.
    pub fn new(settings: OpenAiSettings) -> Result<Self, OpenAiError> {
        let OpenAiSettings { base_url, api_key, model, timeouts } = settings;
        let model = model.trim().to_owned();
        if model.is_empty() {
            return Err(OpenAiError::NoModel);
        }
        let endpoint = ModelEndpoint::new(base_url.as_deref(), api_key)?;
        let http = http_client(endpoint.place(), timeouts.connect, &Credentials::default())
            .map_err(OpenAiError::Tls)?;
        Ok(Self { http, endpoint, model, timeouts })
    }

    /// Reads a reply from its stream. `done` says whether the endpoint has marked the end.
    async fn read<S>(
        &self,
        mut stream: S,
        first_by: Instant,
        transport: &Transport,
        delta: &mut (dyn for<'t> FnMut(&'t str) + Send),
    ) -> Result<Assembly, ModelError>
    where
        S: Stream<Item = Result<Chunk, async_openai::error::OpenAIError>> + Unpin + Send,
    {
        let mut assembly = Assembly::default();
        let mut next_by = first_by;
        loop {
            let next = timeout_at(next_by, stream.next()).await;
            // What goes wrong after the model is done does not matter any more.
            let item = match next {
                Err(_) | Ok(Some(Err(_))) if assembly.is_finished() => return Ok(assembly),
                Err(_) => return Err(failure::silence()),
                Ok(None) if assembly.is_finished() || transport.saw_done() => return Ok(assembly),
                Ok(None) => return Err(failure::cut("it ended in the middle")),
                Ok(Some(item)) => item,
            };
            let chunk = item.map_err(|error| failure::from_library(error, &self.endpoint))?;
            if let Some(error) = &chunk.error {
                return Err(failure::from_stream(error, &self.endpoint));
            }
            assembly.add(chunk, delta);
            let wait = if assembly.is_finished() {
                AFTER_FINISH.min(self.timeouts.idle)
            } else {
                self.timeouts.idle
            };
            next_by = Instant::now() + wait;
        }
    }
}

#[async_trait]
impl Model for OpenAi {
    fn label(&self) -> String {
        format!("{} at {}", self.model, self.endpoint.shown())
    }

    async fn reply(
        &self,
        prompt: Prompt<'_>,
        delta: &mut (dyn for<'t> FnMut(&'t str) + Send),
    ) -> Result<Reply, ModelError> {
        let names = Names::new(prompt.tools);
        let request = request::completion(&self.model, prompt, &names);
        let transport = Transport::new(self.http.clone(), self.endpoint.clone());
        let client =
            Client::build(self.http.clone(), self.endpoint.clone()).with_http_service(transport.clone());
        let first_by = Instant::now() + self.timeouts.first_token;
        let chat = client.chat();
        let opening = chat.create_stream_byot::<_, Chunk>(&request);
        let stream = match timeout(self.timeouts.first_token, opening).await {
            Ok(opened) => opened.map_err(|error| failure::from_library(error, &self.endpoint))?,
            Err(_) => return Err(failure::silence()),
        };
        let assembly = self.read(stream, first_by, &transport, delta).await?;
        assembly.into_reply(&names)
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi")
            .field("endpoint", &self.endpoint)
            .field("model", &self.model)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
