//! One attempt of a step: probe, decide, checkpoint, write down, act, probe again.

use super::Engine;
use super::acting::Actor;
use super::prepare::{Item, Prepared};
use super::settle::{InFlight, SENDS};
use super::trouble::Trouble;
use crate::cmd::Output;
use crate::compile::Step;
use crate::event::Event;
use crate::key::TaskKey;
use crate::modules::{Action, Change, Decision, Diff, Nature, Undo};
use serde_json::{Map, Value};
use tokio::time::Instant;

/// What one attempt came to.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// Did anything change?
    pub changed: bool,
    /// Why it did not work.
    pub failed: Option<String>,
    /// Output of the last command.
    pub output: Option<Output>,
    /// What the module read.
    pub facts: Map<String, Value>,
}

/// What came of sending the changes of a step.
pub(super) enum Carried {
    /// The end of each action was seen.
    Ended(Attempt),
    /// The line was lost, and this is what a new look decided.
    Settled(Decision),
}

impl Engine {
    pub(super) async fn attempt(
        &self,
        section: usize,
        step: &Step,
        task: &TaskKey,
        item: &Item,
        prepared: &Prepared,
    ) -> Result<Attempt, Trouble> {
        let nature = prepared.instance.nature();
        if nature == Nature::Looks {
            return self.look_until(task, prepared).await;
        }
        let mut decision = self.decide(prepared).await?;
        if let Some(guest) = Self::guarded_guest(step, prepared, &decision.changes)
            && self.guard(section, &guest).await?
        {
            // The snapshot is a change itself: the digest of a VM's configuration is another one now.
            decision = self.decide(prepared).await?;
        }
        if decision.changes.is_empty() {
            for text in decision.notes {
                self.recorder.record(Event::Warning { text })?;
            }
            return Ok(Attempt { facts: decision.facts, ..Attempt::default() });
        }
        let mut sends = 0;
        loop {
            if let Some(guest) = Self::guarded_guest(step, prepared, &decision.changes) {
                for change in &mut decision.changes {
                    change.guest = Some(guest.name.clone());
                }
            }
            sends += 1;
            match self.carry_out(step, task, item, prepared, (&decision, sends < SENDS)).await? {
                Carried::Ended(attempt) => return Ok(attempt),
                Carried::Settled(after) if after.changes.is_empty() => {
                    return Ok(Attempt { changed: true, facts: after.facts, ..Attempt::default() });
                }
                Carried::Settled(after) => decision = after,
            }
        }
    }

    /// Makes the changes that were decided. With `settles`, what a lost line leaves open is looked at.
    pub(super) async fn carry_out(
        &self,
        step: &Step,
        task: &TaskKey,
        item: &Item,
        prepared: &Prepared,
        (decision, settles): (&Decision, bool),
    ) -> Result<Carried, Trouble> {
        let nature = prepared.instance.nature();
        let mut changes = if step.no_log { hidden(&decision.changes) } else { decision.changes.clone() };
        if Self::only_looks(step) {
            for change in &mut changes {
                change.undo = Undo::Nothing;
            }
        }
        let repeatable = prepared.instance.repeatable();
        self.recorder.record(Event::Planned { task: task.clone(), nature, repeatable, changes })?;
        let mut attempt = Attempt { facts: decision.facts.clone(), ..Attempt::default() };
        let armed = self.arm(task, prepared, &decision.changes).await?;
        // Under a revert what a lost line leaves open is looked at over a new one, in time or not at all.
        let settles = settles && armed.is_none() && !step.durable && prepared.instance.repeatable();
        let acted = self.act_all(step, (task, prepared), &decision.changes, settles, &mut attempt).await;
        if let Some(armed) = armed {
            let acted = acted.map(|_| ());
            return Ok(Carried::Ended(self.confirm(&armed, prepared, acted, attempt).await?));
        }
        if let Some(after) = acted? {
            return Ok(Carried::Settled(after));
        }
        if nature == Nature::Converges && attempt.failed.is_none() {
            // A file that the step writes here (`fetch`) is another one now.
            let writes_here = prepared.instance.local_files().iter().any(|want| want.optional);
            let anew =
                if writes_here { Some(self.prepare(step, &task.host, item.value.as_ref()).await?) } else { None };
            self.seen_to_hold(anew.as_ref().unwrap_or(prepared), &mut attempt).await?;
        }
        Ok(Carried::Ended(attempt))
    }

    /// All actions in order, up to the first that fails; a decision if a lost line made another look necessary.
    pub(super) async fn act_all(
        &self,
        step: &Step,
        (task, prepared): (&TaskKey, &Prepared),
        changes: &[Change],
        settles: bool,
        attempt: &mut Attempt,
    ) -> Result<Option<Decision>, Trouble> {
        let actor =
            Actor { asker: prepared.asker.clone(), timeout: step.timeout, task: (!step.no_log).then(|| task.clone()) };
        for (c, change) in changes.iter().enumerate() {
            for (a, action) in change.actions.iter().enumerate() {
                let begun = Instant::now();
                let done = match self.one_action(step, task, &actor, (c, a), action).await {
                    Err(Trouble::Unknown(why)) if settles => {
                        let flight = InFlight { task, at: (c, a), begun };
                        return Ok(Some(self.settle(prepared, &flight, &why).await?));
                    }
                    other => other?,
                };
                if let Some(answer) = done.answer {
                    let event = Event::Answered { task: task.clone(), answer: answer.clone() };
                    self.recorder.record(event)?;
                    attempt.facts.insert("answer".into(), answer.into());
                }
                attempt.output = done.output.or(attempt.output.take());
                if !done.ok {
                    attempt.changed = true;
                    attempt.failed = Some(format!("{}: {}", change.what, done.result.message));
                    return Ok(None);
                }
            }
        }
        attempt.changed = !changes.iter().flat_map(|c| &c.actions).all(|a| matches!(a, Action::Prompt(_)));
        Ok(None)
    }

    /// Probes again: what was changed must now be so, or it is not claimed.
    pub(super) async fn seen_to_hold(&self, prepared: &Prepared, attempt: &mut Attempt) -> Result<(), Trouble> {
        let after = match self.decide(prepared).await {
            Ok(after) => after,
            Err(Trouble::Unreachable(why)) => {
                return Err(Trouble::Unknown(format!("the change was made, but not seen to hold: {why}")));
            }
            Err(Trouble::Failed(why)) => {
                attempt.failed = Some(format!("the change was made, but the look at it failed: {why}"));
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        if let Some(left) = after.changes.first() {
            attempt.failed = Some(format!("did not converge: after the change it would still {}", left.what));
        }
        for text in after.notes {
            self.recorder.record(Event::Warning { text })?;
        }
        attempt.facts = after.facts;
        Ok(())
    }
}

/// `no_log`: what is written down and shown keeps neither diff nor content.
pub(super) fn hidden(changes: &[Change]) -> Vec<Change> {
    changes
        .iter()
        .map(|change| Change {
            what: change.what.clone(),
            diff: Diff::None,
            actions: Vec::new(),
            undo: match &change.undo {
                Undo::Actions(_) => Undo::Impossible("`no_log` keeps its old state out of the journal".into()),
                other => other.clone(),
            },
            confirm_within: change.confirm_within,
            guest: change.guest.clone(),
            revert: change.revert.clone(),
        })
        .collect()
}
