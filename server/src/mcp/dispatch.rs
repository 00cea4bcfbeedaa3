//! What both eras have in common: the methods, and what answering one of them comes to.
//!
//! An era decides how a request is recognised, how its answer is dressed and how it travels. What is asked and what
//! happens is decided here, once.

use futures_util::{FutureExt, future::BoxFuture};
use serde_json::value::RawValue;
use shared::{
    jsonrpc::{ErrorCode, ErrorObject},
    mcp::{input::InputRequests, methods},
};

use super::{Engine, call, context::RequestContext, field::quoted, lists, reading, screening};
use crate::limits::Limited;

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
    /// The caller has used up what it may do.
    Limited(Limited),
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

impl Begun {
    /// Work that counts as a call and is not recorded, if there is room for it.
    pub(super) fn counted(
        engine: &Engine,
        context: &RequestContext,
        work: impl Future<Output = Answer> + Send + 'static,
    ) -> Self {
        match engine.limits.call(context.principal().lineage()) {
            Err(limited) => Self::Over(Answer::Limited(limited)),
            Ok(held) => Self::Running(
                async move {
                    let _held = held;
                    work.await
                }
                .boxed(),
            ),
        }
    }
}

/// Begins to answer a request by a method that both eras have.
pub(super) fn begin(
    engine: &Engine,
    context: &RequestContext,
    method: &str,
    params: Option<&RawValue>,
) -> Begun {
    let Some(method) = known(engine, method) else { return Begun::Over(not_found(method)) };
    if let Some(refused) = screening::refused(engine, context, method, params) {
        return refused;
    }
    match method {
        methods::CALL_TOOL => Begun::Running(call::begin(engine, context.clone(), call::Params::of(params))),
        methods::LIST_TOOLS => lists::tools(engine, context, params),
        methods::LIST_RESOURCES => lists::resources(engine, context, params),
        methods::LIST_RESOURCE_TEMPLATES => lists::templates(engine, context, params),
        methods::READ_RESOURCE => reading::resource(engine, context, params),
        methods::LIST_PROMPTS => lists::prompts(engine, context, params),
        methods::GET_PROMPT => reading::prompt(engine, context, params),
        methods::COMPLETE => reading::completion(engine, context, params),
        unknown => Begun::Over(not_found(unknown)),
    }
}

/// The same for `tools/call`, where what it names was read already.
pub(super) fn begin_call(
    engine: &Engine,
    context: &RequestContext,
    params: Option<&RawValue>,
    read: call::Params<'_>,
) -> Begun {
    screening::refused(engine, context, methods::CALL_TOOL, params)
        .unwrap_or_else(|| Begun::Running(call::begin(engine, context.clone(), Ok(read))))
}

/// The method of this name, if [`begin`] knows it.
pub(super) fn known(engine: &Engine, method: &str) -> Option<&'static str> {
    const OF_RESOURCES: [&str; 3] =
        [methods::LIST_RESOURCES, methods::LIST_RESOURCE_TEMPLATES, methods::READ_RESOURCE];
    let library = &engine.library;
    let among = |methods: &[&'static str]| methods.iter().copied().find(|known| *known == method);
    among(&[methods::CALL_TOOL, methods::LIST_TOOLS])
        .or_else(|| among(&OF_RESOURCES).filter(|_| library.has_resources()))
        .or_else(|| {
            among(&[methods::LIST_PROMPTS, methods::GET_PROMPT]).filter(|_| !library.prompts.is_empty())
        })
        .or_else(|| among(&[methods::COMPLETE]).filter(|_| library.can_complete()))
}

/// There is no such method.
pub(super) fn not_found(method: &str) -> Answer {
    Answer::error(ErrorCode::METHOD_NOT_FOUND, format!("Method not found: {}", quoted(method)))
}
