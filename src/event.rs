//! What happens in a run, as data. The same events feed the screen, `--format json`, the reports and the journal.
//!
//! Two classes: [`Event::is_durable`] ones must reach the journal before the run goes on; progress
//! ([`Event::Output`], [`Event::Waiting`], [`Event::TaskLog`]) may be dropped by any sink. No event ever holds a
//! secret value: texts hold marks, and sinks that show them to people use [`crate::secret::shown`].

use crate::cmd::Ended;
use crate::key::{RunId, StepKey, TaskKey};
use crate::modules::{Change, Nature};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// Version of the journal's format. A reader refuses a higher major number.
pub const FORMAT: u32 = 1;

/// An event with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Milliseconds since the Unix epoch, UTC, on the controller's clock.
    pub at: u64,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// What a step on a host came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Looked at, and already so (or, for a step that looks, as wanted).
    Ok,
    /// Changed, and seen to be so afterwards.
    Changed,
    /// Not due: why (`when: ... is false`, tag, `--from`).
    Skipped(String),
    /// It did not work: why. What the host said is in the events before.
    Failed(String),
    /// It failed and `ignore_errors` says to go on.
    Ignored(String),
    /// The line was lost, so nobody knows: what was in flight.
    Unknown(String),
}

impl Outcome {
    /// True for outcomes that stop the host.
    pub fn stops(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Unknown(_))
    }

    /// One word: `ok`, `changed`, `skipped`, `failed`, `ignored`, `unknown`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Changed => "changed",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
            Self::Ignored(_) => "ignored",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// What the plan says of a step on a host, before anything is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forecast {
    /// These changes.
    WillChange(Vec<Change>),
    /// Looked at: nothing to do.
    AlreadySo,
    /// Acts each time; these actions.
    AlwaysRuns(Vec<Change>),
    /// Not to be known now: why.
    CannotKnow(String),
    /// Not due: why.
    Skipped(String),
    /// Would fail as things are: why.
    WouldFail(String),
}

/// What a checkpoint of a guest holds and what it leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Inventory name of the guest.
    pub guest: String,
    /// True if a snapshot is possible.
    pub possible: bool,
    /// What comes back by a rollback.
    pub protected: Vec<String>,
    /// What does not, each with its reason.
    pub unprotected: Vec<String>,
}

/// How a run ended; [`crate::exit::Exit`] gives the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// Every step is ok, changed, skipped or ignored.
    Done,
    /// A step failed.
    Failed,
    /// A step failed, and every guest changed in its section was rolled back.
    RolledBack,
    /// A step failed and the rollback did too, or was not complete.
    RollbackFailed,
    /// A step's outcome is unknown.
    Unknown,
    /// The operator stopped it.
    Interrupted,
    /// A change could not be confirmed in time, and the host took it back: it is as before that step.
    Reverted,
    /// Another operator has a node, or the preflight found problems: nothing was begun.
    Refused,
}

