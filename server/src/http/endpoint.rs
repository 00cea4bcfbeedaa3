//! The MCP endpoint: POST, GET and DELETE, and the checks before them, cheapest and strictest first.
//!
//! The checks run here, in one function in the order in which they are written, and not as layers around a route: that
//! order is a promise, and this way it can be read.

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use axum::{body::Body, response::Response};
use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt as _, StreamExt as _};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header, header::AsHeaderName,
    request::Parts,
};
use http_body_util::BodyExt;
use hyper::body::Frame;
use shared::headers;
use tokio::task::yield_now;

use super::{HttpState, negotiation, peer::Peer, refusal::Refusal};
use crate::{
    audit::{RefusedRequest, Sender},
    identity::{self, AuthError, Principal},
    mcp::{EventStream, Exchange, Header, Reply, SessionId},
    store::{KeyId, Outcome},
};

const SESSION_ID: HeaderName = HeaderName::from_static(headers::SESSION_ID);
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static(headers::PROTOCOL_VERSION);
const METHOD: HeaderName = HeaderName::from_static(headers::METHOD);
const NAME: HeaderName = HeaderName::from_static(headers::NAME);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static(headers::LAST_EVENT_ID);

/// What a request carries: in pieces, each of which may have to be waited for.
pub(super) trait Sent: hyper::body::Body<Data = Bytes> + Unpin {}

impl<B: hyper::body::Body<Data = Bytes> + Unpin> Sent for B {}

/// Answers one request to the endpoint.
pub(super) async fn answer<B: Sent>(
    state: &HttpState,
    request_id: &Arc<str>,
    peer: &Peer,
    request: Request<B>,
) -> Result<Response, Refusal> {
    let from = state.proxies().origin_of(peer, request.headers());
    let admitted = match state.guard().check(&request) {
        Ok(()) => authenticate(state, request.headers(), peer, from).await,
        Err(not_allowed) => Err(not_allowed.into()),
    };
    let principal = match admitted {
        Ok(principal) => principal,
        Err(refusal) => {
            let sender = refusal.known_key().map_or_else(Sender::unknown, Sender::with_key);
            note(state, &refusal, RefusedRequest { sender, ..unnoted(from, request_id) });
            return Err(refusal);
        }
    };
    let (parts, body) = request.into_parts();
    let answered = serve(state, request_id, peer, &parts, body, principal.clone(), from).await;
    answered.inspect_err(|refusal| {
        let sender = Sender::known(&principal);
        let presented = parts.headers.get(SESSION_ID);
        let session = presented.map(|presented| SessionId::hash_of(presented.as_bytes()));
        note(state, refusal, RefusedRequest { sender, session, ..unnoted(from, request_id) });
    })
}

/// Who sent the request, which came from this address.
async fn authenticate(
    state: &HttpState,
    headers: &HeaderMap,
    peer: &Peer,
    address: IpAddr,
) -> Result<Principal, Refusal> {
    let sender = identity::Sender { address, certificate: peer.certificate.as_deref() };
    match state.authenticator().authenticate(headers, sender).await {
        Err(AuthError::Invalid(key)) => match state.limits().refused_key(sender.address) {
            Ok(()) => Err(AuthError::Invalid(key).into()),
            Err(limited) => Err(Refusal::TooManyKeys { limited, known: key.known }),
        },
        authenticated => Ok(authenticated?),
    }
}

fn unnoted(from: IpAddr, request_id: &str) -> RefusedRequest<'_> {
    let (sender, outcome) = (Sender::unknown(), Outcome::Denied);
    RefusedRequest { sender, from, rule: "", outcome, request_id, session: None }
}

/// Notes for the audit trail that a request was turned away.
fn note(state: &HttpState, refusal: &Refusal, request: RefusedRequest<'_>) {
    if let Some((rule, outcome)) = refusal.rule() {
        state.engine().refusals().note(RefusedRequest { rule: &rule, outcome, ..request });
    }
}

