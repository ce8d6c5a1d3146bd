//! Events as lines of text: shared by the plain printer, the progress display and `piton report --format text`.

use super::clean;
use super::diff::{self, Line, span};
use super::paint::Paint;
use super::view::{ActionView, RunView, Start, TaskView};
use super::{plan, summary};
use crate::cmd::Ended;
use crate::event::{ActionResult, Event, Outcome, Stamped};
use crate::key::TaskKey;
use std::time::Duration;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Failures, what is unknown, and the result.
    Quiet,
    /// One line an outcome, diffs cut at [`diff::SHOWN`] lines.
    #[default]
    Normal,
    /// Also commands, live output, whole diffs and times.
    Verbose,
}

/// How lines are made.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much is said.
    pub verbosity: Verbosity,
    /// Colours.
    pub paint: Paint,
    /// Folder that holds a folder for each run, named at the end; `None`: not named.
    pub runs: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { verbosity: Verbosity::Normal, paint: Paint::PLAIN, runs: None }
    }
}

/// Makes lines from events, one after another.
#[derive(Debug, Default)]
pub struct Text {
    /// What is known so far.
    pub view: RunView,
    /// How lines are made.
    pub options: Options,
    planned: plan::Tally,
}

const STATUS: usize = 9;

impl Text {
    /// With these options.
    pub fn new(options: Options) -> Self {
        Self { view: RunView::default(), options, planned: plan::Tally::default() }
    }

    /// A whole journal as text.
    pub fn whole(events: &[Stamped], options: Options) -> String {
        let mut text = Self::new(options);
        events.iter().flat_map(|e| text.feed(e)).map(|line| line + "\n").collect()
    }

    /// Lines of the diff that are shown.
    fn limit(&self) -> Option<usize> {
        (self.options.verbosity < Verbosity::Verbose).then_some(diff::SHOWN)
    }

    /// Takes an event and gives the lines that it is worth.
    pub fn feed(&mut self, stamped: &Stamped) -> Vec<String> {
        self.view.apply(stamped);
        let paint = self.options.paint;
        let verbose = self.options.verbosity == Verbosity::Verbose;
        let quiet = self.options.verbosity == Verbosity::Quiet;
        match &stamped.event {
            Event::RunEnded { .. } => self.ended(),
            Event::TaskEnded { task, outcome, .. } => self.outcome(task, outcome),
            Event::Warning { text } => vec![format!("{} {}", paint.yellow("warning:"), clean::line(text))],
            Event::Disconnected { host, why } => {
                vec![self.row(&paint.yellow("line"), 4, host, &format!("ended: {}", clean::line(why)))]
            }
            Event::CheckpointFailed { guest, why, .. } => {
                let text = format!("no checkpoint, so nothing is changed: {}", clean::line(why));
                vec![self.row(&paint.red("failed"), 6, guest, &text)]
            }
            Event::RollbackFailed { guest, name, why } => {
                let text = format!("could not go back to {}: {}", clean::line(name), clean::line(why));
                vec![self.row(&paint.alarm("STUCK"), 5, guest, &text)]
            }
            Event::UndoEnded { task, what, failed: Some(why) } => {
                let text = format!("could not take back \"{}\": {}", clean::line(what), clean::line(why));
                vec![self.row(&paint.alarm("STUCK"), 5, &task.host, &text)]
            }
            Event::RevertFired { task, failed: Some(why), .. } => {
                let text = format!("took it back, but not whole: {}", clean::line(why));
                vec![self.row(&paint.alarm("STUCK"), 5, &task.host, &text)]
            }
            Event::Interrupted { count } => vec![paint.yellow(stopping(*count))],
            _ if quiet => Vec::new(),
            Event::RunStarted { .. } => self.view.start.as_ref().map(|s| header(s, paint)).unwrap_or_default(),
            Event::SectionStarted { section, hosts, .. } => {
                let title = format!("== {} ({})", clean::line(section), clean::line(&hosts.join(", ")));
                vec![String::new(), paint.bold(&title)]
            }
            Event::Covered { coverage } if self.planning() || verbose || !coverage.possible => {
                plan::coverage(coverage, paint)
            }
            Event::CheckpointTaken { guest, name, .. } => {
                vec![self.row(&paint.cyan("snapshot"), 8, guest, &clean::line(name))]
            }
            Event::CheckpointDropped { guest, name } => {
                let text = paint.dim(&format!("old checkpoint {} deleted", clean::line(name)));
                vec![self.row(&paint.dim("dropped"), 7, guest, &text)]
            }
            Event::Retry { task, attempt, of, why } => {
                let text = format!("{}: attempt {attempt} of {of}: {}", self.name(task), clean::line(why));
                vec![self.row(&paint.dim("retry"), 5, &task.host, &paint.dim(&text))]
            }
            Event::Forecasted { task, name, label, forecast, checkpoint, .. } => {
                self.planned.add(forecast);
                let vmid = checkpoint.as_ref().map(|guest| plan::checkpoint_line(guest, paint));
                let mut out: Vec<String> = vmid.into_iter().collect();
                let label = label.as_ref().map(|l| format!(" [{}]", clean::line(l))).unwrap_or_default();
                let name = format!("{}{label}", clean::line(name));
                out.extend(plan::lines(task, &name, forecast, paint, self.limit(), self.host_width()));
                out
            }
            Event::RollbackStarted { guest, name } => {
                vec![self.row(&paint.cyan("rollback"), 8, guest, &format!("to {} ...", clean::line(name)))]
            }
            Event::RolledBack { guest, name, started, took } => {
                let again = if *started { ", and runs again" } else { "" };
                let text = format!("as it was at {}{again} ({})", clean::line(name), span(*took));
                vec![self.row(&paint.green("back"), 4, guest, &text)]
            }
            Event::UndoEnded { task, what, failed: None } => {
                vec![self.row(&paint.green("undone"), 6, &task.host, &clean::line(what))]
            }
            Event::RevertFired { task, failed: None, .. } => {
                let text = "took the change back by itself: it is as before";
                vec![self.row(&paint.green("reverted"), 8, &task.host, text)]
            }
            // Plain ways are for `-v`; another one is worth a line.
            event @ Event::Connected { via, .. } if !matches!(via.as_str(), "ssh" | "local") => self.detail(event),
            event if verbose => self.detail(event),
            _ => Vec::new(),
        }
    }

