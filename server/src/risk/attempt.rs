//! One attempt to have the risk service answer.

use std::{sync::Arc, time::Duration};

use client::mcp::{
    CallOptions, ConnectOptions, Connection, Era, McpError, RetryPolicy, TimedOut, Timeouts, TokenSource,
};
use shared::{
    jsonrpc::ErrorCode,
    mcp::{JsonObject, lifecycle::Implementation, tools::CallToolResult},
};
use tokio::{sync::Mutex, time::timeout};

use super::{
    RiskError, RiskSettings, RiskSettingsError,
    answer::{self, Answer},
};

/// The tool that is called.
const TOOL: &str = "assessPayment";

/// The longest that the service may ask us to wait; a person waits for the payment.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) payment: String,
    pub(super) is_release: bool,
    pub(super) arguments: JsonObject,
    pub(super) trace: Option<[u8; 16]>,
}

/// Why an attempt gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Failed {
    /// None came.
    #[error(transparent)]
    NoAnswer(McpError),
    /// The tool says that it did not do it, in these words.
    #[error("the risk service says: {0}")]
    Declined(String),
    /// What came is no answer.
    #[error("{0}")]
    Nonsense(String),
}

impl Failed {
    /// How long to wait before the next attempt, where `planned` is as good as any; `None` where another attempt would
    /// not end otherwise. To ask again is to ask once, so that it may have run does not matter.
    pub(super) fn pause(&self, planned: Duration) -> Option<Duration> {
        let Self::NoAnswer(error) = self else { return None };
        match error {
            McpError::Busy { retry_after: Some(wait) }
            | McpError::ServerFailed { retry_after: Some(wait), .. } => {
                (*wait <= WAIT_MAX).then(|| wait.saturating_add(planned))
            }
            McpError::Busy { retry_after: None }
            | McpError::Unreachable { .. }
            | McpError::ServerFailed { retry_after: None, .. }
            | McpError::TimedOut(_)
            | McpError::Broken(_) => Some(planned),
            McpError::Rpc(error) => (error.code == ErrorCode::INTERNAL_ERROR).then_some(planned),
            McpError::Unauthorized(_)
            | McpError::NoCredentials(_)
            | McpError::Forbidden(_)
            | McpError::NotMcp { .. }
            | McpError::Protocol(_)
            | McpError::SessionEnded
            | McpError::Cancelled => None,
        }
    }
}

impl From<Failed> for RiskError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Nonsense(text) => Self::Nonsense(text),
            Failed::NoAnswer(error @ (McpError::NotMcp { .. } | McpError::Protocol(_))) => {
                Self::Nonsense(answer::cleaned(&error.to_string()))
            }
            failed @ (Failed::NoAnswer(_) | Failed::Declined(_)) => Self::Unavailable(Box::new(failed)),
        }
    }
}

/// The risk service, as something that can be asked.
#[derive(Debug)]
pub(super) struct Peer {
    settings: RiskSettings,
    token: Option<Arc<TokenSource>>,
    /// Opened with the first attempt, and again after one that our credentials may have failed: then they are read anew.
    connection: Mutex<Option<Arc<Connection>>>,
}

impl Peer {
    /// # Errors
    /// [`RiskSettingsError`] when the credentials cannot be read. A token is read later, as it is renewed.
    pub(super) fn new(settings: RiskSettings) -> Result<Self, RiskSettingsError> {
        settings.credentials.read(None)?;
        let token = settings.credentials.token.clone().map(|origin| Arc::new(TokenSource::new(origin)));
        Ok(Self { settings, token, connection: Mutex::new(None) })
    }

    /// Asks once.
    pub(super) async fn ask(&self, question: Question) -> Result<Answer, Failed> {
        let answered = timeout(self.settings.timeout, self.call(&question)).await;
        match answered.unwrap_or(Err(McpError::TimedOut(TimedOut::Call))) {
            Ok(result) => answer::read(&question.payment, question.is_release, result),
            Err(error) => Err(Failed::NoAnswer(error)),
        }
    }

    /// Calls the tool. A connection that was there before still shows the certificate of then: that this one is refused
    /// says nothing of the one that is there now.
    async fn call(&self, question: &Question) -> Result<CallToolResult, McpError> {
        let (connection, was_there) = self.connection().await?;
        match self.call_on(&connection, question).await {
            Err(McpError::Unauthorized(_))
                if was_there && self.settings.credentials.certificate.is_some() =>
            {
                let (connection, _) = self.connection().await?;
                self.call_on(&connection, question).await
            }
            answered => answered,
        }
    }

    async fn call_on(
        &self,
        connection: &Arc<Connection>,
        question: &Question,
    ) -> Result<CallToolResult, McpError> {
        let options = CallOptions { repeatable: true, trace: question.trace, ..CallOptions::default() };
        let answered = connection.call_tool(TOOL, question.arguments.clone(), options).await;
        // Since TLS 1.3 a certificate is refused after the handshake, where a request is under way already.
        if matches!(
            answered,
            Err(McpError::Unauthorized(_)
                | McpError::Forbidden(_)
                | McpError::Unreachable { .. }
                | McpError::Broken(_))
        ) {
            // Somebody else may have opened another one meanwhile.
            self.connection.lock().await.take_if(|current| Arc::ptr_eq(current, connection));
        }
        answered
    }

    /// The connection, and whether it was there before.
    async fn connection(&self) -> Result<(Arc<Connection>, bool), McpError> {
        let mut current = self.connection.lock().await;
        if let Some(connection) = &*current {
            return Ok((Arc::clone(connection), true));
        }
        let credentials = self.settings.credentials.read(self.token.as_ref());
        let limit = self.settings.timeout;
        let options = ConnectOptions {
            client: Implementation::new(shared::demo::SERVER_NAME, env!("CARGO_PKG_VERSION")),
            timeouts: Timeouts { connect: limit, first_byte: limit, idle: limit, call: limit },
            // One attempt is one attempt: whoever asks for it counts.
            retry: RetryPolicy { attempts: 1, ..RetryPolicy::default() },
            era: Era::Stateless,
            credentials: credentials.map_err(|error| McpError::NoCredentials(error.to_string()))?,
            ..ConnectOptions::default()
        };
        let connection = Connection::open(self.settings.endpoint.clone(), options).await?;
        // A call would list them and say of any failure only that the call has not run, and not whether it may pass.
        connection.list_tools().await?;
        Ok((Arc::clone(current.insert(Arc::new(connection))), false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_attempt_is_made_where_it_may_end_otherwise_and_no_sooner_than_asked() {
        let planned = Duration::from_millis(100);
        let pause = |error| Failed::NoAnswer(error).pause(planned);
        let busy = |seconds| McpError::Busy { retry_after: Some(Duration::from_secs(seconds)) };
        assert_eq!(pause(busy(1)), Some(Duration::from_millis(1_100)));
        assert_eq!(pause(busy(3)), None);
        assert_eq!(pause(McpError::Busy { retry_after: None }), Some(planned));
        assert_eq!(pause(McpError::TimedOut(TimedOut::FirstByte)), Some(planned));
        assert_eq!(pause(McpError::Broken("cut".to_owned())), Some(planned));
        assert_eq!(pause(McpError::Unauthorized("no".to_owned())), None);
        assert_eq!(pause(McpError::Forbidden("no".to_owned())), None);
        assert_eq!(Failed::Nonsense("?".to_owned()).pause(planned), None);
        assert_eq!(Failed::Declined("no".to_owned()).pause(planned), None);
    }
}
