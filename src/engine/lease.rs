//! One operator at a time on a node: the run's leases are taken before anything is changed, renewed while it goes on,
//! and given back at its end, whatever that is.
//!
//! A lease is an agreement among pitons, not a lock on the node. It holds for nodes only: a run on other hosts alone
//! takes none. Renewing goes over a connection of its own, so that a step that runs for an hour does not hold it up.

use super::Engine;
use super::cancel::{Cancel, Level};
use super::lease_file::{Lease, Mine, Note, Reply};
use super::recorder::Recorder;
use super::trouble::Trouble;
use crate::cmd::Cmd;
use crate::event::{Event, Problem};
use crate::journal::{self, JournalError, RunDir, StateDir};
use crate::transport::{Batch, Connect, Remote};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// How long giving back may take at the end of a run: it runs out by itself.
const RELEASE: Duration = Duration::from_secs(10);

/// How long leases hold, and how often they are renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a lease holds that is not renewed; whole seconds.
    pub life: Duration,
}

impl Terms {
    /// Two minutes.
    pub const USUAL: Self = Self { life: Duration::from_secs(120) };

    /// A third of its life: two renewals may fail before it runs out.
    fn every(self) -> Duration {
        self.life / 3
    }
}

/// The leases of a run.
pub struct Leases {
    held: Mutex<Vec<Held>>,
    /// How many of them have run out without a word from their node.
    doubtful: watch::Sender<usize>,
}

impl Default for Leases {
    fn default() -> Self {
        Self { held: Mutex::default(), doubtful: watch::Sender::new(0) }
    }
}

struct Held {
    node: String,
    mine: Mine,
    /// Gone with the engine, so a keeper never outlives its run.
    stop: watch::Sender<bool>,
    keeper: JoinHandle<()>,
}

/// What came of taking a lease.
#[derive(Debug)]
pub enum Took {
    /// It is ours.
    Ours,
    /// Somebody else has it.
    Theirs(Problem),
    /// It could not be asked for: why.
    No(String),
}

impl Engine {
    /// This run's lease on a node; `None` if the run takes none.
    pub(super) fn new_lease(&self) -> Option<Mine> {
        let terms = self.options.lease?;
        let (operator, machine) = self.options.operator.rsplit_once('@').unwrap_or((&self.options.operator, ""));
        Some(Mine {
            nonce: format!("{:016x}", RandomState::new().hash_one(&self.options.run.0)),
            operator: operator.to_string(),
            machine: machine.to_string(),
            run: self.options.run.0.clone(),
            life: terms.life,
        })
    }

