//! One step on one host: is it due, what did an earlier life of the run leave, how often is it tried, what came of it.

use super::Engine;
use super::attempt::Attempt;
use super::cancel::Level;
use super::out;
use super::prepare::{Item, Prepared};
use super::trouble::Trouble;
use crate::compile::Step;
use crate::event::{Event, Outcome};
use crate::journal::JournalError;
use crate::journal::resume::{self, Resume};
use crate::key::{TaskKey, digest_value};
use crate::state::TaskState;
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::Instant;

/// How a step ended on a host.
#[derive(Debug)]
pub struct Ended {
    /// The worst of its items.
    pub outcome: Outcome,
    /// What was registered.
    pub out: Value,
    /// True if no line could be opened and nothing was done.
    pub unreachable: bool,
    /// Set if the host took its change back by itself: true if that was seen to be whole.
    pub reverted: Option<bool>,
}

impl Engine {
    /// Runs a step on a host, all items of its loop.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(super) async fn step_on(&self, section: usize, step: &Step, host: &str) -> Result<Ended, JournalError> {
        let key = |index| TaskKey { step: step.key.clone(), host: host.to_string(), item: index };
        if let Some(why) = &step.left_out {
            return self.not_due(step, key(None), why).await;
        }
        // As in Ansible, a condition beside a loop is asked for each item.
        if step.each.is_none() {
            match self.due(step, host, None).await {
                Ok(None) => {}
                Ok(Some(why)) => return self.not_due(step, key(None), &why).await,
                Err(why) => return self.stillborn(step, key(None), &Trouble::Failed(why)).await,
            }
        }
        let items = match self.items(step, host).await {
            Ok(items) => items,
            Err(why) => return self.stillborn(step, key(None), &Trouble::Failed(why)).await,
        };
        if step.each.is_some() && items.is_empty() {
            return self.not_due(step, key(None), "the loop is empty").await;
        }
        let mut results = Vec::new();
        let mut worst: Option<Ended> = None;
        for item in items {
            let ended = self.item_on(section, step, key(item.index), &item).await?;
            results.push(ended.out.clone());
            let stops = ended.outcome.stops();
            worst = Some(match worst {
                Some(old) if rank(&old.outcome) >= rank(&ended.outcome) => old,
                _ => ended,
            });
            if stops {
                break;
            }
        }
        let mut ended =
            worst.unwrap_or(Ended { outcome: Outcome::Ok, out: Value::Null, unreachable: false, reverted: None });
        if step.each.is_some() {
            ended.out = out::looped(results);
        }
        self.keep_for(step, host, &ended.out).await;
        Ok(ended)
    }

    pub(super) async fn keep_for(&self, step: &Step, host: &str, out: &Value) {
        if step.run_once {
            self.keep(step, &step.hosts, out).await;
        } else {
            self.keep(step, &[host.to_string()], out).await;
        }
    }

    pub(super) async fn not_due(&self, step: &Step, task: TaskKey, why: &str) -> Result<Ended, JournalError> {
        let host = task.host.clone();
        let ended = self.close_task(task, String::new(), None, Outcome::Skipped(why.to_string()), out::skipped())?;
        self.keep_for(step, &host, &ended.out).await;
        Ok(ended)
    }

    pub(super) async fn stillborn(&self, step: &Step, task: TaskKey, trouble: &Trouble) -> Result<Ended, JournalError> {
        let host = task.host.clone();
        let out = Value::Object(out::fields(false, true, None, Map::new()));
        let outcome = forgiven(step, Outcome::Failed(trouble.to_string()));
        let mut ended = self.close_task(task, String::new(), None, outcome, out)?;
        ended.unreachable = matches!(trouble, Trouble::Unreachable(_));
        self.keep_for(step, &host, &ended.out).await;
        Ok(ended)
    }

    /// A task that the run did before it was cut off.
    fn kept(&self, task: TaskKey, item: &Item, params: &str, out: Value) -> Result<Ended, JournalError> {
        let old = self.before.tasks.get(&task).map(|t| t.state.clone());
        self.recorder.progress(Event::Kept { task: task.clone() });
        match old {
            Some(TaskState::Ended(outcome)) if !outcome.stops() => {
                Ok(Ended { outcome, out, unreachable: false, reverted: None })
            }
            // `--done`: from here on the journal says so too. What it printed is lost; that it changed is known.
            _ if out.is_null() => {
                let out = Value::Object(out::fields(true, false, None, Map::new()));
                self.close_task(task, params.to_string(), item.label(), Outcome::Changed, out)
            }
            _ => self.close_task(task, params.to_string(), item.label(), Outcome::Changed, out),
        }
    }

    /// A task that begins and ends in one.
    fn close_task(
        &self,
        task: TaskKey,
        params: String,
        label: Option<String>,
        outcome: Outcome,
        out: Value,
    ) -> Result<Ended, JournalError> {
        self.recorder.record(Event::TaskStarted { task: task.clone(), params, label })?;
        let event =
            Event::TaskEnded { task, outcome: outcome.clone(), out: out::written(&out, true), took: Duration::ZERO };
        self.recorder.record(event)?;
        Ok(Ended { outcome, out, unreachable: false, reverted: None })
    }

    pub(super) async fn item_on(
        &self,
        section: usize,
        step: &Step,
        task: TaskKey,
        item: &Item,
    ) -> Result<Ended, JournalError> {
        let begun = Instant::now();
        if step.each.is_some() {
            match self.due(step, &task.host, item.value.as_ref()).await {
                Ok(None) => {}
                Ok(Some(why)) => {
                    return self.close_task(task, String::new(), item.label(), Outcome::Skipped(why), out::skipped());
                }
                Err(why) => return self.stillborn(step, task, &Trouble::Failed(why)).await,
            }
        }
        let prepared = match self.prepare(step, &task.host, item.value.as_ref()).await {
            Ok(prepared) => prepared,
            Err(trouble) => return self.stillborn(step, task, &trouble).await,
        };
        let params = digest_value(&prepared.instance.value());
        let mut job = None;
        match resume::decide(self.before.tasks.get(&task), &params, self.words.get(&step.key).copied()) {
            Resume::Run(None) => {}
            Resume::Run(Some(why)) => {
                let text = format!("{task} runs again: {why}");
                self.recorder.record(Event::Warning { text })?;
            }
            Resume::Skip(out) => return self.kept(task, item, &params, out::restored(out)),
            Resume::Attach(name) => job = Some(name),
            Resume::Ask(why) => {
                let run = &self.options.run;
                let why = format!(
                    "{why}; look at {}, then go on with `piton resume {run} --redo {}` or `--done {}`",
                    task.host, step.key, step.key
                );
                return self.close_task(task, params, item.label(), Outcome::Unknown(why), Value::Null);
            }
        }
        self.recorder.record(Event::TaskStarted { task: task.clone(), params, label: item.label() })?;
        let (mut unreachable, mut stopped, mut reverted) = (false, false, None);
        let (outcome, out) = match self.attempts(section, step, (&task, job), item, &prepared).await {
            Ok(attempt) => {
                let failed = attempt.failed.is_some();
                let out = out::fields(attempt.changed, failed, attempt.output.as_ref(), attempt.facts);
                let outcome = match attempt.failed {
                    Some(why) => Outcome::Failed(why),
                    None if attempt.changed => Outcome::Changed,
                    None => Outcome::Ok,
                };
                (outcome, out)
            }
            Err(Trouble::Journal(error)) => return Err(error),
            Err(trouble) => {
                unreachable = matches!(trouble, Trouble::Unreachable(_));
                stopped = matches!(trouble, Trouble::Interrupted);
                if let Trouble::Reverted { whole, .. } = &trouble {
                    reverted = Some(*whole);
                }
                let outcome = match &trouble {
                    Trouble::Unknown(why) => Outcome::Unknown(why.clone()),
                    other => Outcome::Failed(other.to_string()),
                };
                (outcome, out::fields(false, true, None, Map::new()))
            }
        };
        let outcome = if stopped || reverted.is_some() { outcome } else { forgiven(step, outcome) };
        let out = Value::Object(out);
        let shown = out::written(&out, step.register.is_some() && !step.no_log);
        let took = begun.elapsed();
        self.recorder.record(Event::TaskEnded { task, outcome: outcome.clone(), out: shown, took })?;
        Ok(Ended { outcome, out, unreachable, reverted })
    }

    /// `retries`, `until`, `failed_when`, `changed_when` around single attempts.
    pub(super) async fn attempts(
        &self,
        section: usize,
        step: &Step,
        (task, mut job): (&TaskKey, Option<String>),
        item: &Item,
        prepared: &Prepared,
    ) -> Result<Attempt, Trouble> {
        let of = step.retries + 1;
        let mut number = 1;
        let mut changed_before = false;
        loop {
            let found = match job.take() {
                Some(name) => self.find_job(step, task, prepared, &name).await?,
                None => None,
            };
            let mut attempt = match found {
                Some(attempt) => attempt,
                None => self.attempt(section, step, task, item, prepared).await?,
            };
            // What an attempt changed before it failed, the next one finds done: the step has changed it all the same.
            attempt.changed |= changed_before;
            let satisfied = self.judge(step, task, item, &mut attempt).await?;
            if satisfied {
                return Ok(attempt);
            }
            if number >= of {
                if attempt.failed.is_none() {
                    let until = step.until.as_ref().map_or("", |u| u.text.as_str());
                    attempt.failed = Some(format!("until: {until} was false after {of} attempts"));
                }
                return Ok(attempt);
            }
            changed_before = attempt.changed;
            let why = attempt.failed.unwrap_or_else(|| "until: not yet true".to_string());
            self.recorder.record(Event::Retry { task: task.clone(), attempt: number, of, why })?;
            number += 1;
            self.pause(step.delay).await?;
        }
    }

    /// Sleeps unless the operator wants to stop.
    pub(super) async fn pause(&self, how_long: Duration) -> Result<(), Trouble> {
        tokio::select! {
            () = tokio::time::sleep(how_long) => Ok(()),
            () = self.cancel.reached(Level::Stop) => Err(Trouble::Interrupted),
        }
    }

    /// Lets the step's own conditions have their say; true if no other attempt is wanted.
    pub(super) async fn judge(
        &self,
        step: &Step,
        task: &TaskKey,
        item: &Item,
        attempt: &mut Attempt,
    ) -> Result<bool, Trouble> {
        if step.failed_when.is_none() && step.changed_when.is_none() && step.until.is_none() {
            return Ok(attempt.failed.is_none());
        }
        let failed = attempt.failed.is_some();
        let out = out::fields(attempt.changed, failed, attempt.output.as_ref(), attempt.facts.clone());
        let out = Value::Object(out);
        let name = step.register.as_deref().unwrap_or("result");
        let scope = self.scope(step, &task.host, item.value.as_ref(), Some((name, &out))).await;
        let ask = |expr: &Option<crate::load::expr::Expr>| -> Result<Option<bool>, Trouble> {
            let Some(expr) = expr else { return Ok(None) };
            expr.holds(&scope).map(Some).map_err(|e| Trouble::Failed(e.to_string()))
        };
        if let Some(fails) = ask(&step.failed_when)? {
            let text = step.failed_when.as_ref().map_or("", |e| e.text.as_str());
            attempt.failed = fails.then(|| format!("failed_when: {text} is true"));
        }
        if let Some(changed) = ask(&step.changed_when)? {
            attempt.changed = changed;
        }
        match ask(&step.until)? {
            Some(holds) => Ok(holds && attempt.failed.is_none()),
            None => Ok(attempt.failed.is_none()),
        }
    }
}

/// `ignore_errors` forgives a failure, never an unknown outcome.
fn forgiven(step: &Step, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed(why) if step.ignore_errors => Outcome::Ignored(why),
        other => other,
    }
}

fn rank(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Skipped(_) => 0,
        Outcome::Ok => 1,
        Outcome::Changed => 2,
        Outcome::Ignored(_) => 3,
        Outcome::Failed(_) => 4,
        Outcome::Unknown(_) => 5,
    }
}
