//! Durable steps: the command runs on the host as a job of its own, and is followed over as many lines as that takes.
//!
//! Written down before it is started, followed by looks from byte offsets, cleared away only after its end is in the
//! journal. A run that was killed finds it again by name.

use super::Engine;
use super::acting::{Actor, Done};
use super::asking::Asker;
use super::cancel::Level;
use super::job_script::{self, JobState, Look};
use super::trouble::Trouble;
use crate::cmd::{Captured, Cmd, Ended, Output, Place};
use crate::compile::Step;
use crate::event::{Event, RunEnd};
use crate::journal::RunFate;
use crate::key::{RunId, TaskKey, digest};
use crate::modules::Action;
use std::time::Duration;
use tokio::time::Instant;

/// First and longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// Looks that a started job gets to begin.
const LOOKS: u32 = 10;

/// Tenths of a second that a job's processes get to end by themselves.
const GRACE: u32 = 30;

/// How a job came to its end.
#[derive(Debug)]
pub enum JobEnd {
    /// It was seen to end, or was killed; this is all that it printed.
    Ended(Output),
    /// It never began, and never will.
    Never,
    /// It began, and neither runs nor left an exit status.
    Gone,
}

/// What was brought of a job's output so far.
#[derive(Debug, Default)]
struct Brought {
    at: (u64, u64),
    out: Captured,
    err: Captured,
}

impl Brought {
    fn take(&mut self, look: &Look) {
        self.at = (self.at.0 + look.took.0, self.at.1 + look.took.1);
        for (kept, new) in [(&mut self.out, &look.out), (&mut self.err, &look.err)] {
            kept.total += new.len() as u64;
            let room = Captured::KEEP.saturating_sub(kept.bytes.len());
            kept.bytes.extend_from_slice(&new[..new.len().min(room)]);
        }
    }
}

impl Engine {
    /// The name of the job that this action is to be, if it is one: run, task and a number, so that it is never the
    /// same for two starts.
    pub(super) fn job_of(&self, step: &Step, task: &TaskKey, action: &Action) -> Option<String> {
        let Action::Run(cmd) = action else { return None };
        if !step.durable || cmd.at != Place::Target {
            return None;
        }
        let number = self.recorder.with_state(|s| s.tasks.get(task).map_or(0, |t| t.jobs)) + 1;
        let hash = digest(task.to_string().as_bytes());
        Some(format!("{}-{}-{number}", self.options.run, &hash[..12]))
    }

    /// Starts a job and follows it to its end.
    ///
    /// # Errors
    /// [`Trouble::Unknown`] if it was sent and its end cannot be seen; the journal holds its name then.
    pub(super) async fn act_job(&self, actor: &Actor, name: &str, cmd: &Cmd) -> Result<Done, Trouble> {
        let asker = &actor.asker;
        self.sweep_jobs(asker, name).await?;
        let begun = Instant::now();
        // From here on it may have been sent.
        let started = self.job_call(asker, asker.dress(job_script::start(name, cmd))).await;
        let started = started.map_err(|t| runs_on(name, t))?;
        if !started.ok() {
            return Ok(Done::failed(started.complaint()));
        }
        match self.follow_job(actor, name, begun).await? {
            JobEnd::Ended(output) => self.ran(output),
            JobEnd::Never => Ok(Done::failed("the job did not begin")),
            JobEnd::Gone => Err(vanished(name)),
        }
    }

    /// Follows a job that may be there to its end.
    ///
    /// # Errors
    /// [`Trouble::Unknown`] if its end cannot be seen; [`Trouble::Interrupted`] once it was killed.
    pub(super) async fn follow_job(&self, actor: &Actor, name: &str, begun: Instant) -> Result<JobEnd, Trouble> {
        let mut brought = Brought::default();
        let mut pause = PAUSES.0;
        let mut new = 0;
        let mut killed: Option<Ended> = None;
        loop {
            let look = self.job_call(&actor.asker, job_script::look(name, brought.at)).await;
            let look = match look {
                // The operator's second wish cut the look short: the job is next.
                Err(Trouble::Interrupted) if self.cancel.level() == Level::Kill && killed.is_none() => {
                    killed = Some(self.kill_job(actor, name, Ended::Cancelled).await?);
                    continue;
                }
                other => other.map_err(|t| runs_on(name, t))?,
            };
            let Some(look) = job_script::read_look(&look) else {
                return Err(Trouble::Unknown(format!("the job {name}: {}", look.complaint())));
            };
            self.show(actor, &look);
            brought.take(&look);
            if look.left > 0 && look.took != (0, 0) {
                continue;
            }
            match (look.state, killed) {
                (JobState::Done(_) | JobState::Gone, Some(ended)) => {
                    return Ok(JobEnd::Ended(self.whole(brought, ended, begun)));
                }
                (JobState::Done(code), None) => {
                    return Ok(JobEnd::Ended(self.whole(brought, Ended::Code(code), begun)));
                }
                (JobState::Gone, None) => return Ok(JobEnd::Gone),
                (JobState::Absent, _) if new == 0 && brought.at == (0, 0) => return Ok(JobEnd::Never),
                (JobState::Absent, _) => {
                    return Err(Trouble::Unknown(format!("the folder of the job {name} is gone from the host")));
                }
                (JobState::New, _) if new >= LOOKS && self.never_began(actor, name).await? => return Ok(JobEnd::Never),
                (JobState::New, _) => new += 1,
                (JobState::Running, _) => new = new.max(1),
            }
            let late = actor.timeout.is_some_and(|t| begun.elapsed() >= t);
            if killed.is_none() && (late || self.cancel.level() == Level::Kill) {
                let ended = if late { Ended::TimedOut } else { Ended::Cancelled };
                killed = Some(self.kill_job(actor, name, ended).await?);
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.cancel.reached(Level::Kill), if killed.is_none() => {}
            }
            pause = (pause * 3 / 2).min(PAUSES.1);
        }
    }

