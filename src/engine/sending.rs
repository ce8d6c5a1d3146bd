//! One action: written down, sent, and its end written down.

use super::Engine;
use super::acting::{Actor, Done, short};
use super::attempt::Attempt;
use super::job::{JobEnd, vanished};
use super::prepare::Prepared;
use super::trouble::Trouble;
use crate::compile::Step;
use crate::event::{ActionResult, Event};
use crate::journal::JournalError;
use crate::key::TaskKey;
use crate::modules::{Action, Nature};
use serde_json::Map;
use tokio::time::Instant;

impl Engine {
    pub(super) async fn one_action(
        &self,
        step: &Step,
        task: &TaskKey,
        actor: &Actor,
        (change, action): (usize, usize),
        what: &Action,
    ) -> Result<Done, Trouble> {
        if self.cancel.is_wanted() {
            return Err(Trouble::Interrupted);
        }
        self.has_its_leases().await?;
        // A line that cannot be opened is no action begun: nothing is in flight then.
        self.ready(actor, what).await?;
        let line = if step.no_log { "(no_log)".to_string() } else { short(&what.line()) };
        self.recorder.record(Event::ActionStarted { task: task.clone(), change, action, line })?;
        let begun = Instant::now();
        let done = match (self.job_of(step, task, what), what) {
            (Some(folder), Action::Run(cmd)) => {
                let event = Event::JobStarted { task: task.clone(), change, action, folder: folder.clone() };
                self.recorder.record(event)?;
                let done = self.act_job(actor, &folder, cmd).await;
                self.action_ended(step, task, (change, action), begun, &done)?;
                if !matches!(done, Err(Trouble::Unknown(_))) {
                    self.clear_job(&actor.asker, &folder).await;
                }
                return done;
            }
            _ => self.act(actor, what).await,
        };
        self.action_ended(step, task, (change, action), begun, &done)?;
        done
    }

    /// Writes the end of an action down, if it was seen.
    fn action_ended(
        &self,
        step: &Step,
        task: &TaskKey,
        (change, action): (usize, usize),
        begun: Instant,
        done: &Result<Done, Trouble>,
    ) -> Result<(), JournalError> {
        let (ok, mut result) = match done {
            Ok(done) => (done.ok, done.result.clone()),
            Err(Trouble::Unknown(_)) => return Ok(()),
            Err(other) => (false, ActionResult { message: other.to_string(), ..ActionResult::default() }),
        };
        if step.no_log {
            result = ActionResult { ended: result.ended, status: result.status, ..ActionResult::default() };
        }
        let took = begun.elapsed();
        self.recorder.record(Event::ActionEnded { task: task.clone(), change, action, ok, result, took })
    }

    /// The end of a job that an earlier life of the run started; `None` if it never began.
    pub(super) async fn find_job(
        &self,
        step: &Step,
        task: &TaskKey,
        prepared: &Prepared,
        name: &str,
    ) -> Result<Option<Attempt>, Trouble> {
        let timeout = step.timeout;
        let actor = Actor { asker: prepared.asker.clone(), timeout, task: (!step.no_log).then(|| task.clone()) };
        let changes = self.before.tasks.get(task).map(|t| t.changes.clone()).unwrap_or_default();
        let what = changes.first().map_or_else(|| step.name.clone(), |c| c.what.clone());
        let (nature, repeatable) = (prepared.instance.nature(), prepared.instance.repeatable());
        self.recorder.record(Event::Planned { task: task.clone(), nature, repeatable, changes })?;
        let line = format!("the job {name}, found again");
        self.recorder.record(Event::ActionStarted { task: task.clone(), change: 0, action: 0, line })?;
        let (begun, folder) = (Instant::now(), name.to_string());
        self.recorder.record(Event::JobStarted { task: task.clone(), change: 0, action: 0, folder })?;
        let done = match self.follow_job(&actor, name, begun).await {
            Ok(JobEnd::Ended(output)) => self.ran(output),
            Ok(JobEnd::Gone) if !repeatable => Err(vanished(name)),
            // Nothing was done, or the probe finds what is left to do.
            Ok(end @ (JobEnd::Never | JobEnd::Gone)) => {
                let why = if matches!(end, JobEnd::Never) { "the job had not begun" } else { "the job vanished" };
                let done = Ok(Done::failed(why));
                self.action_ended(step, task, (0, 0), begun, &done)?;
                self.clear_job(&actor.asker, name).await;
                return Ok(None);
            }
            Err(trouble) => Err(trouble),
        };
        self.action_ended(step, task, (0, 0), begun, &done)?;
        let done = match done {
            Err(Trouble::Unknown(why)) => {
                let (run, key) = (&self.options.run, &step.key);
                let hint = format!("`piton resume {run}` looks again; `--redo {key}` or `--done {key}` decides");
                return Err(Trouble::Unknown(format!("{why}; {hint}")));
            }
            other => {
                self.clear_job(&actor.asker, name).await;
                other?
            }
        };
        let failed = (!done.ok).then(|| format!("{what}: {}", done.result.message));
        let mut attempt = Attempt { changed: true, failed, output: done.output, facts: Map::new() };
        if nature == Nature::Converges && attempt.failed.is_none() {
            self.seen_to_hold(prepared, &mut attempt).await?;
        }
        Ok(Some(attempt))
    }
}
