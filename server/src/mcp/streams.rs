//! The streams of one session: what was sent on them, to whom it may be sent again, and which questions are open.
//!
//! A stream is a [`Log`]: events are appended to it whether or not anybody reads, and a reader is a position in it. So a
//! client that lost its connection goes on where it was (Streamable HTTP transport, "Resumability and Redelivery"), and
//! the work that writes to the stream never notices. What is kept is bounded for each session.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde_json::Value;
use shared::{
    jsonrpc::{ErrorObject, Request, RequestId},
    mcp::{input::InputRequest, methods, modern::LoggingLevel},
};
use tokio::{sync::oneshot, time::Instant};

use super::{
    log::{Log, Position, Seat},
    watching::{WATCHED_MAX, Watch},
};
use crate::identity::{Permission, PermissionSet};

/// How many finished streams are kept to be read again.
const FINISHED_MAX: usize = 16;

/// How long a finished stream is kept to be read again.
const FINISHED_FOR: Duration = Duration::from_secs(5 * 60);

/// How many streams may be open that no request waits for.
const STANDING_MAX: usize = 32;

/// How many messages wait for a stream to be opened; the oldest are dropped.
const WAITING_MAX: usize = 64;

/// The streams of one session. Made when the first one is needed.
pub(super) struct Streams(Mutex<State>);

struct State {
    /// Tells this process's event ids and questions from those of others.
    epoch: u32,
    opened: u32,
    asked: u64,
    logs: VecDeque<Arc<Log>>,
    waiting: VecDeque<Vec<u8>>,
    questions: Vec<(String, oneshot::Sender<Answer>)>,
    level: LoggingLevel,
    watches: Vec<Watch>,
    /// What tells of other resources in the list.
    lists: Vec<Watch>,
    /// What the key could do when the client was last told of other lists; at first, when it opened the session.
    told: PermissionSet,
}

/// The result, or the error that the client answered with.
pub(super) type Answer = Result<Value, ErrorObject>;

/// There are as many standing streams as there may be.
#[derive(Debug)]
pub(super) struct TooManyStreams;

/// Why a stream cannot be read again from where the client was.
#[derive(Debug)]
pub(super) enum CannotResume {
    /// It was a standing stream: what it told is lost, and a new one will do.
    Standing,
    /// The event is not known, or no longer.
    Unknown,
}

impl Streams {
    /// The streams of a session that was opened with these permissions.
    pub(super) fn new(permissions: PermissionSet) -> Self {
        let mut epoch = [0; 4];
        // Without randomness an id from before a restart may seem to be known; then it names the wrong event at worst.
        let _without = getrandom::fill(&mut epoch);
        Self(Mutex::new(State {
            epoch: u32::from_le_bytes(epoch),
            opened: 0,
            asked: 0,
            logs: VecDeque::new(),
            waiting: VecDeque::new(),
            questions: Vec::new(),
            level: LoggingLevel::Info,
            watches: Vec::new(),
            lists: Vec::new(),
            told: permissions,
        }))
    }

    /// A stream for the answer to one request.
    pub(super) fn open_reply(&self) -> Arc<Log> {
        let mut state = self.0.lock();
        let log = state.new_log(false);
        state.trim();
        log
    }

    /// A seat at a new stream for what belongs to no request. What waited for one is in it already, and what comes from
    /// here on does not wait.
    pub(super) fn open_standing(&self) -> Result<Seat, TooManyStreams> {
        let mut state = self.0.lock();
        if state.logs.iter().filter(|log| log.is_standing() && log.is_read()).count() >= STANDING_MAX {
            return Err(TooManyStreams);
        }
        let log = state.new_log(true);
        let seat = Seat::take(Arc::clone(&log));
        state.hand_over(&log);
        state.trim();
        Ok(seat)
    }

