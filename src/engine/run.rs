//! A whole run: sections in order, steps in lockstep over their hosts, and what follows a failure.

use super::back::Back;
use super::cancel::Level;
use super::deadman::Settled;
use super::recorder::Recorder;
use super::task::Ended;
use super::trouble::Trouble;
use super::{Engine, Parts};
use crate::checkpoint::{self, Fate, Firewall};
use crate::compile::{CheckpointMode, OnFailure, Step};
use crate::event::{Event, FORMAT, Outcome, RunEnd};
use crate::exit::Exit;
use crate::journal::resume::Word;
use crate::journal::{Journal, JournalError, RunDir, RunFate, read};
use crate::key::{RunId, StepKey};
use crate::modules::PromptKind;
use crate::state::RunState;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long processes on the hosts get to end by themselves when the operator kills the run.
const GRACE: Duration = Duration::from_secs(3);

/// How a run ended.
#[derive(Debug)]
pub struct Ending {
    /// For reports.
    pub end: RunEnd,
    /// For the shell.
    pub exit: Exit,
    /// What is known of it.
    pub state: RunState,
}

/// Why steps stopped coming.
enum Stop {
    Failed {
        unreachable: bool,
    },
    /// A host took a change back; not `whole`: not all of it.
    Reverted {
        whole: bool,
    },
    Unknown,
    Interrupted,
}

/// Carries the program out.
///
/// # Errors
/// The journal cannot be written; nothing was changed after that.
pub async fn run(parts: Parts) -> Result<Ending, JournalError> {
    let engine = start(parts, "run")?;
    finish(&engine, engine.sections().await).await
}

/// What the operator said of steps that may or may not have run.
pub type Words = BTreeMap<StepKey, Word>;

/// Goes on with a run that was cut off or stopped, in the same journal: what is done is not done again.
///
/// # Errors
/// As [`run`]; [`JournalError::InUse`] while the run still goes on elsewhere.
pub async fn resume(parts: Parts, dir: &RunDir, words: Words) -> Result<Ending, JournalError> {
    // The lock first: what is read afterwards stays true.
    let journal = Journal::reopen(dir)?;
    let before = read(dir)?.state;
    let (sinks, clock) = (parts.sinks.clone(), parts.clock.clone());
    let recorder = Arc::new(Recorder::resumed(journal, before.clone(), sinks, clock));
    let edited = before.digest != parts.program.digest;
    let mut engine = Engine::new(parts, recorder, before, words);
    let said = |word: Word| engine.words.iter().filter(|(_, w)| **w == word).map(|(k, _)| k.clone()).collect();
    engine.recorder.record(Event::Resumed {
        operator: engine.options.operator.clone(),
        piton: env!("CARGO_PKG_VERSION").to_string(),
        digest: engine.program.digest.clone(),
        redo: said(Word::Redo),
        done: said(Word::Done),
    })?;
    if edited {
        let text =
            "the runbook, a file that it includes or the inventory was edited since; steps whose parameters are \
                    others now run again"
                .to_string();
        engine.recorder.record(Event::Warning { text })?;
    }
    let open = engine.before.reverts.clone();
    let settled = engine.settle_reverts(&open).await;
    if let Ok(Settled { reverted, .. }) = &settled {
        for (task, folder) in reverted {
            engine.before.reverted(task, folder, true);
        }
    }
    let engine = Arc::new(engine);
    watch(&engine);
    let ended = match settled {
        Ok(Settled { stuck: None, .. }) => engine.sections().await,
        Ok(Settled { stuck: Some(end), .. }) => Ok((end, false)),
        Err(error) => Err(error),
    };
    finish(&engine, ended).await
}

