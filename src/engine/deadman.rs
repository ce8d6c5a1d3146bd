//! Commit-confirm: the host is armed to take a change back by itself, and only a new connection disarms it.
//!
//! ```text
//! arm -> act -> connect anew -> look -> disarm          confirmed, nothing is left
//!   `-- not rehearsed: nothing is changed
//!                `------------`--------`--> fire, or wait until it must have fired -> look -> reverted
//! ```
//!
//! The host decides: `mv armed disarmed` against `mv armed firing`. Whatever this side believes, it asks which it was.

use super::Engine;
use super::attempt::Attempt;
use super::prepare::Prepared;
use super::trouble::Trouble;
use super::{revert, revert_script};
use crate::event::{Event, RunEnd};
use crate::journal::JournalError;
use crate::key::TaskKey;
use crate::modules::{Change, Nature};
use crate::state::OpenRevert;
use crate::transport::Batch;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// One try to connect anew: several have to fit into the time.
const CONNECT: Duration = Duration::from_secs(10);
/// Between two looks at a host.
const PAUSE: Duration = Duration::from_millis(500);
/// How long after the revert is due a host may still be away, or busy with it, before nobody claims to know.
const MARGIN: Duration = Duration::from_secs(60);

/// A host that will take changes back.
#[derive(Debug)]
pub struct Armed {
    open: OpenRevert,
    /// Confirmed before this, or not at all. Counted from before it was armed.
    confirm_by: Instant,
    /// It must have fired by then. Counted from after it was armed.
    due: Instant,
}

/// What is known of a revert in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// All is as before.
    Reverted,
    /// It ran, and not all of it worked.
    Failed(String),
    /// It was disarmed: the changes stay.
    Stands,
    /// The host does not say.
    Unknown(String),
}

/// What came of reverts that a cut-off run left behind.
#[derive(Debug, Default)]
pub struct Settled {
    /// Tasks whose changes were taken back, with the folder.
    pub reverted: Vec<(TaskKey, String)>,
    /// Set if the run cannot go on.
    pub stuck: Option<RunEnd>,
}

impl Engine {
    /// Arms the step's host, if its changes have a revert.
    ///
    /// # Errors
    /// The revert cannot be relied on; nothing was changed.
    pub(super) async fn arm(
        &self,
        task: &TaskKey,
        prepared: &Prepared,
        changes: &[Change],
    ) -> Result<Option<Armed>, Trouble> {
        let Some((plan, within)) = revert::whole(changes) else { return Ok(None) };
        let number = self.recorder.with_state(|s| s.reverts_armed) + 1;
        let folder = revert_script::folder(&self.options.run, number);
        let user = prepared.asker.user.is_some().then(|| "root".to_string());
        let since = self.clock.now();
        let open = OpenRevert { task: task.clone(), folder: folder.clone(), user: user.clone(), since, within };
        self.recorder.record(Event::RevertArmed { task: task.clone(), folder: folder.clone(), user, within })?;
        let begun = Instant::now();
        let answer = self.send(&open, revert_script::arm(&folder, &plan, within)).await;
        let why = match answer {
            Ok((true, _)) => {
                return Ok(Some(Armed { open, confirm_by: begun + within, due: Instant::now() + within }));
            }
            Ok((false, why)) => why,
            Err(error) => error.to_string(),
        };
        // Half armed is not armed: whatever there is goes. The files are as they were, so firing it would do no harm.
        let gone = match self.tell(&open, "disarm").await {
            Ok(word) if word == "none" => self.tell(&open, "clear").await.is_ok(),
            Ok(word) => matches!(word.as_str(), "disarmed" | "gone"),
            Err(_) => false,
        };
        let mut text = format!("the host cannot be relied on to take it back, so nothing was changed: {why}");
        if gone {
            let why = text.clone();
            self.recorder.record(Event::RevertDropped { task: task.clone(), folder, why })?;
        } else {
            // It stays open in the journal, so that a resumed run sees to it before it changes anything.
            text.push_str(&format!("; {folder} may still be on {}, and puts back what is there now", task.host));
        }
        Err(Trouble::Failed(text))
    }

