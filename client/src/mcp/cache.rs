//! Results that a server said may be kept for a while (2026-07-28, utilities, "Caching").
//!
//! A cache belongs to one connection, and so to one credential at one server: what one key was shown is never shown to
//! another, whatever its scope.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use serde_json::value::RawValue;
use shared::mcp::methods;
use tokio::time::Instant;

/// How many results are kept, and how many bytes of them.
const KEPT_MAX: usize = 256;
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// The longest that anything is kept, whatever the server says.
const KEPT_FOR_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Kept results, by method and parameters.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<(&'static str, String), Kept>>);

#[derive(Debug)]
struct Kept {
    until: Instant,
    result: Box<RawValue>,
}

/// What a result says of its own shelf life.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hint {
    #[serde(default)]
    ttl_ms: Option<u64>,
}

impl Cache {
    /// The result of such a request, if it is still fresh.
    pub(super) fn fresh(&self, method: &'static str, params: &str) -> Option<Box<RawValue>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(&(method, params.to_owned()))?;
        (Instant::now() < found.until).then(|| found.result.clone())
    }

    /// Keeps a result for as long as it says.
    pub(super) fn keep(&self, method: &'static str, params: String, result: &RawValue) {
        let hint = serde_json::from_str::<Hint>(result.get()).ok().and_then(|hint| hint.ttl_ms);
        let span = hint.map_or(Duration::ZERO, Duration::from_millis).min(KEPT_FOR_MAX);
        let now = Instant::now();
        let Some(until) = now.checked_add(span).filter(|_| !span.is_zero()) else { return };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |kept: &HashMap<(&str, String), Kept>| {
            let bytes: usize =
                kept.iter().map(|((_, params), one)| params.len() + one.result.get().len()).sum();
            kept.len() >= KEPT_MAX || bytes + params.len() + result.get().len() > BYTES_MAX
        };
        if is_full(&kept) {
            kept.retain(|_, one| now < one.until);
        }
        if !is_full(&kept) {
            kept.insert((method, params), Kept { until, result: result.to_owned() });
        }
    }

    /// Drops what a notification says has changed.
    pub(super) fn heed(&self, notification: &str) {
        let stale: &[&str] = match notification {
            methods::TOOLS_LIST_CHANGED => &[methods::LIST_TOOLS],
            methods::PROMPTS_LIST_CHANGED => &[methods::LIST_PROMPTS],
            methods::RESOURCES_LIST_CHANGED => &[methods::LIST_RESOURCES, methods::LIST_RESOURCE_TEMPLATES],
            methods::RESOURCE_UPDATED => &[methods::READ_RESOURCE],
            _ => return,
        };
        self.forget(stale);
    }

    /// Drops what was kept of these methods.
    pub(super) fn forget(&self, stale: &[&str]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(method, _), _| !stale.contains(method));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;

    fn result(ttl_ms: Option<u64>) -> Box<RawValue> {
        to_raw_value(&serde_json::json!({ "tools": [], "ttlMs": ttl_ms })).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_is_kept_for_as_long_as_it_says() {
        let cache = Cache::default();
        cache.keep(methods::LIST_TOOLS, String::new(), &result(Some(1_000)));
        cache.keep(methods::LIST_PROMPTS, String::new(), &result(Some(0)));
        cache.keep(methods::LIST_RESOURCES, String::new(), &result(None));
        assert!(cache.fresh(methods::LIST_TOOLS, "").is_some());
        assert!(cache.fresh(methods::LIST_TOOLS, "another page").is_none());
        assert!(cache.fresh(methods::LIST_PROMPTS, "").is_none());
        assert!(cache.fresh(methods::LIST_RESOURCES, "").is_none());
        tokio::time::advance(Duration::from_millis(1_001)).await;
        assert!(cache.fresh(methods::LIST_TOOLS, "").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_changed_is_not_fresh_any_more() {
        let cache = Cache::default();
        cache.keep(methods::LIST_TOOLS, String::new(), &result(Some(1_000)));
        cache.keep(methods::READ_RESOURCE, "a".to_owned(), &result(Some(1_000)));
        cache.heed(methods::TOOLS_LIST_CHANGED);
        assert!(cache.fresh(methods::LIST_TOOLS, "").is_none());
        assert!(cache.fresh(methods::READ_RESOURCE, "a").is_some());
        cache.heed(methods::RESOURCE_UPDATED);
        assert!(cache.fresh(methods::READ_RESOURCE, "a").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn it_does_not_grow_without_end() {
        let cache = Cache::default();
        for number in 0..1_000 {
            cache.keep(methods::READ_RESOURCE, number.to_string(), &result(Some(1_000)));
        }
        assert_eq!(cache.0.lock().unwrap().len(), KEPT_MAX);
        cache.forget(&[methods::READ_RESOURCE]);
        let large =
            to_raw_value(&serde_json::json!({ "text": "x".repeat(BYTES_MAX / 3), "ttlMs": 1_000 })).unwrap();
        for number in 0..5 {
            cache.keep(methods::READ_RESOURCE, number.to_string(), &large);
        }
        assert_eq!(cache.0.lock().unwrap().len(), 2);
        tokio::time::advance(Duration::from_millis(1_001)).await;
        cache.keep(methods::READ_RESOURCE, "5".to_owned(), &large);
        assert_eq!(cache.0.lock().unwrap().len(), 1, "what is not fresh makes room");
    }
}
