//! Sends a batch to the loop on a line and collects what comes back, with deadlines and cancel.
//!
//! One task does all of it: it writes while it reads both streams, so a large input and a large output never wait
//! for each other.

use super::channel::Reader;
use super::line::{Half, Line, START};
use super::parse::{Event, Mark};
use super::stream::{Feed, Sink};
use super::{Boxed, Stream};
use crate::cmd::{Ended, Output};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};
use zeroize::Zeroizing;

/// TERM, and this long after it KILL, for a command past its deadline.
const GRACE: Duration = Duration::from_secs(5);

/// How long the end of a stream, or of a killed command, is waited for.
const LINGER: Duration = Duration::from_secs(3);

/// One command to send.
pub struct Job {
    /// Its frame, without secrets marks.
    pub frame: Zeroizing<Vec<u8>>,
    /// Its number in the frame.
    pub id: u64,
    /// Its deadline.
    pub timeout: Duration,
    /// The rest must not begin if it fails, and a deadline is a failure whatever the exit status.
    pub stop: bool,
    /// Collects its output.
    pub out: Sink,
    /// Collects its errors.
    pub err: Sink,
}

/// What became of a [`Job`].
#[derive(Debug)]
pub enum Fate {
    /// It ended; the output could not be kept if that is an error.
    Ended(Result<Output, String>),
    /// Not begun because an earlier one failed or the run was cancelled.
    NotBegun,
    /// Not begun because the line has to be retired.
    Resend,
    /// Not known.
    Lost(String),
    /// The loop never stood: nothing was begun.
    Never(String),
}

/// A process group to kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Process.
    pub pid: u32,
    /// True if it is a group.
    pub group: bool,
    /// The loop, which is killed first so that it begins nothing more.
    pub shell: Option<u32>,
    /// From TERM to KILL.
    pub grace: Duration,
}

/// Kills over a second channel; false or an error text if it could not be done.
pub type Kill<'a> = dyn Fn(Target) -> Boxed<'a, Result<(), String>> + Send + Sync + 'a;

/// A cancel request: how many there were, and the grace of the last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cancel {
    /// Counts up.
    pub count: u64,
    /// From TERM to KILL.
    pub grace: Duration,
}

/// What an exchange came to.
pub struct Outcome {
    /// One for each job.
    pub fates: Vec<Fate>,
    /// True if the line can take more.
    pub usable: bool,
    /// True if it was cancelled.
    pub cancelled: bool,
}

#[derive(Default)]
struct Progress {
    begun: Option<Instant>,
    took: Duration,
    code: Option<i32>,
    skipped: Option<bool>,
    out_done: bool,
    err_done: bool,
    killed: bool,
}

/// Runs the jobs. With `source`, the last of them is raw and gets that as its input, after which the line is closed.
pub async fn exchange(
    line: &mut Line,
    jobs: Vec<Job>,
    source: Option<Reader>,
    kill: &Kill<'_>,
    cancel: &mut watch::Receiver<Cancel>,
) -> Outcome {
    line.busy = true;
    let mut run = Run {
        progress: jobs.iter().map(|_| Progress::default()).collect(),
        feed: Feed { frames: joined(&jobs), at: 0, source },
        jobs,
        current: None,
        left: false,
        timer: Box::pin(sleep(START)),
        killing: None,
        cancelled: None,
        why: None,
        shell_killed: false,
        kill_failed: false,
    };
    let raw = run.feed.source.is_some();
    while run.why.is_none() && !run.finished() {
        tokio::select! {
            read = line.out.read(), if !line.out.closed => run.read_out(line, read),
            read = line.err.read(), if !line.err.closed => run.read_err(line, read),
            wrote = run.feed.step(&mut line.stdin), if run.feed.has_more() && line.stdin.is_some() => {
                // A broken pipe shows itself on the reading side, with all that was said before.
                if wrote.is_err() { line.stdin = None; }
                if raw && !run.feed.has_more() { line.stdin = None; }
                if run.current.is_none() && !line.out.closed { run.timer.as_mut().reset(Instant::now() + START); }
            }
            killed = async { run.killing.as_mut().expect("guarded").await }, if run.killing.is_some() => {
                run.killing = None;
                run.killed(killed);
            }
            changed = cancel.changed(), if run.cancelled.is_none() => {
                if changed.is_ok() {
                    let grace = cancel.borrow_and_update().grace;
                    run.cancelled = Some(grace);
                    line.stdin = None;
                    run.kill_current(line, kill);
                }
            }
            () = &mut run.timer => run.time_is_up(line, kill),
        }
        if run.needs_kill(line) {
            run.kill_current(line, kill);
        }
        if line.out.closed && line.err.closed && run.why.is_none() && !run.finished() && run.killing.is_none() {
            run.why = Some(String::new());
        }
    }
    run.conclude(line, raw)
}

