//! A host behind a connection: one shell loop a user, opened when first needed, and channels for transfers beside.

use super::capture::Capture;
use super::channel::{Dial, Reader, Settings};
use super::frame::{Flags, encode};
use super::line::{Become, Line};
use super::shell::{Cancel, Fate, Job, Outcome, Target, drain, exchange};
use super::stream::Sink;
use super::{Batch, Boxed, Live, Remote, Stream, TransportError};
use crate::cmd::{Cmd, Ended, Output};
use crate::modules::{FetchFile, PutFile, PutTree};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard, Semaphore, watch};
use tokio::task::JoinHandle;

/// Transfers at a time on one connection; sshd allows ten channels, loops need some.
const TRANSFERS: usize = 4;

/// Lines of one user, for batches that run at the same time.
const LINES: usize = 2;

/// Retired lines whose late output is still read. What a line beyond that belongs to may get SIGPIPE.
const RETIRED: usize = 3;

/// A transfer has no deadline of its own: a dead connection is noticed by keepalives.
const TRANSFER: Duration = Duration::from_secs(24 * 3600);

/// `$1` process, or group with a minus sign; `$2` tenths of a second from TERM to KILL; `$3` the loop, or empty. What
/// is dead but not yet buried does not count as alive: not every container has an init that does it at once.
const KILL: &str = r#"t=$1 g=$2 w=${1#-}
[ -z "$3" ] || kill -9 "$3"
alive() { kill -0 "$t" || return 1; [ -r /proc/self/stat ] || return 0
for s in /proc/[0-9]*/stat; do read -r l <"$s" || continue; l=${l##*") "}; set -- $l; [ "$1" = Z ] && continue
[ "$3" = "$w" ] && return 0; [ "$s" = "/proc/$w/stat" ] && return 0; done; return 1; }
gone() { n=$1; while alive; do [ "$n" -gt 0 ] || return 1; sleep 0.1 || sleep 1; n=$((n-1)); done; }
kill -15 "$t" || kill -15 "$w"
gone "$g" || { kill -9 "$t"; gone 20; }"#;

type Slot = Arc<Turn<Option<Line>>>;

/// A [`Remote`] over any connection.
pub struct Host<D: Dial> {
    pub(super) dial: D,
    pub(super) settings: Settings,
    /// Mark of the sudo password.
    become_password: Option<String>,
    shells: Mutex<BTreeMap<Option<String>, Vec<Slot>>>,
    login: Arc<OnceLock<String>>,
    cancel: watch::Sender<Cancel>,
    retired: Mutex<VecDeque<JoinHandle<()>>>,
    transfers: Semaphore,
}

impl<D: Dial> Host<D> {
    /// A host whose login shell is opened, but not waited for.
    ///
    /// # Errors
    /// As [`Dial::dial`].
    pub async fn open(dial: D, settings: Settings, become_password: Option<String>) -> Result<Self, TransportError> {
        let host = Self {
            dial,
            settings,
            become_password,
            shells: Mutex::default(),
            login: Arc::default(),
            cancel: watch::Sender::default(),
            retired: Mutex::default(),
            transfers: Semaphore::new(TRANSFERS),
        };
        let line = host.new_line(None).await?;
        *host.turn(None).await = Some(line);
        Ok(host)
    }

    pub(super) fn name(&self) -> &str {
        self.dial.host()
    }

    /// A place for a line of this user that nobody uses now.
    async fn turn(&self, user: Option<&str>) -> OwnedMutexGuard<Option<Line>> {
        let slot = {
            let mut shells = self.shells.lock().unwrap_or_else(PoisonError::into_inner);
            let slots = shells.entry(user.map(String::from)).or_default();
            if let Some(free) = slots.iter().find_map(|slot| Arc::clone(slot).try_lock_owned().ok()) {
                return free;
            }
            if slots.len() < LINES {
                slots.push(Slot::default());
            }
            slots.last().map(Arc::clone).unwrap_or_default()
        };
        slot.lock_owned().await
    }

    /// A new channel with a loop of that user.
    async fn new_line(&self, user: Option<&str>) -> Result<Line, TransportError> {
        let Some(user) = user else {
            return Line::open(&self.dial, Arc::clone(&self.login)).await;
        };
        let password = match &self.become_password {
            Some(mark) => Some(self.settings.vault.reveal(mark).map_err(|e| TransportError::Become {
                host: self.name().into(),
                user: user.into(),
                why: e.to_string(),
            })?),
            None => None,
        };
        Line::open_as(&self.dial, Become { user, password }).await
    }

    /// `None` if the commands of this user are those of the login user.
    async fn other_user<'u>(&self, user: Option<&'u str>) -> Result<Option<&'u str>, TransportError> {
        let Some(user) = user else { return Ok(None) };
        if self.login.get().is_none() {
            let mut line = self.turn(None).await;
            if line.as_ref().is_none_or(|l| l.busy || l.out.closed) {
                *line = Some(self.new_line(None).await?);
            }
            if let Some(line) = line.as_mut().filter(|l| !l.out.greeted) {
                line.greet().await.map_err(|why| self.never(why))?;
            }
        }
        Ok(Some(user).filter(|user| self.login.get().is_none_or(|login| login != user)))
    }

    fn never(&self, why: String) -> TransportError {
        let why = if why.is_empty() { self.dial.why_lost() } else { why };
        TransportError::Unreachable {
            host: self.name().into(),
            why: format!("the login shell did not start: {why}"),
            hint: Some("log in by hand with ssh and see what the shell of this user says".into()),
        }
    }

    /// Kills over a channel of its own.
    async fn kill(&self, user: Option<&str>, target: Target) -> Result<(), String> {
        let who = format!("{}{}", if target.group { "-" } else { "" }, target.pid);
        let tenths = (target.grace.as_millis() / 100).to_string();
        let shell = target.shell.map(|pid| pid.to_string()).unwrap_or_default();
        let cmd = Cmd::shell_with(KILL, [who, tenths, shell]).timeout(target.grace + Duration::from_secs(30));
        let mut line = self.new_line(user).await.map_err(|e| e.to_string())?;
        let job = self.job(&mut line, &cmd, Flags::default(), None).map_err(|e| e.to_string())?;
        let no_kill = |_| -> Boxed<'_, Result<(), String>> { Box::pin(async { Err("no answer".to_string()) }) };
        let (_sender, mut never) = watch::channel(Cancel::default());
        let outcome = exchange(&mut line, vec![job], None, &no_kill, &mut never).await;
        match outcome.fates.into_iter().next() {
            Some(Fate::Ended(Ok(output))) if output.ok() => Ok(()),
            Some(Fate::Ended(Ok(_))) => Err("it is still there".into()),
            other => Err(format!("{other:?}")),
        }
    }

    fn job(
        &self,
        line: &mut Line,
        cmd: &Cmd,
        flags: Flags,
        live: Option<(&Live, usize)>,
    ) -> Result<Job, TransportError> {
        let id = line.next_id;
        line.next_id += 1;
        let frame =
            encode(id, cmd, flags, &self.settings.vault).map_err(|e| TransportError::Refused { why: e.to_string() })?;
        let capture = |stream| {
            let live = live.map(|(live, index)| (Arc::clone(live), index, stream));
            let vault = Arc::clone(&self.settings.vault);
            Sink::Capture(Box::new(Capture::new(vault, &self.settings.run_dir, live)))
        };
        let timeout = cmd.timeout.unwrap_or(self.settings.default_timeout);
        Ok(Job { frame, id, timeout, stop: flags.stop, out: capture(Stream::Out), err: capture(Stream::Err) })
    }

    /// Runs commands of one user; `base` is the index of the first in its batch.
    async fn run_as(
        &self,
        user: Option<&str>,
        cmds: &[Cmd],
        base: usize,
        batch: &Batch,
        cancel: &mut watch::Receiver<Cancel>,
    ) -> Result<Vec<Result<Output, TransportError>>, TransportError> {
        let user = self.other_user(user).await?;
        let mut line = self.turn(user).await;
        let mut results = Vec::new();
        let mut failed = false;
        while results.len() < cmds.len() {
            if cancel.has_changed().unwrap_or(false) || failed && batch.stop_at_first_failure {
                results.resize(cmds.len(), Ok(nothing(Ended::NotBegun)));
                break;
            }
            if line.as_ref().is_none_or(|l| l.busy || l.out.closed) {
                match self.new_line(user).await {
                    Ok(new) => *line = Some(new),
                    Err(error) => {
                        // What ran before stays known.
                        results.resize(cmds.len(), Err(error));
                        break;
                    }
                }
            }
            let current = line.as_mut().expect("set above");
            let done = results.len();
            let mut jobs = Vec::new();
            for (i, cmd) in cmds[done..].iter().enumerate() {
                let flags = Flags { first: i == 0, stop: batch.stop_at_first_failure, raw: false };
                let live = batch.live.as_ref().map(|live| (live, base + done + i));
                jobs.push(self.job(current, cmd, flags, live)?);
            }
            let kill = |target| -> Boxed<'_, Result<(), String>> { Box::pin(self.kill(user, target)) };
            let Outcome { fates, usable, cancelled } = exchange(current, jobs, None, &kill, cancel).await;
            if !usable && let Some(old) = line.take() {
                self.retire(old);
            }
            for fate in fates {
                if matches!(fate, Fate::Resend) {
                    break;
                }
                let result = self.result(fate);
                failed |= !result.as_ref().is_ok_and(Output::ok);
                let end = result.is_err();
                results.push(result);
                if end && let Some(Err(error)) = results.last().cloned() {
                    results.resize(cmds.len(), Err(error));
                    break;
                }
            }
            results.truncate(cmds.len());
            if cancelled {
                results.resize(cmds.len(), Ok(nothing(Ended::NotBegun)));
            }
        }
        Ok(results)
    }

    fn result(&self, fate: Fate) -> Result<Output, TransportError> {
        match fate {
            Fate::Ended(Ok(output)) => Ok(output),
            Fate::Ended(Err(why)) => {
                Err(TransportError::Local { what: "the output of a command that did run cannot be kept".into(), why })
            }
            Fate::NotBegun | Fate::Resend => Ok(nothing(Ended::NotBegun)),
            Fate::Never(why) => Err(self.never(why)),
            Fate::Lost(why) => {
                let why = if why.is_empty() { self.dial.why_lost() } else { why };
                Err(TransportError::Lost { host: self.name().into(), why })
            }
        }
    }

    /// Lets go of a line on which something in the background may still write.
    fn retire(&self, line: Line) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.retain(|task| !task.is_finished());
        if retired.len() >= RETIRED
            && let Some(oldest) = retired.pop_front()
        {
            oldest.abort();
        }
        let Line { stdin, out, err, keep, .. } = line;
        drop(stdin);
        retired.push_back(tokio::spawn(async move {
            tokio::join!(drain(out), drain(err));
            drop(keep);
        }));
    }

    /// Runs one command on a channel of its own, fed from `source` and, with `save`, with its output into that file.
    pub(super) async fn transfer(
        &self,
        user: Option<&str>,
        cmd: &Cmd,
        source: Reader,
        save: Option<std::fs::File>,
    ) -> Result<Output, TransportError> {
        let mut cancel = self.cancel.subscribe();
        let user = self.other_user(user).await?;
        let _turn = self.transfers.acquire().await;
        let mut line = self.new_line(user).await?;
        let mut job = self.job(&mut line, cmd, Flags { raw: true, ..Flags::default() }, None)?;
        job.timeout = cmd.timeout.unwrap_or(TRANSFER);
        if let Some(file) = save {
            job.out = Sink::Save { file, len: 0, error: None };
        }
        let kill = |target| -> Boxed<'_, Result<(), String>> { Box::pin(self.kill(user, target)) };
        let outcome = exchange(&mut line, vec![job], Some(source), &kill, &mut cancel).await;
        self.result(outcome.fates.into_iter().next().unwrap_or(Fate::NotBegun))
    }
}

