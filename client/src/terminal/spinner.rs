//! The line that says what is being waited for, and for how long.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use super::escape;

/// How long something may take before the person is told.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the line is redrawn.
const TICK: Duration = Duration::from_millis(120);

/// A spinner on stderr, below whatever was printed. It shows itself only on a terminal, and only when something takes
/// longer than half a second.
#[derive(Debug)]
pub(super) struct Spinner {
    visible: bool,
    work: Arc<Mutex<Option<ProgressBar>>>,
    waiting: Mutex<Option<JoinHandle<()>>>,
}

impl Spinner {
    /// A spinner that shows itself if `visible`.
    #[must_use]
    pub(super) fn new(visible: bool) -> Self {
        Self { visible, work: Arc::default(), waiting: Mutex::default() }
    }

    /// Something begins; whatever was going on before has ended. Must run within the runtime.
    pub(super) fn start(&self, doing: &str) {
        self.stop();
        if !self.visible {
            return;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
            .with_style(style())
            .with_message(escape::line(doing));
        *lock(&self.work) = Some(bar.clone());
        let work = Arc::clone(&self.work);
        let task = tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            let _current = lock(&work);
            if !bar.is_finished() {
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(TICK);
            }
        });
        *lock(&self.waiting) = Some(task);
    }

    /// Says more precisely what is going on; the time goes on counting.
    pub(super) fn detail(&self, doing: &str) {
        if let Some(bar) = lock(&self.work).as_ref() {
            bar.set_message(escape::line(doing));
        }
    }

    /// It has ended: the line is taken away.
    pub(super) fn stop(&self) {
        if let Some(task) = lock(&self.waiting).take() {
            task.abort();
        }
        if let Some(bar) = lock(&self.work).take() {
            bar.finish_and_clear();
        }
    }

    /// Prints something with the line out of its way.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match lock(&self.work).as_ref() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}
