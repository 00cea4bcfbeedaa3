//! A stream of events as it is on the wire.

use std::net::SocketAddr;

use serde_json::Value;

use super::wire::{Answer, Ask, Wire};

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) retry: Option<String>,
    pub(crate) data: Option<String>,
}

impl Event {
    /// The event's data as JSON.
    pub(crate) fn json(&self) -> Value {
        let data = self.data.as_deref().unwrap_or_default();
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The event's id, which it must have.
    pub(crate) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_else(|| panic!("no id: {self:?}"))
    }
}

/// The reading end of a stream; comments are passed over.
pub(crate) struct Events {
    wire: Wire,
    buffer: String,
}

impl Events {
    /// Sends `ask`, which must be answered with a stream.
    pub(crate) async fn open(ask: &Ask, address: SocketAddr) -> Self {
        match Self::or_answer(ask, address).await {
            Ok(events) => events,
            Err(answer) => panic!("no stream: {answer:?}"),
        }
    }

    /// Sends `ask`; what comes is a stream, or else an answer, whole.
    pub(crate) async fn or_answer(ask: &Ask, address: SocketAddr) -> Result<Self, Answer> {
        let mut wire = Wire::connect(address).await;
        wire.write(&ask.bytes(address)).await;
        let head = wire.head().await;
        if head.header("content-type") != Some("text/event-stream") {
            return Err(wire.rest_of(head).await);
        }
        assert_eq!(head.header("x-accel-buffering"), Some("no"), "{head:?}");
        assert_eq!(head.status, 200);
        Ok(Self { wire, buffer: String::new() })
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                let mut event = Event::default();
                for line in block.lines().filter(|line| !line.starts_with(':')) {
                    let (name, value) = line.split_once(": ").or_else(|| line.split_once(':')).unwrap();
                    match name {
                        "id" => event.id = Some(value.to_owned()),
                        "retry" => event.retry = Some(value.to_owned()),
                        "data" => event.data = Some(value.to_owned()),
                        other => panic!("an unknown field: {other}"),
                    }
                }
                if event != Event::default() {
                    return Some(event);
                }
                continue;
            }
            let chunk = self.wire.chunk().await?;
            self.buffer.push_str(&chunk);
        }
    }

    /// The next event, which must come.
    pub(crate) async fn one(&mut self) -> Event {
        self.next().await.expect("the stream ended")
    }

    /// Everything until the end.
    pub(crate) async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}
