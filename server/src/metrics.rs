//! What is counted, and the page that Prometheus reads.
//!
//! Every label has few values: routes, tools and methods are names of ours, as their type says, and statuses and outcomes
//! are enumerations. A caller therefore cannot make a new series.

use std::{fmt, time::Duration};

use http::StatusCode;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::store::Outcome;

/// The media type of [`Metrics::encode`]'s text: `OpenMetrics`, which Prometheus reads.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the buckets of durations, in seconds: from a read in memory to a tool's time limit.
const DURATION_BUCKETS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// The counters of one server. Counting is a hash look-up and an atomic addition; nothing waits for a reader.
pub struct Metrics {
    registry: Registry,
    responses: Family<ResponseLabels, Counter>,
    response_durations: Durations<RouteLabel>,
    tool_calls: Family<ToolCallLabels, Counter>,
    tool_durations: Durations<ToolLabel>,
    sessions: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResponseLabels {
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ToolCallLabels {
    tool: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ToolLabel {
    tool: &'static str,
}

impl Metrics {
    /// Counters that stand at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("payments");
        let responses = Family::default();
        registry.register("http_responses", "HTTP answers, by route and status", responses.clone());
        let response_durations: Durations<RouteLabel> = Family::new_with_constructor(durations);
        registry.register_with_unit(
            "http_response_duration",
            "Time from a request's headers to its answer's, by route",
            Unit::Seconds,
            response_durations.clone(),
        );
        let tool_calls = Family::default();
        registry.register("tool_calls", "Tool calls, by tool and outcome", tool_calls.clone());
        let tool_durations: Durations<ToolLabel> = Family::new_with_constructor(durations);
        registry.register_with_unit(
            "tool_call_duration",
            "Time a tool call took, by tool",
            Unit::Seconds,
            tool_durations.clone(),
        );
        let sessions = Gauge::default();
        registry.register("sessions", "MCP sessions that are open", sessions.clone());
        Self { registry, responses, response_durations, tool_calls, tool_durations, sessions }
    }

    /// Counts one HTTP answer. `route` is the pattern that matched, never the path that was asked for; `elapsed` is
    /// the time until the answer's headers were known.
    pub fn observe_response(&self, status: StatusCode, route: &'static str, elapsed: Duration) {
        self.responses.get_or_create(&ResponseLabels { route, status: status.as_u16() }).inc();
        self.response_durations.get_or_create(&RouteLabel { route }).observe(elapsed.as_secs_f64());
    }

    /// Counts one call of a tool or a method of ours.
    pub fn observe_tool_call(&self, tool: &'static str, outcome: Outcome, elapsed: Duration) {
        self.tool_durations.get_or_create(&ToolLabel { tool }).observe(elapsed.as_secs_f64());
        self.tool_calls.get_or_create(&ToolCallLabels { tool, outcome: outcome.as_str() }).inc();
    }

    /// Notes how many sessions are open.
    pub fn observe_sessions(&self, open: u64) {
        self.sessions.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// Everything, as [`CONTENT_TYPE`].
    #[must_use]
    pub fn encode(&self) -> String {
        let mut page = String::new();
        if text::encode(&mut page, &self.registry).is_err() {
            // Writing into a string does not fail; half a page would be read as counters that went away.
            page.clear();
        }
        page
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn durations() -> Histogram {
    Histogram::new(DURATION_BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_observed_is_on_the_page() {
        let metrics = Metrics::new();
        metrics.observe_response(StatusCode::OK, "/mcp", Duration::from_micros(70));
        metrics.observe_response(StatusCode::OK, "/mcp", Duration::from_millis(2));
        metrics.observe_response(StatusCode::UNAUTHORIZED, "/mcp", Duration::from_micros(9));
        metrics.observe_tool_call("getAccountBalance", Outcome::Ok, Duration::from_micros(30));
        metrics.observe_sessions(3);
        let page = metrics.encode();
        for line in [
            r#"payments_http_responses_total{route="/mcp",status="200"} 2"#,
            r#"payments_http_responses_total{route="/mcp",status="401"} 1"#,
            r#"payments_http_response_duration_seconds_bucket{le="0.0001",route="/mcp"} 2"#,
            r#"payments_http_response_duration_seconds_count{route="/mcp"} 3"#,
            r#"payments_tool_calls_total{tool="getAccountBalance",outcome="ok"} 1"#,
            r#"payments_tool_call_duration_seconds_count{tool="getAccountBalance"} 1"#,
            "payments_sessions 3",
            "# EOF",
        ] {
            assert!(page.lines().any(|written| written == line), "{line} is not in\n{page}");
        }
    }
}
