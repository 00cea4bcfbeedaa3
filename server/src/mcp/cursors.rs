//! Cursors of lists that a tool returns: where the next page starts, sealed for whoever got it (utilities, "Pagination").

use super::{context::RequestContext, sealing::Purpose, tool::ToolError};

impl RequestContext {
    /// A cursor to `place` in the list of this name, for this account and key alone.
    ///
    /// # Errors
    /// [`ToolError::Unavailable`] where there is no randomness.
    pub fn cursor(&self, list: &str, place: i64) -> Result<String, ToolError> {
        let sealed = self.sealing().seal(Purpose::Cursor, &self.holder_of(list), &place.to_be_bytes());
        sealed.map_err(|error| ToolError::Unavailable(Box::new(error)))
    }

    /// The place that a cursor names.
    ///
    /// # Errors
    /// [`ToolError::Refused`] for one that was not given to this account and key, for this list.
    pub fn place(&self, list: &str, cursor: &str) -> Result<i64, ToolError> {
        let opened = self.sealing().open(Purpose::Cursor, &self.holder_of(list), cursor);
        opened.and_then(|opened| opened.payload.try_into().ok()).map(i64::from_be_bytes).ok_or_else(|| {
            let text = "invalid_cursor: `cursor` must be the nextCursor of a page of the same list; leave it out to begin.";
            ToolError::Refused(text.to_owned())
        })
    }

    fn holder_of(&self, list: &str) -> Vec<u8> {
        let principal = self.principal();
        format!("{list}\n{}\n{}", principal.user().0, principal.key().0).into_bytes()
    }
}
