//! Every refusal of the endpoint: its status, its JSON-RPC error, and the headers that say what to do next.

use axum::{body::Body, response::Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use shared::jsonrpc::{ErrorCode, ErrorObject, ErrorResponse, RequestId};

use super::guard::NotAllowed;
use crate::{
    identity::AuthError,
    mcp::{Refusal as EngineRefusal, Refused},
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
    /// 413.
    #[error("The body is larger than {0} bytes: send less at once")]
    TooLarge(usize),
    /// 408: the body did not arrive whole.
    #[error("The body did not arrive whole")]
    Interrupted,
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
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Interrupted => StatusCode::REQUEST_TIMEOUT,
            Self::Engine(refused) => match refused.refusal {
                EngineRefusal::Message(_)
                | EngineRefusal::Batch(_)
                | EngineRefusal::SessionRequired
                | EngineRefusal::UnsupportedVersion
                | EngineRefusal::OtherVersion(_)
                | EngineRefusal::CannotResume => StatusCode::BAD_REQUEST,
                EngineRefusal::TooManyStreams => StatusCode::TOO_MANY_REQUESTS,
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
            Self::Engine(refused) => refused.refusal.code(),
            Self::NotAuthenticated(AuthError::Ambiguous(_))
            | Self::NotAllowed(_)
            | Self::Method
            | Self::AcceptBoth
            | Self::AcceptStream
            | Self::ContentType
            | Self::TooLarge(_)
            | Self::Interrupted => ErrorCode::INVALID_REQUEST,
        }
    }

    /// The header that says what to do next, where there is one.
    fn advice(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method => Some((header::ALLOW, HeaderValue::from_static("GET, POST, DELETE"))),
            Self::NotAuthenticated(AuthError::Unavailable(_)) => Some((header::RETRY_AFTER, RETRY_STORE)),
            Self::Engine(refused) => match refused.refusal {
                EngineRefusal::TooManySessions(_) | EngineRefusal::TooManyStreams => {
                    Some((header::RETRY_AFTER, RETRY_SESSIONS))
                }
                EngineRefusal::Unavailable(_) | EngineRefusal::NoRandomness(_) => {
                    Some((header::RETRY_AFTER, RETRY_STORE))
                }
                EngineRefusal::Message(_)
                | EngineRefusal::Batch(_)
                | EngineRefusal::SessionRequired
                | EngineRefusal::SessionNotFound
                | EngineRefusal::UnsupportedVersion
                | EngineRefusal::OtherVersion(_)
                | EngineRefusal::CannotResume => None,
            },
            Self::NotAllowed(_)
            | Self::NotAuthenticated(AuthError::Missing | AuthError::Invalid(_) | AuthError::Ambiguous(_))
            | Self::AcceptBoth
            | Self::AcceptStream
            | Self::ContentType
            | Self::TooLarge(_)
            | Self::Interrupted => None,
        }
    }

    fn id(&self) -> Option<&RequestId> {
        if let Self::Engine(refused) = self { refused.id.as_ref() } else { None }
    }

    /// One line for the log: a store that does not answer is ours to mend, everything else is the sender's.
    fn log(&self, request_id: &str) {
        let status = self.status().as_u16();
        if let Self::NotAuthenticated(AuthError::Invalid(reason)) = self {
            tracing::info!(request.id = request_id, status, reason, "refused");
        } else if let Self::Engine(Refused { refusal: EngineRefusal::Message(_), .. }) = self {
            // What was wrong with a message may quote it.
            tracing::info!(request.id = request_id, status, reason = "not a message", "refused");
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
        let error = ErrorObject::new(self.code(), self.to_string());
        // Strings and integers can always be written.
        let body = serde_json::to_vec(&ErrorResponse::new(self.id(), &error)).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((name, value)) = self.advice() {
            headers.insert(name, value);
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey header=\"x-api-key\""));
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