/// Answers a request of somebody who may come in.
async fn serve<B: Sent>(
    state: &HttpState,
    request_id: &Arc<str>,
    peer: &Peer,
    parts: &Parts,
    body: B,
    principal: Principal,
    from: IpAddr,
) -> Result<Response, Refusal> {
    let session_id = match sent(&parts.headers, SESSION_ID) {
        Header::Absent => None,
        Header::Once(id) => Some(id),
        Header::Repeated => return Err(Refusal::Repeated("Mcp-Session-Id")),
    };
    // To be looked up by its text, a name must be read as one first.
    let header = |name: &str| match name {
        headers::METHOD => sent(&parts.headers, METHOD),
        headers::NAME => sent(&parts.headers, NAME),
        other => sent(&parts.headers, other),
    };
    let mut exchange = Exchange {
        principal,
        from,
        request_id: Arc::clone(request_id),
        session_id,
        protocol_version: sent(&parts.headers, PROTOCOL_VERSION),
        headers: &header,
    };
    match parts.method {
        Method::POST => {
            let (body, is_late) = acceptable(state, parts, body, exchange.principal.lineage()).await?;
            if is_late {
                // What holds of the key may have changed while its holder took their time.
                exchange.principal = authenticate(state, &parts.headers, peer, from).await?;
            }
            // Requests that have come are read one after the other, and then answered one after the other: what does the
            // one and what does the other is closer at hand for the next.
            yield_now().await;
            post(state, exchange, &body).await
        }
        Method::GET => get(state, exchange, &parts.headers).await,
        Method::DELETE => {
            state.engine().end_session(exchange).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Err(Refusal::Method),
    }
}

/// The body of a POST that can be answered, and whether it had to be waited for.
async fn acceptable<B: Sent>(
    state: &HttpState,
    Parts { headers, .. }: &Parts,
    body: B,
    lineage: &KeyId,
) -> Result<(Bytes, bool), Refusal> {
    if !negotiation::accepts_an_answer(headers) {
        return Err(Refusal::AcceptBoth);
    }
    if !negotiation::sends_json(headers) {
        return Err(Refusal::ContentType);
    }
    if negotiation::is_coded(headers) {
        return Err(Refusal::Coding);
    }
    let mut place = None;
    let late = || {
        place = Some(state.limits().arrival(lineage)?);
        Ok(())
    };
    let body = read(body, state.body_limit(), late).await?;
    Ok((body, place.is_some()))
}

async fn post(state: &HttpState, exchange: Exchange<'_>, body: &[u8]) -> Result<Response, Refusal> {
    match state.engine().post(exchange, body).await? {
        Reply::Message(message) => Ok(json(message)),
        Reply::Opened { session, message } => {
            let mut response = json(message);
            if let Ok(mut id) = HeaderValue::from_str(session.expose()) {
                id.set_sensitive(true);
                response.headers_mut().insert(SESSION_ID, id);
            }
            Ok(response)
        }
        Reply::Accepted => Ok(empty(StatusCode::ACCEPTED)),
        Reply::Stream(events) => Ok(event_stream(events)),
    }
}

async fn get(state: &HttpState, exchange: Exchange<'_>, headers: &HeaderMap) -> Result<Response, Refusal> {
    if !negotiation::accepts_a_stream(headers) {
        return Err(Refusal::AcceptStream);
    }
    let last_event_id = match sent(headers, LAST_EVENT_ID) {
        Header::Absent => None,
        Header::Once(id) => Some(id),
        Header::Repeated => return Err(Refusal::Repeated("Last-Event-ID")),
    };
    let events = state.engine().open_stream(exchange, last_event_id).await?;
    Ok(event_stream(events))
}

/// Reads a body of at most `limit` bytes. A longer one is refused as soon as that is known: by what it says of itself,
/// or when the byte too many arrives. Where it has to be waited for, `late` is called once, and may refuse that.
async fn read<B: Sent>(
    mut body: B,
    limit: usize,
    late: impl FnOnce() -> Result<(), Refusal>,
) -> Result<Bytes, Refusal> {
    let mut late = Some(late);
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(Refusal::TooLarge(limit));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    loop {
        let frame = match at_hand(&mut body).await {
            Some(frame) => frame,
            None => {
                late.take().map_or(Ok(()), |late| late())?;
                body.frame().await
            }
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| Refusal::Interrupted)?.into_data() else { continue };
        let length = first.len().max(all.len()).saturating_add(data.len());
        if length > limit {
            return Err(Refusal::TooLarge(limit));
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The next piece of a body, or its end; `None` where that has not come yet. The connection hands over what it has read
/// before it asks for the answer, and looks for more each time that whoever reads has given way: what is not there by then
/// has to be waited for.
async fn at_hand<B: Sent>(body: &mut B) -> Option<Option<Result<Frame<Bytes>, B::Error>>> {
    if let Some(frame) = body.frame().now_or_never() {
        return Some(frame);
    }
    yield_now().await;
    body.frame().now_or_never()
}

/// The header of this name.
fn sent(headers: &HeaderMap, name: impl AsHeaderName) -> Header<'_> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Header::Absent,
        (Some(value), None) => Header::Once(value.as_bytes()),
        (Some(_), Some(_)) => Header::Repeated,
    }
}

fn json(message: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(message));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn event_stream(events: EventStream) -> Response {
    let mut response = Response::new(Body::from_stream(events.into_bytes().map(Ok::<_, Infallible>)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn read_pieces(pieces: &[&'static str], limit: usize) -> Result<Bytes, Refusal> {
        let pieces: Vec<_> =
            pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes()))).collect();
        read(Body::from_stream(stream::iter(pieces)), limit, || panic!("all of it is there")).await
    }

    #[tokio::test]
    async fn a_body_is_read_whole_up_to_the_limit() {
        for pieces in [&["abcdef"][..], &["abc", "def"], &["", "a", "", "bcde", "f"]] {
            assert_eq!(read_pieces(pieces, 6).await.unwrap(), "abcdef");
            assert!(matches!(read_pieces(pieces, 5).await, Err(Refusal::TooLarge(5))), "{pieces:?}");
        }
        assert_eq!(read_pieces(&[], 0).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_body_that_says_it_is_too_large_is_not_read() {
        assert!(matches!(read(Body::from("abcdef"), 5, || Ok(())).await, Err(Refusal::TooLarge(5))));
    }
}
