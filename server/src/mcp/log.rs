//! One stream of a session as a list of numbered events, and its readers.
//!
//! One reader at a time gets what is appended; whoever resumes takes over from the reader before, whose connection is
//! taken to be dead. The list is bounded, and what falls out of it can no longer be read again.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{live::Presence, session::Activity, sse};

/// How many events are kept, and how many bytes; the newest is kept in any case.
const EVENTS_MAX: usize = 256;
const BYTES_MAX: usize = 256 * 1024;

/// How often a silent stream says that it is alive.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// An event's place: which process, which stream, which event. Its text is the event's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) epoch: u32,
    /// Whether the stream belongs to no request.
    pub(super) standing: bool,
    pub(super) stream: u32,
    pub(super) event: u64,
}

impl Position {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = str::from_utf8(text).ok()?.split('-');
        let position = Self {
            epoch: u32::from_str_radix(parts.next()?, 16).ok()?,
            standing: match parts.next()? {
                "s" => true,
                "r" => false,
                _ => return None,
            },
            stream: parts.next()?.parse().ok()?,
            event: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && position.to_string().as_bytes() == text).then_some(position)
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.standing { 's' } else { 'r' };
        write!(f, "{:08x}-{kind}-{}-{}", self.epoch, self.stream, self.event)
    }
}

/// A stream. Event 0 is the one that only tells the client its id.
pub(super) struct Log {
    start: Position,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    events: VecDeque<Bytes>,
    bytes: usize,
    /// The number of the first event that is kept.
    first: u64,
    finished_at: Option<Instant>,
    /// Which reader is the current one; nobody reads while `read` is false.
    reader: u64,
    read: bool,
    /// The reader is to end its connection and come back after so long.
    come_back: Option<Duration>,
}

