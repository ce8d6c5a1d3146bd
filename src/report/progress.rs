//! The live display on a terminal: a line a host below, what is done scrolls away above.
//!
//! indicatif drops printed lines in silence when its target is not a terminal, so [`Progress`] is only made where there
//! is one ([`super::screen`] decides). Lines are cut to the width of the terminal by columns.

use super::clean;
use super::paint::Paint;
use super::text::{Options, Text};
use crate::event::{Event, Outcome, Sink, Stamped};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Events on a terminal.
#[derive(Clone)]
pub struct Progress {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    text: Text,
    bars: MultiProgress,
    hosts: BTreeMap<String, Row>,
    total: Option<ProgressBar>,
    /// Host lines that fit; the rest is counted.
    room: usize,
    done: u64,
    /// Set while the operator is asked: lines wait here.
    paused: Option<Vec<String>>,
    echo: Option<NoEcho>,
}

/// The terminal does not show `^C` while bars are drawn: it would shift them by a line.
struct NoEcho(Termios);

impl NoEcho {
    fn new() -> Option<Self> {
        let before = tcgetattr(std::io::stdout()).ok()?;
        let mut now = before.clone();
        now.local_modes.remove(LocalModes::ECHOCTL);
        tcsetattr(std::io::stdout(), OptionalActions::Now, &now).ok()?;
        Some(Self(before))
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdout(), OptionalActions::Now, &self.0);
    }
}

struct Row {
    bar: ProgressBar,
    /// What is shown beside the spinner.
    doing: String,
    /// The task that a checkpoint or a way back interrupts.
    task: Option<String>,
    busy: bool,
}

impl Progress {
    /// Draws on standard output, which must be a terminal with this many rows.
    pub fn new(options: Options, rows: usize) -> Self {
        Self::on(options, rows, ProgressDrawTarget::stdout())
    }

