//! What both eras have in common: the methods, and what answering one of them comes to.
//!
//! An era decides how a request is recognised, how its answer is dressed and how it travels. What is asked and what
//! happens is decided here, once.

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use shared::{
    jsonrpc::{ErrorCode, ErrorObject},
    mcp::{input::InputRequests, methods},
};

use super::{Engine, call, context::RequestContext, field::quoted, lists};

/// What answering a request came to.
#[derive(Debug)]
pub(super) enum Answer {
    /// The response, whole.
    Result(Vec<u8>),
    /// A protocol error.
    Error(ErrorObject),
    /// Something must be asked first; only where there are no sessions.
    InputRequired(Box<InputRequests>),
    /// Nobody wants it any more.
    Cancelled,
}

impl Answer {
    /// A protocol error.
    pub(super) fn error(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Error(ErrorObject::new(code, message))
    }
}

/// A request that was either answered at once or is being worked on. The work is free of the request's bytes, so that
/// it can go on when the connection is gone.
pub(super) enum Begun {
    Over(Answer),
    Running(BoxFuture<'static, Answer>),
}

/// Begins to answer a request by a method that both eras have.
pub(super) fn begin(
    engine: &Engine,
    context: &RequestContext,
    method: &str,
    params: Option<&RawValue>,
) -> Begun {
    match method {
        methods::CALL_TOOL => Begun::Running(call::begin(engine, context.clone(), params)),
        methods::LIST_TOOLS => Begun::Over(lists::tools(engine, context, params)),
        unknown => Begun::Over(not_found(unknown)),
    }
}

/// There is no such method.
pub(super) fn not_found(method: &str) -> Answer {
    Answer::error(ErrorCode::METHOD_NOT_FOUND, format!("Method not found: {}", quoted(method)))
}
