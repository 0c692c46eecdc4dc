//! The time that people take to answer, which is not the run's.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Counts the time during which somebody is being asked.
#[derive(Default)]
pub(crate) struct ApprovalClock(Mutex<State>);

#[derive(Default)]
struct State {
    /// The count of open questions.
    open: usize,
    /// The time since which one is open.
    since: Option<Instant>,
    before: Duration,
}

/// A question that has not been answered yet. Dropped, it is closed.
pub(crate) struct Question<'c>(&'c ApprovalClock);

impl ApprovalClock {
    /// Opens a question: the run's clock stands still until it is closed.
    pub(crate) fn ask(&self) -> Question<'_> {
        let mut state = self.0.lock();
        state.open += 1;
        state.since.get_or_insert_with(Instant::now);
        Question(self)
    }

    /// Returns the time taken so far, and whether a question is open.
    pub(crate) fn elapsed(&self) -> (Duration, bool) {
        let state = self.0.lock();
        let now = state.since.map_or(Duration::ZERO, |since| since.elapsed());
        (state.before + now, state.since.is_some())
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.open = state.open.saturating_sub(1);
        if state.open == 0
            && let Some(since) = state.since.take()
        {
            state.before += since.elapsed();
        }
    }
}