    /// A seat at a stream, after the event of this id. One that belongs to no request has in it what waited for one.
    pub(super) fn resume(&self, last_event_id: &[u8]) -> Result<Seat, CannotResume> {
        let position = Position::parse(last_event_id).ok_or(CannotResume::Unknown)?;
        let unknown = if position.standing { CannotResume::Standing } else { CannotResume::Unknown };
        let mut state = self.0.lock();
        if position.epoch != state.epoch {
            return Err(unknown);
        }
        let is_it = |log: &Log| log.number() == position.stream && log.is_standing() == position.standing;
        let log = state.logs.iter().find(|log| is_it(log)).map(Arc::clone);
        let next = position.event.saturating_add(1);
        let seat = log.as_ref().and_then(|log| Seat::resume(Arc::clone(log), next));
        let (Some(log), Some(seat)) = (log, seat) else { return Err(unknown) };
        if log.is_standing() {
            state.hand_over(&log);
        }
        Ok(seat)
    }

    /// The key may do this now. Whether the client is to be told: it was last told of something else.
    pub(super) fn permit(&self, permissions: PermissionSet) -> bool {
        let told = std::mem::replace(&mut self.0.lock().told, permissions);
        told != permissions
    }

    /// Whether the key may do this, as far as is known here.
    pub(super) fn may(&self, permission: Permission) -> bool {
        self.0.lock().told.contains(permission)
    }

    /// Whether what belongs to no request is read at the moment.
    pub(super) fn is_heard(&self) -> bool {
        self.0.lock().heard().is_some()
    }

    /// Sends a message that belongs to no request: on one stream, or later on the next to be opened.
    pub(super) fn notify(&self, message: Vec<u8>) {
        let mut state = self.0.lock();
        if let Some(log) = state.heard() {
            log.push(&message);
        } else if !state.waiting.contains(&message) {
            state.waiting.push_back(message);
            if state.waiting.len() > WAITING_MAX {
                state.waiting.pop_front();
            }
        }
    }

    /// A question that is about to be asked.
    pub(super) fn ask(&self) -> Question<'_> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.0.lock();
        state.asked = state.asked.saturating_add(1);
        let id = format!("{:08x}-{}", state.epoch, state.asked);
        state.questions.push((id.clone(), sender));
        Question { streams: self, id, receiver: Some(receiver) }
    }

    /// Takes the answer to a question of ours. An answer to nothing is given back: it came too late, or to the wrong
    /// server.
    pub(super) fn answer(&self, id: &str, answer: Answer) -> Result<(), Answer> {
        let mut state = self.0.lock();
        let Some(place) = state.questions.iter().position(|(asked, _)| asked == id) else {
            return Err(answer);
        };
        let (_, sender) = state.questions.swap_remove(place);
        let _nobody_waits = sender.send(answer);
        Ok(())
    }

    /// The questions that wait for their answers.
    pub(super) fn asked(&self) -> Vec<String> {
        self.0.lock().questions.iter().map(|(id, _)| id.clone()).collect()
    }

    /// From which level on the client wants log messages (utilities, "Logging").
    pub(super) fn level(&self) -> LoggingLevel {
        self.0.lock().level
    }

    /// The client wants log messages from this level on.
    pub(super) fn set_level(&self, level: LoggingLevel) {
        self.0.lock().level = level;
    }

    /// Whether the client is told when this resource changes.
    pub(super) fn is_subscribed(&self, uri: &str) -> bool {
        self.0.lock().watches.iter().any(|watch| watch.uri() == uri)
    }

    /// Keeps a watch for as long as the session lives. `false` when there are as many as there may be.
    pub(super) fn subscribe(&self, watch: Watch) -> bool {
        let mut state = self.0.lock();
        let has_room = state.watches.len() < WATCHED_MAX;
        if has_room && !state.watches.iter().any(|kept| kept.uri() == watch.uri()) {
            state.watches.push(watch);
        }
        has_room
    }

    /// Ends the watch of this resource.
    pub(super) fn unsubscribe(&self, uri: &str) {
        let gone: Vec<_> = self.0.lock().watches.extract_if(.., |watch| watch.uri() == uri).collect();
        // Dropped here, with nothing locked.
        drop(gone);
    }

    /// Whether the client is told of other resources in the list.
    pub(super) fn watches_lists(&self) -> bool {
        !self.0.lock().lists.is_empty()
    }

    /// Keeps what tells of that for as long as the session lives.
    pub(super) fn watch_lists(&self, watches: Vec<Watch>) {
        let before = std::mem::replace(&mut self.0.lock().lists, watches);
        // Dropped here, with nothing locked.
        drop(before);
    }

    /// Drops what nobody can still want to read again.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut state = self.0.lock();
        let is_old = |log: &Log| log.finished_at().is_some_and(|at| now.duration_since(at) >= FINISHED_FOR);
        state.logs.retain(|log| !is_old(log));
    }
}

