//! The way back: guests to their checkpoints, and changes without one by their undo, newest first.

use super::Engine;
use super::acting::Actor;
use super::asking::Asker;
use super::trouble::Trouble;
use crate::checkpoint::{self, Firewall, GoBack};
use crate::event::Event;
use crate::journal::JournalError;
use crate::load::inventory::HostKind;
use crate::modules::{GuestRef, Undo};
use crate::state::{Applied, RunState};
use tokio::time::Instant;

/// What came of going back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// There was nothing to take back.
    Nothing,
    /// All of it is back.
    Whole,
    /// Some of it is not: a person is needed.
    Failed,
}

impl Engine {
    /// Takes back what `state` says was changed, in one section or in all.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(super) async fn back(&self, state: &RunState, section: Option<usize>) -> Result<Back, JournalError> {
        let ours = |s: usize| section.is_none_or(|only| only == s);
        let mut back = Back::Nothing;
        // The oldest checkpoint of a guest holds all that came before the run's changes; the newer ones die on the way.
        let mut guests: Vec<&crate::state::Checkpoint> = Vec::new();
        // One that the guest went back to already is behind it: what a person did there since must not be lost.
        for checkpoint in state.checkpoints.iter().filter(|c| c.taken && !c.rolled_back && ours(c.section)) {
            if !guests.iter().any(|c| c.guest == checkpoint.guest) {
                guests.push(checkpoint);
            }
        }
        for checkpoint in guests.iter().rev() {
            let firewall = Firewall::from(checkpoint.firewall.clone());
            let ok = self.back_to(&checkpoint.guest, &checkpoint.name, checkpoint.running, firewall).await?;
            back = worse(back, ok);
        }
        let covered = |a: &Applied| guests.iter().any(|c| a.is_about(&c.guest) && c.section <= a.section);
        let left: Vec<&Applied> = state.applied.iter().filter(|a| ours(a.section) && !covered(a)).collect();
        for applied in left.into_iter().rev() {
            if applied.change.undo == Undo::Nothing {
                continue;
            }
            let ok = self.undo(applied).await?;
            back = worse(back, ok);
        }
        Ok(back)
    }

    /// Takes a guest back to a checkpoint of piton's, with its firewall file as it was then.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(super) async fn back_to(
        &self,
        guest: &str,
        name: &str,
        running: bool,
        firewall: Firewall,
    ) -> Result<bool, JournalError> {
        let begun = Instant::now();
        self.recorder.record(Event::RollbackStarted { guest: guest.to_string(), name: name.to_string() })?;
        let result = self.rollback_guest(guest, name, running, firewall).await;
        match result {
            Ok(started) => {
                self.lines.forget(guest).await;
                let (guest, name) = (guest.to_string(), name.to_string());
                self.recorder.record(Event::RolledBack { guest, name, started, took: begun.elapsed() })?;
                Ok(true)
            }
            Err(why) => {
                let (guest, name) = (guest.to_string(), name.to_string());
                self.recorder.record(Event::RollbackFailed { guest, name, why })?;
                Ok(false)
            }
        }
    }

    async fn rollback_guest(&self, guest: &str, name: &str, running: bool, firewall: Firewall) -> Result<bool, String> {
        let guest = self.guest_named(guest).ok_or_else(|| format!("{guest} is not a guest of the inventory"))?;
        let by_hand = format!("by hand, on the node: qm rollback {} {name} && qm start {}", guest.vmid, guest.vmid);
        let recorder = self.recorder.clone();
        let host = guest.name.clone();
        let on_log = move |line: &str| {
            recorder.progress(Event::TaskLog { host: host.clone(), line: line.to_string() });
        };
        let plan = GoBack { name: name.to_string(), firewall, start: running };
        let at = checkpoint::GuestRef::new(&guest.name, guest.vmid);
        let by_hand = |e: &dyn std::fmt::Display| format!("{e}; {by_hand}");
        let api = self.lines.node(&guest.node).await.map_err(|e| by_hand(&e))?;
        let done = match checkpoint::rollback(&api, &at, &plan, &on_log).await {
            Ok(done) => done,
            // May be done twice: the same snapshot gives the same state.
            Err(error) => {
                let api = self.node_again(&guest.node, &api, &error).await.map_err(|e| by_hand(&e))?;
                checkpoint::rollback(&api, &at, &plan, &on_log).await.map_err(|e| by_hand(&e))?
            }
        };
        Ok(done.started)
    }

    /// Takes one change back by its undo.
    async fn undo(&self, applied: &Applied) -> Result<bool, JournalError> {
        let what = applied.change.what.clone();
        self.recorder.record(Event::UndoStarted { task: applied.task.clone(), what: what.clone() })?;
        let failed = match &applied.change.undo {
            Undo::Nothing => None,
            Undo::Impossible(why) => Some(why.clone()),
            Undo::Actions(actions) => {
                let mut failed = None;
                let actor = Actor { asker: self.undo_asker(applied), timeout: None, task: None };
                for action in actions {
                    match self.act(&actor, action).await {
                        Ok(done) if done.ok => {}
                        Ok(done) => failed = Some(format!("{}: {}", action.line(), done.result.message)),
                        Err(Trouble::Journal(error)) => return Err(error),
                        Err(trouble) => failed = Some(trouble.to_string()),
                    }
                    if failed.is_some() {
                        break;
                    }
                }
                failed
            }
        };
        let ok = failed.is_none();
        self.recorder.record(Event::UndoEnded { task: applied.task.clone(), what, failed })?;
        Ok(ok)
    }

    /// An undo runs as the user of the change it takes back; the journal's actions carry no user, the host's default
    /// does.
    fn undo_asker(&self, applied: &Applied) -> Asker {
        let host = &applied.task.host;
        let step = self.program.sections.iter().flat_map(|s| &s.steps).find(|s| s.key == applied.task.step);
        let default = self.program.inventory.host(host).is_some_and(|h| h.r#become);
        let becomes = step.and_then(|s| s.r#become).unwrap_or(default);
        let user = step.map_or_else(|| "root".to_string(), |s| s.become_user.clone());
        Asker { host: host.clone(), user: becomes.then_some(user), patient: true }
    }

    /// The guest of this name.
    pub(super) fn guest_named(&self, name: &str) -> Option<GuestRef> {
        match &self.program.inventory.host(name)?.kind {
            HostKind::Guest { node, vmid } => {
                Some(GuestRef { name: name.to_string(), node: node.clone(), vmid: *vmid })
            }
            _ => None,
        }
    }
}

fn worse(back: Back, ok: bool) -> Back {
    match (back, ok) {
        (_, false) | (Back::Failed, _) => Back::Failed,
        (_, true) => Back::Whole,
    }
}