struct Run<'k> {
    jobs: Vec<Job>,
    progress: Vec<Progress>,
    feed: Feed,
    /// Index of the job that runs.
    current: Option<usize>,
    left: bool,
    timer: Pin<Box<Sleep>>,
    killing: Option<Boxed<'k, Result<(), String>>>,
    cancelled: Option<Duration>,
    why: Option<String>,
    shell_killed: bool,
    kill_failed: bool,
}

impl<'k> Run<'k> {
    fn finished(&self) -> bool {
        self.progress.last().is_none_or(|p| p.out_done && p.err_done) && self.killing.is_none()
    }

    fn index(&self, id: u64) -> Option<usize> {
        self.jobs.iter().position(|j| j.id == id)
    }

    fn read_out(&mut self, line: &mut Line, read: std::io::Result<usize>) {
        let mut hello = None;
        let mut running = line.running;
        let taken = line.out.take(read, &mut |event| match event {
            Event::Bytes(bytes) => {
                // Between two commands there is nobody to whom output could belong.
                if let Some(i) = self.current {
                    self.jobs[i].out.push(bytes);
                }
            }
            Event::Mark(Mark::Hello { pid, user }) => {
                hello = pid.map(|pid| (pid, user));
                self.timer.as_mut().reset(Instant::now() + START);
            }
            Event::Mark(Mark::Begun { id, pid, group }) => {
                running = Some((pid, group));
                self.current = self.index(id);
                if let Some(i) = self.current {
                    self.progress[i].begun = Some(Instant::now());
                    self.timer.as_mut().reset(Instant::now() + self.jobs[i].timeout);
                }
            }
            Event::Mark(Mark::Ended { id, code, left }) => {
                running = None;
                self.current = None;
                self.left |= left;
                self.timer.as_mut().reset(Instant::now() + START);
                if let Some(i) = self.index(id) {
                    let progress = &mut self.progress[i];
                    progress.code = code;
                    progress.took = progress.begun.map(|t| t.elapsed()).unwrap_or_default();
                    progress.out_done = true;
                }
            }
            Event::Mark(Mark::Skipped { id, retired }) => {
                self.left |= retired;
                if let Some(i) = self.index(id) {
                    self.progress[i].skipped = Some(retired);
                    self.progress[i].out_done = true;
                }
            }
        });
        line.running = running;
        if let Some((pid, user)) = hello {
            line.greeted(pid, user);
        }
        self.after_read(line, taken);
    }

    fn read_err(&mut self, line: &mut Line, read: std::io::Result<usize>) {
        let taken = line.err.take(read, &mut |event| match event {
            Event::Bytes(bytes) => {
                if let Some(i) = self.progress.iter().position(|p| !p.err_done) {
                    self.jobs[i].err.push(bytes);
                }
            }
            Event::Mark(Mark::Ended { id, .. } | Mark::Skipped { id, .. }) => {
                if let Some(i) = self.index(id) {
                    self.progress[i].err_done = true;
                }
            }
            Event::Mark(_) => {}
        });
        self.after_read(line, taken);
    }

    fn after_read(&mut self, line: &Line, taken: Result<(), String>) {
        if let Err(why) = taken {
            self.why = Some(why);
        } else if line.out.closed || line.err.closed {
            // The other one follows at once, unless something in the background holds it open.
            self.timer.as_mut().reset(Instant::now() + LINGER);
        }
    }

    /// A cancel that came before the hello, or a command begun after the cancel: it must go, too.
    fn needs_kill(&self, line: &Line) -> bool {
        let fresh = self.current.is_some_and(|i| !self.progress[i].killed);
        self.cancelled.is_some() && self.killing.is_none() && (fresh || !self.shell_killed && line.pid.is_some())
    }

