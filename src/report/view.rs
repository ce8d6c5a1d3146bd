//! What reports know of a run: sections, steps, tasks, checkpoints. Filled by [`super::fold`].

use crate::event::{ActionResult, Coverage, Forecast, Outcome, Problem, RunEnd};
use crate::key::{RunId, StepKey, TaskKey};
use crate::modules::{Change, Nature, Undo};
use serde_json::Value;
use std::time::Duration;

/// A run as far as its events tell.
#[derive(Debug, Clone, Default)]
pub struct RunView {
    /// First event; `None` if the events do not begin with one.
    pub start: Option<Start>,
    /// Sections in the order they began.
    pub sections: Vec<SectionView>,
    /// What each guest's checkpoints protect.
    pub coverage: Vec<Coverage>,
    /// Checkpoints in the order they were begun.
    pub checkpoints: Vec<Checkpoint>,
    /// Ways back that were taken.
    pub rollbacks: Vec<Rollback>,
    /// Changes that were taken back by their undo, or were meant to be.
    pub undos: Vec<Undone>,
    /// What the plan says, in order.
    pub forecasts: Vec<ForecastView>,
    /// Warnings in order.
    pub warnings: Vec<String>,
    /// Why it was not begun.
    pub problems: Vec<Problem>,
    /// Lines that were lost: host and how it was noticed.
    pub lost: Vec<(String, String)>,
    /// How often the operator asked to stop.
    pub interrupts: u8,
    /// How it ended, and after how long; `None` while it runs, and for ever if piton was killed.
    pub end: Option<(RunEnd, Duration)>,
    /// Time of the newest event, milliseconds since the Unix epoch.
    pub last: u64,
}

/// What [`crate::event::Event::RunStarted`] says.
#[derive(Debug, Clone)]
pub struct Start {
    /// Milliseconds since the Unix epoch.
    pub at: u64,
    /// Identity.
    pub run: RunId,
    /// `run`, `plan`, `rollback`, `resume`.
    pub command: String,
    /// Title.
    pub runbook: String,
    /// Path as given.
    pub path: String,
    /// Inventory file.
    pub inventory: String,
    /// Who.
    pub operator: String,
    /// Version of piton.
    pub piton: String,
    /// Hosts.
    pub hosts: Vec<String>,
    /// Steps times hosts.
    pub tasks: usize,
    /// True for the lab's simulated Proxmox.
    pub lab: bool,
}

/// A section of a run.
#[derive(Debug, Clone)]
pub struct SectionView {
    /// Position in the runbook.
    pub index: usize,
    /// Name; empty for steps that came before any section.
    pub name: String,
    /// Hosts.
    pub hosts: Vec<String>,
    /// Steps that began.
    pub steps: Vec<StepView>,
    /// How it ended.
    pub ok: Option<bool>,
}

/// A step of a section.
#[derive(Debug, Clone)]
pub struct StepView {
    /// Key.
    pub key: StepKey,
    /// Name as people read it.
    pub name: String,
    /// Step kind; empty if it is not known.
    pub module: String,
    /// One for each host and loop item.
    pub tasks: Vec<TaskView>,
}

/// A step on a host.
#[derive(Debug, Clone)]
pub struct TaskView {
    /// Which.
    pub key: TaskKey,
    /// When it began, milliseconds since the Unix epoch.
    pub at: u64,
    /// Shown beside the name in a loop.
    pub label: Option<String>,
    /// What was decided, if it came to that.
    pub nature: Option<Nature>,
    /// The changes that were decided.
    pub changes: Vec<Change>,
    /// Actions that were begun.
    pub actions: Vec<ActionView>,
    /// Attempts that failed: number, of how many, why.
    pub retries: Vec<(u32, u32, String)>,
    /// What the operator answered.
    pub answer: Option<String>,
    /// What it came to; `None` if no event says so.
    pub outcome: Option<Outcome>,
    /// What `register` keeps.
    pub out: Value,
    /// Wall time.
    pub took: Duration,
}

/// An action of a task.
#[derive(Debug, Clone)]
pub struct ActionView {
    /// Change and action number, from 0.
    pub at: (usize, usize),
    /// As one would type it.
    pub line: String,
    /// Whether it worked and what it said; `None`: no end was seen.
    pub end: Option<(bool, ActionResult, Duration)>,
}

/// A snapshot of a guest.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Guest.
    pub guest: String,
    /// Section that it stands before.
    pub section: usize,
    /// Snapshot name; empty if none came about.
    pub name: String,
    /// What became of it.
    pub state: CheckpointState,
}

/// What became of a [`Checkpoint`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckpointState {
    /// Begun, and no end was seen.
    Begun,
    /// There.
    Taken,
    /// Not taken: why.
    Failed(String),
    /// Deleted by retention.
    Dropped,
}

/// A guest's way back.
#[derive(Debug, Clone)]
pub struct Rollback {
    /// Guest.
    pub guest: String,
    /// Snapshot name.
    pub name: String,
    /// `None`: no end was seen. Else whether it was started again, or why it failed.
    pub end: Option<Result<bool, String>>,
}

/// A change without a checkpoint on its way back.
#[derive(Debug, Clone)]
pub struct Undone {
    /// The task that made it.
    pub task: TaskKey,
    /// What it had done.
    pub what: String,
    /// `None`: no end was seen. Else whether it was taken back, or why not.
    pub end: Option<Result<(), String>>,
}

