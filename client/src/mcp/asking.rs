//! What a server asks the person at this client (specification, "Elicitation"), in both eras the same.

use std::{
    fmt,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use shared::mcp::{
    JsonObject,
    elicitation::{ElicitAction, ElicitRequestParams, ElicitResult},
    lifecycle::ClientCapabilities,
};
use tokio::{
    sync::{Notify, futures::Notified},
    time::{Instant, sleep_until},
};

/// Somebody who can be asked.
#[async_trait]
pub trait Answerer: Send + Sync + fmt::Debug {
    /// Whether pages can be opened as well as forms filled in.
    fn opens_pages(&self) -> bool {
        false
    }

    /// Asks, and waits for as long as it takes. Whoever does not want to answer declines; whoever goes away cancels.
    /// Dropping the future takes the question back.
    async fn elicit(&self, question: &ElicitRequestParams) -> ElicitResult;
}

/// What a client announces that has this answerer, or nobody to ask.
pub(super) fn capabilities(answerer: Option<&Arc<dyn Answerer>>) -> ClientCapabilities {
    let elicitation = answerer.map(|answerer| {
        let mut modes = Map::from_iter([("form".to_owned(), json!({}))]);
        if answerer.opens_pages() {
            modes.insert("url".to_owned(), json!({}));
        }
        modes
    });
    ClientCapabilities { elicitation, ..ClientCapabilities::default() }
}

/// Whom to ask; `None` where it was not announced that such a question can be asked.
pub(super) fn whom<'a>(
    answerer: Option<&'a Arc<dyn Answerer>>,
    question: &ElicitRequestParams,
) -> Option<&'a Arc<dyn Answerer>> {
    answerer.filter(|answerer| match question {
        ElicitRequestParams::Form(_) => true,
        ElicitRequestParams::Url(_) => answerer.opens_pages(),
    })
}

/// No.
#[must_use]
pub fn declined() -> ElicitResult {
    ElicitResult { action: ElicitAction::Decline, content: None }
}

/// What is filled in where a form names a default and nothing else was said.
#[must_use]
pub fn defaults(question: &ElicitRequestParams) -> std::collections::BTreeMap<String, Value> {
    let ElicitRequestParams::Form(form) = question else { return Default::default() };
    let fields = form.requested_schema.properties.iter();
    fields.filter_map(|(name, field)| Some((name.clone(), field.default.clone()?))).collect()
}

/// As the members of an object.
pub(super) fn object(value: &impl serde::Serialize) -> JsonObject {
    match serde_json::to_value(value) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => JsonObject::new(),
    }
}

/// For how long people were asked while calls waited: time that does not count against their limits. While several are
/// asked at once it is counted once.
#[derive(Debug, Default)]
pub(super) struct AskedFor {
    asked: Mutex<Asked>,
    over: Notify,
}

#[derive(Debug, Default)]
struct Asked {
    ended: Duration,
    since: Option<Instant>,
    being_asked: usize,
}

impl AskedFor {
    /// Somebody is being asked while this lives.
    pub(super) fn begin(&self) -> Asking<'_> {
        let mut asked = self.asked();
        asked.being_asked = asked.being_asked.saturating_add(1);
        asked.since.get_or_insert_with(Instant::now);
        Asking(self)
    }

    /// Whether somebody is being asked.
    pub(super) fn is_going_on(&self) -> bool {
        self.asked().being_asked > 0
    }

    /// Returns the next time that nobody is being asked any more, counted from the call, not from the first poll.
    pub(super) fn over(&self) -> Notified<'_> {
        self.over.notified()
    }

    /// How long it was, so far.
    pub(super) fn total(&self) -> Duration {
        let asked = self.asked();
        asked.ended.saturating_add(asked.since.map_or(Duration::ZERO, |since| since.elapsed()))
    }

    /// What comes of `work`; `None` when it takes longer than `limit` and all that people are asked for meanwhile.
    pub(super) async fn timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let (end, before) = (Instant::now().checked_add(limit), self.total());
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.passed(end, before) => None,
        }
    }

    /// Returns when `end` has passed, with all that people were asked for since they had been for `before` added to it;
    /// never where there is no end.
    pub(super) async fn passed(&self, end: Option<Instant>, before: Duration) {
        loop {
            let total = self.total();
            let asked_since = total.saturating_sub(before);
            let Some(end) = end.and_then(|end| end.checked_add(asked_since)) else { return pending().await };
            sleep_until(end).await;
            if self.total() == total {
                return;
            }
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody is being asked.
pub(super) struct Asking<'a>(&'a AskedFor);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut asked = self.0.asked();
        asked.being_asked = asked.being_asked.saturating_sub(1);
        if asked.being_asked == 0
            && let Some(since) = asked.since.take()
        {
            asked.ended = asked.ended.saturating_add(since.elapsed());
            self.0.over.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_is_counted_once_however_many_are_asked() {
        let asked_for = AskedFor::default();
        let first = asked_for.begin();
        advance(Duration::from_secs(2)).await;
        let second = asked_for.begin();
        advance(Duration::from_secs(3)).await;
        drop(first);
        advance(Duration::from_secs(4)).await;
        assert_eq!(asked_for.total(), Duration::from_secs(9));
        drop(second);
        advance(Duration::from_secs(5)).await;
        assert_eq!(asked_for.total(), Duration::from_secs(9));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_grows_by_the_time_that_people_are_asked() {
        let asked_for = AskedFor::default();
        let began = Instant::now();
        let work = async {
            sleep(Duration::from_secs(2)).await;
            let asking = asked_for.begin();
            sleep(Duration::from_secs(100)).await;
            drop(asking);
            pending::<()>().await;
        };
        assert_eq!(asked_for.timeout(Duration::from_secs(10), work).await, None);
        assert_eq!(began.elapsed(), Duration::from_secs(110));
        assert_eq!(asked_for.timeout(Duration::MAX, async { 7 }).await, Some(7));
    }
}
