//! Every route, and everything that is done to every request.
//!
//! A request to the endpoint passes these checks in this order, and each refusal is final: Host and Origin (403), the
//! key (401), the method (405), Accept and Content-Type (406, 415), the body's size (413), its JSON (400), its session
//! (400, 404). They are in `endpoint.rs`; what a refusal looks like is in `refusal.rs`.

use std::{fmt, sync::Arc, time::Instant};

use axum::{
    BoxError, Router,
    body::Body,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, StatusCode, header};
use shared::headers;
use tower::{ServiceExt as _, service_fn};
use tracing::Instrument;

use crate::{
    identity::Authenticator,
    limits::Limits,
    mcp::Engine,
    metrics::{self, Metrics},
};

mod endpoint;
pub mod guard;
pub mod health;
mod negotiation;
pub mod peer;
mod refusal;
mod request_id;
pub mod serve;
pub mod tls;

pub use guard::{Guard, GuardError};

use health::Health;
use peer::{Peer, TrustedProxies};

/// The path of the MCP endpoint.
pub const MCP_PATH: &str = "/mcp";

/// The same endpoint, where clients of the original demo look for it.
const STREAM_PATH: &str = "/stream";

const REQUEST_ID: HeaderName = HeaderName::from_static(headers::REQUEST_ID);

/// What the routes need. Clones share it.
#[derive(Clone)]
pub struct HttpState(Arc<Shared>);

struct Shared {
    engine: Arc<Engine>,
    access: Access,
    health: Health,
    metrics: Arc<Metrics>,
    body_limit: usize,
}

impl HttpState {
    /// The state of one server. `body_limit` is in bytes.
    #[must_use]
    pub fn new(
        engine: Arc<Engine>,
        access: Access,
        health: Health,
        metrics: Arc<Metrics>,
        body_limit: usize,
    ) -> Self {
        Self(Arc::new(Shared { engine, access, health, metrics, body_limit }))
    }

    fn engine(&self) -> &Engine {
        &self.0.engine
    }

    fn authenticator(&self) -> &Authenticator {
        &self.0.access.authenticator
    }

    fn guard(&self) -> &Guard {
        &self.0.access.guard
    }

    fn limits(&self) -> &Limits {
        &self.0.access.limits
    }

    fn proxies(&self) -> &TrustedProxies {
        &self.0.access.proxies
    }

    fn body_limit(&self) -> usize {
        self.0.body_limit
    }
}

impl fmt::Debug for HttpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpState")
    }
}

/// Who is let in: by where a request comes from, and by its key.
#[derive(Debug, Clone)]
pub struct Access {
    /// Turns keys into principals.
    pub authenticator: Authenticator,
    /// Knows our hosts and who may call from a browser.
    pub guard: Guard,
    /// Knows how often an address may be refused.
    pub limits: Limits,
    /// Knows whose word is taken about where a request comes from.
    pub proxies: TrustedProxies,
}

/// Every route of the server. Clones share what the routes need.
#[derive(Debug, Clone)]
pub struct Routes(Way);

/// How a request comes to its route.
#[derive(Debug, Clone)]
enum Way {
    /// The endpoint is called as it is, as nearly every request is for it: on the way through a router each would be packed
    /// up twice.
    Straight { state: HttpState, beside: Router },
    /// All routes behind somebody's layers.
    Through(Router),
}

