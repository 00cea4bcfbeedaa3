//! `resources/read`, `prompts/get` and `completion/complete`: found, allowed, read, recorded.

use std::sync::Arc;

use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use shared::{
    jsonrpc::{ErrorCode, ErrorObject},
    mcp::{
        methods,
        prompts::{CompleteRequestParams, CompleteResult, Completion, CompletionReference, GetPromptResult},
        resources::ReadResourceResult,
    },
};

use super::{
    Engine,
    context::RequestContext,
    dispatch::{Answer, Begun},
    field::quoted,
    library::Working,
    prompt::{PromptArguments, PromptDefinition},
    reply::{self, Lifetime},
    resource::Typing,
    sole::Sole,
    tool::ToolError,
    work::{Attempt, End, Job},
};
use crate::{
    audit::{Call, CallBegun},
    store::Outcome,
};

/// How many values a completion may have (utilities, "Completion").
const VALUES_MAX: usize = 100;

/// Begins to answer `resources/read`.
pub(super) fn resource(engine: &Engine, context: &RequestContext, params: Option<&RawValue>) -> Begun {
    #[derive(Deserialize)]
    struct Params {
        uri: String,
    }
    let read = serde_json::from_str::<Params>(params.map_or("{}", RawValue::get));
    let Ok(Params { uri }) = read else {
        return unread(engine, context, methods::READ_RESOURCE, "resources/read needs a `uri`");
    };
    let begun = CallBegun::named(methods::READ_RESOURCE, &uri, "");
    let principal = context.principal();
    let (needed, attempt) = if let Some(found) = engine.library.resource(principal, &uri) {
        let resource = Arc::clone(&found.resource);
        let begin = || {
            let reading = resource.read(context.clone());
            Ok(async move { Ok(dressed(&uri, Some(reading.await?))) }.boxed())
        };
        (Some(found.definition.permission), Attempt::begin(context, begin))
    } else if let Some((found, variables)) = engine.library.family(principal, &uri) {
        let family = Arc::clone(&found.family);
        let begin = || {
            let reading = family.read(context.clone(), variables);
            Ok(async move { Ok(dressed(&uri, reading.await?)) }.boxed())
        };
        (Some(found.definition.permission), Attempt::begin(context, begin))
    } else {
        (None, Attempt::Over(Outcome::UnknownTool, End::Output(Err(uri))))
    };
    Begun::Running(
        Job { call: Call { begun, needed }, attempt, answer: read_answer }.run(engine, context.clone()),
    )
}

/// A call by this method whose parameters are none.
fn unread(engine: &Engine, context: &RequestContext, method: &'static str, text: &str) -> Begun {
    let over = Attempt::<()>::Over(Outcome::InvalidArguments, End::error(ErrorCode::INVALID_PARAMS, text));
    let call = Call { begun: CallBegun::of(method, ""), needed: None };
    let answer = |_context: &RequestContext, end| without_result(end);
    Begun::Running(Job { call, attempt: over, answer }.run(engine, context.clone()))
}

/// What was read of a URI, or that there is nothing there.
type Read = Result<ReadResourceResult, String>;

fn dressed(uri: &str, parts: Option<super::resource::Parts>) -> Read {
    let parts = parts.ok_or_else(|| uri.to_owned())?;
    Ok(ReadResourceResult { contents: parts.into_iter().map(|part| part.of(uri)).collect(), meta: None })
}

fn read_answer(context: &RequestContext, end: End<Read>) -> Answer {
    match end {
        End::Output(Ok(result)) => reply::result(context, Lifetime::READ, result),
        End::Output(Err(uri)) => Answer::Error(nothing_there(context, &uri)),
        other => without_result(other),
    }
}

/// One error for what is not there and for what is not this principal's (resources, "Error Handling").
pub(super) fn nothing_there(context: &RequestContext, uri: &str) -> ErrorObject {
    let code = if context.protocol_version().has_sessions() {
        ErrorCode::RESOURCE_NOT_FOUND
    } else {
        ErrorCode::INVALID_PARAMS
    };
    let mut error = ErrorObject::new(code, "Resource not found");
    error.data = Some(json!({ "uri": uri }));
    error
}

/// The answer to work that has no result. What a tool would tell the model is a protocol error here.
fn without_result<T>(end: End<T>) -> Answer {
    match end {
        End::Refused(text) => Answer::error(ErrorCode::INVALID_PARAMS, text),
        End::Unavailable(text) => Answer::error(ErrorCode::INTERNAL_ERROR, text),
        End::Error(error) => Answer::Error(error),
        End::InputRequired(questions) => Answer::InputRequired(questions),
        End::Cancelled => Answer::Cancelled,
        End::Output(_) => Answer::error(ErrorCode::INTERNAL_ERROR, "The server failed to write its answer"),
    }
}