/// The result of a command that was not begun.
fn nothing(ended: Ended) -> Output {
    Output { ended, ..Output::of(0, "", "") }
}

impl<D: Dial> Remote for Host<D> {
    fn name(&self) -> &str {
        self.dial.host()
    }

    fn via(&self) -> &str {
        self.dial.via()
    }

    fn run(&self, batch: Batch) -> Boxed<'_, Vec<Result<Output, TransportError>>> {
        Box::pin(async move {
            let mut cancel = self.cancel.subscribe();
            let refused =
                batch.cmds.iter().find_map(|cmd| encode(0, cmd, Flags::default(), &self.settings.vault).err());
            if let Some(error) = refused {
                // Half a batch would be worse than none.
                return vec![Err(TransportError::Refused { why: error.to_string() }); batch.cmds.len()];
            }
            let mut results: Vec<Result<Output, TransportError>> = Vec::new();
            for cmds in batch.cmds.chunk_by(|a, b| a.user == b.user) {
                let base = results.len();
                let bad = results.iter().any(|r| !r.as_ref().is_ok_and(Output::ok));
                if let Some(Err(error)) = results.last() {
                    let error = error.clone();
                    results.resize(batch.cmds.len(), Err(error));
                    break;
                }
                if bad && batch.stop_at_first_failure {
                    results.resize(batch.cmds.len(), Ok(nothing(Ended::NotBegun)));
                    break;
                }
                match self.run_as(cmds[0].user.as_deref(), cmds, base, &batch, &mut cancel).await {
                    Ok(more) => results.extend(more),
                    Err(error) => results.resize(batch.cmds.len(), Err(error)),
                }
                if results.len() >= batch.cmds.len() {
                    break;
                }
            }
            results
        })
    }

    fn put<'a>(&'a self, file: &'a PutFile) -> Boxed<'a, Result<(), TransportError>> {
        Box::pin(self.put_file(file))
    }

    fn put_tree<'a>(&'a self, tree: &'a PutTree) -> Boxed<'a, Result<(), TransportError>> {
        Box::pin(self.put_folder(tree))
    }

    fn fetch<'a>(&'a self, file: &'a FetchFile) -> Boxed<'a, Result<(), TransportError>> {
        Box::pin(self.fetch_file(file))
    }

    fn cancel(&self, grace: Duration) -> Boxed<'_, ()> {
        Box::pin(async move {
            self.cancel.send_modify(|c| *c = Cancel { count: c.count + 1, grace });
            // Whoever runs something does the killing; here it is only waited for. What was abandoned is killed here.
            let shells = self.shells.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let all_idle = async {
                for (user, slots) in &shells {
                    for slot in slots {
                        let mut line = slot.lock().await;
                        if let Some(line) = line.take_if(|line| line.busy)
                            && let Some((pid, group)) = line.running.or(line.pid.map(|pid| (pid, false)))
                        {
                            let _ = self.kill(user.as_deref(), Target { pid, group, shell: line.pid, grace }).await;
                        }
                    }
                }
                let _ = self.transfers.acquire_many(u32::try_from(TRANSFERS).unwrap_or(1)).await;
            };
            let _ = tokio::time::timeout(grace + Duration::from_secs(60), all_idle).await;
        })
    }

    fn close(&self) -> Boxed<'_, ()> {
        Box::pin(async move {
            let slots = std::mem::take(&mut *self.shells.lock().unwrap_or_else(PoisonError::into_inner));
            for slot in slots.into_values().flatten() {
                let Ok(mut line) = tokio::time::timeout(Duration::from_secs(1), slot.lock()).await else { continue };
                if let Some(line) = line.take() {
                    // The loop ends at the end of its input; then its streams end.
                    let Line { stdin, out, err, keep, .. } = line;
                    drop(stdin);
                    let ended = async { tokio::join!(drain(out), drain(err)) };
                    let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
                    drop(keep);
                }
            }
            for task in self.retired.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                task.abort();
            }
            self.dial.hang_up().await;
        })
    }
}
