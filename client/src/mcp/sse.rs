//! Server-sent events from bytes that were cut anywhere.
//!
//! `eventsource-stream` knows the fields of an event. Between it and the network stands [`Lines`], which hands it whole
//! lines only: a line end may be LF, CR or CRLF and may be cut in two, a character may be cut in two, and a line is
//! looked at once however many pieces it came in. `Lines` also bounds what one event may hold, notices comments,
//! `retry` and `id` (which the crate drops where no data goes with them), keeps a byte order mark away from the crate, which
//! would panic over it, and rests now and then, so that a server that never pauses does not keep the task to itself.

mod lines;

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use eventsource_stream::{Event, EventStream, EventStreamError};
use futures_util::Stream;
use reqwest::header::HeaderValue;

use self::lines::{Lines, Pulse};

/// Why a stream cannot be read on.
#[derive(Debug)]
pub(super) enum StreamFault<E> {
    /// The connection failed.
    Transport(E),
    /// One event is longer than allowed.
    TooLong,
    /// Bytes that are not UTF-8.
    NotUtf8,
}

/// What was heard on a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// An event with data, if only empty data.
    Event(Event),
    /// A comment, or an event without data: the other side is alive.
    SignOfLife,
}

/// Reads a stream of events.
pub(super) struct EventReader<S> {
    events: Pin<Box<EventStream<Lines<S>>>>,
    pulse: Arc<Pulse>,
}

