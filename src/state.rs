//! What is known of a run: a fold of its events by one pure transition function.
//!
//! The same function guards the running program and reads a journal after a crash: an event that does not fit the
//! state is an error in both, never ignored.

use crate::event::{Event, Outcome, RunEnd, Stamped};
use crate::key::{RunId, TaskKey};
use crate::modules::{Change, Nature};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Where a task stands.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskState {
    /// Begun; only looked at so far.
    Started,
    /// Decided and written down; nothing sent.
    Planned,
    /// This action was sent and its end not seen.
    Acting {
        /// Number of the change.
        change: usize,
        /// Number of the action in it.
        action: usize,
    },
    /// The last action sent was seen to end.
    Between,
    /// Ended.
    Ended(Outcome),
}

/// One task of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Where it stands.
    pub state: TaskState,
    /// Section that it belongs to.
    pub section: usize,
    /// Digest of its parameters.
    pub params: String,
    /// Kind, once planned.
    pub nature: Option<Nature>,
    /// May its actions be sent twice?
    pub repeatable: bool,
    /// Planned changes.
    pub changes: Vec<Change>,
    /// How many of them have begun: these are what an undo has to take back.
    pub begun: usize,
    /// What it registered.
    pub out: Value,
    /// What the operator answered in it, in order.
    pub answers: Vec<String>,
    /// The job on the host whose end was not seen yet, by name.
    pub job: Option<String>,
    /// How many jobs it has started in all lives of the run.
    pub jobs: u32,
    /// True once what it did was taken back.
    pub taken_back: bool,
    /// Which life of the run it belongs to: 0, and one more each time the run is resumed.
    pub life: u32,
}

/// A checkpoint of a guest in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Guest.
    pub guest: String,
    /// Section that it guards.
    pub section: usize,
    /// Snapshot name.
    pub name: String,
    /// True once it was seen in the list.
    pub taken: bool,
    /// Did the guest run?
    pub running: bool,
    /// Its firewall file then.
    pub firewall: Option<String>,
    /// True once the guest went back to it.
    pub rolled_back: bool,
}

/// A change that was begun on a host, in order of time: what `rollback` has to take back, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Task.
    pub task: TaskKey,
    /// Section.
    pub section: usize,
    /// The change with its undo.
    pub change: Change,
}

/// A revert that a host was armed with and that nobody has seen the end of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRevert {
    /// The task whose changes it takes back.
    pub task: TaskKey,
    /// Folder on the host.
    pub folder: String,
    /// User there.
    pub user: Option<String>,
    /// When it was about to be armed, in milliseconds since the epoch.
    pub since: u64,
    /// From arming to firing.
    pub within: Duration,
}

/// An event that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} does not fit what is known of the run: {why}")]
pub struct Illegal {
    /// The event, by name.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// Everything known of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunState {
    /// Identity; `None` before the first event.
    pub run: Option<RunId>,
    /// `run`, `rollback`.
    pub command: String,
    /// Title of the runbook.
    pub runbook: String,
    /// Its path.
    pub path: String,
    /// Inventory file.
    pub inventory: String,
    /// Digest of the program, as last started or resumed.
    pub digest: String,
    /// `--set` and inputs as given.
    pub vars: Value,
    /// Milliseconds since the epoch.
    pub started: u64,
    /// How often the run was resumed.
    pub life: u32,
    /// Section that runs now.
    pub section: usize,
    /// Names of the sections begun, by index.
    pub sections: BTreeMap<usize, String>,
    /// Tasks.
    pub tasks: BTreeMap<TaskKey, Task>,
    /// Checkpoints in order of time.
    pub checkpoints: Vec<Checkpoint>,
    /// Changes begun, in order of time.
    pub applied: Vec<Applied>,
    /// Reverts that may still fire.
    pub reverts: Vec<OpenRevert>,
    /// How many there were in all: names of folders are never used twice.
    pub reverts_armed: usize,
    /// How it ended.
    pub ended: Option<RunEnd>,
}

