//! One step on one host: probe, decide, checkpoint, write down, act, probe again.

use super::Engine;
use super::acting::{Actor, Done, short};
use super::asking::Asker;
use super::cancel::Level;
use super::job::{JobEnd, vanished};
use super::out;
use super::prepare::{Item, Prepared};
use super::revert;
use super::settle::{InFlight, SENDS};
use super::trouble::Trouble;
use crate::cmd::Output;
use crate::compile::Step;
use crate::event::{ActionResult, Event, Outcome};
use crate::journal::JournalError;
use crate::journal::resume::{self, Resume};
use crate::key::{TaskKey, digest_value};
use crate::modules::{Action, Change, Decision, Diff, Nature, Undo, Verdict};
use crate::state::TaskState;
use serde_json::{Map, Value};
use std::time::Duration;
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
enum Carried {
    /// The end of each action was seen.
    Ended(Attempt),
    /// The line was lost, and this is what a new look decided.
    Settled(Decision),
}

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

    async fn keep_for(&self, step: &Step, host: &str, out: &Value) {
        if step.run_once {
            self.keep(step, &step.hosts, out).await;
        } else {
            self.keep(step, &[host.to_string()], out).await;
        }
    }

    async fn not_due(&self, step: &Step, task: TaskKey, why: &str) -> Result<Ended, JournalError> {
        let host = task.host.clone();
        let ended = self.close_task(task, String::new(), None, Outcome::Skipped(why.to_string()), out::skipped())?;
        self.keep_for(step, &host, &ended.out).await;
        Ok(ended)
    }

    async fn stillborn(&self, step: &Step, task: TaskKey, trouble: &Trouble) -> Result<Ended, JournalError> {
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

    async fn item_on(&self, section: usize, step: &Step, task: TaskKey, item: &Item) -> Result<Ended, JournalError> {
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
    async fn attempts(
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
    async fn pause(&self, how_long: Duration) -> Result<(), Trouble> {
        tokio::select! {
            () = tokio::time::sleep(how_long) => Ok(()),
            () = self.cancel.reached(Level::Stop) => Err(Trouble::Interrupted),
        }
    }

    /// Lets the step's own conditions have their say; true if no other attempt is wanted.
    async fn judge(&self, step: &Step, task: &TaskKey, item: &Item, attempt: &mut Attempt) -> Result<bool, Trouble> {
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

    async fn attempt(
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
    async fn carry_out(
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
    async fn act_all(
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

    async fn one_action(
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
    async fn find_job(
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

    /// One look, or looks until the step likes what it sees.
    async fn look_until(&self, task: &TaskKey, prepared: &Prepared) -> Result<Attempt, Trouble> {
        let poll = prepared.instance.poll();
        // Who waits for a host by looking at it has patience of his own.
        let asker = Asker { patient: poll.is_none(), ..prepared.asker.clone() };
        if let Some(poll) = poll {
            self.pause(poll.first).await?;
        }
        let begun = Instant::now();
        loop {
            let seen = self.decide_as(prepared, &asker).await;
            let (failed, facts) = match seen {
                Ok(decision) => match decision.verdict {
                    Verdict::Holds => return Ok(Attempt { facts: decision.facts, ..Attempt::default() }),
                    Verdict::Fails(why) => (why, decision.facts),
                },
                // A host that reboots while somebody waits for it is what waiting is for.
                Err(Trouble::Unreachable(why)) if poll.is_some() => (why, Map::new()),
                Err(other) => return Err(other),
            };
            let Some(poll) = poll else {
                return Ok(Attempt { failed: Some(failed), facts, ..Attempt::default() });
            };
            if begun.elapsed() + poll.every > poll.at_most {
                let why = format!("{failed} (waited {})", crate::load::duration::shown(begun.elapsed()));
                return Ok(Attempt { failed: Some(why), facts, ..Attempt::default() });
            }
            self.recorder.progress(Event::Waiting { host: task.host.clone(), what: failed });
            self.pause(poll.every).await?;
        }
    }

    /// Asks the module's questions and lets it decide.
    ///
    /// # Errors
    /// [`Trouble`]; nothing was changed.
    pub(super) async fn decide(&self, prepared: &Prepared) -> Result<Decision, Trouble> {
        self.decide_as(prepared, &prepared.asker).await
    }

    async fn decide_as(&self, prepared: &Prepared, asker: &Asker) -> Result<Decision, Trouble> {
        let asks = prepared.instance.probe(&prepared.cx);
        let answers = self.ask(asker, &asks).await?;
        let mut decision = prepared.instance.decide(&prepared.cx, &answers)?;
        revert::cover(&mut decision.changes, prepared.confirm_within.as_ref()).map_err(Trouble::Failed)?;
        let inventory = &self.program.inventory;
        let node = prepared.cx.node.as_deref().and_then(|n| inventory.api_name(n));
        for change in &mut decision.changes {
            if let Some(name) = node {
                name_node(change, name);
            }
        }
        Ok(decision)
    }
}

/// Calls are shown and written down with the name of the node, so that they can be typed as they stand.
fn name_node(change: &mut Change, name: &str) {
    let undo = match &mut change.undo {
        Undo::Actions(actions) => actions.as_mut_slice(),
        _ => &mut [],
    };
    for action in change.actions.iter_mut().chain(undo) {
        if let Action::Api(call) = action {
            call.path = call.path.replace("{node}", name);
        }
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