    fn on(options: Options, rows: usize, target: ProgressDrawTarget) -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            text: Text::new(options),
            bars: MultiProgress::with_draw_target(target),
            hosts: BTreeMap::new(),
            total: None,
            room: rows.saturating_sub(4).max(1),
            done: 0,
            paused: None,
            echo: NoEcho::new(),
        }));
        // One thread turns all spinners: indicatif's own steady tick takes a thread a bar.
        let weak = Arc::downgrade(&inner);
        std::thread::spawn(move || {
            while let Some(inner) = weak.upgrade() {
                lock(&inner).tick();
                drop(inner);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self { inner }
    }

    /// Takes the display away while the operator is asked something. Lines wait until [`resume`](Self::resume).
    pub fn pause(&self) {
        let mut inner = lock(&self.inner);
        let _ = inner.bars.clear();
        inner.echo = None;
        inner.bars.set_draw_target(ProgressDrawTarget::hidden());
        inner.paused.get_or_insert_with(Vec::new);
    }

    /// Brings the display back.
    pub fn resume(&self) {
        let mut inner = lock(&self.inner);
        inner.bars.set_draw_target(ProgressDrawTarget::stdout());
        inner.echo = NoEcho::new();
        if let Some(lines) = inner.paused.take() {
            inner.print(&lines);
        }
    }
}

impl Sink for Progress {
    fn event(&self, event: &Stamped) {
        let mut inner = lock(&self.inner);
        let lines = inner.text.feed(event);
        inner.draw(&event.event);
        inner.print(&lines);
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn tick(&self) {
        if self.paused.is_none() {
            self.hosts.values().filter(|r| r.busy).for_each(|r| r.bar.tick());
            if let Some(total) = &self.total {
                total.tick();
            }
        }
    }

    fn print(&mut self, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        if let Some(waiting) = &mut self.paused {
            waiting.extend_from_slice(lines);
            return;
        }
        let text = lines.join("\n") + "\n";
        self.bars.suspend(|| {
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(text.as_bytes());
            let _ = out.flush();
        });
    }

    /// Brings the lines of the hosts up to date.
    fn draw(&mut self, event: &Event) {
        match event {
            Event::RunStarted { tasks, .. } => {
                let bar = ProgressBar::new(*tasks as u64).with_style(style("{msg}{pos}/{len} steps, {elapsed}"));
                self.total = Some(self.bars.add(bar));
            }
            Event::SectionStarted { section, hosts, .. } => {
                self.hosts.retain(|host, row| {
                    let stays = row.busy || hosts.contains(host);
                    if !stays {
                        row.bar.finish_and_clear();
                        self.bars.remove(&row.bar);
                    }
                    stays
                });
                if let Some(total) = &self.total {
                    total.set_message(format!("{}: ", clean::fit(&clean::line(section), 40)));
                }
            }
            Event::TaskStarted { task, .. } => {
                let name = self.text.name(task);
                self.begin(&task.host, &name);
                if let Some(row) = self.hosts.get_mut(&task.host) {
                    row.task = Some(name);
                }
            }
            Event::CheckpointStarted { guest, name, .. } => {
                self.begin(guest, &format!("snapshot {}", clean::line(name)));
            }
            Event::RollbackStarted { guest, name } => {
                self.begin(guest, &format!("going back to {}", clean::line(name)));
            }
            Event::Output { task, line, .. } => self.say(&task.host, line),
            Event::TaskLog { host, line } => self.say(host, line),
            Event::Waiting { host, what } => self.say(host, &format!("waiting: {what}")),
            Event::Retry { task, attempt, of, .. } => {
                self.say(&task.host, &format!("attempt {attempt} of {of} failed"));
            }
            Event::UndoStarted { task, what } => {
                self.begin(&task.host, &format!("taking back: {}", clean::line(what)));
            }
            Event::UndoEnded { task, .. } => self.go_on(&task.host),
            Event::CheckpointTaken { guest, .. }
            | Event::CheckpointFailed { guest, .. }
            | Event::RolledBack { guest, .. }
            | Event::RollbackFailed { guest, .. } => self.go_on(guest),
            Event::TaskEnded { task, outcome, .. } => {
                self.done += 1;
                if let Some(total) = &self.total {
                    total.set_position(self.done);
                }
                if !matches!(outcome, Outcome::Skipped(_)) || task.item.is_none() {
                    self.rest(&task.host);
                }
            }
            Event::Forecasted { task, .. } => {
                self.done += 1;
                if let Some(total) = &self.total {
                    total.set_position(self.done);
                }
                self.rest(&task.host);
            }
            Event::RunEnded { .. } => {
                for row in self.hosts.values() {
                    row.bar.finish_and_clear();
                }
                self.hosts.clear();
                if let Some(total) = self.total.take() {
                    total.finish_and_clear();
                }
                let _ = self.bars.clear();
                self.echo = None;
            }
            _ => {}
        }
    }

    /// A host begins something: it gets a line if there is room.
    fn begin(&mut self, host: &str, doing: &str) {
        if !self.hosts.contains_key(host) && self.hosts.len() >= self.room {
            let idle = self.hosts.iter().find(|(_, row)| !row.busy).map(|(name, _)| name.clone());
            match idle.and_then(|name| self.hosts.remove(&name)) {
                Some(row) => {
                    row.bar.finish_and_clear();
                    self.bars.remove(&row.bar);
                }
                None => return,
            }
        }
        let width = self.text.host_width();
        let paint = self.text.options.paint;
        let busy = style("  {spinner} {prefix} {elapsed:>4} {wide_msg}");
        let row = self.hosts.entry(host.to_string()).or_insert_with(|| {
            let bar = ProgressBar::new_spinner().with_style(busy.clone()).with_prefix(name_of(host, width, paint));
            let bar = match &self.total {
                Some(total) => self.bars.insert_before(total, bar),
                None => self.bars.add(bar),
            };
            Row { bar, doing: String::new(), task: None, busy: true }
        });
        row.busy = true;
        row.bar.set_style(busy);
        row.bar.reset_elapsed();
        row.bar.set_message(doing.to_string());
        row.doing = doing.to_string();
    }

    /// What interrupted the host's task is over.
    fn go_on(&mut self, host: &str) {
        match self.hosts.get(host).and_then(|row| row.task.clone()) {
            Some(task) => self.begin(host, &task),
            None => self.rest(host),
        }
    }

    fn say(&mut self, host: &str, line: &str) {
        let line = clean::line(line);
        if let Some(row) = self.hosts.get(host)
            && row.busy
            && !line.is_empty()
        {
            row.bar.set_message(format!("{}: {line}", row.doing));
        }
    }

    fn rest(&mut self, host: &str) {
        if let Some(row) = self.hosts.get_mut(host) {
            row.busy = false;
            row.task = None;
            row.bar.set_style(style("  · {prefix}"));
            row.bar.tick();
        }
    }
}

fn name_of(host: &str, width: usize, paint: Paint) -> String {
    let width = width.max(1);
    paint.bold(&clean::pad(&clean::fit(&clean::line(host), width), width))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
