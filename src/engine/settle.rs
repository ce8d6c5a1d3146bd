//! What was in flight when the line was lost, and may be sent twice, is settled by looking: the rule of the resume
//! table, within one life of a run.

use super::Engine;
use super::prepare::Prepared;
use super::trouble::Trouble;
use crate::event::{ActionResult, Event};
use crate::journal::JournalError;
use crate::key::TaskKey;
use crate::modules::Decision;
use tokio::time::Instant;

/// How often the changes of one step are sent at most, where each time the line is lost.
pub const SENDS: u32 = 3;

/// The action that was in flight.
pub struct InFlight<'a> {
    /// Its task.
    pub task: &'a TaskKey,
    /// Number of the change, and of the action in it.
    pub at: (usize, usize),
    /// When it was sent.
    pub begun: Instant,
}

impl Engine {
    /// Looks at what a lost line left behind and writes the end of the action down: done, or to be sent again.
    ///
    /// # Errors
    /// [`Trouble::Unknown`] with both reasons if it cannot be looked at.
    pub(super) async fn settle(
        &self,
        prepared: &Prepared,
        flight: &InFlight<'_>,
        why: &str,
    ) -> Result<Decision, Trouble> {
        let after = match self.decide(prepared).await {
            Ok(after) => after,
            Err(Trouble::Journal(error)) => return Err(Trouble::Journal(error)),
            Err(second) => return Err(Trouble::Unknown(format!("{why}; and it could not be looked at: {second}"))),
        };
        self.settled(flight, after.changes.is_empty(), why)?;
        Ok(after)
    }

    fn settled(&self, flight: &InFlight<'_>, ok: bool, why: &str) -> Result<(), JournalError> {
        let found = if ok { "a new look found it done" } else { "a new look found it not done, or not wholly" };
        let text = format!("{}: {why}; {found}", flight.task);
        self.recorder.record(Event::Warning { text })?;
        let message = format!("no answer, the line was lost; {found}");
        let (task, (change, action)) = (flight.task.clone(), flight.at);
        let result = ActionResult { message, ..ActionResult::default() };
        self.recorder.record(Event::ActionEnded { task, change, action, ok, result, took: flight.begun.elapsed() })
    }
}