impl RunState {
    /// The state after these events.
    ///
    /// # Errors
    /// [`Illegal`] for the first event that does not fit.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Stamped>) -> Result<Self, Illegal> {
        let mut state = Self::default();
        for event in events {
            state.apply(event)?;
        }
        Ok(state)
    }

    /// Takes one event in.
    ///
    /// # Errors
    /// [`Illegal`]; the state is unchanged then.
    pub fn apply(&mut self, stamped: &Stamped) -> Result<(), Illegal> {
        let event = &stamped.event;
        if let Event::RunStarted { run, command, runbook, path, inventory, digest, vars, .. } = event {
            if self.run.is_some() {
                return Err(illegal("run_started", "the run has started already"));
            }
            self.run = Some(run.clone());
            self.command.clone_from(command);
            self.runbook.clone_from(runbook);
            self.path.clone_from(path);
            self.inventory.clone_from(inventory);
            self.digest.clone_from(digest);
            self.vars.clone_from(vars);
            self.started = stamped.at;
            return Ok(());
        }
        if self.run.is_none() {
            return Err(illegal("the first event", "it is not run_started"));
        }
        if let Event::Resumed { digest, .. } = event {
            self.ended = None;
            self.life += 1;
            self.digest.clone_from(digest);
            return Ok(());
        }
        if self.ended.is_some() && event.is_durable() {
            return Err(illegal("an event", "the run has ended"));
        }
        match event {
            Event::SectionStarted { index, section, .. } => {
                self.section = *index;
                self.sections.insert(*index, section.clone());
            }
            Event::TaskStarted { task, params, .. } => self.task_started(task, params)?,
            Event::Planned { task, nature, repeatable, changes } => {
                let entry = self.open(task, "planned")?;
                entry.state = TaskState::Planned;
                entry.nature = Some(*nature);
                entry.repeatable = *repeatable;
                entry.changes.clone_from(changes);
                entry.begun = 0;
            }
            Event::ActionStarted { task, change, action, .. } => self.action_started(task, *change, *action)?,
            Event::ActionEnded { task, change, action, .. } => {
                let entry = self.open(task, "action_ended")?;
                if entry.state != (TaskState::Acting { change: *change, action: *action }) {
                    return Err(illegal("action_ended", &format!("{task} is {:?}", entry.state)));
                }
                entry.state = TaskState::Between;
                entry.job = None;
            }
            Event::JobStarted { task, folder, .. } => {
                let entry = self.open(task, "job_started")?;
                if !matches!(entry.state, TaskState::Acting { .. }) {
                    return Err(illegal("job_started", &format!("{task} is {:?}", entry.state)));
                }
                if entry.job.as_ref() != Some(folder) {
                    entry.jobs += 1;
                }
                entry.job = Some(folder.clone());
            }
            Event::Answered { task, answer } => self.open(task, "answered")?.answers.push(answer.clone()),
            Event::TaskEnded { task, outcome, out, .. } => {
                let entry = self.open(task, "task_ended")?;
                entry.state = TaskState::Ended(outcome.clone());
                entry.out = out.clone();
            }
            Event::CheckpointStarted { guest, section, name } => self.checkpoints.push(Checkpoint {
                guest: guest.clone(),
                section: *section,
                name: name.clone(),
                taken: false,
                running: false,
                firewall: None,
                rolled_back: false,
            }),
            Event::CheckpointTaken { guest, name, firewall, running, .. } => {
                let entry = self.checkpoint(guest, name, "checkpoint_taken")?;
                entry.taken = true;
                entry.firewall.clone_from(firewall);
                entry.running = *running;
            }
            Event::RolledBack { guest, name, .. } => {
                if let Ok(entry) = self.checkpoint(guest, name, "rolled_back") {
                    entry.rolled_back = true;
                    let section = entry.section;
                    self.applied.retain(|a| !a.is_about(guest) || a.section < section);
                    for (key, task) in &mut self.tasks {
                        let about = is_about(guest, key, &task.changes);
                        task.taken_back |= about && task.section >= section;
                    }
                }
            }
            Event::UndoEnded { task, what, failed: None } => {
                if let Some(at) = self.applied.iter().rposition(|a| a.task == *task && a.change.what == *what) {
                    self.applied.remove(at);
                }
                if let Some(entry) = self.tasks.get_mut(task) {
                    entry.taken_back = true;
                }
            }
            Event::RevertArmed { task, folder, user, within } => {
                self.open(task, "revert_armed")?;
                self.reverts_armed += 1;
                let (task, folder, user) = (task.clone(), folder.clone(), user.clone());
                self.reverts.push(OpenRevert { task, folder, user, since: stamped.at, within: *within });
            }
            Event::RevertDropped { folder, .. } | Event::RevertConfirmed { folder, .. } => {
                self.reverts.retain(|r| r.folder != *folder);
            }
            Event::RevertFired { task, folder, failed } => self.reverted(task, folder, failed.is_none()),
            Event::RunEnded { end, .. } => self.ended = Some(*end),
            _ => {}
        }
        Ok(())
    }

    /// A host took the changes of a task back; if it did so whole, there is nothing left of them to undo.
    pub fn reverted(&mut self, task: &TaskKey, folder: &str, whole: bool) {
        self.reverts.retain(|r| r.folder != folder);
        if whole {
            self.applied.retain(|a| a.task != *task || a.change.revert.is_none());
            if let Some(entry) = self.tasks.get_mut(task) {
                entry.taken_back = true;
            }
        }
    }

    fn task_started(&mut self, task: &TaskKey, params: &str) -> Result<(), Illegal> {
        // A task that was cut off starts anew when the run is resumed; within one life of a run it starts once.
        let old = self.tasks.get(task);
        if old.is_some_and(|t| t.life == self.life && !matches!(t.state, TaskState::Ended(_))) {
            return Err(illegal("task_started", &format!("{task} is under way")));
        }
        let answers = old.map(|t| t.answers.clone()).unwrap_or_default();
        // A job runs on whatever becomes of the run, so its name outlives a life of the run.
        let (job, jobs) = old.map_or((None, 0), |t| (t.job.clone(), t.jobs));
        let entry = Task {
            state: TaskState::Started,
            section: self.section,
            params: params.to_string(),
            nature: None,
            repeatable: true,
            changes: Vec::new(),
            begun: 0,
            out: Value::Null,
            answers,
            job,
            jobs,
            taken_back: false,
            life: self.life,
        };
        self.tasks.insert(task.clone(), entry);
        Ok(())
    }

    fn action_started(&mut self, task: &TaskKey, change: usize, action: usize) -> Result<(), Illegal> {
        let entry = self.open(task, "action_started")?;
        if !matches!(entry.state, TaskState::Planned | TaskState::Between) {
            return Err(illegal("action_started", &format!("{task} is {:?}", entry.state)));
        }
        let Some(what) = entry.changes.get(change).cloned() else {
            return Err(illegal("action_started", &format!("{task} has no change {change}")));
        };
        entry.state = TaskState::Acting { change, action };
        if change >= entry.begun {
            entry.begun = change + 1;
            let section = entry.section;
            self.applied.push(Applied { task: task.clone(), section, change: what });
        }
        Ok(())
    }

    fn open(&mut self, task: &TaskKey, what: &str) -> Result<&mut Task, Illegal> {
        match self.tasks.get_mut(task) {
            None => Err(illegal(what, &format!("{task} has not started"))),
            Some(entry) if matches!(entry.state, TaskState::Ended(_)) => {
                Err(illegal(what, &format!("{task} has ended")))
            }
            Some(entry) => Ok(entry),
        }
    }

    fn checkpoint(&mut self, guest: &str, name: &str, what: &str) -> Result<&mut Checkpoint, Illegal> {
        self.checkpoints
            .iter_mut()
            .rev()
            .find(|c| c.guest == guest && c.name == name)
            .ok_or_else(|| illegal(what, &format!("no checkpoint {name} of {guest} has started")))
    }

    /// True if a task still has to see the end of this job.
    pub fn awaits_job(&self, name: &str) -> bool {
        self.tasks
            .values()
            .any(|t| t.job.as_deref() == Some(name) && !matches!(&t.state, TaskState::Ended(o) if !o.stops()))
    }

    /// Tasks whose last action was sent and never seen to end.
    pub fn in_flight(&self) -> impl Iterator<Item = (&TaskKey, &Task)> {
        self.tasks.iter().filter(|(_, t)| matches!(t.state, TaskState::Acting { .. }))
    }
}

