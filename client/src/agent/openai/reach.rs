//! Whether an endpoint is there and takes the key, asked without asking a model anything.

use std::time::Duration;

use async_openai::config::Config as _;

use super::{
    OpenAi,
    failure::{self, Refusal},
};
use crate::agent::ModelError;

/// How long the endpoint may take to say which models it has.
const PATIENCE: Duration = Duration::from_secs(10);

impl OpenAi {
    /// Asks the endpoint which models it has. That costs nothing and changes nothing. `false` when it answers and has
    /// no such list, so that nothing is known about the key.
    ///
    /// # Errors
    /// [`ModelError`] as for a reply: out of reach, failing, or refusing the key.
    pub async fn reach(&self) -> Result<bool, ModelError> {
        let request = self.http.get(self.endpoint.url("/models")).headers(self.endpoint.headers());
        let sent = request.timeout(PATIENCE).send().await;
        let status = sent.map_err(|error| failure::from_network(error, &self.endpoint))?.status();
        match status.as_u16() {
            200..=299 => Ok(true),
            404 | 405 | 501 => Ok(false),
            status => Err(Refusal { status, retry_after: None, body: "" }.explain(&self.endpoint)),
        }
    }
}