    fn kill_current(&mut self, line: &mut Line, kill: &Kill<'k>) {
        let grace = self.cancelled.unwrap_or(GRACE);
        let last = self.current.is_none_or(|i| i + 1 == self.jobs.len() || !self.jobs[i].stop);
        let shell = line.pid.filter(|_| self.cancelled.is_some() || !last);
        let Some((pid, group)) = line.running.or(shell.map(|pid| (pid, false))) else {
            return;
        };
        if let Some(i) = self.current {
            self.progress[i].killed = true;
        }
        self.shell_killed |= shell.is_some();
        self.killing = Some(kill(Target { pid, group, shell, grace }));
        self.timer.as_mut().reset(Instant::now() + grace + START);
    }

    fn killed(&mut self, killed: Result<(), String>) {
        self.timer.as_mut().reset(Instant::now() + LINGER);
        if let Err(why) = killed {
            self.kill_failed = true;
            self.why = Some(format!("it could not be killed: {why}"));
        }
    }

    fn time_is_up(&mut self, line: &mut Line, kill: &Kill<'k>) {
        match self.current {
            Some(i) if !self.progress[i].killed && !line.out.closed => self.kill_current(line, kill),
            _ if self.cancelled.is_some() => self.why = Some("cancelled".into()),
            Some(i) if self.progress[i].killed => self.why = Some("it was killed, and did not end".into()),
            _ if line.out.closed || line.err.closed => self.why = Some(String::new()),
            _ => self.why = Some(format!("no answer within {} s", START.as_secs())),
        }
    }

    fn conclude(mut self, line: &mut Line, raw: bool) -> Outcome {
        let whole = self.why.is_none();
        line.busy = !whole;
        let cancelled = self.cancelled.is_some();
        // With the loop killed, no mark says so, but what runs is gone and the rest has not begun.
        let halted = (cancelled || self.shell_killed) && !self.kill_failed;
        let why = self.why.take().unwrap_or_default();
        let never = !line.out.greeted;
        let mut fates = Vec::new();
        for (progress, job) in self.progress.into_iter().zip(self.jobs) {
            let over = progress.out_done && progress.err_done;
            let fate = match (progress.skipped, over) {
                (Some(_), _) if halted => Fate::NotBegun,
                (Some(true), _) => Fate::Resend,
                (Some(false), _) => Fate::NotBegun,
                (None, true) => {
                    let ended = match progress.code {
                        _ if progress.killed && cancelled => Ended::Cancelled,
                        _ if progress.killed => Ended::TimedOut,
                        Some(code) => Ended::Code(code),
                        None => Ended::Code(255),
                    };
                    Fate::Ended(job.output(ended, progress.took))
                }
                (None, false) if halted && progress.killed => {
                    let took = progress.begun.map(|t| t.elapsed()).unwrap_or_default();
                    let ended = if cancelled { Ended::Cancelled } else { Ended::TimedOut };
                    Fate::Ended(job.output(ended, took))
                }
                (None, false) if halted && progress.begun.is_none() => Fate::NotBegun,
                (None, false) if never => Fate::Never(if why.is_empty() { line_end(line) } else { why.clone() }),
                (None, false) => Fate::Lost(why.clone()),
            };
            fates.push(fate);
        }
        Outcome { fates, usable: whole && !raw && !halted && !self.left, cancelled }
    }
}

fn joined(jobs: &[Job]) -> Zeroizing<Vec<u8>> {
    let mut all = Zeroizing::new(Vec::with_capacity(jobs.iter().map(|j| j.frame.len()).sum()));
    for job in jobs {
        all.extend_from_slice(&job.frame);
    }
    all
}

/// What a login shell that ended too early had to say.
fn line_end(line: &Line) -> String {
    line.said(Stream::Err).or_else(|| line.said(Stream::Out)).unwrap_or_default()
}

impl Job {
    fn output(self, ended: Ended, took: Duration) -> Result<Output, String> {
        let (stdout, stderr) = (self.out.finish()?, self.err.finish()?);
        Ok(Output { ended, stdout, stderr, took })
    }
}

/// Reads a stream to nowhere until it ends: something in the background still writes to it.
pub async fn drain(mut half: Half) {
    while let Ok(1..) = half.read().await {}
}
