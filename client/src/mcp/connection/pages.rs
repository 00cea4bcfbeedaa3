//! A list of the server, read to its last page, within limits.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};
use shared::{jsonrpc::ErrorCode, mcp::JsonObject};

use super::{
    Connection,
    peer::{Call, Patience},
    read,
};
use crate::mcp::McpError;

/// How many pages a list may have, and how much may be in them.
const MAX_PAGES: usize = 100;
const MAX_BYTES: usize = 32 * 1024 * 1024;

impl Connection {
    /// Reads a list to its last page. `begin` makes an empty one; `add` adds a page to it and says where the next one
    /// starts, or `None` after the last one.
    ///
    /// # Errors
    /// [`McpError`] when a page could not be had; [`McpError::Protocol`] also when there are too many pages or bytes, or a
    /// cursor comes again.
    pub(super) async fn all_pages<L, P: DeserializeOwned>(
        &self,
        method: &'static str,
        patience: &mut Patience<'_>,
        begin: impl Fn() -> L,
        add: impl Fn(&mut L, P) -> Result<Option<String>, McpError>,
    ) -> Result<L, McpError> {
        let (mut list, mut pages) = (begin(), Pages::of(method));
        let (mut cursor, mut began_anew) = (None, false);
        loop {
            let page = self.page(method, cursor.take(), &mut began_anew, patience).await?;
            let Some(page) = page else {
                (list, pages) = (begin(), Pages::of(method));
                continue;
            };
            pages.count(page.get().len())?;
            match add(&mut list, read(method, &page, &self.shared.peer)?)? {
                Some(following) => cursor = Some(pages.turn(following)?),
                None => return Ok(list),
            }
        }
    }

    /// One page of a list. `None` where the cursor is not good any more, as the one of a page that was kept may not be:
    /// what was kept of the list is forgotten, and it is to be begun anew, once.
    async fn page(
        &self,
        method: &'static str,
        cursor: Option<String>,
        began_anew: &mut bool,
        patience: &mut Patience<'_>,
    ) -> Result<Option<Box<RawValue>>, McpError> {
        let has_cursor = cursor.is_some();
        let params = cursor.into_iter().map(|cursor| ("cursor".to_owned(), Value::from(cursor)));
        let params = params.collect::<JsonObject>();
        patience.renew_attempts();
        match self.ask(Call::repeatable(method, params), patience).await {
            Err(McpError::Rpc(error))
                if error.code == ErrorCode::INVALID_PARAMS && has_cursor && !*began_anew =>
            {
                *began_anew = true;
                self.shared.peer.cache.forget(&[method]);
                Ok(None)
            }
            answered => answered.map(Some),
        }
    }
}

/// The pages of one list so far.
struct Pages {
    method: &'static str,
    cursors: HashSet<String>,
    bytes: usize,
}

impl Pages {
    fn of(method: &'static str) -> Self {
        Self { method, cursors: HashSet::new(), bytes: 0 }
    }

    /// Counts what is in a page.
    fn count(&mut self, bytes: usize) -> Result<(), McpError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES {
            return Err(self.fault(format!("has more than {MAX_BYTES} bytes")));
        }
        Ok(())
    }

    /// Turns to the next page.
    fn turn(&mut self, cursor: String) -> Result<String, McpError> {
        if !self.cursors.insert(cursor.clone()) {
            return Err(self.fault("goes in a circle: a cursor came twice".to_owned()));
        }
        if self.cursors.len() >= MAX_PAGES {
            return Err(self.fault(format!("has more than {MAX_PAGES} pages")));
        }
        Ok(cursor)
    }

    fn fault(&self, what: String) -> McpError {
        McpError::Protocol(format!("its answer to {} {what}", self.method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_an_end_is_refused() {
        let mut circle = Pages::of("tools/list");
        assert!(circle.turn("a".to_owned()).is_ok() && circle.turn("b".to_owned()).is_ok());
        assert!(circle.turn("a".to_owned()).unwrap_err().to_string().contains("tools/list goes in a circle"));

        let mut endless = Pages::of("tools/list");
        let turned = (0..=MAX_PAGES).map_while(|number| endless.turn(number.to_string()).ok());
        assert_eq!(turned.count(), MAX_PAGES - 1, "the first page is not turned to");
    }
}