/// Begins to answer `prompts/get`.
pub(super) fn prompt(engine: &Engine, context: &RequestContext, params: Option<&RawValue>) -> Begun {
    #[derive(Deserialize)]
    struct Params {
        name: String,
        #[serde(default)]
        arguments: Option<Sole<PromptArguments>>,
    }
    let params = match serde_json::from_str::<Params>(params.map_or("{}", RawValue::get)) {
        Ok(params) => params,
        Err(_) => {
            let text =
                "prompts/get needs the `name` of a prompt, and in `arguments` texts by name, each once";
            return unread(engine, context, methods::GET_PROMPT, text);
        }
    };
    let arguments = params.arguments.map(|Sole(arguments)| arguments).unwrap_or_default();
    let begun = CallBegun::named(methods::GET_PROMPT, &params.name, &json!(arguments).to_string());
    let (needed, attempt) = match engine.library.prompt(context.principal(), &params.name) {
        None => {
            let text = format!("Unknown prompt: {}", quoted(&params.name).trim_matches('`'));
            (None, Attempt::Over(Outcome::UnknownTool, End::error(ErrorCode::INVALID_PARAMS, text)))
        }
        Some(found) => {
            let prompt = Arc::clone(&found.prompt);
            let begin = || {
                check(&found.definition, &arguments)?;
                Ok(prompt.messages(context.clone(), arguments))
            };
            (Some(found.definition.permission), Attempt::begin(context, begin))
        }
    };
    let answer = |context: &RequestContext, end: End<GetPromptResult>| match end {
        End::Output(result) => reply::result(context, Lifetime::NONE, result),
        other => without_result(other),
    };
    Begun::Running(Job { call: Call { begun, needed }, attempt, answer }.run(engine, context.clone()))
}

/// Whether what is filled in is what the prompt names.
fn check(definition: &PromptDefinition, arguments: &PromptArguments) -> Result<(), String> {
    let known = |name: &str| definition.arguments.iter().any(|argument| argument.name == name);
    let names: Vec<_> = definition.arguments.iter().map(|argument| argument.name).collect();
    if let Some(unknown) = arguments.keys().find(|name| !known(name)) {
        let unknown = quoted(unknown);
        return Err(format!("unknown argument {unknown}; {} takes: {}", definition.name, names.join(", ")));
    }
    let missing = definition.arguments.iter().find(|argument| {
        argument.required && arguments.get(argument.name).is_none_or(|value| value.trim().is_empty())
    });
    missing.map_or(Ok(()), |argument| {
        Err(format!("`{}` must be filled in: {}", argument.name, argument.description))
    })
}

/// Begins to answer `completion/complete`.
pub(super) fn completion(engine: &Engine, context: &RequestContext, params: Option<&RawValue>) -> Begun {
    let over = |text: &'static str| {
        Begun::counted(engine, context, async move { Answer::error(ErrorCode::INVALID_PARAMS, text) })
    };
    let read = serde_json::from_str::<CompleteRequestParams>(params.map_or("{}", RawValue::get));
    let Ok(params) = read else {
        return over("completion/complete needs `ref` and `argument`");
    };
    let typing = Typing {
        argument: params.argument.name,
        typed: params.argument.value,
        filled: params.context.and_then(|context| context.arguments).unwrap_or_default(),
    };
    let principal = context.principal();
    let values: Working<Vec<String>> = match params.reference {
        CompletionReference::Prompt { name, .. } => {
            let found = engine.library.prompt(principal, &name);
            let Some(found) = found else { return over("`ref` names no prompt") };
            if !found.definition.arguments.iter().any(|argument| argument.name == typing.argument) {
                return over("the prompt takes no argument of that name");
            }
            Arc::clone(&found.prompt).complete(principal.clone(), typing)
        }
        CompletionReference::Resource { uri } => {
            let may = |permission| principal.authorize(permission).is_ok();
            let mut templates = engine.library.templates.iter();
            let found = templates.find(|one| one.definition.uri == uri && may(one.definition.permission));
            let Some(found) = found else { return over("`ref` names no resource template") };
            if !found.template.variables().any(|name| name == typing.argument) {
                return over("the template has no variable of that name");
            }
            Arc::clone(&found.family).complete(principal.clone(), typing)
        }
    };
    let asked = context.clone();
    Begun::counted(engine, context, async move { completed(&asked, values.await) })
}

fn completed(context: &RequestContext, values: Result<Vec<String>, ToolError>) -> Answer {
    match values {
        Ok(mut values) => {
            let total = u64::try_from(values.len()).ok();
            let has_more = values.len() > VALUES_MAX;
            values.truncate(VALUES_MAX);
            let completion = Completion { values, total, has_more: Some(has_more) };
            reply::result(context, Lifetime::NONE, CompleteResult { completion, meta: None })
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(request.id = context.request_id(), error, "nothing could be proposed");
            Answer::error(
                ErrorCode::INTERNAL_ERROR,
                "Nothing can be proposed at the moment; try again shortly",
            )
        }
    }
}