    /// A command about a lease, as the user who may write the file.
    pub(super) fn lease_cmd(&self, node: &str, mut cmd: Cmd) -> Cmd {
        cmd.user = self.program.inventory.host(node).is_some_and(|h| h.r#become).then(|| "root".to_string());
        cmd
    }

    /// Makes sense of the answer to [`Mine::take`] and, if the lease is ours, keeps it from here on.
    pub(super) async fn took(
        &self,
        node: &str,
        mine: Mine,
        answer: Result<Reply, String>,
        begun: Instant,
    ) -> Result<Took, JournalError> {
        let answer = match answer {
            Ok(Reply::Held(_, Some(theirs))) if self.is_dead(&mine, &theirs) => {
                self.ask_lease(node, mine.take(Some(&theirs.nonce))).await
            }
            other => other,
        };
        let now = match answer {
            Ok(Reply::Taken(now)) => now,
            Ok(Reply::Over(now, old)) => {
                if old.run != mine.run {
                    let why = if old.expires > now { "the piton that had it is gone" } else { "it had run out" };
                    let text = format!("the lease on {node} was taken over from {}: {why}", old.told());
                    self.recorder.record(Event::Warning { text })?;
                }
                now
            }
            Ok(Reply::Held(_, lease)) => return Ok(Took::Theirs(theirs(node, lease.as_ref()))),
            Ok(other) => return Ok(Took::No(format!("a strange answer: {other:?}"))),
            Err(why) => return Ok(Took::No(why)),
        };
        self.recorder.record(Event::LeaseTaken { node: node.to_string(), expires: now + mine.life.as_secs() })?;
        let (stop, stopped) = watch::channel(false);
        let keeper = Keeper {
            node: node.to_string(),
            mine: mine.clone(),
            since: now,
            become_root: self.lease_cmd(node, Cmd::default()).user,
            connect: self.connect.clone(),
            recorder: self.recorder.clone(),
            cancel: self.cancel.clone(),
            doubtful: self.leases.doubtful.clone(),
            patience: self.options.patience,
        };
        let keeper = tokio::spawn(keeper.keep(begun, stopped));
        self.leases.lock().push(Held { node: node.to_string(), mine, stop, keeper });
        Ok(Took::Ours)
    }

    /// One question about a lease over the run's own line; once more if the line broke, which changes nothing: taking
    /// what one has already is no news to the script.
    pub(super) async fn ask_lease(&self, node: &str, cmd: Cmd) -> Result<Reply, String> {
        let cmd = self.lease_cmd(node, cmd);
        let mut tries = 0;
        loop {
            tries += 1;
            let remote = self.lines.remote_at_once(node).await.map_err(|e| e.to_string())?;
            match remote.run(Batch::one(cmd.clone())).await.into_iter().next() {
                Some(Ok(output)) => return Reply::read(&output),
                Some(Err(error)) if error.is_unknown() && tries == 1 => {
                    self.lines.lost(node, &remote, &error.to_string()).await;
                }
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("no answer".into()),
            }
        }
    }

    /// True if the lease is of a run of this machine whose process is gone: its journal is here, and nobody writes it.
    fn is_dead(&self, mine: &Mine, theirs: &Lease) -> bool {
        // The journal of a run that is resumed is held by ourselves.
        theirs.machine == mine.machine
            && (theirs.run == mine.run || self.options.state.as_ref().is_some_and(|s| is_dead_here(s, &theirs.run)))
    }

    /// Waits while a lease of this run may be somebody else's by now: it has run out, and its node does not answer.
    ///
    /// # Errors
    /// [`Trouble::Interrupted`] if the run is to stop.
    pub(super) async fn has_its_leases(&self) -> Result<(), Trouble> {
        let mut doubtful = self.leases.doubtful.subscribe();
        tokio::select! {
            biased;
            // The sender lives as long as `self`, so waiting cannot fail.
            _ = doubtful.wait_for(|n| *n == 0) => Ok(()),
            () = self.cancel.reached(Level::Stop) => Err(Trouble::Interrupted),
        }
    }

    /// Gives all leases back and says so.
    ///
    /// # Errors
    /// The journal cannot be written; they are given back all the same.
    pub(super) async fn release_leases(&self) -> Result<(), JournalError> {
        let held: Vec<Held> = std::mem::take(&mut *self.leases.lock());
        let mut written = Ok(());
        for Held { node, mine, stop, keeper } in held {
            stop.send_replace(true);
            let abort = keeper.abort_handle();
            if timeout(RELEASE, keeper).await.is_err() {
                abort.abort();
            }
            let answer = timeout(RELEASE, self.ask_lease(&node, mine.release())).await;
            let event = match answer {
                Ok(Ok(Reply::Released(_))) => Event::LeaseReleased { node },
                other => {
                    let why = match other {
                        Ok(Ok(reply)) => format!("{reply:?}"),
                        Ok(Err(why)) => why,
                        Err(_) => "no answer in time".to_string(),
                    };
                    let life = mine.life.as_secs();
                    Event::Warning {
                        text: format!(
                            "the lease on {node} could not be given back, so it runs out by itself within {life} s: {why}"
                        ),
                    }
                }
            };
            written = written.and(self.recorder.record(event));
        }
        written
    }
}

/// True if the run's journal is here and no piton writes it.
pub fn is_dead_here(state: &StateDir, run: &str) -> bool {
    let whole = |dir: &RunDir| dir.path().file_name().is_some_and(|name| name == run);
    state.find(Some(run)).is_ok_and(|dir| whole(&dir) && !journal::is_going(&dir))
}

/// What the second operator is told.
fn theirs(node: &str, lease: Option<&Lease>) -> Problem {
    let todo =
        format!("wait until that run has ended, or, if nothing of it is left: piton lease break {node} --reason TEXT");
    match lease {
        Some(lease) => Problem { host: node.to_string(), what: format!("leased to {}", lease.told()), todo },
        None => Problem {
            host: node.to_string(),
            what: format!("the lease {}/lease.json is not to be read", super::lease_file::DIR),
            todo: format!("if no other piton works there: piton lease break {node} --reason TEXT"),
        },
    }
}

impl Leases {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a lease went that is not ours any more.
fn lost(note: Option<Note>, by: Option<&Lease>) -> String {
    match (note, by) {
        (Some(note), _) => format!("{} broke it: {}", note.by, note.reason),
        (None, Some(lease)) => format!("it ran out, and it is {}'s now", lease.told()),
        (None, None) => "it is gone: it had run out, or somebody removed it".to_string(),
    }
}

/// Renews one lease until it is told to stop.
struct Keeper {
    node: String,
    mine: Mine,
    since: u64,
    become_root: Option<String>,
    connect: Arc<dyn Connect>,
    recorder: Arc<Recorder>,
    cancel: Cancel,
    doubtful: watch::Sender<usize>,
    patience: Duration,
}

impl Keeper {
    async fn keep(self, begun: Instant, mut stopped: watch::Receiver<bool>) {
        let terms = Terms { life: self.mine.life };
        let mut line: Option<Arc<dyn Remote>> = None;
        // When the node last set its time anew, at the earliest.
        let mut good = begun;
        let mut pause = terms.every();
        let mut doubtful = false;
        loop {
            tokio::select! {
                () = sleep(pause) => {}
                _ = stopped.wait_for(|stop| *stop) => break,
            }
            let asked = Instant::now();
            let answer = timeout(terms.every(), self.renew(&mut line)).await;
            let why = match answer.unwrap_or_else(|_| Err("no answer in time".to_string())) {
                Ok(Reply::Renewed(_)) => {
                    good = asked;
                    pause = terms.every();
                    self.doubt(&mut doubtful, false);
                    continue;
                }
                Ok(Reply::Lost { note, by }) => {
                    self.stop_run(&lost(note, by.as_ref()));
                    break;
                }
                Ok(other) => format!("{other:?}"),
                Err(why) => why,
            };
            line = None;
            pause = terms.every() / 8;
            let left = terms.life.saturating_sub(good.elapsed());
            if good.elapsed() >= terms.life + self.patience {
                self.stop_run(&format!("it has run out, because it could not be renewed: {why}"));
                break;
            }
            if left.is_zero() {
                let what = format!("the lease on {} has run out and cannot be renewed: {why}", self.node);
                self.recorder.progress(Event::Waiting { host: self.node.clone(), what });
                self.doubt(&mut doubtful, true);
            } else {
                pause = pause.min(left);
            }
        }
        self.doubt(&mut doubtful, false);
        if let Some(line) = line {
            line.close().await;
        }
    }

    /// Counts this lease among those that may be somebody else's by now, or no longer.
    fn doubt(&self, was: &mut bool, is: bool) {
        if *was != is {
            self.doubtful.send_modify(|n| if is { *n += 1 } else { *n -= 1 });
            *was = is;
        }
    }

    async fn renew(&self, line: &mut Option<Arc<dyn Remote>>) -> Result<Reply, String> {
        let remote = match line {
            Some(line) => line.clone(),
            None => line.insert(self.connect.connect(&self.node).await.map_err(|e| e.to_string())?).clone(),
        };
        let mut cmd = self.mine.renew(self.since);
        cmd.user.clone_from(&self.become_root);
        match remote.run(Batch::one(cmd)).await.into_iter().next() {
            Some(Ok(output)) => Reply::read(&output),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("no answer".into()),
        }
    }

    /// As an interrupt: what runs now is finished, nothing new begins.
    fn stop_run(&self, why: &str) {
        let text = format!("this run no longer has the lease on {}, so it stops here: {why}", self.node);
        // A journal that is full stops the run by itself.
        let _ = self.recorder.record(Event::Warning { text });
        if self.cancel.level() == Level::Go {
            self.cancel.raise();
        }
    }
}
