//! Every refusal of the endpoint: its status, its JSON-RPC error, and the headers that say what to do next.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use shared::jsonrpc::{ErrorCode, ErrorObject, ErrorResponse, RequestId};

use super::guard::NotAllowed;
use crate::{
    identity::AuthError,
    limits::{Limit, Limited},
    mcp::{Refusal as EngineRefusal, Refused},
    store::{Outcome, StoredKey},
};

/// How long a client should wait before it asks for another session, in seconds: long enough for expired ones to be swept.
const RETRY_SESSIONS: HeaderValue = HeaderValue::from_static("30");

/// How long a client should wait for a store that does not answer, in seconds.
const RETRY_STORE: HeaderValue = HeaderValue::from_static("2");

/// Why the endpoint does not serve a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// 403: it is not for us, or from a page that may not call.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// 401, or 400 where it cannot be told which key is meant.
    #[error(transparent)]
    NotAuthenticated(#[from] AuthError),
    /// 405.
    #[error("Method not allowed: POST a message, GET a stream or DELETE a session")]
    Method,
    /// 406 to a POST.
    #[error("Not acceptable: the Accept header must list application/json and text/event-stream")]
    AcceptBoth,
    /// 406 to a GET.
    #[error("Not acceptable: the Accept header must list text/event-stream")]
    AcceptStream,
    /// 415.
    #[error("Unsupported media type: Content-Type must be application/json, in UTF-8")]
    ContentType,
    /// 415: the body is compressed, or transferred in another way than in chunks.
    #[error("Unsupported coding: send the body as it is, without Content-Encoding")]
    Coding,
    /// 400: a proxy might go by another of them than we do.
    #[error("{0} is there more than once; send it once")]
    Repeated(&'static str),
    /// 413.
    #[error("The body is larger than {0} bytes: send less at once")]
    TooLarge(usize),
    /// 408: the body did not arrive whole.
    #[error("The body did not arrive whole")]
    Interrupted,
    /// 429: too much was asked.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// 429 likewise, and what is known of the key that was refused.
    #[error("{limited}")]
    TooManyKeys {
        /// Which limit.
        limited: Limited,
        /// The key, where it is one of ours.
        known: Option<Arc<StoredKey>>,
    },
    /// What the engine refuses.
    #[error("{}", .0.refusal)]
    Engine(Refused),
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::Engine(refused)
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotAllowed(_) => StatusCode::FORBIDDEN,
            Self::NotAuthenticated(AuthError::Missing | AuthError::Invalid(_)) => StatusCode::UNAUTHORIZED,
            Self::NotAuthenticated(AuthError::Ambiguous(_)) => StatusCode::BAD_REQUEST,
            Self::NotAuthenticated(AuthError::Unavailable(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::AcceptBoth | Self::AcceptStream => StatusCode::NOT_ACCEPTABLE,
            Self::ContentType | Self::Coding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Repeated(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Interrupted => StatusCode::REQUEST_TIMEOUT,
            Self::Limited(_) | Self::TooManyKeys { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Engine(refused) => match refused.refusal {
                EngineRefusal::Message(_)
                | EngineRefusal::Batch(_)
                | EngineRefusal::SessionRequired
                | EngineRefusal::UnsupportedVersion
                | EngineRefusal::OtherVersion(_)
                | EngineRefusal::NoResponses
                | EngineRefusal::CannotResume => StatusCode::BAD_REQUEST,
                EngineRefusal::Stateless(ref error) | EngineRefusal::Denied(ref error) => status_of(error),
                EngineRefusal::OnlyPost => StatusCode::METHOD_NOT_ALLOWED,
                EngineRefusal::AnswerTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
                EngineRefusal::TooManyStreams | EngineRefusal::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
                EngineRefusal::SessionNotFound => StatusCode::NOT_FOUND,
                EngineRefusal::TooManySessions(_)
                | EngineRefusal::Unavailable(_)
                | EngineRefusal::NoRandomness(_) => StatusCode::SERVICE_UNAVAILABLE,
            },
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::NotAuthenticated(AuthError::Missing | AuthError::Invalid(_)) => ErrorCode::UNAUTHORIZED,
            Self::NotAuthenticated(AuthError::Unavailable(_)) => ErrorCode::INTERNAL_ERROR,
            Self::Limited(_) | Self::TooManyKeys { .. } => ErrorCode::LIMITED,
            Self::Engine(refused) => refused.refusal.code(),
            Self::NotAuthenticated(AuthError::Ambiguous(_))
            | Self::NotAllowed(_)
            | Self::Method
            | Self::AcceptBoth
            | Self::AcceptStream
            | Self::ContentType
            | Self::Coding
            | Self::Repeated(_)
            | Self::TooLarge(_)
            | Self::Interrupted => ErrorCode::INVALID_REQUEST,
        }
    }

    /// The header that says what to do next, where there is one.
    fn advice(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method => Some((header::ALLOW, HeaderValue::from_static("GET, POST, DELETE"))),
            Self::NotAuthenticated(AuthError::Unavailable(_)) => Some((header::RETRY_AFTER, RETRY_STORE)),
            // A client that has another certificate by now shows it on another connection.
            Self::NotAuthenticated(AuthError::Invalid(key)) if key.is_of_the_connection() => {
                Some((header::CONNECTION, HeaderValue::from_static("close")))
            }
            Self::Engine(refused) => match refused.refusal {
                EngineRefusal::TooManySessions(_) | EngineRefusal::TooManyStreams => {
                    Some((header::RETRY_AFTER, RETRY_SESSIONS))
                }
                EngineRefusal::Stateless(ref error) => {
                    (error.code == ErrorCode::LIMITED).then_some((header::RETRY_AFTER, RETRY_SESSIONS))
                }
                EngineRefusal::OnlyPost => Some((header::ALLOW, HeaderValue::from_static("POST"))),
                EngineRefusal::Unavailable(_) | EngineRefusal::NoRandomness(_) => {
                    Some((header::RETRY_AFTER, RETRY_STORE))
                }
                EngineRefusal::Message(_)
                | EngineRefusal::Batch(_)
                | EngineRefusal::SessionRequired
                | EngineRefusal::SessionNotFound
                | EngineRefusal::UnsupportedVersion
                | EngineRefusal::OtherVersion(_)
                | EngineRefusal::NoResponses
                | EngineRefusal::Denied(_)
                | EngineRefusal::Limited(_)
                | EngineRefusal::AnswerTooLarge(_)
                | EngineRefusal::CannotResume => None,
            },
            Self::NotAllowed(_)
            | Self::NotAuthenticated(AuthError::Missing | AuthError::Invalid(_) | AuthError::Ambiguous(_))
            | Self::AcceptBoth
            | Self::AcceptStream
            | Self::ContentType
            | Self::Coding
            | Self::Repeated(_)
            | Self::TooLarge(_)
            | Self::Limited(_)
            | Self::TooManyKeys { .. }
            | Self::Interrupted => None,
        }
    }

    /// The key that was refused, where it is one of ours.
    pub(super) fn known_key(&self) -> Option<&StoredKey> {
        match self {
            Self::NotAuthenticated(AuthError::Invalid(key)) => key.known.as_deref(),
            Self::TooManyKeys { known, .. } => known.as_deref(),
            _ => None,
        }
    }

    /// The limit that was reached, if that is why.
    fn limited(&self) -> Option<&Limited> {
        match self {
            Self::Limited(limited)
            | Self::TooManyKeys { limited, .. }
            | Self::Engine(Refused { refusal: EngineRefusal::Limited(limited), .. }) => Some(limited),
            _ => None,
        }
    }

    /// The rule that turned the request away, and how: where that is the business of whoever reads the audit trail.
    pub(super) fn rule(&self) -> Option<(String, Outcome)> {
        let denied = |rule: &str| Some((rule.to_owned(), Outcome::Denied));
        match self {
            Self::NotAllowed(NotAllowed::Host) => denied("host"),
            Self::NotAllowed(NotAllowed::Origin) => denied("origin"),
            Self::NotAuthenticated(AuthError::Missing) => denied("key: missing"),
            Self::NotAuthenticated(AuthError::Invalid(key)) => denied(&format!("key: {}", key.reason)),
            Self::NotAuthenticated(AuthError::Ambiguous(_)) => denied("key: ambiguous"),
            Self::TooLarge(_) => denied("body: too large"),
            Self::Interrupted => denied("body: too slow"),
            Self::Limited(limited) | Self::TooManyKeys { limited, .. } => {
                Some((limited.limit.as_str().to_owned(), Outcome::Limited))
            }
            Self::Engine(refused) => match &refused.refusal {
                EngineRefusal::SessionNotFound => denied("session"),
                EngineRefusal::AnswerTooLarge(_) => denied("body: too large"),
                EngineRefusal::TooManySessions(_) => Some(("sessions".to_owned(), Outcome::Limited)),
                EngineRefusal::TooManyStreams => Some(("streams".to_owned(), Outcome::Limited)),
                // That of a call is in the call's own record.
                EngineRefusal::Limited(limited) if limited.limit == Limit::Initializations => {
                    Some((limited.limit.as_str().to_owned(), Outcome::Limited))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the engine has noted it for the audit trail by itself.
    const fn is_noted(&self) -> bool {
        matches!(self, Self::Engine(Refused { refusal: EngineRefusal::Denied(_), .. }))
    }

    fn id(&self) -> Option<&RequestId> {
        if let Self::Engine(refused) = self { refused.id.as_ref() } else { None }
    }

    /// One line for the log: a store that does not answer is ours to mend, everything else is the sender's. What is counted
    /// for the audit trail has its line there, or whoever floods the server would flood the log.
    fn log(&self, request_id: &str) {
        let status = self.status().as_u16();
        if let Self::NotAuthenticated(AuthError::Invalid(key)) = self {
            let reason = key.reason;
            tracing::debug!(request.id = request_id, status, reason, "refused");
        } else if let Self::Engine(Refused {
            refusal: EngineRefusal::Message(_) | EngineRefusal::Stateless(_),
            ..
        }) = self
        {
            // What was wrong with a message may quote it.
            tracing::info!(request.id = request_id, status, reason = "not a message", "refused");
        } else if self.rule().is_some() || self.is_noted() {
            tracing::debug!(request.id = request_id, status, reason = %self, "refused");
        } else if self.status().is_server_error() {
            let error = self as &dyn std::error::Error;
            let cause = error.source().map(tracing::field::display);
            tracing::warn!(request.id = request_id, status, error, cause, "refused");
        } else {
            tracing::info!(request.id = request_id, status, reason = %self, "refused");
        }
    }

    /// The answer.
    pub(super) fn into_response(self, request_id: &str) -> Response {
        self.log(request_id);
        let error = match &self {
            Self::Engine(Refused {
                refusal: EngineRefusal::Stateless(error) | EngineRefusal::Denied(error),
                ..
            }) => error.clone(),
            refusal => ErrorObject::new(refusal.code(), refusal.to_string()),
        };
        // Strings and integers can always be written.
        let body = serde_json::to_vec(&ErrorResponse::new(self.id(), &error)).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((name, value)) = self.advice() {
            headers.insert(name, value);
        }
        if let Some(limited) = self.limited() {
            tell_limit(headers, limited);
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey header=\"x-api-key\""));
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// When to come back, and what is limited (draft-ietf-httpapi-ratelimit-headers).
fn tell_limit(headers: &mut HeaderMap, limited: &Limited) {
    let (name, quota, wait) = (limited.limit.as_str(), limited.quota, limited.retry_after.as_secs());
    let window = if limited.limit == Limit::CallsAtOnce { "" } else { ";w=60" };
    headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
    for (header, value) in [
        ("ratelimit-policy", format!("\"{name}\";q={quota}{window}")),
        ("ratelimit", format!("\"{name}\";r=0;t={wait}")),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(header, value);
        }
    }
}

/// The status of an error in a revision without sessions (2026-07-28, Streamable HTTP transport): what is wrong with the
/// request itself is told by the status too; what its method refuses is a response like any other.
fn status_of(error: &ErrorObject) -> StatusCode {
    match error.code {
        ErrorCode::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        ErrorCode::LIMITED => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::INTERNAL_ERROR => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}