impl Routes {
    /// The routes of one server.
    #[must_use]
    pub fn new(state: HttpState) -> Self {
        let beside = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics_page))
            .route("/.well-known/{*rest}", any(nothing_well_known))
            .fallback(nothing_here)
            .method_not_allowed_fallback(only_get)
            .layer(middleware::from_fn_with_state(state.clone(), observed))
            .with_state(state.clone());
        Self(Way::Straight { state, beside })
    }

    /// The same routes with `layer` around them.
    #[must_use]
    pub fn wrapped(self, layer: impl FnOnce(Router) -> Router) -> Self {
        let inner = service_fn(move |mut request: Request| {
            let routes = self.clone();
            async move {
                let peer = request.extensions_mut().remove().unwrap_or(Peer::UNKNOWN);
                Ok(routes.answer(&peer, request).await)
            }
        });
        Self(Way::Through(layer(Router::new().fallback_service(inner))))
    }

    /// Answers one request of this peer's.
    async fn answer<B>(&self, peer: &Peer, mut request: http::Request<B>) -> Response
    where
        B: hyper::body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
    {
        let router = match &self.0 {
            Way::Straight { state, beside } => match request.uri().path() {
                MCP_PATH | STREAM_PATH => return mcp(state, peer, request).await,
                _ => beside,
            },
            Way::Through(router) => {
                request.extensions_mut().insert(peer.clone());
                router
            }
        };
        let answer = router.clone().oneshot(request.map(Body::new)).boxed();
        answer.await.unwrap_or_else(|never| match never {})
    }
}

/// The MCP endpoint, under both of its names.
async fn mcp<B>(state: &HttpState, peer: &Peer, request: http::Request<B>) -> Response
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
{
    let started = Instant::now();
    let request_id = request_id::fresh();
    let span = tracing::debug_span!("request", request.id = &*request_id, method = %request.method());
    let answer = async {
        let answer = endpoint::answer(state, &request_id, peer, request).await;
        answer.unwrap_or_else(|refusal| refusal.into_response(&request_id))
    };
    let mut response = answer.instrument(span).await;
    finish(&mut response, &request_id);
    state.0.metrics.observe_response(response.status(), MCP_PATH, started.elapsed());
    tracing::debug!(
        request.id = &*request_id,
        status = response.status().as_u16(),
        duration_us = started.elapsed().as_micros(),
        "answered"
    );
    response
}

/// What every answer carries.
fn finish(response: &mut Response, request_id: &str) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Names, counts and times the requests that are not for the endpoint.
async fn observed(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id::fresh();
    let route = match request.uri().path() {
        "/healthz" => "/healthz",
        "/readyz" => "/readyz",
        "/metrics" => "/metrics",
        _ => "(other)",
    };
    let mut response = next.run(request).await;
    finish(&mut response, &request_id);
    state.0.metrics.observe_response(response.status(), route, started.elapsed());
    response
}

/// `GET /healthz`: is the process alive? Asked by address, so any host will do.
async fn healthz(State(state): State<HttpState>) -> Response {
    state.0.health.live()
}

/// `GET /readyz`: should it be sent requests?
async fn readyz(State(state): State<HttpState>) -> Response {
    state.0.health.ready().await
}

/// `GET /metrics`: what is counted, for hosts of ours only.
async fn metrics_page(State(state): State<HttpState>, request: Request) -> Response {
    if let Err(refusal) = state.guard().check(&request) {
        return plain(StatusCode::FORBIDDEN, "not allowed", &refusal.to_string());
    }
    let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
    ([(header::CONTENT_TYPE, content_type)], state.0.metrics.encode()).into_response()
}

/// Nothing is published about authorization servers: there is none, the key is all. A client that looks here for OAuth
/// finds a plain no.
async fn nothing_well_known() -> Response {
    plain(StatusCode::NOT_FOUND, "not found", "This server uses API keys in the x-api-key header, not OAuth.")
}

async fn nothing_here() -> Response {
    plain(StatusCode::NOT_FOUND, "not found", "The MCP endpoint of this server is /mcp.")
}

async fn only_get() -> Response {
    plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", "Use GET here; the MCP endpoint is /mcp.")
}

/// An answer beside the protocol: JSON, with what went wrong and what to do.
fn plain(status: StatusCode, error: &str, hint: &str) -> Response {
    let body = serde_json::json!({ "error": error, "hint": hint }).to_string();
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}
