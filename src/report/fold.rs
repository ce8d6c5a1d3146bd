//! Events to a [`RunView`]: the one place that knows what each event means for screens and reports.

use super::view::{
    ActionView, Checkpoint, CheckpointState, ForecastView, Rollback, RunView, SectionView, Start, StepView, TaskView,
    Undone,
};
use crate::event::{Event, Stamped};
use crate::key::{StepKey, TaskKey};

impl RunView {
    /// The view of a whole journal.
    pub fn of(events: &[Stamped]) -> Self {
        let mut view = Self::default();
        for event in events {
            view.apply(event);
        }
        view
    }

    /// Takes one more event in.
    pub fn apply(&mut self, stamped: &Stamped) {
        let at = stamped.at;
        self.last = at;
        match &stamped.event {
            Event::RunStarted {
                run, command, runbook, path, inventory, operator, piton, hosts, tasks, lab, ..
            } => {
                self.start = Some(Start {
                    at,
                    run: run.clone(),
                    command: command.clone(),
                    runbook: runbook.clone(),
                    path: path.clone(),
                    inventory: inventory.clone(),
                    operator: operator.clone(),
                    piton: piton.clone(),
                    hosts: hosts.clone(),
                    tasks: *tasks,
                    lab: *lab,
                });
            }
            Event::SectionStarted { index, section, hosts } => self.sections.push(SectionView {
                index: *index,
                name: section.clone(),
                hosts: hosts.clone(),
                steps: Vec::new(),
                ok: None,
            }),
            Event::SectionEnded { index, ok } => {
                if let Some(section) = self.sections.iter_mut().rev().find(|s| s.index == *index) {
                    section.ok = Some(*ok);
                }
            }
            Event::Disconnected { host, why } => self.lost.push((host.clone(), why.clone())),
            Event::Covered { coverage } => match self.coverage.iter_mut().find(|c| c.guest == coverage.guest) {
                Some(known) => *known = coverage.clone(),
                None => self.coverage.push(coverage.clone()),
            },
            Event::StepStarted { step, name, module, .. } => {
                let step = self.step(step);
                step.name.clone_from(name);
                step.module.clone_from(module);
            }
            Event::Forecasted { task, name, module, forecast, checkpoint, .. } => self.forecasts.push(ForecastView {
                task: task.clone(),
                name: name.clone(),
                module: module.clone(),
                forecast: forecast.clone(),
                checkpoint: checkpoint.clone(),
            }),
            Event::Refused { problems } => self.problems.clone_from(problems),
            Event::Warning { text } => self.warnings.push(text.clone()),
            Event::Interrupted { count } => self.interrupts = self.interrupts.max(*count),
            Event::RunEnded { end, took } => self.end = Some((*end, *took)),
            Event::Connected { .. } | Event::Output { .. } | Event::TaskLog { .. } | Event::Waiting { .. } => {}
            event => {
                self.apply_checkpoint(event);
                self.apply_task(at, event);
            }
        }
    }

    fn apply_checkpoint(&mut self, event: &Event) {
        match event {
            Event::CheckpointStarted { guest, section, name } => {
                self.checkpoint(guest, *section, name).state = CheckpointState::Begun;
            }
            Event::CheckpointTaken { guest, section, name, .. } => {
                self.checkpoint(guest, *section, name).state = CheckpointState::Taken;
            }
            Event::CheckpointFailed { guest, section, why } => {
                let open = |c: &&mut Checkpoint| c.guest == *guest && c.state == CheckpointState::Begun;
                let state = CheckpointState::Failed(why.clone());
                if let Some(begun) = self.checkpoints.iter_mut().rev().find(open) {
                    begun.state = state;
                } else {
                    self.checkpoint(guest, *section, "").state = state;
                }
            }
            Event::CheckpointDropped { guest, name } => {
                for old in self.checkpoints.iter_mut().filter(|c| c.guest == *guest && c.name == *name) {
                    old.state = CheckpointState::Dropped;
                }
            }
            Event::RollbackStarted { guest, name } => {
                self.rollbacks.push(Rollback { guest: guest.clone(), name: name.clone(), end: None });
            }
            Event::UndoStarted { task, what } => {
                self.undos.push(Undone { task: task.clone(), what: what.clone(), end: None });
            }
            Event::UndoEnded { task, what, failed } => {
                let end = failed.clone().map_or(Ok(()), Err);
                let open = |u: &&mut Undone| u.task == *task && u.what == *what && u.end.is_none();
                match self.undos.iter_mut().rev().find(open) {
                    Some(undo) => undo.end = Some(end),
                    None => self.undos.push(Undone { task: task.clone(), what: what.clone(), end: Some(end) }),
                }
            }
            Event::RolledBack { guest, name, started, .. } => self.rolled(guest, name, Ok(*started)),
            Event::RollbackFailed { guest, name, why } => self.rolled(guest, name, Err(why.clone())),
            _ => {}
        }
    }