    /// Lines for `-v` only.
    fn detail(&self, event: &Event) -> Vec<String> {
        let paint = self.options.paint;
        match event {
            Event::Connected { host, via, took } => {
                vec![self.row(&paint.dim("line"), 4, host, &paint.dim(&format!("by {via}, {}", span(*took))))]
            }
            Event::ActionStarted { task, line, .. } => {
                vec![self.row("", 0, &task.host, &paint.dim(&format!("$ {}", clean::line(line))))]
            }
            Event::Output { task, line, .. } => {
                vec![self.row("", 0, &task.host, &format!("| {}", clean::line(line)))]
            }
            Event::TaskLog { host, line } => vec![self.row("", 0, host, &format!("| {}", clean::line(line)))],
            Event::Waiting { host, what } => {
                vec![self.row(&paint.dim("waiting"), 7, host, &paint.dim(&clean::line(what)))]
            }
            Event::RevertArmed { task, folder, within, .. } => {
                let text = format!("takes it back in {} unless confirmed ({})", span(*within), clean::line(folder));
                vec![self.row(&paint.dim("armed"), 5, &task.host, &paint.dim(&text))]
            }
            Event::RevertConfirmed { task, .. } => {
                vec![self.row(&paint.dim("confirmed"), 9, &task.host, &paint.dim("over a new connection"))]
            }
            Event::Answered { task, answer } => {
                vec![self.row(&paint.dim("answer"), 6, &task.host, &clean::line(answer))]
            }
            _ => Vec::new(),
        }
    }

    fn outcome(&self, key: &TaskKey, outcome: &Outcome) -> Vec<String> {
        let paint = self.options.paint;
        let bad = matches!(outcome, Outcome::Failed(_) | Outcome::Unknown(_));
        if self.options.verbosity == Verbosity::Quiet && !bad {
            return Vec::new();
        }
        let Some((_, task)) = self.view.find(key) else { return Vec::new() };
        let word = if matches!(outcome, Outcome::Unknown(_)) { "UNKNOWN" } else { outcome.word() };
        let mut name = self.name(key);
        let timed = self.options.verbosity == Verbosity::Verbose || task.took >= Duration::from_secs(1);
        if let Outcome::Skipped(why) = outcome {
            name.push_str(&paint.dim(&format!(" ({})", clean::line(why))));
        }
        if timed && !matches!(outcome, Outcome::Skipped(_)) {
            name.push_str(&paint.dim(&format!(" ({})", span(task.took))));
        }
        let mut out = vec![self.row(&paint.outcome(outcome, word), word.len(), &key.host, &name)];
        match outcome {
            Outcome::Changed => out.extend(self.changes(task)),
            Outcome::Failed(why) | Outcome::Ignored(why) => {
                out.extend(indented(&paint.red(&clean::line(why))));
                out.extend(failure(task));
            }
            Outcome::Unknown(why) => {
                out.extend(indented(&paint.red(&clean::line(why))));
                out.extend(failure(task));
                out.extend(indented(&format!("nobody saw whether {} did it: look before you go on", key.host)));
            }
            Outcome::Ok | Outcome::Skipped(_) => {}
        }
        out
    }

