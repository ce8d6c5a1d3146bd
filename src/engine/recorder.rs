//! The one place that events go through: state, then journal, then screens.

use super::clock::Clock;
use crate::event::{Event, Sink, Stamped};
use crate::journal::{Journal, JournalError};
use crate::state::RunState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Stamps events, checks them against the run's state, writes them down and shows them.
pub struct Recorder {
    inner: Mutex<Inner>,
    sinks: Vec<Arc<dyn Sink>>,
    clock: Arc<dyn Clock>,
}

struct Inner {
    journal: Option<Journal>,
    state: RunState,
}

impl Recorder {
    /// With a journal for runs, without one for plans.
    pub fn new(journal: Option<Journal>, sinks: Vec<Arc<dyn Sink>>, clock: Arc<dyn Clock>) -> Self {
        Self { inner: Mutex::new(Inner { journal, state: RunState::default() }), sinks, clock }
    }

    /// For a run that goes on: what is known of it so far.
    pub fn resumed(journal: Journal, state: RunState, sinks: Vec<Arc<dyn Sink>>, clock: Arc<dyn Clock>) -> Self {
        Self { inner: Mutex::new(Inner { journal: Some(journal), state }), sinks, clock }
    }

    /// Records an event. When this returns, a durable event is written down.
    ///
    /// # Errors
    /// [`JournalError`]: nothing more may be changed on any host.
    pub fn record(&self, event: Event) -> Result<(), JournalError> {
        let stamped = Stamped { at: self.clock.now(), event };
        let mut inner = self.lock();
        // A plan is no run: it has no journal, so there is nothing that its events have to fit.
        if stamped.event.is_durable() && inner.journal.is_some() {
            inner.state.apply(&stamped)?;
            if let Some(journal) = &mut inner.journal {
                journal.append(&stamped)?;
            }
        }
        // Under the lock, so that every sink sees the order of the journal.
        for sink in &self.sinks {
            sink.event(&stamped);
        }
        Ok(())
    }

    /// Shows a progress event: never written, never an error.
    pub fn progress(&self, event: Event) {
        let stamped = Stamped { at: self.clock.now(), event };
        let _order = self.lock();
        for sink in &self.sinks {
            sink.event(&stamped);
        }
    }

    /// Reads the state.
    pub fn with_state<T>(&self, read: impl FnOnce(&RunState) -> T) -> T {
        read(&self.lock().state)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