    fn apply_task(&mut self, at: u64, event: &Event) {
        match event {
            Event::TaskStarted { task, label, .. } => self.task(at, task).label.clone_from(label),
            Event::Planned { task, nature, changes, .. } => {
                let task = self.task(at, task);
                task.nature = Some(*nature);
                task.changes.clone_from(changes);
            }
            Event::ActionStarted { task, change, action, line } => {
                self.task(at, task).actions.push(ActionView { at: (*change, *action), line: line.clone(), end: None });
            }
            Event::ActionEnded { task, change, action, ok, result, took } => {
                let place = (*change, *action);
                let task = self.task(at, task);
                if let Some(open) = task.actions.iter_mut().rev().find(|a| a.at == place && a.end.is_none()) {
                    open.end = Some((*ok, result.clone(), *took));
                }
            }
            Event::Retry { task, attempt, of, why } => self.task(at, task).retries.push((*attempt, *of, why.clone())),
            Event::Answered { task, answer } => self.task(at, task).answer = Some(answer.clone()),
            Event::TaskEnded { task, outcome, out, took } => {
                let task = self.task(at, task);
                task.outcome = Some(outcome.clone());
                task.out = out.clone();
                task.took = *took;
            }
            _ => {}
        }
    }

    fn rolled(&mut self, guest: &str, name: &str, end: Result<bool, String>) {
        let open = self.rollbacks.iter_mut().rev().find(|r| r.guest == guest && r.name == name && r.end.is_none());
        match open {
            Some(open) => open.end = Some(end),
            None => self.rollbacks.push(Rollback { guest: guest.into(), name: name.into(), end: Some(end) }),
        }
    }

    fn checkpoint(&mut self, guest: &str, section: usize, name: &str) -> &mut Checkpoint {
        let known = self.checkpoints.iter().position(|c| c.guest == guest && c.name == name && !name.is_empty());
        let at = known.unwrap_or_else(|| {
            let state = CheckpointState::Begun;
            self.checkpoints.push(Checkpoint { guest: guest.into(), section, name: name.into(), state });
            self.checkpoints.len() - 1
        });
        &mut self.checkpoints[at]
    }

    /// The step of this key in the newest section, made if it is not there.
    fn step(&mut self, key: &StepKey) -> &mut StepView {
        if self.sections.is_empty() {
            self.sections.push(SectionView {
                index: 0,
                name: String::new(),
                hosts: Vec::new(),
                steps: Vec::new(),
                ok: None,
            });
        }
        let newest = self.sections.len() - 1;
        let steps = &mut self.sections[newest].steps;
        let at = steps.iter().position(|s| s.key == *key).unwrap_or_else(|| {
            steps.push(StepView { key: key.clone(), name: key.0.clone(), module: String::new(), tasks: Vec::new() });
            steps.len() - 1
        });
        &mut steps[at]
    }

    fn task(&mut self, at: u64, key: &TaskKey) -> &mut TaskView {
        let tasks = &mut self.step(&key.step).tasks;
        let place = tasks.iter().position(|t| t.key == *key).unwrap_or_else(|| {
            tasks.push(TaskView::new(key.clone(), at));
            tasks.len() - 1
        });
        &mut tasks[place]
    }

    /// The task of this key as far as it is known, in the newest section.
    pub fn find(&self, key: &TaskKey) -> Option<(&StepView, &TaskView)> {
        let step = self.sections.last()?.steps.iter().find(|s| s.key == key.step)?;
        Some((step, step.tasks.iter().find(|t| t.key == *key)?))
    }
}
