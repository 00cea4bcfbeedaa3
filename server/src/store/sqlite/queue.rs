//! The writer's queue: in order, bounded, and never a place to wait for ever.
//!
//! Callers are async tasks and wait for a place without holding a thread; the writer is a thread and waits on a
//! condition variable. A place is given back when its write has ended, so that a flood of callers waits rather than
//! fills the memory. While the writer cannot commit, waiting would be in vain: then callers are refused, and what had
//! been accepted before stays until it is written.

use std::{
    collections::VecDeque,
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::{Semaphore, oneshot, watch};

use super::{
    failure::{closed, refused},
    job::Job,
};
use crate::store::StoreError;

/// The most writes in one transaction.
const GROUP: usize = 1_024;

/// So many writes that nobody waits for need not gather any longer: a commit of more would keep a core from answering for
/// longer, and hardly cost less for each.
const ENOUGH: usize = 256;

/// Writes that somebody waits for are committed when nobody else has come for so long, or when as many have come as lately came
/// together: many commits of a few are dearer than one of many.
const SILENCE: Duration = Duration::from_micros(100);

/// However many come, so many do not wait for others.
const COMPANY: usize = 64;

/// However they come, the first of them does not wait for longer.
const GATHERING: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    places: Semaphore,
    health: watch::Sender<Health>,
    linger: Duration,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    /// When the oldest of the jobs came.
    since: Option<Instant>,
    /// For how many of the jobs somebody waits.
    awaited: usize,
    /// How many writes of the last batches somebody waited for. Several are of several callers, who will come again.
    company: usize,
    phase: Phase,
    closers: Vec<oneshot::Sender<Result<(), StoreError>>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// Nothing more is taken; what waits is being written.
    Closing,
    Closed,
}

/// Whether commits succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    Well,
    /// The last one did not, for this reason.
    Failing(String),
    /// There is no writer any more.
    Ended,
}

/// What the writer does next.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) jobs: Vec<Job>,
    /// Nothing will follow.
    pub(super) is_last: bool,
}

impl Queue {
    /// A queue of `capacity` places, in which writes that nobody waits for gather for `linger`.
    pub(super) fn new(capacity: usize, linger: Duration) -> Self {
        Self {
            state: Mutex::default(),
            ready: Condvar::new(),
            places: Semaphore::new(capacity),
            health: watch::Sender::new(Health::Well),
            linger,
        }
    }

