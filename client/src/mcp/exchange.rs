//! One HTTP exchange: a request out, an answer in, under the rules of the endpoint.
//!
//! No redirect is followed, since a redirect would carry the key elsewhere. No proxy stands before loopback, nor where it
//! could read a key. The idle connections that are kept are dropped sooner than servers drop theirs, so that a request is rarely written into a
//! connection that is just being closed.

mod answer;
mod refusal;
mod trace;

use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use reqwest::{
    Method, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use shared::{headers, mcp::ProtocolVersion};

use self::trace::Trace;
pub(super) use self::{
    answer::{Answer, Messages},
    refusal::Failure,
    trace::shown_session,
};
use super::{
    ConnectOptions, Credentials, Endpoint, McpError, TimedOut, Timeouts, TokenSource, WireTap,
    asking::AskedFor, excerpt::excerpt,
};

/// Shorter than the 5 s after which Node.js, the most impatient of the common servers, drops an idle connection.
const KEEP_IDLE: Duration = Duration::from_secs(4);

const BOTH_KINDS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The way to one endpoint.
#[derive(Debug)]
pub(super) struct Wire {
    http: reqwest::Client,
    endpoint: Endpoint,
    timeouts: Timeouts,
    tap: Arc<dyn WireTap>,
    token: Option<Arc<TokenSource>>,
    exchanges: AtomicU64,
    /// While people are asked no answer can begin.
    asked_for: Arc<AskedFor>,
}

/// A client for one endpoint, under the rules of this room. Says why when TLS cannot be set up on this machine.
pub(crate) fn http_client(
    endpoint: &Endpoint,
    connect: Duration,
    credentials: &Credentials,
) -> Result<reqwest::Client, String> {
    // Losing the race against another thread, or finding a provider that the program chose itself, is fine.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut builder = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        .connect_timeout(connect)
        .pool_idle_timeout(KEEP_IDLE);
    if endpoint.is_loopback() {
        let local = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
        builder = builder.no_proxy().resolve_to_addrs("localhost", &local);
    }
    if endpoint.target().scheme() == "http" {
        if endpoint.key().is_some() || credentials.token.is_some() {
            builder = builder.no_proxy();
        }
        // Nothing here will speak TLS, so the machine's certificates need not be there.
        builder = builder.tls_certs_only([]);
    } else if let Some(roots) = &credentials.roots {
        builder = builder.tls_certs_only(roots.0.clone());
    }
    if let Some(certificate) = &credentials.certificate {
        builder = builder.identity(certificate.0.clone());
    }
    builder.build().map_err(|error| causes(&error.without_url()))
}

/// What names the session on every request in it.
#[derive(Debug, Clone)]
pub(super) struct SessionHeaders {
    /// The session's id, marked sensitive; `None` at servers that keep no session.
    pub(super) id: Option<HeaderValue>,
    /// The negotiated revision.
    pub(super) version: ProtocolVersion,
}

impl Wire {
    /// Prepares the way; nothing is sent.
    ///
    /// # Errors
    /// [`McpError::Unreachable`] when TLS cannot be set up on this machine.
    pub(super) fn new(
        endpoint: Endpoint,
        options: &ConnectOptions,
        asked_for: Arc<AskedFor>,
    ) -> Result<Self, McpError> {
        let http = http_client(&endpoint, options.timeouts.connect, &options.credentials)
            .map_err(|reason| McpError::Unreachable { url: endpoint.url().to_owned(), reason })?;
        Ok(Self {
            http,
            endpoint,
            timeouts: options.timeouts,
            tap: Arc::clone(&options.tap),
            token: options.credentials.token.clone(),
            exchanges: AtomicU64::new(1),
            asked_for,
        })
    }

    pub(super) fn url(&self) -> &str {
        self.endpoint.url()
    }

    pub(super) const fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// POSTs one JSON-RPC message, with `more` headers. `session` is `None` for `initialize`.
    ///
    /// # Errors
    /// [`McpError::NoCredentials`], [`McpError::Unreachable`], [`McpError::TimedOut`] before an answer began,
    /// [`McpError::Broken`] when the connection failed after it stood.
    pub(super) async fn post(
        &self,
        session: Option<&SessionHeaders>,
        more: &HeaderMap,
        body: String,
    ) -> Result<Answer<'_>, McpError> {
        let mut headers = self.headers(session, true);
        headers.extend(more.clone());
        self.send(Method::POST, headers, Some(body)).await
    }

    /// Opens the stream of a session; after an event, one that broke.
    ///
    /// # Errors
    /// As [`Wire::post`].
    pub(super) async fn listen(
        &self,
        session: &SessionHeaders,
        last_event_id: Option<&HeaderValue>,
    ) -> Result<Answer<'_>, McpError> {
        let mut map = self.headers(Some(session), false);
        map.insert(ACCEPT, EVENTS);
        if let Some(id) = last_event_id {
            map.insert(HeaderName::from_static(headers::LAST_EVENT_ID), id.clone());
        }
        self.send(Method::GET, map, None).await
    }

    /// Ends a session at the server.
    ///
    /// # Errors
    /// As [`Wire::post`].
    pub(super) async fn delete(&self, session: &SessionHeaders) -> Result<Answer<'_>, McpError> {
        self.send(Method::DELETE, self.headers(Some(session), false), None).await
    }

    async fn send(
        &self,
        method: Method,
        mut headers: HeaderMap,
        body: Option<String>,
    ) -> Result<Answer<'_>, McpError> {
        let Some(source) = &self.token else { return self.send_once(method, headers, body).await };
        let token = source.bearer(None).await?;
        headers.insert(AUTHORIZATION, token.clone());
        let answer = self.send_once(method.clone(), headers.clone(), body.clone()).await?;
        if answer.response.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // It did not run, and there may be a newer token. Without one it is the server that said no.
        let newer = source.bearer(Some(&token)).await;
        let newer = newer.map_err(|error| McpError::Unauthorized(error.to_string()))?;
        if newer == token {
            return Ok(answer);
        }
        drop(answer);
        headers.insert(AUTHORIZATION, newer);
        self.send_once(method, headers, body).await
    }

    async fn send_once(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Option<String>,
    ) -> Result<Answer<'_>, McpError> {
        let mut request = Request::new(method, self.endpoint.target().clone());
        *request.headers_mut() = headers;
        let mut trace = Trace::begin(self, &request, body.as_deref());
        if let Some(body) = body {
            *request.body_mut() = Some(body.into());
        }
        let answered = self.asked_for.timeout(self.timeouts.first_byte, self.http.execute(request)).await;
        let outcome = match answered {
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) => Err(self.network_failure(error)),
            None => Err(McpError::TimedOut(TimedOut::FirstByte)),
        };
        match outcome {
            Ok(response) => {
                trace.answer_began(&response);
                Ok(Answer { wire: self, trace, response })
            }
            Err(error) => {
                trace.end(Some(&error));
                Err(error)
            }
        }
    }

    fn headers(&self, session: Option<&SessionHeaders>, has_body: bool) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert(ACCEPT, BOTH_KINDS);
        if has_body {
            map.insert(CONTENT_TYPE, JSON);
        }
        if self.token.is_none()
            && let Some(key) = self.endpoint.key()
        {
            map.insert(HeaderName::from_static(headers::API_KEY), key.clone());
        }
        if let Some(session) = session {
            let version = HeaderValue::from_static(session.version.as_str());
            map.insert(HeaderName::from_static(headers::PROTOCOL_VERSION), version);
            if let Some(id) = &session.id {
                map.insert(HeaderName::from_static(headers::SESSION_ID), id.clone());
            }
        }
        map
    }

    /// What a failure of the network means for the request.
    fn network_failure(&self, error: reqwest::Error) -> McpError {
        let error = error.without_url();
        let connecting = error.is_connect() || error.is_builder();
        if connecting && error.is_timeout() {
            return McpError::TimedOut(TimedOut::Connect);
        }
        let reason = self.quote(&causes(&error));
        if connecting { self.unreachable(reason) } else { McpError::Broken(reason) }
    }

    fn unreachable(&self, reason: String) -> McpError {
        McpError::Unreachable { url: self.endpoint.url().to_owned(), reason }
    }

    /// What answers is not an MCP endpoint.
    pub(super) fn not_mcp(&self, reason: impl Into<String>) -> McpError {
        McpError::NotMcp { url: self.endpoint.url().to_owned(), reason: reason.into() }
    }

    /// A server's words, fit to stand in an error: short, harmless, without key and token.
    pub(super) fn quote(&self, text: &str) -> String {
        excerpt(&self.hidden(text))
    }

    /// `text` without the key and the token, wherever it repeats them.
    fn hidden<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let text = self.endpoint.without_key(text);
        match &self.token {
            Some(source) => source.hide(text),
            None => text,
        }
    }
}

/// An error and what caused it, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}
