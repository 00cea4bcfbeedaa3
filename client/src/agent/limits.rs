//! How much one question may take.

use std::time::Duration;

use shared::demo;

use crate::mcp::RetryPolicy;

/// How much one question may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentLimits {
    /// How many replies with tools the model may give. With 0 it never sees a tool.
    pub max_steps: u32,
    /// How often and how patiently one reply is asked for. An endpoint that asks for a longer wait than
    /// [`RetryPolicy::max_wait`] is not waited for.
    pub retry: RetryPolicy,
    /// How many read-only calls of one turn run at once. 0 counts as 1.
    pub parallel_reads: usize,
    /// How many calls of one turn are carried out; the model is told that the others were not.
    pub calls_per_turn: usize,
}

impl Default for AgentLimits {
    /// 20 steps; 4 attempts, from 500 ms doubling to at most 60 s; 4 reads at once; 32 calls a turn.
    fn default() -> Self {
        Self {
            max_steps: demo::MAX_STEPS,
            retry: RetryPolicy {
                attempts: 4,
                base: Duration::from_millis(500),
                max_wait: Duration::from_secs(60),
            },
            parallel_reads: 4,
            calls_per_turn: 32,
        }
    }
}
