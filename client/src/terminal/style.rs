//! The few styles of the program, and the one way to put text on the screen.

use anstyle::{AnsiColor, Style};

use super::escape;

/// A heading.
pub const HEADING: Style = Style::new().bold();
/// What a person asked or typed.
pub const QUESTION: Style = AnsiColor::Cyan.on_default().bold();
/// The name of a tool, a command or a setting.
pub const NAME: Style = AnsiColor::Cyan.on_default();
/// What matters less than the rest.
pub const FAINT: Style = Style::new().dimmed();
/// It went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// It went wrong.
pub const BAD: Style = AnsiColor::Red.on_default();
/// It may go wrong.
pub const WARNING: Style = AnsiColor::Yellow.on_default();

/// Text that may go to a terminal: built from pieces that are escaped as they are added, so that forgetting it is not
/// possible, and from our own styles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    rendered: String,
}

impl Text {
    /// No text.
    #[must_use]
    pub const fn new() -> Self {
        Self { rendered: String::new() }
    }

    /// Adds a piece of a line.
    #[must_use]
    pub fn plain(mut self, piece: &str) -> Self {
        self.rendered.push_str(&escape::line(piece));
        self
    }

    /// Adds a piece of a line in a style.
    #[must_use]
    pub fn styled(mut self, style: Style, piece: &str) -> Self {
        if !piece.is_empty() {
            let (on, off) = (style.render(), style.render_reset());
            self.rendered.push_str(&format!("{on}{}{off}", escape::line(piece)));
        }
        self
    }

    /// Adds a text of any number of lines.
    #[must_use]
    pub fn block(mut self, text: &str) -> Self {
        self.rendered.push_str(&escape::text(text));
        self
    }

    /// Adds a text of any number of lines, each indented.
    #[must_use]
    pub fn indented(mut self, indent: &str, text: &str) -> Self {
        for (number, line) in escape::text(text).lines().enumerate() {
            if number > 0 {
                self.rendered.push('\n');
            }
            self.rendered.push_str(indent);
            self.rendered.push_str(line);
        }
        self
    }

    /// Ends the line.
    #[must_use]
    pub fn end(mut self) -> Self {
        self.rendered.push('\n');
        self
    }

    /// Adds another text.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.rendered.push_str(&other.rendered);
        self
    }

    /// The text with its styles.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.rendered
    }
}