/// Takes a run back: guests to their checkpoints, then changes without one by their undo, newest first.
///
/// # Errors
/// As [`run`].
pub async fn rollback_run(parts: Parts, old: &RunState) -> Result<Ending, JournalError> {
    let engine = start(parts, "rollback")?;
    let ended = match engine.settle_reverts(&old.reverts).await {
        Ok(Settled { stuck: Some(end), .. }) => Ok((end, false)),
        Ok(Settled { reverted, .. }) => {
            let mut old = old.clone();
            for (task, folder) in &reverted {
                old.reverted(task, folder, true);
            }
            engine.back(&old, None).await.map(ended_back)
        }
        Err(error) => Err(error),
    };
    finish(&engine, ended).await
}

/// Takes one guest back to one of piton's checkpoints.
///
/// # Errors
/// As [`run`].
pub async fn rollback_checkpoint(parts: Parts, guest: &str, name: &str) -> Result<Ending, JournalError> {
    let engine = start(parts, "rollback")?;
    let back = engine.back_to(guest, name, true, Firewall::Leave).await;
    finish(&engine, back.map(|ok| ended_back(if ok { Back::Whole } else { Back::Failed }))).await
}

fn ended_back(back: Back) -> (RunEnd, bool) {
    match back {
        Back::Whole | Back::Nothing => (RunEnd::Done, false),
        Back::Failed => (RunEnd::RollbackFailed, false),
    }
}

fn start(parts: Parts, command: &str) -> Result<Arc<Engine>, JournalError> {
    let journal = parts.options.dir.as_ref().map(Journal::create).transpose()?;
    let recorder = Arc::new(Recorder::new(journal, parts.sinks.clone(), parts.clock.clone()));
    let engine = Arc::new(Engine::new(parts, recorder, RunState::default(), Words::new()));
    let program = &engine.program;
    let hosts: BTreeSet<&String> = program.sections.iter().flat_map(|s| &s.steps).flat_map(|s| &s.hosts).collect();
    engine.recorder.record(Event::RunStarted {
        format: FORMAT,
        run: engine.options.run.clone(),
        command: command.to_string(),
        runbook: program.name.clone(),
        path: program.path.clone(),
        digest: program.digest.clone(),
        inventory: program.inventory.path.clone(),
        operator: engine.options.operator.clone(),
        piton: env!("CARGO_PKG_VERSION").to_string(),
        hosts: program.inventory.hosts.iter().map(|h| h.name.clone()).filter(|h| hosts.contains(h)).collect(),
        vars: engine.options.vars.clone(),
        tasks: program.sections.iter().flat_map(|s| &s.steps).map(|s| s.hosts.len()).sum(),
        lab: program.inventory.lab,
    })?;
    watch(&engine);
    Ok(engine)
}

/// Writes the operator's wishes down and, at the second, kills what runs on the hosts.
fn watch(engine: &Arc<Engine>) {
    let watcher = Arc::downgrade(engine);
    let cancel = engine.cancel.clone();
    tokio::spawn(async move {
        for (count, level) in [(1, Level::Stop), (2, Level::Kill)] {
            cancel.reached(level).await;
            let Some(engine) = watcher.upgrade() else { return };
            // A journal that is full stops the run by itself; the wish holds all the same.
            let _ = engine.recorder.record(Event::Interrupted { count });
            if level == Level::Kill {
                engine.lines.kill_all(GRACE).await;
            }
        }
    });
}

async fn finish(engine: &Arc<Engine>, ended: Result<(RunEnd, bool), JournalError>) -> Result<Ending, JournalError> {
    let begun = engine.recorder.with_state(|s| s.started);
    let ended = match ended {
        Ok((RunEnd::Done, unreachable)) => engine.retire_old_checkpoints().await.map(|()| (RunEnd::Done, unreachable)),
        other => other,
    };
    let took = Duration::from_millis(engine.clock.now().saturating_sub(begun));
    let ended = ended.and_then(|(end, unreachable)| {
        engine.recorder.record(Event::RunEnded { end, took }).map(|()| (end, unreachable))
    });
    // Whatever happened to the journal, nothing of ours stays on the hosts.
    engine.lines.close().await;
    let (end, unreachable) = ended?;
    let state = engine.recorder.with_state(RunState::clone);
    let untouched = state.applied.is_empty() && state.checkpoints.is_empty();
    let exit = match (end, unreachable, untouched) {
        (RunEnd::Failed, true, true) => Exit::Unreachable,
        // In mid-run a host that is gone is no failure of a step: the run is to be gone on with.
        (RunEnd::Failed, true, false) => Exit::Unknown,
        _ => end.into(),
    };
    Ok(Ending { end, exit, state })
}