    /// Confirms what was done over a new connection, or sees it taken back.
    ///
    /// # Errors
    /// [`Trouble::Reverted`], or [`Trouble::Unknown`] if the host stays away.
    pub(super) async fn confirm(
        &self,
        armed: &Armed,
        prepared: &Prepared,
        acted: Result<(), Trouble>,
        mut attempt: Attempt,
    ) -> Result<Attempt, Trouble> {
        let converges = prepared.instance.nature() == Nature::Converges;
        let why_not = match acted {
            Ok(()) => attempt.failed.take(),
            Err(Trouble::Journal(error)) => return Err(Trouble::Journal(error)),
            // What was in flight is not known; the look over a new connection tells.
            Err(Trouble::Unknown(_)) if converges => None,
            Err(other) => Some(other.to_string()),
        };
        let why_not = match why_not {
            Some(why) => Some(why),
            None => self.see_anew(armed, prepared, converges, &mut attempt).await?,
        };
        let seen = why_not.is_none();
        let (why, fate) = match why_not {
            Some(why) => (why, self.take_back(armed).await),
            None => match self.disarm(armed).await {
                Ok(()) => (String::new(), Fate::Stands),
                Err(why) => (why, self.take_back(armed).await),
            },
        };
        self.record_fate(&armed.open, &fate)?;
        match fate {
            Fate::Reverted => Err(Trouble::Reverted { why, whole: true }),
            Fate::Failed(what) => {
                let why = format!("{why}; and not all of it is back: {what}");
                Err(Trouble::Reverted { why, whole: false })
            }
            // Also if the answer to the confirmation was lost: it got through.
            Fate::Stands => {
                attempt.changed = true;
                attempt.failed = (!seen).then(|| format!("{why}; its revert is gone, so the change stays"));
                Ok(attempt)
            }
            Fate::Unknown(what) => Err(Trouble::Unknown(format!("{why}; {what}"))),
        }
    }

