//! Rule 14: a call that panics and one that takes too long are on record like any other.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use server::{
    identity::Permission,
    mcp::{Definition, RequestContext, Tool, ToolError},
};
use shared::mcp::tools::ToolAnnotations;

use crate::support::{
    client::{BOB, Client},
    modern::Caller,
    stage::spawn_stage_with,
};

/// Panics.
struct Broken;

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

#[derive(Serialize, JsonSchema)]
struct Never {
    never: bool,
}

impl Tool for Broken {
    type Arguments = Nothing;
    type Output = Never;
    const DEFINITION: Definition = Definition {
        name: "broken",
        title: None,
        description: "Panics",
        permission: Permission::BalanceRead,
        annotations: ToolAnnotations {
            title: None,
            read_only_hint: None,
            destructive_hint: None,
            idempotent_hint: None,
            open_world_hint: None,
        },
    };

    async fn call(&self, _context: RequestContext, _nothing: Nothing) -> Result<Never, ToolError> {
        panic!("a secret cause")
    }
}

#[tokio::test]
async fn rule_14_a_call_that_panics_or_takes_too_long_is_on_record_in_both_eras() {
    let stage =
        spawn_stage_with(|builder| builder.tool(Broken).tool_timeout(Duration::from_millis(50))).await;
    let address = stage.app.address;
    let (bob, stateless) = (Client::open(address, BOB).await, Caller::new(address, BOB));
    for (tool, says) in [("patient", "timed out"), ("broken", "request id")] {
        let params = json!({ "name": tool, "arguments": {} });
        for answer in
            [bob.call(tool, json!({})).send(address).await, stateless.answer("tools/call", params).await]
        {
            assert!(answer.body.contains(says), "{tool}: {answer:?}");
            assert!(!answer.body.contains("secret cause"), "{tool}: {answer:?}");
        }
    }
    assert_eq!(bob.ping().await.status, 200, "the server goes on");
    stage.app.store.flush_audit().await.unwrap();
    let records = stage.app.store.latest_audit(10).await.unwrap();
    let told: Vec<_> = records.iter().map(|one| (&*one.tool, one.outcome.as_str())).collect();
    let (broken, patient) = (("broken", "failed"), ("patient", "timed_out"));
    assert_eq!(told, [broken, broken, patient, patient]);
    let verdict = server::audit::chain::verify(stage.app.store.as_ref(), None).await.unwrap();
    assert!(matches!(verdict, server::audit::chain::Verdict::Whole { chained: 4, .. }), "{verdict:?}");
}