impl Engine {
    /// All sections; the second value is true if it ended because a host could not be reached.
    async fn sections(self: &Arc<Self>) -> Result<(RunEnd, bool), JournalError> {
        for index in 0..self.program.sections.len() {
            let section = &self.program.sections[index];
            let hosts: BTreeSet<&String> = section.steps.iter().flat_map(|s| &s.hosts).collect();
            self.recorder.record(Event::SectionStarted {
                index,
                section: section.name.clone(),
                hosts: hosts.into_iter().cloned().collect(),
            })?;
            let stop = self.section(index).await?;
            self.recorder.record(Event::SectionEnded { index, ok: stop.is_none() })?;
            if let Some(stop) = stop {
                return self.after_failure(index, stop).await;
            }
        }
        Ok((RunEnd::Done, false))
    }

    async fn section(self: &Arc<Self>, index: usize) -> Result<Option<Stop>, JournalError> {
        let section = &self.program.sections[index];
        if section.checkpoint == CheckpointMode::Always {
            for guest in self.guests_of_section(index) {
                match self.guard(index, &guest).await {
                    Ok(_) => {}
                    Err(Trouble::Journal(error)) => return Err(error),
                    Err(_) => return Ok(Some(Stop::Failed { unreachable: false })),
                }
            }
        }
        for step in &section.steps {
            if self.cancel.is_wanted() {
                return Ok(Some(Stop::Interrupted));
            }
            if self.options.step && step.left_out.is_none() && !self.operator_wants(step).await {
                return Ok(Some(Stop::Interrupted));
            }
            if let Some(stop) = self.step(index, step).await? {
                return Ok(Some(stop));
            }
        }
        Ok(None)
    }

    async fn operator_wants(&self, step: &Step) -> bool {
        let kind = PromptKind::Confirm(format!("run the step `{}`?", step.name));
        let host = step.hosts.first().map_or("", String::as_str);
        self.operator.ask(host, &kind).await.is_ok_and(|answer| answer == "yes")
    }

    /// One step on all of its hosts, side by side up to `forks`.
    async fn step(self: &Arc<Self>, section: usize, step: &Step) -> Result<Option<Stop>, JournalError> {
        let hosts: Vec<String> =
            if step.run_once { step.hosts.iter().take(1).cloned().collect() } else { step.hosts.clone() };
        self.recorder.record(Event::StepStarted {
            step: step.key.clone(),
            name: step.name.clone(),
            module: step.module.name().to_string(),
            hosts: hosts.clone(),
        })?;
        let mut all: JoinSet<Result<Ended, JournalError>> = JoinSet::new();
        for host in hosts {
            let engine = self.clone();
            let step = step.clone();
            all.spawn(async move {
                // Never closed, so a permit always comes.
                let _permit = engine.forks.acquire().await;
                engine.step_on(section, &step, &host).await
            });
        }
        let mut failed = false;
        let mut unknown = false;
        let mut reached = false;
        let mut reverted = None;
        while let Some(joined) = all.join_next().await {
            // A panic is a defect: it goes up as one, after the journal has all that was known.
            let ended = joined.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
            match ended.outcome {
                Outcome::Failed(_) => {
                    if let Some(whole) = ended.reverted {
                        reverted = Some(whole && reverted.unwrap_or(true));
                    }
                    failed = true;
                    reached |= !ended.unreachable;
                }
                Outcome::Unknown(_) => unknown = true,
                _ => {}
            }
        }
        Ok(match (unknown, failed, self.cancel.is_wanted()) {
            _ if reverted == Some(false) => Some(Stop::Reverted { whole: false }),
            (true, _, _) => Some(Stop::Unknown),
            (_, true, true) => Some(Stop::Interrupted),
            (_, true, _) if reverted.is_some() => Some(Stop::Reverted { whole: true }),
            (_, true, _) => Some(Stop::Failed { unreachable: !reached }),
            _ => None,
        })
    }