impl Log {
    pub(super) fn new(start: Position) -> Self {
        let state = State {
            events: VecDeque::new(),
            bytes: 0,
            first: 1,
            finished_at: None,
            reader: 0,
            read: false,
            come_back: None,
        };
        Self { start, state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) const fn number(&self) -> u32 {
        self.start.stream
    }

    pub(super) const fn is_standing(&self) -> bool {
        self.start.standing
    }

    /// Whether somebody reads it.
    pub(super) fn is_read(&self) -> bool {
        self.state.lock().read
    }

    /// When its last event was appended, if that has happened.
    pub(super) fn finished_at(&self) -> Option<Instant> {
        self.state.lock().finished_at
    }

    /// Appends a message.
    pub(super) fn push(&self, message: &[u8]) {
        self.append(Some(message), false);
    }

    /// Appends the last message, if there is one.
    pub(super) fn finish(&self, message: Option<&[u8]>) {
        self.append(message, true);
    }

    /// Makes the reader end its connection and come back after `wait`.
    pub(super) fn let_go(&self, wait: Duration) {
        self.state.lock().come_back = Some(wait);
        self.changed.notify_waiters();
    }

    fn append(&self, message: Option<&[u8]>, last: bool) {
        let mut state = self.state.lock();
        if let Some(message) = message {
            let event = state.first.saturating_add(u64::try_from(state.events.len()).unwrap_or(u64::MAX));
            let event = sse::event(Position { event, ..self.start }, message);
            state.bytes = state.bytes.saturating_add(event.len());
            state.events.push_back(event);
            while state.events.len() > 1 && (state.events.len() > EVENTS_MAX || state.bytes > BYTES_MAX) {
                let gone = state.events.pop_front().map_or(0, |event| event.len());
                state.bytes = state.bytes.saturating_sub(gone);
                state.first = state.first.saturating_add(1);
            }
        }
        if last {
            state.finished_at = Some(Instant::now());
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

impl State {
    /// Whether whoever had every event before `next` can go on there. What belongs to no request is told without what is no
    /// longer kept: each of it says that something is to be looked at again, and some of it is more than none.
    fn can_go_on(&self, next: u64, standing: bool) -> bool {
        let kept = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        next <= self.first.saturating_add(kept) && (standing || next >= self.first)
    }

    /// Makes the caller the reader, in the place of whoever was.
    fn take_over(&mut self, standing: bool) -> u64 {
        self.reader = self.reader.wrapping_add(1);
        self.read = true;
        self.come_back = None;
        if standing {
            self.finished_at = None;
        }
        self.reader
    }

    /// The event at `next` or the first one after it that is kept, and the number that follows it.
    fn event(&self, next: u64) -> Option<(Bytes, u64)> {
        let number = next.max(self.first);
        let place = usize::try_from(number.saturating_sub(self.first)).ok()?;
        self.events.get(place).map(|event| (event.clone(), number.saturating_add(1)))
    }
}

/// The place of whoever reads a log, and how far that has come. Whoever takes it after that has it instead.
pub(super) struct Seat {
    log: Arc<Log>,
    me: u64,
    next: u64,
}

impl Seat {
    /// From the first event on.
    pub(super) fn take(log: Arc<Log>) -> Self {
        let me = log.state.lock().take_over(log.start.standing);
        log.changed.notify_waiters();
        Self { log, me, next: 1 }
    }

    /// From the event `next` on. `None` where the one before it was never given out, or what follows is not kept whole; then
    /// whoever reads goes on.
    pub(super) fn resume(log: Arc<Log>, next: u64) -> Option<Self> {
        let standing = log.start.standing;
        let me = {
            let mut state = log.state.lock();
            state.can_go_on(next, standing).then(|| state.take_over(standing))?
        };
        log.changed.notify_waiters();
        Some(Self { log, me, next })
    }

    /// Whether it is at a stream that belongs to no request.
    pub(super) fn is_standing(&self) -> bool {
        self.log.is_standing()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.log.state.lock();
        if state.reader == self.me {
            state.read = false;
            // A standing stream has no last event: it counts as finished while nobody reads it.
            if self.log.start.standing {
                state.finished_at = Some(Instant::now());
            }
        }
    }
}

/// Whoever reads a log at this moment. The session is in use while it lives.
pub(super) struct Reader {
    seat: Seat,
    opening: Option<Bytes>,
    alive_at: Instant,
    ended: CancellationToken,
    stop: CancellationToken,
    presence: Presence,
    over: bool,
    _activity: Activity,
}

impl Reader {
    /// Reads from its seat on. With `primed` the first thing it says is the stream's own id, from which the client can
    /// resume before anything has happened.
    pub(super) fn begin(
        seat: Seat,
        primed: bool,
        activity: Activity,
        presence: Presence,
        stop: CancellationToken,
    ) -> Self {
        let opening = if primed {
            sse::priming(Position { event: seat.next.saturating_sub(1), ..seat.log.start })
        } else {
            Bytes::from_static(sse::KEEP_ALIVE)
        };
        let ended = activity.session().ended();
        let alive_at = Instant::now() + KEEP_ALIVE;
        Self {
            seat,
            opening: Some(opening),
            alive_at,
            ended,
            stop,
            presence,
            over: false,
            _activity: activity,
        }
    }

    /// The next bytes to send. `None` when the log is finished, when somebody else has taken over, when the session has
    /// ended or the key that it was opened with, and for a stream that no request waits for also when the server stops.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        let stopped = self.seat.log.is_standing() && self.stop.is_cancelled();
        let ended = self.ended.is_cancelled() || self.presence.ended().is_cancelled();
        if self.over || stopped || ended {
            return None;
        }
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        let log = Arc::clone(&self.seat.log);
        loop {
            let changed = log.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.at_hand() {
                Step::Send(bytes) => return Some(bytes),
                Step::End => return None,
                Step::Wait => {}
            }
            tokio::select! {
                biased;
                () = self.ended.cancelled() => return None,
                () = self.presence.ended().cancelled() => return None,
                () = self.stop.cancelled(), if log.is_standing() => return None,
                () = changed => {}
                () = sleep_until(self.alive_at) => {
                    self.alive_at = Instant::now() + KEEP_ALIVE;
                    return Some(Bytes::from_static(sse::KEEP_ALIVE));
                }
            }
        }
    }

    fn at_hand(&mut self) -> Step {
        let state = self.seat.log.state.lock();
        if state.reader != self.seat.me {
            return Step::End;
        }
        if let Some((event, next)) = state.event(self.seat.next) {
            self.seat.next = next;
            self.alive_at = Instant::now() + KEEP_ALIVE;
            return Step::Send(event);
        }
        if state.finished_at.is_some() {
            return Step::End;
        }
        if let Some(wait) = state.come_back {
            self.over = true;
            return Step::Send(sse::come_back(wait));
        }
        Step::Wait
    }
}

enum Step {
    Send(Bytes),
    Wait,
    End,
}
