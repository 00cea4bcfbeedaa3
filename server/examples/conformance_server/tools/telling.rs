//! Tools that tell something before they answer.

use serde_json::json;
use server::mcp::{Content, Definition, EngineBuilder, RequestContext, Tool, ToolError};
use shared::mcp::modern::LoggingLevel;
use tokio::time::sleep;

use super::{Blocks, Nothing, PAUSE, definition, tool};

pub(super) fn register(builder: EngineBuilder) -> EngineBuilder {
    builder.tool(WithLogging).tool(Logging).tool(WithProgress).tool(Reconnection)
}

tool!(
    WithLogging,
    "test_tool_with_logging",
    "Logs three messages to the client",
    Nothing,
    async |context: RequestContext, _| {
        let log = |text: &str| context.log(LoggingLevel::Info, None, json!(text));
        log("Tool execution started");
        sleep(PAUSE).await;
        log("Tool processing data");
        sleep(PAUSE).await;
        log("Tool execution completed");
        Ok(Blocks::text("Tool with logging executed successfully"))
    }
);

tool!(
    Logging,
    "test_logging_tool",
    "Logs one message to the client",
    Nothing,
    async |context: RequestContext, _| {
        context.log(LoggingLevel::Info, Some("test"), json!("Something happened"));
        Ok(Blocks::text("Logged"))
    }
);

tool!(
    WithProgress,
    "test_tool_with_progress",
    "Reports its progress three times",
    Nothing,
    async |context: RequestContext, _| {
        for done in [0u32, 50, 100] {
            context.progress(done, Some(100.into()), None);
            sleep(PAUSE).await;
        }
        Ok(Blocks::text("Tool with progress executed successfully"))
    }
);

tool!(
    Reconnection,
    "test_reconnection",
    "Lets the connection go in the middle, so that the client has to come back for the answer",
    Nothing,
    async |context: RequestContext, _| {
        context.let_go(PAUSE * 10);
        sleep(PAUSE * 2).await;
        Ok(Blocks::text("The answer for whoever came back"))
    }
);