    fn changes(&self, task: &TaskView) -> Vec<String> {
        let lines = task
            .changes
            .iter()
            .flat_map(|c| diff::change(c, self.limit(), self.options.verbosity == Verbosity::Verbose));
        lines.flat_map(|line: Line| indented(&line.painted(self.options.paint))).collect()
    }

    fn ended(&mut self) -> Vec<String> {
        if self.planning() {
            return self.planned.lines(&self.view, self.options.paint);
        }
        summary::lines(&self.view, &self.options)
    }

    /// True for a plan: nothing is changed.
    pub fn planning(&self) -> bool {
        self.view.start.as_ref().is_some_and(|s| s.command == "plan") || !self.view.forecasts.is_empty()
    }

    /// The step's name with the loop's label, safe to show.
    pub fn name(&self, key: &TaskKey) -> String {
        match self.view.find(key) {
            Some((step, task)) => {
                let label = task.label.as_ref().map(|l| format!(" [{}]", clean::line(l))).unwrap_or_default();
                format!("{}{label}", clean::line(&step.name))
            }
            None => clean::line(&key.step.0),
        }
    }

    /// Columns of the longest host name, at most 24.
    pub fn host_width(&self) -> usize {
        let hosts = self.view.start.iter().flat_map(|s| s.hosts.iter());
        // A way back does not know its hosts before.
        hosts.map(|h| clean::columns(h)).max().unwrap_or(10).min(24)
    }

    fn row(&self, status: &str, columns: usize, host: &str, text: &str) -> String {
        let gap = " ".repeat(STATUS.saturating_sub(columns));
        format!("  {status}{gap}{}  {text}", clean::pad(&clean::line(host), self.host_width())).trim_end().to_string()
    }
}

/// What an action said, as lines: exit status, message, output.
pub fn said(result: &ActionResult) -> Vec<String> {
    let mut out = Vec::new();
    match result.ended {
        Some(Ended::Code(code)) => out.push(format!("exit {code}")),
        Some(Ended::TimedOut) => out.push("timed out; its processes were killed".to_string()),
        Some(Ended::Cancelled) => out.push("cancelled; its processes were killed".to_string()),
        Some(Ended::NotBegun) => out.push("not begun".to_string()),
        None => {}
    }
    if let Some(status) = result.status {
        out.push(format!("HTTP {status}"));
    }
    if let Some(upid) = &result.upid {
        out.push(format!("task {}", clean::line(upid)));
    }
    // Of a command the message is made of its exit status and its last line, which both stand here.
    if !result.message.is_empty() && result.ended.is_none() {
        out.push(clean::line(&result.message));
    }
    for stream in [&result.stdout, &result.stderr] {
        out.extend(clean::text(stream).lines().map(|line| format!("| {line}")));
    }
    out
}

/// What the host said to the action that failed or is in flight.
fn failure(task: &TaskView) -> Vec<String> {
    let wrong = |a: &&ActionView| a.end.as_ref().is_none_or(|(ok, _, _)| !ok);
    let Some(action) = task.actions.iter().rev().find(wrong) else { return Vec::new() };
    let mut out = indented(&format!("$ {}", clean::line(&action.line)));
    if let Some((_, result, _)) = &action.end {
        // Why the step failed stands above already.
        let why = match &task.outcome {
            Some(Outcome::Failed(why) | Outcome::Unknown(why) | Outcome::Ignored(why)) => clean::line(why),
            _ => String::new(),
        };
        out.extend(said(result).iter().filter(|line| **line != why).flat_map(|line| indented(line)));
    }
    out
}

fn indented(text: &str) -> Vec<String> {
    text.lines().map(|line| format!("      {line}").trim_end().to_string()).collect()
}

fn stopping(count: u8) -> &'static str {
    match count {
        0 | 1 => "stopping after the steps that run now; once more kills them",
        2 => "killing what runs on the hosts; once more leaves it alone and quits",
        _ => "leaving",
    }
}

/// What is run, and on which hosts.
fn header(start: &Start, paint: Paint) -> Vec<String> {
    // A plan leaves nothing behind, so its id would lead nowhere.
    let id = if start.command == "plan" { String::new() } else { format!(" {}", start.run) };
    let title = format!("{}{id}: {}", start.command, start.runbook);
    let mut out = vec![paint.bold(&clean::line(&title))];
    let with = clean::line(&start.inventory);
    let path = clean::line(&start.path);
    out.push(if path.is_empty() { format!("  with {with}") } else { format!("  {path} with {with}") });
    if start.lab {
        out.push("  lab: simulated Proxmox".to_string());
    }
    if !start.hosts.is_empty() {
        out.push(format!("  hosts: {}", clean::line(&start.hosts.join(", "))));
    }
    out
}