/// Why a run was not begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Host concerned.
    pub host: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub todo: String,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// First event of every journal.
    RunStarted {
        /// [`FORMAT`].
        format: u32,
        /// Identity.
        run: RunId,
        /// `run`, `rollback`, `resume`.
        command: String,
        /// Title of the runbook.
        runbook: String,
        /// Path as given.
        path: String,
        /// Digest of the compiled program.
        digest: String,
        /// Inventory file.
        inventory: String,
        /// `user@machine`.
        operator: String,
        /// Version of piton.
        piton: String,
        /// Hosts that it is for.
        hosts: Vec<String>,
        /// `--set` and inputs as given (secrets are marks); what a resume needs.
        vars: Value,
        /// Number of steps times hosts.
        tasks: usize,
        /// True if the node is the lab's simulated one.
        lab: bool,
    },
    /// A run that was cut off or stopped goes on. Follows anything, also [`Event::RunEnded`].
    Resumed {
        /// `user@machine`.
        operator: String,
        /// Version of piton.
        piton: String,
        /// Digest of the program as it is now.
        digest: String,
        /// Steps that the operator said to run again.
        redo: Vec<StepKey>,
        /// Steps that the operator said were done.
        done: Vec<StepKey>,
    },
    /// A task that was done before the run was cut off, and is not done again. Progress.
    Kept {
        /// Which.
        task: TaskKey,
    },
    /// A section begins.
    SectionStarted {
        /// Position from 0.
        index: usize,
        /// Its name.
        section: String,
        /// Its hosts.
        hosts: Vec<String>,
    },
    /// A line to a host stands.
    Connected {
        /// Host.
        host: String,
        /// `ssh`, `local`, later other rungs of the ladder.
        via: String,
        /// Time that it took.
        took: Duration,
    },
    /// A line to a host was lost.
    Disconnected {
        /// Host.
        host: String,
        /// How it was noticed.
        why: String,
    },
    /// A node is this run's: no other operator's run changes anything there meanwhile.
    LeaseTaken {
        /// Node.
        node: String,
        /// Seconds since the epoch by the node's clock: it runs out then unless it is renewed.
        expires: u64,
    },
    /// The node is free again.
    LeaseReleased {
        /// Node.
        node: String,
    },
    /// The run was not begun, because of all of these. Nothing was changed.
    Refused {
        /// In the order of the inventory.
        problems: Vec<Problem>,
    },
    /// What a checkpoint of this guest protects.
    Covered {
        /// The statement.
        coverage: Coverage,
    },
    /// About to take a snapshot.
    CheckpointStarted {
        /// Guest.
        guest: String,
        /// Section index.
        section: usize,
        /// Snapshot name.
        name: String,
    },
    /// The snapshot is there, seen in the guest's list.
    CheckpointTaken {
        /// Guest.
        guest: String,
        /// Section index.
        section: usize,
        /// Snapshot name.
        name: String,
        /// Copy of the guest's firewall file, which a snapshot leaves out; `None` if there is none.
        firewall: Option<String>,
        /// True if the guest ran when it was taken.
        running: bool,
    },
    /// No snapshot could be taken: nothing was changed.
    CheckpointFailed {
        /// Guest.
        guest: String,
        /// Section index.
        section: usize,
        /// Why.
        why: String,
    },
    /// Retention removed an old checkpoint of piton's own.
    CheckpointDropped {
        /// Guest.
        guest: String,
        /// Snapshot name.
        name: String,
    },
    /// A step begins on its hosts.
    StepStarted {
        /// Step.
        step: StepKey,
        /// Name as people read it.
        name: String,
        /// Module.
        module: String,
        /// Hosts.
        hosts: Vec<String>,
    },
    /// A task begins: nothing has been done yet.
    TaskStarted {
        /// Which.
        task: TaskKey,
        /// Digest of its rendered parameters.
        params: String,
        /// Shown beside the name for a loop.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
    },
    /// What was decided, before it is done: the intent, with diff, actions and undo.
    Planned {
        /// Which.
        task: TaskKey,
        /// Kind.
        nature: Nature,
        /// May the actions be sent twice?
        repeatable: bool,
        /// Changes in order.
        changes: Vec<Change>,
    },
    /// An action is about to be sent. On disk before it is.
    ActionStarted {
        /// Which.
        task: TaskKey,
        /// Number of the change, from 0.
        change: usize,
        /// Number of the action in it, from 0.
        action: usize,
        /// As one would type it.
        line: String,
    },
    /// The action about to be sent is a job of its own on the host, under this name. On disk before it is started.
    JobStarted {
        /// Which.
        task: TaskKey,
        /// Number of the change.
        change: usize,
        /// Number of the action.
        action: usize,
        /// Name of its folder below the host's folder for jobs.
        folder: String,
    },
    /// An action ended, seen.
    ActionEnded {
        /// Which.
        task: TaskKey,
        /// Number of the change.
        change: usize,
        /// Number of the action.
        action: usize,
        /// Did it work?
        ok: bool,
        /// What it said: exit status, message, first lines of output.
        result: ActionResult,
        /// Wall time.
        took: Duration,
    },
    /// A step's attempt failed and will be tried again.
    Retry {
        /// Which.
        task: TaskKey,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// Attempts in all.
        of: u32,
        /// Why.
        why: String,
    },
    /// A task ended.
    TaskEnded {
        /// Which.
        task: TaskKey,
        /// What it came to.
        outcome: Outcome,
        /// What `register` keeps: `changed`, `failed`, `rc`, `stdout`, ... `Null` with `no_log`.
        out: Value,
        /// Wall time.
        took: Duration,
    },
    /// The operator answered.
    Answered {
        /// Which.
        task: TaskKey,
        /// The answer.
        answer: String,
    },
    /// Plan mode: what would happen.
    Forecasted {
        /// Which.
        task: TaskKey,
        /// Step's name.
        name: String,
        /// Item of a loop, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
        /// Module.
        module: String,
        /// The forecast.
        forecast: Forecast,
        /// A checkpoint of this guest would be taken before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checkpoint: Option<String>,
    },
    /// A section ended.
    SectionEnded {
        /// Position.
        index: usize,
        /// False if a step failed in it.
        ok: bool,
    },
    /// A guest is about to go back to a checkpoint.
    RollbackStarted {
        /// Guest.
        guest: String,
        /// Snapshot name.
        name: String,
    },
    /// It is back, and running again if it ran before.
    RolledBack {
        /// Guest.
        guest: String,
        /// Snapshot name.
        name: String,
        /// Started again afterwards.
        started: bool,
        /// Wall time.
        took: Duration,
    },
    /// It could not go back: a person is needed.
    RollbackFailed {
        /// Guest.
        guest: String,
        /// Snapshot name.
        name: String,
        /// Why, and what to type.
        why: String,
    },
    /// A change without a checkpoint is about to be taken back by its undo.
    UndoStarted {
        /// The task that made it.
        task: TaskKey,
        /// What the change had done.
        what: String,
    },
    /// It was taken back, or not.
    UndoEnded {
        /// The task that made it.
        task: TaskKey,
        /// What the change had done.
        what: String,
        /// `None` if it was taken back; else why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
    },
    /// A host is about to be armed: it takes the task's changes back by itself unless they are confirmed in time.
    RevertArmed {
        /// Which.
        task: TaskKey,
        /// Folder on the host with the copies and the program; gone once all is well.
        folder: String,
        /// User there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// From arming to firing.
        within: Duration,
    },
    /// The host cannot be relied on to take it back, so nothing was changed.
    RevertDropped {
        /// Which.
        task: TaskKey,
        /// The folder.
        folder: String,
        /// Why.
        why: String,
    },
    /// A new connection confirmed the changes in time: they stay, and nothing of the revert is left.
    RevertConfirmed {
        /// Which.
        task: TaskKey,
        /// The folder that was there.
        folder: String,
    },
    /// The host took the changes back.
    RevertFired {
        /// Which.
        task: TaskKey,
        /// The folder.
        folder: String,
        /// `None`: seen to be as before; else what is not, and the folder is still there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
    },
    /// Something worth reading that is not an error.
    Warning {
        /// Text.
        text: String,
    },
    /// The operator asked to stop (1: in order, 2: kill, 3: leave).
    Interrupted {
        /// How often.
        count: u8,
    },
    /// Last event.
    RunEnded {
        /// How.
        end: RunEnd,
        /// Wall time.
        took: Duration,
    },
    /// A live line of output. Progress.
    Output {
        /// Which.
        task: TaskKey,
        /// True for standard error.
        err: bool,
        /// The line.
        line: String,
    },
    /// A line of a Proxmox task's log. Progress.
    TaskLog {
        /// Host or guest concerned.
        host: String,
        /// The line.
        line: String,
    },
    /// Something is waited for. Progress.
    Waiting {
        /// Host concerned.
        host: String,
        /// For what.
        what: String,
    },
}

/// What an action said.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ActionResult {
    /// How a command ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// HTTP status of an API call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// UPID of the task that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upid: Option<String>,
    /// Error message, one line; empty if it worked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Standard output, at most 4 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// Standard error, at most 4 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
}

impl Event {
    /// True if the journal must hold it before the run goes on.
    pub fn is_durable(&self) -> bool {
        !matches!(
            self,
            Self::Output { .. }
                | Self::TaskLog { .. }
                | Self::Waiting { .. }
                | Self::Forecasted { .. }
                | Self::Kept { .. }
        )
    }
}

/// Takes events. Sinks for screens and reports cannot fail the run; the journal is not one of them.
pub trait Sink: Send + Sync {
    /// Called in order, from one task at a time.
    fn event(&self, event: &Stamped);
}