/// What the plan says of a task.
#[derive(Debug, Clone)]
pub struct ForecastView {
    /// Which.
    pub task: TaskKey,
    /// Step's name.
    pub name: String,
    /// Step kind.
    pub module: String,
    /// The forecast.
    pub forecast: Forecast,
    /// A checkpoint of this guest comes before it.
    pub checkpoint: Option<String>,
}

/// Outcomes, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Looked at and already so.
    pub ok: usize,
    /// Changed.
    pub changed: usize,
    /// Not due.
    pub skipped: usize,
    /// Did not work.
    pub failed: usize,
    /// Did not work, and the runbook says to go on.
    pub ignored: usize,
    /// Nobody knows.
    pub unknown: usize,
}

impl RunView {
    /// All tasks in order.
    pub fn tasks(&self) -> impl Iterator<Item = (&SectionView, &StepView, &TaskView)> {
        self.sections
            .iter()
            .flat_map(|section| section.steps.iter().map(move |step| (section, step)))
            .flat_map(|(section, step)| step.tasks.iter().map(move |task| (section, step, task)))
    }

    /// Hosts in the order of the run, then others in the order they turned up.
    pub fn hosts(&self) -> Vec<&str> {
        let mut out: Vec<&str> = self.start.iter().flat_map(|s| s.hosts.iter().map(String::as_str)).collect();
        for (_, _, task) in self.tasks() {
            if !out.contains(&task.key.host.as_str()) {
                out.push(&task.key.host);
            }
        }
        out
    }

    /// Outcomes of a host. A task without an outcome counts only once the run is over, as unknown if an action of it
    /// was begun.
    pub fn counts(&self, host: &str) -> Counts {
        let mut counts = Counts::default();
        for (_, _, task) in self.tasks().filter(|(_, _, t)| t.key.host == host) {
            match &task.outcome {
                Some(Outcome::Ok) => counts.ok += 1,
                Some(Outcome::Changed) => counts.changed += 1,
                Some(Outcome::Skipped(_)) => counts.skipped += 1,
                Some(Outcome::Failed(_)) => counts.failed += 1,
                Some(Outcome::Ignored(_)) => counts.ignored += 1,
                Some(Outcome::Unknown(_)) => counts.unknown += 1,
                None if self.end.is_some() && task.in_flight().is_some() => counts.unknown += 1,
                None => {}
            }
        }
        counts
    }

    /// Tasks of which nobody knows what happened: lost lines, and actions that were begun and never seen to end.
    pub fn unknowns(&self) -> Vec<(&SectionView, &StepView, &TaskView)> {
        self.tasks()
            .filter(|(_, _, task)| match &task.outcome {
                Some(Outcome::Unknown(_)) => true,
                Some(_) => false,
                None => task.in_flight().is_some(),
            })
            .collect()
    }

    /// Checkpoints that are there to go back to.
    pub fn standing(&self) -> impl Iterator<Item = &Checkpoint> {
        self.checkpoints.iter().filter(|c| c.state == CheckpointState::Taken)
    }

    /// True if the newest way back of this guest was seen to end well.
    pub fn went_back(&self, guest: &str) -> bool {
        self.rollbacks.iter().rev().find(|r| r.guest == guest).is_some_and(|r| matches!(r.end, Some(Ok(_))))
    }

    /// What to type to go back to how it was before this run; `None` if it left nothing that can be taken back.
    pub fn way_back(&self) -> Option<String> {
        let start = self.start.as_ref().filter(|s| s.command != "rollback" && s.command != "plan")?;
        let acted = |t: &TaskView| t.undoable() > self.undone(&t.key);
        let stands = self.standing().any(|c| !self.went_back(&c.guest));
        let changed = self.tasks().any(|(_, _, t)| acted(t) && !self.went_back(&t.key.host));
        (stands || changed).then(|| format!("piton rollback {}", start.run))
    }

    /// How many changes of a task were seen to be taken back.
    fn undone(&self, key: &TaskKey) -> usize {
        self.undos.iter().filter(|u| u.task == *key && u.end == Some(Ok(()))).count()
    }

    /// Name of the section at this position of the runbook.
    pub fn section_name(&self, index: usize) -> Option<&str> {
        self.sections.iter().find(|s| s.index == index).map(|s| s.name.as_str()).filter(|name| !name.is_empty())
    }
}

impl TaskView {
    /// A task that has just been heard of.
    pub fn new(key: TaskKey, at: u64) -> Self {
        Self {
            key,
            at,
            label: None,
            nature: None,
            changes: Vec::new(),
            actions: Vec::new(),
            retries: Vec::new(),
            answer: None,
            outcome: None,
            out: Value::Null,
            took: Duration::ZERO,
        }
    }

    /// How many of its changes were begun and have an undo.
    pub fn undoable(&self) -> usize {
        let begun: std::collections::BTreeSet<usize> = self.actions.iter().map(|a| a.at.0).collect();
        let undoes = |i: &&usize| self.changes.get(**i).is_some_and(|c| matches!(c.undo, Undo::Actions(_)));
        begun.iter().filter(undoes).count()
    }

    /// The action that was begun and not seen to end.
    pub fn in_flight(&self) -> Option<&ActionView> {
        self.actions.iter().rev().find(|a| a.end.is_none())
    }
}
