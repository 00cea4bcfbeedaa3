//! The connections that are read from.
//!
//! Reading takes microseconds, so whoever reads takes a connection for that long, in its own thread. Each thread begins
//! its search at another seat: as long as there are as many seats as cores, threads hardly ever meet.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::{ReentrantMutex, ReentrantMutexGuard};
use rusqlite::Connection;

use super::failure::closed;
use crate::store::StoreError;

/// A connection that whoever holds the lock may use; `None` once the store is closed. The thread that holds the lock may
/// take it again: work on money does so at each of its steps, within the writer's transaction.
pub(super) type Seat = Arc<ReentrantMutex<RefCell<Option<Connection>>>>;

/// A seat with a connection on it.
pub(super) fn seat(connection: Connection) -> Seat {
    Arc::new(ReentrantMutex::new(RefCell::new(Some(connection))))
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Where this thread begins its search.
    static FIRST: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

#[derive(Debug)]
pub(super) struct Seats(Box<[Seat]>);

impl Seats {
    pub(super) fn new(seats: Vec<Seat>) -> Self {
        Self(seats.into_boxed_slice())
    }

    /// Reads on a connection that is free, or waits the microseconds until one is.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Connection) -> T) -> Result<T, StoreError> {
        let held = self.take()?;
        held.borrow().as_ref().map(read).ok_or_else(closed)
    }

    fn take(&self) -> Result<ReentrantMutexGuard<'_, RefCell<Option<Connection>>>, StoreError> {
        let first = FIRST.with(|first| first % self.0.len().max(1));
        let from_first = || self.0.iter().cycle().skip(first).take(self.0.len());
        if let Some(free) = from_first().find_map(|seat| seat.try_lock()) {
            return Ok(free);
        }
        from_first().next().map(|seat| seat.lock()).ok_or_else(closed)
    }

    /// Closes every connection.
    pub(super) fn close(&self) {
        for seat in &self.0 {
            drop(seat.lock().borrow_mut().take());
        }
    }
}