    /// Queues a job; waits for a place where that is not in vain.
    pub(super) async fn push(&self, job: Job) -> Result<(), StoreError> {
        if !job.is_awaited() {
            self.well()?;
        }
        self.take_place().await?;
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Err(closed());
        }
        let wakes = (job.is_awaited() && state.awaited == 0)
            || state.since.is_none()
            || state.jobs.len().saturating_add(1) == ENOUGH;
        state.awaited = state.awaited.saturating_add(usize::from(job.is_awaited()));
        state.since.get_or_insert_with(Instant::now);
        state.jobs.push_back(job);
        drop(state);
        if wakes {
            self.ready.notify_one();
        }
        Ok(())
    }

    async fn take_place(&self) -> Result<(), StoreError> {
        if let Ok(place) = self.places.try_acquire() {
            place.forget();
            return Ok(());
        }
        let mut health = self.health.subscribe();
        loop {
            // What `wait_for` returns holds the lock on the health; it must be gone before anybody looks at it again.
            let failing = async { health.wait_for(|health| *health != Health::Well).await.map(|_| ()) };
            tokio::select! {
                biased;
                place = self.places.acquire() => {
                    place.map_err(|_| closed())?.forget();
                    return Ok(());
                }
                _ = failing => self.well()?,
            }
        }
    }

    /// Refuses while commits fail.
    pub(super) fn well(&self) -> Result<(), StoreError> {
        match &*self.health.borrow() {
            Health::Well => Ok(()),
            Health::Failing(reason) => Err(refused(reason)),
            Health::Ended => Err(closed()),
        }
    }

    /// Waits until there is something to do, or for as long as `wait` says.
    pub(super) fn next(&self, wait: Option<Duration>) -> Batch {
        let until = wait.map(|wait| Instant::now() + wait);
        let mut state = self.state.lock();
        loop {
            let due = state.since.map(|since| since + self.linger);
            let wake = [due, until].into_iter().flatten().min();
            let is_due = wake.is_some_and(|wake| Instant::now() >= wake);
            if state.phase != Phase::Open || state.awaited > 0 || state.jobs.len() >= ENOUGH || is_due {
                if state.company > 1 && state.awaited > 0 {
                    self.gather(&mut state);
                }
                return state.take();
            }
            match wake {
                Some(wake) => {
                    self.ready.wait_until(&mut state, wake);
                }
                None => self.ready.wait(&mut state),
            }
        }
    }

    /// Waits for those who are about to come.
    fn gather(&self, state: &mut MutexGuard<'_, State>) {
        let until = Instant::now() + GATHERING;
        let mut count = 0;
        while state.phase == Phase::Open
            && count < state.jobs.len()
            && state.jobs.len() < COMPANY
            && Instant::now() < until
        {
            count = state.jobs.len();
            if state.awaited < state.company {
                self.ready.wait_for(state, SILENCE);
            } else {
                // All may have come, or more than lately are about to, on the core that this thread is on.
                MutexGuard::unlocked(state, thread::yield_now);
            }
        }
    }

    /// Says how commits fare; returns whether that is news.
    pub(super) fn report(&self, health: Health) -> bool {
        self.health.send_if_modified(|known| {
            let is_news = std::mem::discriminant(known) != std::mem::discriminant(&health);
            *known = health;
            is_news
        })
    }

    /// Gives back the places of writes that have ended.
    pub(super) fn give_back(&self, places: usize) {
        self.places.add_permits(places);
    }

    /// Takes nothing more, and tells `answer` when what was queued is written.
    pub(super) fn close(&self, answer: Option<oneshot::Sender<Result<(), StoreError>>>) {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Open | Phase::Closing => {
                state.phase = Phase::Closing;
                state.closers.extend(answer);
                self.ready.notify_one();
            }
            Phase::Closed => {
                if let Some(answer) = answer {
                    // Whoever asked and went away misses the answer and nothing else.
                    let _ = answer.send(Ok(()));
                }
            }
        }
    }

    /// The writer has ended: everybody who still waits is told so. Ending twice is ending once.
    pub(super) fn end(&self, outcome: &Result<(), StoreError>) {
        let (jobs, closers) = {
            let mut state = self.state.lock();
            state.phase = Phase::Closed;
            (std::mem::take(&mut state.jobs), std::mem::take(&mut state.closers))
        };
        self.health.send_replace(Health::Ended);
        self.places.close();
        // A job that is dropped tells its caller.
        drop(jobs);
        for closer in closers {
            let told = outcome.as_ref().copied().map_err(|error| refused(&error.to_string()));
            let _ = closer.send(told);
        }
    }
}

impl State {
    fn take(&mut self) -> Batch {
        let count = self.jobs.len().min(GROUP);
        let jobs: Vec<_> = self.jobs.drain(..count).collect();
        let is_empty = self.jobs.is_empty();
        let awaited = jobs.iter().filter(|job| job.is_awaited()).count();
        self.awaited = self.awaited.saturating_sub(awaited);
        self.company = awaited.max(self.company.midpoint(awaited));
        if is_empty {
            self.since = None;
        }
        Batch { jobs, is_last: is_empty && self.phase != Phase::Open }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::UnixMillis,
        store::{
            KeyId,
            sqlite::job::{Behind, Durability, awaited},
        },
    };

    async fn take(queue: &Queue, awaited_ones: usize, behind: usize) -> (usize, Duration) {
        for _ in 0..behind {
            let touch = Behind::TouchKey(KeyId("a".to_owned()), UnixMillis::from_millis(1));
            queue.push(Job::Behind(touch)).await.unwrap();
        }
        for _ in 0..awaited_ones {
            queue.push(awaited(Durability::Process, |()| true, |_, _| Ok(())).0).await.unwrap();
        }
        let began = Instant::now();
        (queue.next(None).jobs.len(), began.elapsed())
    }

    #[tokio::test]
    async fn whoever_waits_waits_for_others_only_where_there_are_some() {
        let queue = Queue::new(1_024, Duration::from_secs(60));
        assert_eq!(take(&queue, 1, 3).await.0, 4);
        assert_eq!(queue.state.lock().company, 1, "one of them waits, and alone");
        assert_eq!(take(&queue, 2, 0).await.0, 2);
        assert_eq!(queue.state.lock().company, 2);
        let mut again = Vec::new();
        for _ in 0..20 {
            again.push(take(&queue, 2, 1).await);
        }
        assert!(again.iter().all(|(count, _)| *count == 3));
        assert!(
            again.iter().any(|(_, took)| *took < SILENCE),
            "all have come, and were waited for: {again:?}"
        );
        let (count, took) = take(&queue, 1, 0).await;
        assert_eq!(count, 1);
        assert!(took >= SILENCE, "nobody else was waited for: {took:?}");
        assert_eq!(queue.state.lock().company, 1, "and nobody came");
    }
}