    /// Connects anew and looks; why it cannot be confirmed, if it cannot.
    async fn see_anew(
        &self,
        armed: &Armed,
        prepared: &Prepared,
        converges: bool,
        attempt: &mut Attempt,
    ) -> Result<Option<String>, Trouble> {
        let host = &armed.open.task.host;
        let within = crate::load::duration::shown(armed.open.within);
        let late = |why: &str| Some(format!("not confirmed within {within}: {why}"));
        let mut last = "no new connection".to_string();
        loop {
            self.lines.reopen(host).await;
            let until = armed.confirm_by.min(Instant::now() + CONNECT);
            match timeout_at(until, self.lines.remote_at_once(host)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = format!("{host} does not answer a new connection"),
            }
            let connected = Instant::now() < armed.confirm_by && self.lines.has(host).await;
            if connected && !converges {
                return Ok(None);
            }
            if connected {
                match timeout_at(armed.confirm_by, self.seen_to_hold(prepared, attempt)).await {
                    Ok(Ok(())) => return Ok(attempt.failed.take()),
                    // The line broke again: there may still be time.
                    Ok(Err(Trouble::Unknown(why))) => last = why,
                    Ok(Err(Trouble::Journal(error))) => return Err(Trouble::Journal(error)),
                    Ok(Err(other)) => return Ok(Some(other.to_string())),
                    Err(_) => return Ok(late("the look at it took too long")),
                }
            }
            if Instant::now() + PAUSE >= armed.confirm_by {
                return Ok(late(&last));
            }
            let what = format!("a new connection to confirm the change: {last}");
            self.recorder.progress(Event::Waiting { host: host.clone(), what });
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Wins the race against the revert, or says why not.
    async fn disarm(&self, armed: &Armed) -> Result<(), String> {
        let within = crate::load::duration::shown(armed.open.within);
        match timeout_at(armed.confirm_by, self.tell(&armed.open, "disarm")).await {
            Ok(Ok(word)) if word == "disarmed" => Ok(()),
            Ok(Ok(word)) => Err(format!("not confirmed within {within}: it was {word} already")),
            Ok(Err(error)) => Err(format!("the confirmation did not get through: {error}")),
            Err(_) => Err(format!("not confirmed within {within}")),
        }
    }

    /// Fires the revert now if the host can be told, waits for it otherwise, and looks what came of it.
    async fn take_back(&self, armed: &Armed) -> Fate {
        let open = &armed.open;
        let host = &open.task.host;
        let end = armed.due.max(Instant::now()) + MARGIN;
        let mut asked = false;
        loop {
            let last = match timeout(CONNECT * 2, self.tell(open, "status")).await {
                Ok(Ok(said)) => {
                    let (word, rest) = said.split_once('\n').unwrap_or((&said, ""));
                    match word {
                        "reverted" if rest.is_empty() => {
                            let _ = timeout(CONNECT, self.tell(open, "clear")).await;
                            return Fate::Reverted;
                        }
                        "reverted" | "failed" => {
                            let rest = rest.replace('\n', "; ");
                            return Fate::Failed(format!("{rest}; the copies are in {} on {host}", open.folder));
                        }
                        "disarmed" | "gone" => return Fate::Stands,
                        // Told once at once, and again when it is overdue: its timer may have died with a reboot.
                        "armed" if !asked || Instant::now() > armed.due + Duration::from_secs(5) => {
                            asked = timeout(CONNECT, self.tell(open, "now")).await.is_ok_and(|r| r.is_ok());
                        }
                        _ => {}
                    }
                    format!("it says `{word}`")
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it does not answer".to_string(),
            };
            if Instant::now() > end {
                let run = &self.options.run;
                return Fate::Unknown(format!(
                    "the revert {} on {host} is armed and takes it back by itself, but {host} was not seen since: \
                     {last}; look again with `piton resume {run}`",
                    open.folder
                ));
            }
            let what = format!("the revert of {}: {last}", open.task);
            self.recorder.progress(Event::Waiting { host: host.clone(), what });
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn record_fate(&self, open: &OpenRevert, fate: &Fate) -> Result<(), JournalError> {
        let OpenRevert { task, folder, .. } = open.clone();
        match fate {
            Fate::Reverted => self.recorder.record(Event::RevertFired { task, folder, failed: None }),
            Fate::Failed(why) => self.recorder.record(Event::RevertFired { task, folder, failed: Some(why.clone()) }),
            Fate::Stands => self.recorder.record(Event::RevertConfirmed { task, folder }),
            Fate::Unknown(_) => Ok(()),
        }
    }

    /// Sees to the reverts that a cut-off run left: what nobody confirmed is taken back before anything else is done.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(super) async fn settle_reverts(&self, open: &[OpenRevert]) -> Result<Settled, JournalError> {
        let mut settled = Settled::default();
        for open in open {
            let passed = Duration::from_millis(self.clock.now().saturating_sub(open.since));
            let due = Instant::now() + open.within.saturating_sub(passed);
            let armed = Armed { open: open.clone(), confirm_by: Instant::now(), due };
            let fate = self.take_back(&armed).await;
            self.record_fate(open, &fate)?;
            let text = match fate {
                Fate::Stands => continue,
                Fate::Reverted => {
                    settled.reverted.push((open.task.clone(), open.folder.clone()));
                    format!("{}: what it changed was not confirmed, and is taken back", open.task)
                }
                Fate::Failed(why) => {
                    settled.stuck = Some(RunEnd::RollbackFailed);
                    format!("{}: what it changed was not confirmed, and is not back: {why}", open.task)
                }
                Fate::Unknown(why) => {
                    settled.stuck = settled.stuck.or(Some(RunEnd::Unknown));
                    format!("{}: {why}", open.task)
                }
            };
            self.recorder.record(Event::Warning { text })?;
        }
        Ok(settled)
    }

    /// The answer of the host's revert to a word, without its last line break.
    async fn tell(&self, open: &OpenRevert, word: &str) -> Result<String, Trouble> {
        let (_, said) = self.send(open, revert_script::tell(&open.folder, word)).await?;
        Ok(said)
    }

    /// Sends a command to the host: did it work, and what did it say?
    async fn send(&self, open: &OpenRevert, mut cmd: crate::cmd::Cmd) -> Result<(bool, String), Trouble> {
        let host = &open.task.host;
        cmd.user.clone_from(&open.user);
        let remote = self.lines.remote_at_once(host).await?;
        match remote.run(Batch::one(cmd)).await.into_iter().next() {
            Some(Ok(output)) if output.ok() => Ok((true, output.stdout.text().trim_end().to_string())),
            Some(Ok(output)) => {
                let said = output.stdout.text().trim_end().replace('\n', "; ");
                Ok((false, if said.is_empty() { output.complaint() } else { said }))
            }
            Some(Err(error)) => {
                // Also where the line is gone without anything in flight: the next use connects anew.
                self.lines.lost(host, &remote, &error.to_string()).await;
                Err(Trouble::looking(&error))
            }
            None => Err(Trouble::Failed("the transport gave no answer".into())),
        }
    }
}
