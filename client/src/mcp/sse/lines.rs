//! Whole lines from bytes that were cut anywhere, and what is noticed in passing.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use futures_util::Stream;
use reqwest::header::HeaderValue;

use super::StreamFault;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// How many lines and pieces are taken before time limits and cancellation, which share the task, get their turn. The
/// runtime's own budget would not do: a timer that is looked at once the budget is used up is never due.
const TAKEN_AT_ONCE: u32 = 128;

/// What [`Lines`] noticed and `eventsource-stream` does not pass on.
#[derive(Debug)]
pub(super) struct Pulse {
    pub(super) alive: AtomicBool,
    /// There is more to read, and others have their turn first.
    pub(super) resting: AtomicBool,
    retry_ms: AtomicU64,
    ids: Mutex<Ids>,
}

#[derive(Debug, Default)]
struct Ids {
    /// That of the event whose lines are being read, until it is whole.
    next: Option<HeaderValue>,
    last: Option<HeaderValue>,
}

impl Pulse {
    const NO_RETRY: u64 = u64::MAX;

    /// The last `retry` of the stream.
    pub(super) fn retry(&self) -> Option<Duration> {
        match self.retry_ms.load(Ordering::Relaxed) {
            Self::NO_RETRY => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }

    /// The last `id` of the stream that a blank line followed.
    pub(super) fn last_id(&self) -> Option<HeaderValue> {
        self.ids().last.clone()
    }

    fn notice(&self, line: &str) {
        let line = line.trim_end_matches('\n');
        if line.starts_with(':') {
            self.alive.store(true, Ordering::Relaxed);
            return;
        }
        if line.is_empty() {
            self.alive.store(true, Ordering::Relaxed);
            let mut ids = self.ids();
            if let Some(id) = ids.next.take() {
                ids.last = Some(id);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                let millis = value.parse().unwrap_or(Self::NO_RETRY - 1);
                self.retry_ms.store(millis, Ordering::Relaxed);
            }
            "id" => {
                // One that no header can carry cannot be gone on from.
                if let Ok(id) = HeaderValue::from_bytes(value.as_bytes()) {
                    self.ids().next = Some(id);
                }
            }
            _ => {}
        }
    }

    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            alive: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            retry_ms: AtomicU64::new(Self::NO_RETRY),
            ids: Mutex::default(),
        }
    }
}

/// Whole lines, each ended by one LF.
pub(super) struct Lines<S> {
    source: Pin<Box<S>>,
    /// Handed out first, so that nothing the server sends is the first thing `eventsource-stream` sees.
    opening: Option<&'static str>,
    piece: Bytes,
    line: Vec<u8>,
    at_start: bool,
    after_carriage_return: bool,
    event_bytes: usize,
    max_event_bytes: usize,
    /// Lines and pieces since the last rest.
    taken: u32,
    pulse: Arc<Pulse>,
}

impl<S> Lines<S> {
    /// The lines of `source`; those of one event may be `max_event_bytes` long.
    pub(super) fn new(source: S, max_event_bytes: usize, pulse: Arc<Pulse>) -> Self {
        Self {
            source: Box::pin(source),
            opening: Some(":\n"),
            piece: Bytes::new(),
            line: Vec::new(),
            at_start: true,
            after_carriage_return: false,
            event_bytes: 0,
            max_event_bytes,
            taken: 0,
            pulse,
        }
    }

    /// Whether it is time to rest, rather than to take one more. Where it is, the task is woken at once to go on.
    fn rests(&mut self, context: &Context<'_>) -> bool {
        if self.taken < TAKEN_AT_ONCE {
            self.taken = self.taken.saturating_add(1);
            return false;
        }
        self.taken = 0;
        self.pulse.resting.store(true, Ordering::Relaxed);
        context.waker().wake_by_ref();
        true
    }

    /// Takes what belongs to the current line from the current piece. `Ok(None)`: more bytes are needed.
    fn take_line<E>(&mut self) -> Result<Option<String>, StreamFault<E>> {
        if self.after_carriage_return && !self.piece.is_empty() {
            self.after_carriage_return = false;
            if self.piece.first() == Some(&b'\n') {
                self.piece.advance(1);
            }
        }
        let end = self.piece.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let part = self.piece.split_to(end.unwrap_or(self.piece.len()));
        self.event_bytes =
            self.event_bytes.saturating_add(part.len()).saturating_add(usize::from(end.is_some()));
        if self.event_bytes > self.max_event_bytes {
            return Err(StreamFault::TooLong);
        }
        self.line.extend_from_slice(&part);
        if end.is_none() {
            return Ok(None);
        }
        self.after_carriage_return = self.piece.first() == Some(&b'\r');
        self.piece.advance(1);
        self.finish_line().map(Some)
    }

    fn finish_line<E>(&mut self) -> Result<String, StreamFault<E>> {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.at_start) && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        line.push(b'\n');
        let line = String::from_utf8(line).map_err(|_| StreamFault::NotUtf8)?;
        if line == "\n" {
            self.event_bytes = 0;
        }
        self.pulse.notice(&line);
        Ok(line)
    }
}

impl<S, E> Stream for Lines<S>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    type Item = Result<String, StreamFault<E>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(opening) = this.opening.take() {
            return Poll::Ready(Some(Ok(opening.to_owned())));
        }
        loop {
            if this.rests(context) {
                return Poll::Pending;
            }
            match this.take_line() {
                Ok(Some(line)) => return Poll::Ready(Some(Ok(line))),
                Ok(None) => {}
                Err(fault) => return Poll::Ready(Some(Err(fault))),
            }
            match ready!(this.source.as_mut().poll_next(context)) {
                Some(Ok(piece)) => this.piece = piece,
                Some(Err(error)) => return Poll::Ready(Some(Err(StreamFault::Transport(error)))),
                None => return Poll::Ready(None),
            }
        }
    }
}
