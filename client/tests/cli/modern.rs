//! What the server of these tests answers in the era without sessions: it asks before it pays, and offers resources and
//! prompts.

use serde_json::{Value, json};

/// The result of a request, or a JSON-RPC error.
pub(crate) fn answer(method: &str, params: &Value) -> Result<Value, Value> {
    let mut result = match method {
        "server/discover" => json!({
            "supportedVersions": ["2026-07-28"],
            "capabilities": { "tools": {}, "resources": {}, "prompts": {} },
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "modern-server", "version": "2.0" } },
        }),
        "tools/list" => json!({ "tools": [
            { "name": "pay", "description": "Pays", "inputSchema": { "type": "object" } },
            { "name": "confirmPayment", "description": "Asks and pays", "inputSchema": { "type": "object" } },
            { "name": "insist", "description": "Asks three times", "inputSchema": { "type": "object" } },
        ] }),
        "tools/call" if params["name"] == "confirmPayment" => confirmed(params),
        "tools/call" if params["name"] == "insist" => insisted(params),
        "tools/call" => called(params),
        "resources/list" => json!({ "resources": [{
            "uri": "notes://today", "name": "today", "title": "Notes of today", "mimeType": "text/plain",
            "size": 12, "description": "What was written today",
        }] }),
        "resources/templates/list" => json!({ "resourceTemplates": [{
            "uriTemplate": "notes://{day}", "name": "notes", "description": "What was written on a day",
        }] }),
        "resources/read" if params["uri"] == "notes://today" => json!({ "contents": [
            { "uri": "notes://today", "mimeType": "text/plain", "text": "Buy \u{1b}[31mmilk" },
            { "uri": "notes://today", "mimeType": "image/png", "blob": "AAAA" },
        ] }),
        "resources/read" if params["uri"] == "notes://torn" => {
            return Err(json!({ "code": -32603, "message": "the page is torn" }));
        }
        "resources/read" => return Err(json!({ "code": -32602, "message": "there is no such resource" })),
        "prompts/list" => json!({ "prompts": [{
            "name": "explain", "title": "Explain my spending", "description": "Says where the money went",
            "arguments": [{ "name": "month", "description": "As in 2024-03", "required": true }, { "name": "style" }],
        }] }),
        "prompts/get" if params["name"] != "explain" => {
            return Err(json!({ "code": -32602, "message": "there is no such prompt" }));
        }
        "prompts/get" => json!({ "messages": [{ "role": "user", "content": {
            "type": "text", "text": format!("Explain {}.", params["arguments"]["month"].as_str().unwrap_or("?")),
        } }] }),
        _ => return Err(json!({ "code": -32601, "message": "unknown method" })),
    };
    if result.get("resultType").is_none() {
        result["resultType"] = json!("complete");
    }
    Ok(result)
}

/// Asks yes or no, and tells how the payment stands after that; where nobody can be asked it waits.
fn confirmed(params: &Value) -> Value {
    let answer = &params["inputResponses"]["confirmation"];
    let can_ask = &params["_meta"]["io.modelcontextprotocol/clientCapabilities"]["elicitation"];
    if answer.is_null() && !can_ask.is_null() {
        let nothing = json!({ "type": "object", "properties": {} });
        let message = "Pay 25.00 USD to alice?\u{1b}[2J\nAfter this 750.00 USD can still be spent.";
        let question = json!({ "method": "elicitation/create", "params": {
            "mode": "form", "message": message, "requestedSchema": nothing,
        } });
        return json!({ "resultType": "input_required", "requestState": "s", "inputRequests": { "confirmation": question } });
    }
    let status = match answer["action"].as_str() {
        Some("accept") => "succeeded",
        Some(_) => "declined",
        None => "requires_action",
    };
    json!({ "content": [], "structuredContent": { "paymentId": "pay_1", "status": status, "heard": answer["action"] } })
}

/// Asks three times whatever is answered, and says what that was.
fn insisted(params: &Value) -> Value {
    let before = params["requestState"].as_str().unwrap_or("heard:");
    let answer = params["inputResponses"]["again"]["action"].as_str();
    let heard = answer.map_or_else(|| before.to_owned(), |action| format!("{before} {action}"));
    if heard.split(' ').count() > 3 {
        return json!({ "content": [{ "type": "text", "text": heard }] });
    }
    let question = json!({ "method": "elicitation/create", "params": {
        "mode": "form", "message": "Are you sure?", "requestedSchema": { "type": "object", "properties": {} },
    } });
    json!({ "resultType": "input_required", "requestState": heard, "inputRequests": { "again": question } })
}

/// Pays what the person agrees to, and says what that was.
fn called(params: &Value) -> Value {
    let answers = &params["inputResponses"]["form"];
    if answers.is_null() {
        let form = json!({
            "type": "object",
            "required": ["agree", "colour"],
            "properties": {
                "agree": { "type": "boolean", "title": "Do you agree?" },
                "colour": { "type": "string", "oneOf": [
                    { "const": "r", "title": "Red" }, { "const": "g", "title": "Green" },
                ] },
                "tip": { "type": "integer", "minimum": 0, "maximum": 10, "default": 2 },
            },
        });
        let message = "Pay 25.00 USD to alice?\u{1b}[2J";
        return json!({ "resultType": "input_required", "requestState": "s", "inputRequests": { "form": {
            "method": "elicitation/create",
            "params": { "mode": "form", "message": message, "requestedSchema": form },
        } } });
    }
    json!({ "content": [{ "type": "text", "text": format!("heard: {answers}") }] })
}