    async fn never_began(&self, actor: &Actor, name: &str) -> Result<bool, Trouble> {
        let claimed = self.job_call(&actor.asker, job_script::claim(name)).await.map_err(|t| runs_on(name, t))?;
        Ok(claimed.stdout.text().trim() == "never")
    }

    async fn kill_job(&self, actor: &Actor, name: &str, as_what: Ended) -> Result<Ended, Trouble> {
        self.job_call(&actor.asker, job_script::end(name, GRACE)).await.map_err(|t| runs_on(name, t))?;
        Ok(as_what)
    }

    /// Takes a job's folder away, once its end is written down. What stays is swept later.
    pub(super) async fn clear_job(&self, asker: &Asker, name: &str) {
        let _ = self.job_call(asker, job_script::clear(&[name.to_string()])).await;
    }

    /// Clears what ended runs of this operator, or earlier lives of this one, left behind; once a host and user.
    async fn sweep_jobs(&self, asker: &Asker, ours: &str) -> Result<(), Trouble> {
        if !self.swept.lock().await.insert((asker.host.clone(), asker.user.clone())) {
            return Ok(());
        }
        let listed = self.job_call(asker, job_script::list()).await?;
        let kept = |name: &str| name == ours || self.recorder.with_state(|s| s.awaits_job(name));
        let over = |name: &str| {
            let run = RunId(name.rsplitn(3, '-').nth(2).unwrap_or_default().to_string());
            let fate = self.options.state.as_ref().map(|s| s.end_of(&run));
            // A run that ended otherwise may be resumed, and looks for its jobs then.
            run == self.options.run || matches!(fate, Some(RunFate::Ended(RunEnd::Done | RunEnd::RolledBack)))
        };
        let old = job_script::read_list(&listed).into_iter();
        let old = old
            .filter(|(name, state)| matches!(state, JobState::Done(_) | JobState::Gone) && over(name) && !kept(name));
        let old: Vec<String> = old.map(|(name, _)| name).collect();
        if !old.is_empty() {
            self.job_call(asker, job_script::clear(&old)).await?;
        }
        Ok(())
    }

    /// One of the texts above: each may be sent twice, so a lost line is opened anew.
    async fn job_call(&self, asker: &Asker, cmd: Cmd) -> Result<Output, Trouble> {
        let outputs = self.look(asker, &asker.host, vec![asker.dress(cmd)]).await?;
        outputs.into_iter().next().ok_or_else(|| Trouble::Failed("the transport gave no answer".into()))
    }

    fn show(&self, actor: &Actor, look: &Look) {
        let Some(task) = &actor.task else { return };
        for (err, bytes) in [(false, &look.out), (true, &look.err)] {
            for line in String::from_utf8_lossy(bytes).lines() {
                self.recorder.progress(Event::Output { task: task.clone(), err, line: line.to_string() });
            }
        }
    }

    /// The output as a whole; a secret that two looks had in parts is whole here.
    fn whole(&self, brought: Brought, ended: Ended, begun: Instant) -> Output {
        let concealed = |captured: Captured| {
            let cut = captured.total - captured.bytes.len() as u64;
            let bytes = self.vault.conceal(&captured.bytes);
            Captured { total: bytes.len() as u64 + cut, bytes, spill: None }
        };
        let (stdout, stderr) = (concealed(brought.out), concealed(brought.err));
        Output { ended, stdout, stderr, took: begun.elapsed() }
    }
}

/// What is said of a job that is gone.
pub fn vanished(name: &str) -> Trouble {
    let why = "vanished: the host was restarted, or somebody killed it";
    Trouble::Unknown(format!("the job {name} {why}; what it did is not known"))
}

/// The job is on the host, whatever became of the line.
fn runs_on(name: &str, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Journal(error) => Trouble::Journal(error),
        other => Trouble::Unknown(format!("{other}; the job {name} may run on: it is found again when resumed")),
    }
}
