//! The looking glass (`--wire`): every HTTP exchange and every JSON-RPC message, on stderr, as it passes.

use std::{sync::Arc, time::Duration};

use super::{
    Terminal,
    indent::indent,
    style::{BAD, FAINT, GOOD, NAME, Text, WARNING},
};
use crate::mcp::{WireEvent, WireTap};

/// Shows what passes between the client and the server. Keys are hidden before it sees them.
#[derive(Debug, Clone)]
pub struct Wire {
    terminal: Arc<Terminal>,
}

impl Wire {
    /// Shows it on a terminal.
    #[must_use]
    pub const fn new(terminal: Arc<Terminal>) -> Self {
        Self { terminal }
    }
}

impl WireTap for Wire {
    fn saw(&self, event: &WireEvent<'_>) {
        self.terminal.remark(&render(event));
    }
}

fn render(event: &WireEvent<'_>) -> Text {
    match *event {
        WireEvent::RequestSent { exchange, method, url, headers, body } => {
            let text = Text::new().styled(NAME, &format!("→ {method} {url}")).plain(&number(exchange)).end();
            with_body(with_headers(text, headers), body.unwrap_or_default())
        }
        WireEvent::AnswerBegan { exchange, status, headers, elapsed } => {
            let style = match status {
                200..=299 => GOOD,
                400.. => BAD,
                _ => WARNING,
            };
            let text = Text::new().styled(style, &format!("← {status}")).plain(&number(exchange));
            with_headers(text.styled(FAINT, &time(elapsed)).end(), headers)
        }
        WireEvent::Message { exchange, data, event_id } => {
            let text = Text::new().styled(NAME, "← message").plain(&number(exchange));
            let text = match event_id {
                Some(id) => text.styled(FAINT, &format!("  event {id}")).end(),
                None => text.end(),
            };
            with_body(text, data)
        }
        WireEvent::Ended { exchange, elapsed, error } => {
            let text = Text::new();
            let text = match error {
                Some(error) => {
                    text.styled(BAD, "✗ broke off").plain(&number(exchange)).plain(&format!("  {error}"))
                }
                None => text.styled(FAINT, "· end").plain(&number(exchange)),
            };
            text.styled(FAINT, &time(elapsed)).end()
        }
    }
}

fn with_headers(text: Text, headers: &[(String, String)]) -> Text {
    headers
        .iter()
        .fold(text, |text, (name, value)| text.styled(FAINT, &format!("  {name}: ")).plain(value).end())
}

fn with_body(text: Text, body: &str) -> Text {
    if body.is_empty() { text } else { text.indented("  ", &indent(body)).end() }
}

fn number(exchange: u64) -> String {
    format!("  #{exchange}")
}

fn time(elapsed: Duration) -> String {
    format!("  {} ms", elapsed.as_millis())
}