    async fn after_failure(&self, index: usize, stop: Stop) -> Result<(RunEnd, bool), JournalError> {
        let (end, unreachable) = match stop {
            Stop::Interrupted => return Ok((RunEnd::Interrupted, false)),
            Stop::Failed { unreachable } => (RunEnd::Failed, unreachable),
            Stop::Reverted { whole: true } => (RunEnd::Reverted, false),
            Stop::Reverted { whole: false } => return Ok((RunEnd::RollbackFailed, false)),
            Stop::Unknown => (RunEnd::Unknown, false),
        };
        let section = &self.program.sections[index];
        let wanted = match section.on_failure {
            OnFailure::Stop => false,
            OnFailure::Rollback => true,
            OnFailure::Ask => {
                let text = format!("roll back what the section `{}` changed?", section.name);
                match self.operator.ask("", &PromptKind::Confirm(text)).await {
                    Ok(answer) => answer == "yes",
                    Err(nobody) => {
                        let text =
                            format!("`on_failure: ask`, but nobody was asked, so nothing was taken back: {nobody}");
                        self.recorder.record(Event::Warning { text })?;
                        false
                    }
                }
            }
        };
        if !wanted {
            return Ok((end, unreachable));
        }
        let state = self.recorder.with_state(RunState::clone);
        Ok(match self.back(&state, Some(index)).await? {
            // What was in flight on a host that no checkpoint took back may still happen: it stays unknown.
            Back::Whole if end == RunEnd::Unknown => (end, false),
            Back::Whole => (RunEnd::RolledBack, false),
            Back::Failed => (RunEnd::RollbackFailed, false),
            Back::Nothing => (end, unreachable),
        })
    }

    async fn prune(&self, node: &str, guest: &checkpoint::GuestRef) -> Result<Vec<String>, String> {
        let api = self.lines.node(node).await.map_err(|e| e.to_string())?;
        let list = checkpoint::lists(&api, std::slice::from_ref(guest)).await.pop();
        let list = list.ok_or("no answer")?.map_err(|e| e.to_string())?;
        let fate = |run: &RunId| {
            if *run == self.options.run {
                return Fate::Done;
            }
            match self.options.state.as_ref().map(|s| s.end_of(run)) {
                Some(RunFate::Ended(RunEnd::Done)) => Fate::Done,
                Some(RunFate::Ended(_)) => Fate::Failed,
                Some(RunFate::Open) => Fate::Going,
                Some(RunFate::NotHere) | None => Fate::Unknown,
            }
        };
        let doomed = checkpoint::doomed(&list, self.options.keep, &fate);
        checkpoint::drop_snapshots(&api, guest, &doomed, &|_| {}).await.map_err(|e| e.to_string())
    }

    /// After a run that went well, the oldest checkpoints of its guests go.
    async fn retire_old_checkpoints(&self) -> Result<(), JournalError> {
        let guests: BTreeSet<String> =
            self.recorder.with_state(|s| s.checkpoints.iter().map(|c| c.guest.clone()).collect());
        for name in guests {
            let Some(guest) = self.guest_named(&name) else { continue };
            let at = checkpoint::GuestRef::new(&guest.name, guest.vmid);
            match self.prune(&guest.node, &at).await {
                Ok(dropped) => {
                    for name in dropped {
                        self.recorder.record(Event::CheckpointDropped { guest: guest.name.clone(), name })?;
                    }
                }
                Err(why) => {
                    let text = format!("old checkpoints of {} were left as they are: {why}", guest.name);
                    self.recorder.record(Event::Warning { text })?;
                }
            }
        }
        Ok(())
    }
}
