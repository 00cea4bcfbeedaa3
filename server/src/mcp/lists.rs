//! Lists, page by page: which tools there are for this principal.

use serde_json::value::RawValue;
use shared::{jsonrpc::ErrorCode, mcp::utilities::PaginatedRequestParams};

use super::{
    Engine,
    context::RequestContext,
    dispatch::Answer,
    reply::{self, Lifetime},
};

/// Answers `tools/list`. All tools are on one page, so no cursor was ever given out.
pub(super) fn tools(engine: &Engine, context: &RequestContext, params: Option<&RawValue>) -> Answer {
    let params = serde_json::from_str(params.map_or("{}", RawValue::get));
    match params {
        Ok(PaginatedRequestParams { cursor: None, .. }) => {
            let page = engine.toolbox.page(context.principal(), context.protocol_version());
            reply::result(context, Lifetime::LIST, page)
        }
        Ok(PaginatedRequestParams { cursor: Some(_), .. }) => {
            let text = "Invalid cursor: all tools are on the first page; leave `cursor` out";
            Answer::error(ErrorCode::INVALID_PARAMS, text)
        }
        Err(error) => {
            let text = format!("The parameters of tools/list cannot be read: {error}");
            Answer::error(ErrorCode::INVALID_PARAMS, text)
        }
    }
}
