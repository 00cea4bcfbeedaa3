//! Log lines made harmless for a terminal.

use std::io::{self, Write};

use super::escape;

/// Writes whole log lines to stderr, escaped like everything else: they may quote the network. Where nobody reads
/// stderr they are lost.
#[derive(Debug, Default, Clone, Copy)]
pub struct EscapedLog;

impl Write for EscapedLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(escape::text(&String::from_utf8_lossy(line)).as_bytes()).ok();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
