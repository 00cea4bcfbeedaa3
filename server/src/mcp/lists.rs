//! Lists, page by page: what there is for this principal, always in the same order.
//!
//! A cursor is where the next page starts, sealed for whoever got it and for the list it came from (utilities,
//! "Pagination").

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use shared::{
    jsonrpc::{ErrorCode, ErrorObject},
    mcp::{
        ProtocolVersion, methods,
        prompts::ListPromptsResult,
        resources::{ListResourceTemplatesResult, ListResourcesResult, Resource},
        utilities::PaginatedRequestParams,
    },
};

use super::{
    Engine,
    context::RequestContext,
    dispatch::{Answer, Begun},
    reply::{self, Lifetime},
    sealing::{Purpose, Sealing},
};

/// One page of a list.
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// Where in which list, and how far a page goes.
struct Pager {
    sealing: Sealing,
    bound_to: Vec<u8>,
    from: usize,
    size: usize,
}

impl Pager {
    fn new(
        engine: &Engine,
        context: &RequestContext,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<Self, ErrorObject> {
        let read = serde_json::from_str::<PaginatedRequestParams>(params.map_or("{}", RawValue::get));
        let params = read.map_err(|error| {
            let text = format!("The parameters of {method} cannot be read: {error}");
            ErrorObject::new(ErrorCode::INVALID_PARAMS, text)
        })?;
        let principal = context.principal();
        let permissions = principal.permissions().bits();
        let bound_to = format!("{method}\n{}\n{}\n{permissions}", principal.user().0, principal.key().0);
        let sealing = engine.rounds().sealing.clone();
        let from = match &params.cursor {
            None => 0,
            Some(cursor) => opened(&sealing, bound_to.as_bytes(), cursor).ok_or_else(|| {
                engine.note_denied(principal, context.from(), context.request_id(), "cursor");
                let text = format!(
                    "Invalid cursor: it was not given out by {method} for this key; leave `cursor` out to begin anew"
                );
                ErrorObject::new(ErrorCode::INVALID_PARAMS, text)
            })?,
        };
        Ok(Self { sealing, bound_to: bound_to.into_bytes(), from, size: engine.page_size })
    }

    /// The page of a list that is known whole.
    fn page<T>(&self, items: impl IntoIterator<Item = T>) -> Result<Page<T>, ErrorObject> {
        let mut rest = items.into_iter().skip(self.from).peekable();
        let items: Vec<_> = rest.by_ref().take(self.size).collect();
        let next_cursor = match rest.peek() {
            None => None,
            Some(_) => Some(self.cursor(self.from.saturating_add(items.len()))?),
        };
        Ok(Page { items, next_cursor })
    }

    fn cursor(&self, next: usize) -> Result<String, ErrorObject> {
        let place = u64::try_from(next).unwrap_or(u64::MAX).to_be_bytes();
        self.sealing.seal(Purpose::Cursor, &self.bound_to, &place).map_err(|_| {
            ErrorObject::new(ErrorCode::INTERNAL_ERROR, "The server cannot make a cursor at the moment")
        })
    }
}

pub(super) fn opened(sealing: &Sealing, bound_to: &[u8], cursor: &str) -> Option<usize> {
    let place = sealing.open(Purpose::Cursor, bound_to, cursor)?.payload;
    usize::try_from(u64::from_be_bytes(place.try_into().ok()?)).ok()
}

fn over(answer: Result<Answer, ErrorObject>) -> Begun {
    Begun::Over(answer.unwrap_or_else(Answer::Error))
}

/// Begins to answer `tools/list`.
pub(super) fn tools(engine: &Engine, context: &RequestContext, params: Option<&RawValue>) -> Begun {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Tools<'a> {
        tools: Vec<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_cursor: Option<String>,
    }
    let listed = || {
        let pager = Pager::new(engine, context, methods::LIST_TOOLS, params)?;
        let page = pager.page(engine.toolbox.described(context.principal(), context.protocol_version()))?;
        let result = Tools { tools: page.items, next_cursor: page.next_cursor };
        Ok(reply::result(context, Lifetime::LIST, result))
    };
    over(listed())
}

