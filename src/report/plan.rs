//! What a plan says: for each step and host what would happen, and what is not known.

use super::clean;
use super::diff;
use super::paint::Paint;
use super::view::RunView;
use crate::event::{Coverage, Forecast};
use crate::key::TaskKey;
use crate::modules::Change;

/// Forecasts, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Changes are known.
    pub change: usize,
    /// Nothing to do.
    pub same: usize,
    /// Acts each time.
    pub always: usize,
    /// Not to be known before the run.
    pub unknown: usize,
    /// Not due.
    pub skipped: usize,
    /// Would fail as things are.
    pub fail: usize,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, forecast: &Forecast) {
        match forecast {
            Forecast::WillChange(_) => self.change += 1,
            Forecast::AlreadySo => self.same += 1,
            Forecast::AlwaysRuns(_) => self.always += 1,
            Forecast::CannotKnow(_) => self.unknown += 1,
            Forecast::Skipped(_) => self.skipped += 1,
            Forecast::WouldFail(_) => self.fail += 1,
        }
    }

    /// The end of a plan: totals, and what they do and do not mean.
    pub fn lines(&self, view: &RunView, paint: Paint) -> Vec<String> {
        let parts = [
            (self.change, "will change"),
            (self.same, "already so"),
            (self.always, "always run"),
            (self.unknown, "cannot be known"),
            (self.skipped, "skipped"),
            (self.fail, "would fail"),
        ];
        let told: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let told = if told.is_empty() { "nothing to do".to_string() } else { told.join(", ") };
        let mut out = vec![String::new(), format!("{} {told}", paint.bold("Plan:"))];
        let mut guests: Vec<&str> = Vec::new();
        for guest in view.forecasts.iter().filter_map(|f| f.checkpoint.as_deref()) {
            if !guests.contains(&guest) {
                guests.push(guest);
            }
        }
        if !guests.is_empty() {
            out.push(format!("  checkpoints before the first change: {}", clean::line(&guests.join(", "))));
        }
        if self.unknown > 0 {
            out.push("  what cannot be known now is decided in the run, from what the steps before it did".to_string());
        }
        if self.fail > 0 {
            out.push(paint.red("  as things are, a run would fail"));
        }
        out.push("  the hosts were only asked; nothing was changed".to_string());
        out
    }
}

/// The words of a forecast.
pub fn word(forecast: &Forecast) -> &'static str {
    match forecast {
        Forecast::WillChange(_) => "will change",
        Forecast::AlreadySo => "already so",
        Forecast::AlwaysRuns(_) => "always runs",
        Forecast::CannotKnow(_) => "cannot know",
        Forecast::Skipped(_) => "skipped",
        Forecast::WouldFail(_) => "would fail",
    }
}

/// A forecast with its reasons or diffs.
pub fn lines(
    task: &TaskKey,
    name: &str,
    forecast: &Forecast,
    paint: Paint,
    limit: Option<usize>,
    width: usize,
) -> Vec<String> {
    let painted = match forecast {
        Forecast::WillChange(_) | Forecast::AlwaysRuns(_) => paint.yellow(word(forecast)),
        Forecast::AlreadySo => paint.green(word(forecast)),
        Forecast::CannotKnow(_) => paint.cyan(word(forecast)),
        Forecast::Skipped(_) => paint.dim(word(forecast)),
        Forecast::WouldFail(_) => paint.red(word(forecast)),
    };
    let gap = " ".repeat(12 - word(forecast).len());
    let mut out = vec![format!("  {painted}{gap}{}  {name}", clean::pad(&clean::line(&task.host), width))];
    match forecast {
        Forecast::WillChange(changes) => out.extend(changed(changes, paint, limit)),
        Forecast::AlwaysRuns(changes) => {
            out.extend(changed(changes, paint, limit));
            for change in changes {
                let lines = change.actions.iter().map(|a| clean::line(&a.line()));
                out.extend(lines.filter(|line| !change.what.contains(line.as_str())).map(|l| format!("      $ {l}")));
            }
        }
        Forecast::CannotKnow(why) | Forecast::WouldFail(why) | Forecast::Skipped(why) => {
            out.push(format!("      {}", clean::line(why)));
        }
        Forecast::AlreadySo => {}
    }
    out
}

fn changed(changes: &[Change], paint: Paint, limit: Option<usize>) -> Vec<String> {
    let lines = changes.iter().flat_map(|c| diff::change(c, limit, true));
    lines.map(|line| format!("      {}", line.painted(paint)).trim_end().to_string()).collect()
}

/// What stands before the first change of a guest.
pub fn checkpoint_line(guest: &str, paint: Paint) -> String {
    format!("  {} snapshot of {}", paint.cyan("checkpoint:"), clean::line(guest))
}

/// What a checkpoint of a guest brings back, and what it does not.
pub fn coverage(coverage: &Coverage, paint: Paint) -> Vec<String> {
    let guest = clean::line(&coverage.guest);
    let mut out = vec![if coverage.possible {
        format!("  {guest}: a checkpoint can be taken")
    } else {
        paint.red(&format!("  {guest}: NO checkpoint can be taken"))
    }];
    for text in &coverage.protected {
        out.push(format!("      {} {}", paint.green("comes back:"), clean::line(text)));
    }
    for text in &coverage.unprotected {
        out.push(format!("      {} {}", paint.yellow("does not:  "), clean::line(text)));
    }
    out
}
