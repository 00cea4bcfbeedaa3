//! `server/discover`: what the server is and offers (2026-07-28, server, "Discovery").

use shared::mcp::{ProtocolVersion, modern::DiscoverResult};

use super::spoken_here;
use crate::mcp::{
    Engine,
    context::RequestContext,
    dispatch::Answer,
    reply::{self, Lifetime},
};

/// Answers `server/discover`.
pub(super) fn answer(engine: &Engine, context: &RequestContext) -> Answer {
    let result = DiscoverResult {
        supported_versions: spoken_here(),
        capabilities: engine.capabilities(ProtocolVersion::LATEST),
        instructions: engine.identity.instructions.clone(),
        meta: None,
    };
    reply::result(context, Lifetime::LIST, result)
}