/// Begins to answer `prompts/list`.
pub(super) fn prompts(engine: &Engine, context: &RequestContext, params: Option<&RawValue>) -> Begun {
    let listed = || {
        let pager = Pager::new(engine, context, methods::LIST_PROMPTS, params)?;
        let allowed = engine
            .library
            .prompts
            .iter()
            .filter(|one| context.principal().authorize(one.definition.permission).is_ok());
        let page = pager.page(allowed.map(|one| {
            let mut prompt = one.listed();
            if !has_titles(context) {
                prompt.title = None;
                for argument in prompt.arguments.iter_mut().flatten() {
                    argument.title = None;
                }
            }
            prompt
        }))?;
        let result = ListPromptsResult { prompts: page.items, next_cursor: page.next_cursor, meta: None };
        Ok(reply::result(context, Lifetime::LIST, result))
    };
    over(listed())
}

/// Begins to answer `resources/templates/list`.
pub(super) fn templates(engine: &Engine, context: &RequestContext, params: Option<&RawValue>) -> Begun {
    let listed = || {
        let pager = Pager::new(engine, context, methods::LIST_RESOURCE_TEMPLATES, params)?;
        let allowed = engine
            .library
            .templates
            .iter()
            .filter(|one| context.principal().authorize(one.definition.permission).is_ok());
        let page = pager.page(allowed.map(|one| {
            let mut template = one.listed();
            template.title = template.title.filter(|_| has_titles(context));
            template
        }))?;
        let result = ListResourceTemplatesResult {
            resource_templates: page.items,
            next_cursor: page.next_cursor,
            meta: None,
        };
        Ok(reply::result(context, Lifetime::LIST, result))
    };
    over(listed())
}

/// Begins to answer `resources/list`: the resources by themselves, then the members of families.
pub(super) fn resources(engine: &Engine, context: &RequestContext, params: Option<&RawValue>) -> Begun {
    let pager = match Pager::new(engine, context, methods::LIST_RESOURCES, params) {
        Ok(pager) => pager,
        Err(error) => return Begun::counted(engine, context, async move { Answer::Error(error) }),
    };
    let principal = context.principal();
    let may = |permission| principal.authorize(permission).is_ok();
    let alone: Vec<_> = engine
        .library
        .resources
        .iter()
        .filter(|one| may(one.definition.permission))
        .map(super::library::ShelvedResource::listed)
        .collect();
    let families: Vec<_> = engine
        .library
        .templates
        .iter()
        .filter(|one| may(one.definition.permission))
        .map(|one| Arc::clone(&one.family).members(principal.clone()))
        .collect();
    let asked = context.clone();
    let work = async move {
        let mut all: Vec<Resource> = alone;
        for members in families {
            match members.await {
                Ok(members) => all.extend(members),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(request.id = asked.request_id(), error, "resources cannot be listed");
                    let text = "unavailable: the list cannot be read at the moment; try again shortly";
                    return Answer::error(ErrorCode::INTERNAL_ERROR, text);
                }
            }
        }
        if !has_titles(&asked) {
            all.iter_mut().for_each(|one| one.title = None);
        }
        let page = match pager.page(all) {
            Ok(page) => page,
            Err(error) => return Answer::Error(error),
        };
        let result = ListResourcesResult { resources: page.items, next_cursor: page.next_cursor, meta: None };
        reply::result(&asked, Lifetime::LIST, result)
    };
    Begun::counted(engine, context, work)
}

/// Whether the revision knows names for people beside names for programs.
fn has_titles(context: &RequestContext) -> bool {
    context.protocol_version() >= ProtocolVersion::V2025_06_18
}
