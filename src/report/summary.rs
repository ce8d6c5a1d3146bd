//! The end of a run: counts a host, what is unknown, and how to go back.

use super::clean;
use super::diff::span;
use super::paint::Paint;
use super::text::{Options, Verbosity};
use super::view::{CheckpointState, RunView};
use crate::event::{Outcome, RunEnd};

/// One sentence for each end.
pub fn sentence(end: RunEnd) -> &'static str {
    match end {
        RunEnd::Done => "done",
        RunEnd::Failed => "a step failed; what was changed before it stays",
        RunEnd::RolledBack => "a step failed, and every guest changed in its section is back as it was",
        RunEnd::RollbackFailed => "a step failed and the way back failed too: a person is needed",
        RunEnd::Unknown => "the outcome of a step is UNKNOWN",
        RunEnd::Interrupted => "interrupted by the operator",
        RunEnd::Reverted => "a change was not confirmed in time, and the host took it back: it is as before that step",
        RunEnd::Refused => "not begun; nothing was changed",
    }
}

/// The lines at the end of a run.
pub fn lines(view: &RunView, options: &Options) -> Vec<String> {
    let paint = options.paint;
    let mut out = Vec::new();
    if options.verbosity > Verbosity::Quiet {
        out.push(String::new());
        if !view.hosts().is_empty() {
            out.extend(table(view, paint));
        }
    }
    out.extend(unknown(view, paint));
    if let Some((end, took)) = view.end {
        let text = format!("{} ({})", sentence(end), span(took));
        let text = match end {
            RunEnd::Done => paint.green(&text),
            RunEnd::Unknown | RunEnd::RollbackFailed => paint.alarm(&text),
            _ => paint.red(&text),
        };
        out.push(format!("{} {text}", paint.bold("Result:")));
    }
    out.extend(way_on(view));
    out.extend(way_back(view));
    if let (Some(start), Some(runs)) = (&view.start, &options.runs) {
        out.push(format!("  journal: {}", clean::line(&format!("{runs}/{}/journal.jsonl", start.run))));
    }
    out
}

/// Counts of each host.
pub fn table(view: &RunView, paint: Paint) -> Vec<String> {
    let hosts = view.hosts();
    let width = hosts.iter().map(|h| clean::columns(h)).max().unwrap_or(0).clamp(4, 32);
    let head =
        format!("  {}  {:>4} {:>8} {:>8} {:>7}", clean::pad("host", width), "ok", "changed", "skipped", "failed");
    let any = |of: fn(&super::view::Counts) -> usize| hosts.iter().any(|h| of(&view.counts(h)) > 0);
    let (ignored, unknown) = (any(|c| c.ignored), any(|c| c.unknown));
    let more = |on: bool, text: &str| if on { format!(" {text:>8}") } else { String::new() };
    let mut out = vec![paint.dim(&format!("{head}{}{}", more(ignored, "ignored"), more(unknown, "unknown")))];
    for host in hosts {
        let c = view.counts(host);
        let colour =
            |n: usize, text: String, how: fn(Paint, &str) -> String| if n > 0 { how(paint, &text) } else { text };
        out.push(format!(
            "  {}  {} {} {:>8} {}{}{}",
            clean::pad(&clean::fit(&clean::line(host), width), width),
            colour(c.ok, format!("{:>4}", c.ok), Paint::green),
            colour(c.changed, format!("{:>8}", c.changed), Paint::yellow),
            c.skipped,
            colour(c.failed, format!("{:>7}", c.failed), Paint::red),
            more(ignored, &c.ignored.to_string()),
            colour(c.unknown, more(unknown, &c.unknown.to_string()), Paint::alarm),
        ));
    }
    out
}

/// The steps of which nobody knows, and what to do.
fn unknown(view: &RunView, paint: Paint) -> Vec<String> {
    let unknown = view.unknowns();
    let mut out = Vec::new();
    for (_, step, task) in &unknown {
        let why = match &task.outcome {
            Some(Outcome::Unknown(why)) => clean::line(why),
            _ => "no end of it was seen".to_string(),
        };
        let name = clean::line(&step.name);
        out.push(format!("{} step \"{name}\" on {}: {why}", paint.alarm("UNKNOWN:"), clean::line(&task.key.host)));
        if let Some(line) = task.in_flight().map(|action| clean::line(&action.line))
            && !why.contains(&line)
        {
            out.push(format!("  in flight: {line}"));
        }
    }
    if !unknown.is_empty()
        && let Some(start) = &view.start
    {
        let [inventory, path] = [&start.inventory, &start.path].map(|p| clean::line(&crate::cmd::quote(p)));
        out.push(format!("  see how things are before you go on (this only asks): piton plan -i {inventory} {path}"));
    }
    out
}

/// How to go on with a run that did not come to its end.
fn way_on(view: &RunView) -> Option<String> {
    let start = view.start.as_ref().filter(|s| s.command == "run")?;
    let (end, _) = view.end?;
    matches!(end, RunEnd::Unknown | RunEnd::Failed | RunEnd::Interrupted)
        .then(|| format!("  to go on:   piton resume {}", clean::line(&start.run.to_string())))
}

/// Which checkpoints there are and how to go back to them.
pub fn way_back(view: &RunView) -> Vec<String> {
    let mut out = Vec::new();
    for rollback in &view.rollbacks {
        let guest = clean::line(&rollback.guest);
        match &rollback.end {
            Some(Ok(_)) => {}
            Some(Err(why)) => out.push(format!("  {guest} could NOT go back: {}", clean::line(why))),
            None => out.push(format!("  {guest}: no end of its way back was seen")),
        }
    }
    for undo in &view.undos {
        let (what, host) = (clean::line(&undo.what), clean::line(&undo.task.host));
        match &undo.end {
            Some(Ok(())) => {}
            Some(Err(why)) => out.push(format!("  \"{what}\" on {host} could NOT be taken back: {}", clean::line(why))),
            None => out.push(format!("  \"{what}\" on {host}: no end of its undo was seen")),
        }
    }
    let standing: Vec<_> = view.standing().collect();
    for checkpoint in &standing {
        let before = view.section_name(checkpoint.section).map(|s| format!(", before \"{}\"", clean::line(s)));
        let back = if view.went_back(&checkpoint.guest) { "; the guest is back at it" } else { "" };
        out.push(format!(
            "  checkpoint: {} {}{}{back}",
            clean::line(&checkpoint.guest),
            clean::line(&checkpoint.name),
            before.unwrap_or_default()
        ));
    }
    for checkpoint in view.checkpoints.iter().filter(|c| c.state == CheckpointState::Begun) {
        let (guest, name) = (clean::line(&checkpoint.guest), clean::line(&checkpoint.name));
        out.push(format!("  checkpoint {name} of {guest} was begun; no end of it was seen"));
    }
    if let Some(command) = view.way_back() {
        out.push(format!("  to go back: {}", clean::line(&command)));
    }
    out
}