impl Applied {
    /// True if a rollback of this guest takes it back.
    pub fn is_about(&self, guest: &str) -> bool {
        is_about(guest, &self.task, std::slice::from_ref(&self.change))
    }
}

/// A task on the guest itself, or on its node with a change of the guest.
fn is_about(guest: &str, task: &TaskKey, changes: &[Change]) -> bool {
    task.host == guest || changes.iter().any(|c| c.guest.as_deref() == Some(guest))
}

fn illegal(what: &str, why: &str) -> Illegal {
    Illegal { what: what.to_string(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::StepKey;
    use crate::modules::Undo;

    fn at(event: Event) -> Stamped {
        Stamped { at: 0, event }
    }

    fn started() -> Stamped {
        at(Event::RunStarted {
            format: 1,
            run: RunId("20261123-000000-abcd".into()),
            command: "run".into(),
            runbook: "r".into(),
            path: "r.yml".into(),
            digest: String::new(),
            inventory: "i.yml".into(),
            operator: "me".into(),
            piton: "0".into(),
            hosts: vec![],
            vars: Value::Null,
            tasks: 1,
            lab: false,
        })
    }

    fn task() -> TaskKey {
        TaskKey { step: StepKey("s/t".into()), host: "h".into(), item: None }
    }

    fn walk() -> Vec<Stamped> {
        vec![
            started(),
            at(Event::TaskStarted { task: task(), params: "p".into(), label: None }),
            at(Event::Planned {
                task: task(),
                nature: Nature::AlwaysRuns,
                repeatable: false,
                changes: vec![Change::new("x", vec![], Undo::Nothing)],
            }),
            at(Event::ActionStarted { task: task(), change: 0, action: 0, line: "x".into() }),
        ]
    }

    #[test]
    fn an_action_without_its_end_is_in_flight() {
        let state = RunState::fold(&walk()).unwrap();
        assert_eq!(state.in_flight().map(|(k, _)| k.clone()).collect::<Vec<_>>(), [task()]);
        assert_eq!(state.applied.len(), 1);
    }

    #[test]
    fn every_event_out_of_order_is_illegal() {
        let all = walk();
        for skip in 0..all.len() - 1 {
            let mut events = all.clone();
            events.remove(skip);
            assert!(RunState::fold(&events).is_err(), "without event {skip}");
        }
    }

    #[test]
    fn nothing_durable_comes_after_the_end() {
        let mut state = RunState::fold(&[started()]).unwrap();
        state.apply(&at(Event::RunEnded { end: RunEnd::Done, took: Duration::ZERO })).unwrap();
        assert!(state.apply(&at(Event::Warning { text: "x".into() })).is_err());
    }
}