impl<S, E> EventReader<S>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    /// Reads from `source`; one event, its comments included, may be `max_event_bytes` long.
    pub(super) fn new(source: S, max_event_bytes: usize) -> Self {
        let pulse = Arc::new(Pulse::default());
        let lines = Lines::new(source, max_event_bytes, Arc::clone(&pulse));
        Self { events: Box::pin(EventStream::new(lines)), pulse }
    }

    /// The next event or sign of life; `None` at the end of the stream. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Result<Heard, StreamFault<E>>> {
        poll_fn(|context| self.poll_heard(context)).await
    }

    fn poll_heard(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Heard, StreamFault<E>>>> {
        let rested = self.pulse.resting.swap(false, Ordering::Relaxed);
        if rested && self.pulse.alive.swap(false, Ordering::Relaxed) {
            return Poll::Ready(Some(Ok(Heard::SignOfLife)));
        }
        match self.events.as_mut().poll_next(context) {
            Poll::Ready(Some(Ok(event))) => {
                self.pulse.alive.store(false, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Heard::Event(event))))
            }
            Poll::Ready(Some(Err(EventStreamError::Transport(fault)))) => Poll::Ready(Some(Err(fault))),
            Poll::Ready(Some(Err(EventStreamError::Utf8(_) | EventStreamError::Parser(_)))) => {
                Poll::Ready(Some(Err(StreamFault::NotUtf8)))
            }
            Poll::Ready(None) => Poll::Ready(None),
            // A sign of life before the rest is told of after it: whoever hears of it asks on at once.
            Poll::Pending if self.pulse.resting.load(Ordering::Relaxed) => Poll::Pending,
            Poll::Pending if self.pulse.alive.swap(false, Ordering::Relaxed) => {
                Poll::Ready(Some(Ok(Heard::SignOfLife)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// The last `retry` of the stream: how long to wait before connecting again.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.pulse.retry()
    }

    /// The id of the last event that had one, with data or without; empty where the server took it back.
    pub(super) fn last_id(&self) -> Option<HeaderValue> {
        self.pulse.last_id()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Instant};

    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    type Outcome = Result<Vec<Event>, StreamFault<Infallible>>;

    /// The last `retry` and the last `id`.
    type Kept = (Option<Duration>, Option<HeaderValue>);

    async fn read_pieces(pieces: Vec<Bytes>, max: usize) -> (Outcome, Kept) {
        let mut reader = EventReader::new(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)), max);
        let mut events = Vec::new();
        while let Some(heard) = reader.next().await {
            match heard {
                Ok(Heard::Event(event)) => events.push(event),
                Ok(Heard::SignOfLife) => {}
                Err(fault) => return (Err(fault), (reader.retry(), reader.last_id())),
            }
        }
        (Ok(events), (reader.retry(), reader.last_id()))
    }

    fn read(pieces: &[&[u8]]) -> (Vec<(String, String)>, Kept) {
        let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (events, kept) = runtime.block_on(read_pieces(pieces, 1 << 20));
        (events.unwrap().into_iter().map(|event| (event.data, event.id)).collect(), kept)
    }

    fn data(text: &str) -> Vec<String> {
        read(&[text.as_bytes()]).0.into_iter().map(|(data, _)| data).collect()
    }

    #[test]
    fn every_line_ending_ends_a_line_and_data_lines_are_joined() {
        for ending in ["\n", "\r\n", "\r"] {
            let text = [": hello", "data: a", "data:b", "", "event: message", "data: c", "", ""].join(ending);
            assert_eq!(data(&text), ["a\nb", "c"], "{ending:?}");
        }
    }

    #[test]
    fn a_line_ending_cut_in_two_is_one_line_ending() {
        let (events, _) = read(&[b"data: a\r", b"\n", b"\n", b"data: b\r", b"\n\r", b"\n"]);
        assert_eq!(events.into_iter().map(|(data, _)| data).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn an_event_without_its_blank_line_is_no_event() {
        assert_eq!(data("data: whole\n\ndata: half\n"), ["whole"]);
    }

    #[test]
    fn retry_and_id_are_kept_where_no_data_goes_with_them() {
        let (events, (retry, _)) = read(&[b"id: 7\nretry: 1500\n\ndata:\n\nretry: soon\ndata: x\n\n"]);
        assert_eq!(events, [(String::new(), "7".to_owned()), ("x".to_owned(), "7".to_owned())]);
        assert_eq!(retry, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn the_last_id_is_that_of_a_whole_event_with_or_without_data() {
        for (text, id) in [
            ("data: x\n\n", None),
            ("id: 7\n\n", Some("7")),
            ("id:7\ndata: x\n\nid:  8\r\rdata: y\n\n", Some(" 8")),
            ("id: 7\n\nid: 8\ndata: half\n", Some("7")),
            ("id: 7\nid: 8\n\nidentity: 9\n\n", Some("8")),
            ("id: 7\n\nid: a\0b\n\n", Some("7")),
            ("id: 7\n\nid: a\u{1}b\n\n", Some("7")),
            ("id: é\n\n", Some("é")),
            ("id: 7\n\nid:\n\n", Some("")),
            ("id: 7\n\nid\n\n", Some("")),
        ] {
            let last = read(&[text.as_bytes()]).1.1;
            assert_eq!(last.as_ref().map(HeaderValue::as_bytes), id.map(str::as_bytes), "{text:?}");
        }
    }

    #[test]
    fn byte_order_marks_do_no_harm() {
        assert_eq!(data("\u{feff}data: a\n\n"), ["a"]);
        assert_eq!(data("\u{feff}\u{feff}data: a\n\ndata: b\n\n"), ["b"]);
    }

    #[tokio::test]
    async fn an_event_that_is_too_long_is_refused_and_blank_lines_start_the_count_again() {
        let (outcome, _) = read_pieces(vec![Bytes::from_static(b"data: 0123456789\n\n")], 12).await;
        assert!(matches!(outcome, Err(StreamFault::TooLong)));
        let many = Bytes::from(": keep-alive\n\n".repeat(100) + "data: x\n\n");
        let (outcome, _) = read_pieces(vec![many], 16).await;
        assert_eq!(outcome.unwrap().len(), 1);
        let dribble = std::iter::repeat_n(Bytes::from_static(b"x"), 17).collect();
        assert!(matches!(read_pieces(dribble, 16).await.0, Err(StreamFault::TooLong)));
    }

    #[tokio::test]
    async fn bytes_that_are_not_text_are_refused() {
        let (outcome, _) = read_pieces(vec![Bytes::from_static(b"data: \xff\n\n")], 1000).await;
        assert!(matches!(outcome, Err(StreamFault::NotUtf8)));
    }

    #[tokio::test]
    async fn a_comment_is_a_sign_of_life_and_half_a_line_is_none() {
        let pieces = [&b"data: x\n"[..], &b": still here\n"[..], &b"data: y"[..]];
        let source = stream::iter(pieces.map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece))));
        let mut reader = EventReader::new(futures_util::StreamExt::chain(source, stream::pending()), 1000);
        assert_eq!(reader.next().await.unwrap().unwrap(), Heard::SignOfLife);
        assert!(futures_util::FutureExt::now_or_never(reader.next()).is_none());
    }

    /// A source that is ready whenever it is asked, for longer than any test listens.
    fn never_pausing(piece: &'static str) -> impl Stream<Item = Result<Bytes, Infallible>> {
        let began = Instant::now();
        let pieces = std::iter::repeat_with(move || Ok(Bytes::from_static(piece.as_bytes())));
        stream::iter(pieces.take_while(move |_| began.elapsed() < Duration::from_secs(10)))
    }

    #[tokio::test]
    async fn a_source_that_never_pauses_leaves_time_limits_their_turn() {
        let long = ": keep-alive\n\n".repeat(10_000).leak();
        for piece in [":\n\n", long, "data:\n\n", "x"] {
            let mut reader = EventReader::new(never_pausing(piece), usize::MAX);
            let hearing = async { while reader.next().await.is_some() {} };
            let limited = tokio::time::timeout(Duration::from_millis(50), hearing).await;
            assert!(limited.is_err(), "{piece:.20}: it was heard to its end");
        }
    }

    #[tokio::test]
    async fn comments_without_a_pause_are_signs_of_life() {
        let mut reader = EventReader::new(never_pausing(":\n\n"), 1000);
        for _ in 0..10 {
            assert_eq!(reader.next().await.unwrap().unwrap(), Heard::SignOfLife);
        }
    }

    fn line() -> impl Strategy<Value = String> {
        let text = "[a-z{}:\" é✓👍\u{feff}]{0,12}";
        prop_oneof![
            text.prop_map(|text| format!("data: {text}")),
            text.prop_map(|text| format!(": {text}")),
            "[0-9]{1,4}".prop_map(|digits| format!("retry:{digits}")),
            "[a-z0-9]{0,4}".prop_map(|id| format!("id: {id}")),
            text,
            Just(String::new()),
            Just(String::new()),
        ]
    }

    fn text() -> impl Strategy<Value = String> {
        let ending = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
        proptest::collection::vec((line(), ending), 0..24)
            .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end.to_owned()]).collect())
    }

    proptest! {
        #[test]
        fn any_cut_of_a_stream_gives_the_same_events(text in text(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
            let whole = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).collect();
            cuts.extend([0, whole.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect();
            let bytes: Vec<&[u8]> = whole.chunks(1).collect();
            let expected = read(&[whole]);
            prop_assert_eq!(read(&pieces), expected.clone());
            prop_assert_eq!(read(&bytes), expected);
        }
    }
}