impl State {
    /// The newest stream for what belongs to no request that is read.
    fn heard(&self) -> Option<&Arc<Log>> {
        self.logs.iter().rev().find(|log| log.is_standing() && log.is_read())
    }

    fn new_log(&mut self, standing: bool) -> Arc<Log> {
        self.opened = self.opened.wrapping_add(1);
        let log = Arc::new(Log::new(Position { epoch: self.epoch, standing, stream: self.opened, event: 0 }));
        self.logs.push_back(Arc::clone(&log));
        log
    }

    /// Puts what waited for a stream into one.
    fn hand_over(&mut self, log: &Log) {
        for message in std::mem::take(&mut self.waiting) {
            log.push(&message);
        }
    }

    fn trim(&mut self) {
        let finished = self.logs.iter().filter(|log| log.finished_at().is_some()).count();
        let mut surplus = finished.saturating_sub(FINISHED_MAX);
        self.logs.retain(|log| {
            let goes = surplus > 0 && log.finished_at().is_some();
            surplus = surplus.saturating_sub(usize::from(goes));
            !goes
        });
    }
}

/// A question that waits for its answer; forgotten when dropped.
pub(super) struct Question<'a> {
    streams: &'a Streams,
    id: String,
    receiver: Option<oneshot::Receiver<Answer>>,
}

impl Question<'_> {
    /// The request that asks it.
    pub(super) fn written(&self, question: &InputRequest) -> Vec<u8> {
        let id = self.id();
        let written = match question {
            InputRequest::Elicit { params } => {
                serde_json::to_vec(&Request::new(&id, methods::ELICIT, params))
            }
            InputRequest::CreateMessage { params } => {
                serde_json::to_vec(&Request::new(&id, methods::CREATE_MESSAGE, params))
            }
            InputRequest::ListRoots { params } => serde_json::to_vec(&Request::new(
                &id,
                methods::LIST_ROOTS,
                params.clone().unwrap_or_default(),
            )),
        };
        // Every question can be written as JSON.
        written.unwrap_or_default()
    }

    /// What it is known by at the client.
    pub(super) fn id(&self) -> RequestId {
        RequestId::String(self.id.clone())
    }

    /// Whether it was not answered.
    pub(super) fn is_open(&self) -> bool {
        self.streams.0.lock().questions.iter().any(|(id, _)| *id == self.id)
    }

    /// The answer; `None` when there will be none.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        self.receiver.take()?.await.ok()
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.streams.0.lock().questions.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_once_a_stream_has_a_seat_does_not_wait() {
        let streams = Streams::new(PermissionSet::default());
        let waiting = || streams.0.lock().waiting.len();
        streams.notify(b"1".to_vec());
        assert_eq!(waiting(), 1);
        let seat = streams.open_standing().unwrap();
        streams.notify(b"2".to_vec());
        assert_eq!(waiting(), 0);
        drop(seat);
        streams.notify(b"3".to_vec());
        assert_eq!(waiting(), 1);
        let start = format!("{:08x}-s-1-0", streams.0.lock().epoch);
        let _seat = streams.resume(start.as_bytes()).unwrap();
        streams.notify(b"4".to_vec());
        assert_eq!(waiting(), 0);
    }

    #[test]
    fn an_event_is_none_of_a_stream_of_the_other_kind() {
        let streams = Streams::new(PermissionSet::default());
        let _seat = streams.open_standing().unwrap();
        let _log = streams.open_reply();
        let resume = |event: &str| {
            let id = format!("{:08x}-{event}", streams.0.lock().epoch);
            streams.resume(id.as_bytes()).map(drop)
        };
        assert!(resume("s-1-0").is_ok() && resume("r-2-0").is_ok());
        assert!(matches!(resume("r-1-0"), Err(CannotResume::Unknown)));
        assert!(matches!(resume("s-2-0"), Err(CannotResume::Standing)));
    }
}
