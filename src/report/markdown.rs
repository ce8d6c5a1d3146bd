//! A run as Markdown: for issues, wikis and people who read text.
//!
//! What hosts said may hold anything, so texts in the flow are escaped and outputs stand in code blocks whose fence is
//! longer than any run of backticks in them.

use super::diff::{self, span};
use super::summary::sentence;
use super::text::said;
use super::view::{CheckpointState, RunView, SectionView, StepView, TaskView};
use super::{clean, clock};
use crate::event::Outcome;

/// The report.
pub fn page(view: &RunView) -> String {
    let mut out = head(view);
    out.push_str(&protection(view));
    for section in &view.sections {
        out.push_str(&part(section));
    }
    out
}

fn head(view: &RunView) -> String {
    let Some(start) = &view.start else { return "# A run without a first event\n".to_string() };
    let mut out = format!("# {}\n\n", text(&start.runbook));
    let result = match view.end {
        Some((end, took)) => format!("**{}** after {}", sentence(end), span(took)),
        None => "**no end was seen**: it still runs, or piton was killed in it".to_string(),
    };
    out.push_str(&format!("{result}\n\n"));
    let lab = if start.lab { " (lab: simulated Proxmox)" } else { "" };
    for (name, value) in [
        ("Run", text(&start.run.0)),
        ("Command", text(&start.command)),
        ("Began", format!("{} UTC", clock::utc(start.at))),
        ("Runbook", text(&start.path)),
        ("Inventory", format!("{}{lab}", text(&start.inventory))),
        ("Operator", text(&start.operator)),
        ("piton", text(&start.piton)),
    ] {
        out.push_str(&format!("- {name}: {value}\n"));
    }
    out.push_str("\n| host | ok | changed | skipped | failed | ignored | unknown |\n|---|---|---|---|---|---|---|\n");
    for host in view.hosts() {
        let c = view.counts(host);
        out.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            text(host),
            c.ok,
            c.changed,
            c.skipped,
            c.failed,
            c.ignored,
            c.unknown
        ));
    }
    for (_, step, task) in view.unknowns() {
        out.push_str(&format!("\n**UNKNOWN**: step \"{}\" on {}", text(&step.name), text(&task.key.host)));
        out.push_str(": nobody saw whether it was done. Look before you go on.\n");
    }
    for problem in &view.problems {
        let (host, what, todo) = (text(&problem.host), text(&problem.what), text(&problem.todo));
        out.push_str(&format!("\n**not begun**: {host}: {what} ({todo})\n"));
    }
    for warning in &view.warnings {
        out.push_str(&format!("\n> warning: {}\n", text(warning)));
    }
    out
}

fn protection(view: &RunView) -> String {
    let mut out = String::new();
    if !view.coverage.is_empty() {
        out.push_str("\n## What is protected\n\n");
    }
    for coverage in &view.coverage {
        let can = if coverage.possible { "a checkpoint can be taken" } else { "**no checkpoint can be taken**" };
        out.push_str(&format!("- {}: {can}\n", text(&coverage.guest)));
        for line in &coverage.protected {
            out.push_str(&format!("  - comes back: {}\n", text(line)));
        }
        for line in &coverage.unprotected {
            out.push_str(&format!("  - does not: {}\n", text(line)));
        }
    }
    if !view.checkpoints.is_empty() || !view.rollbacks.is_empty() {
        out.push_str("\n## Checkpoints\n\n");
    }
    for checkpoint in &view.checkpoints {
        let state = match &checkpoint.state {
            CheckpointState::Begun => "begun, no end was seen".to_string(),
            CheckpointState::Taken => "taken".to_string(),
            CheckpointState::Failed(why) => format!("**not taken**: {}", text(why)),
            CheckpointState::Dropped => "deleted since (retention)".to_string(),
        };
        let before = view.section_name(checkpoint.section).map(|s| format!(" before \"{}\"", text(s)));
        let before = before.unwrap_or_default();
        out.push_str(&format!("- {} {}{before}: {state}\n", text(&checkpoint.guest), text(&checkpoint.name)));
    }
    for rollback in &view.rollbacks {
        let end = match &rollback.end {
            Some(Ok(true)) => "done, and it runs again".to_string(),
            Some(Ok(false)) => "done".to_string(),
            Some(Err(why)) => format!("**failed**: {}", text(why)),
            None => "no end was seen".to_string(),
        };
        out.push_str(&format!("- {} back to {}: {end}\n", text(&rollback.guest), text(&rollback.name)));
    }
    if !view.undos.is_empty() {
        out.push_str("\n## Taken back\n\n");
    }
    for undo in &view.undos {
        let end = match &undo.end {
            Some(Ok(())) => "done".to_string(),
            Some(Err(why)) => format!("**failed**: {}", text(why)),
            None => "no end was seen".to_string(),
        };
        out.push_str(&format!("- {} on {}: {end}\n", text(&undo.what), text(&undo.task.host)));
    }
    if let Some(command) = view.way_back() {
        out.push_str(&format!("\nTo go back: `{}`\n", code(&command)));
    }
    out
}

fn part(section: &SectionView) -> String {
    let mut out = format!("\n## {}\n", text(if section.name.is_empty() { "Steps" } else { &section.name }));
    for step in &section.steps {
        for task in &step.tasks {
            out.push_str(&item(step, task));
        }
    }
    out
}

fn item(step: &StepView, task: &TaskView) -> String {
    let label = task.label.as_ref().map(|l| format!(" \\[{}\\]", text(l))).unwrap_or_default();
    let (word, why) = outcome(task);
    let took = span(task.took);
    let (name, host) = (text(&step.name), text(&task.key.host));
    let mut out = format!("\n### {word}: {name}{label} on {host}\n\n");
    out.push_str(&format!("`{}`, {} UTC, {took}\n", code(&step.module), clock::utc(task.at)));
    if let Some(why) = why {
        out.push_str(&format!("\n{}\n", text(&why)));
    }
    if !task.retries.is_empty() {
        out.push('\n');
    }
    for (attempt, of, why) in &task.retries {
        out.push_str(&format!("- attempt {attempt} of {of}: {}\n", text(why)));
    }
    if let Some(answer) = &task.answer {
        out.push_str(&format!("\n- the operator answered: {}\n", text(answer)));
    }
    for change in &task.changes {
        let lines: Vec<String> = diff::change(change, None, true).into_iter().map(|l| l.text).collect();
        out.push_str(&block("diff", &unindent(&lines)));
    }
    for action in &task.actions {
        let mut lines = vec![format!("$ {}", clean::line(&action.line))];
        match &action.end {
            Some((_, result, _)) => lines.extend(said(result)),
            None => lines.push("no end of it was seen".to_string()),
        }
        out.push_str(&block("", &lines));
    }
    out
}

/// The word of a task and why.
pub fn outcome(task: &TaskView) -> (&'static str, Option<String>) {
    match &task.outcome {
        Some(Outcome::Unknown(why)) => ("UNKNOWN", Some(why.clone())),
        Some(outcome @ (Outcome::Skipped(why) | Outcome::Failed(why) | Outcome::Ignored(why))) => {
            (outcome.word(), Some(why.clone()))
        }
        Some(outcome) => (outcome.word(), None),
        None if task.in_flight().is_some() => ("UNKNOWN", Some("no end of it was seen".to_string())),
        None => ("not finished", None),
    }
}

/// `diff` in Markdown wants its signs in the first column.
fn unindent(lines: &[String]) -> Vec<String> {
    lines.iter().map(|l| l.strip_prefix("  ").unwrap_or(l).to_string()).collect()
}

fn block(language: &str, lines: &[String]) -> String {
    let longest = lines.iter().map(|l| longest_run(l)).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("\n{fence}{language}\n{}\n{fence}\n", lines.join("\n"))
}

fn longest_run(line: &str) -> usize {
    let (mut best, mut now) = (0, 0);
    for c in line.chars() {
        now = if c == '`' { now + 1 } else { 0 };
        best = best.max(now);
    }
    best
}

/// A text in the flow: one line, nothing in it that Markdown or HTML would obey.
fn text(raw: &str) -> String {
    let mut out = String::new();
    for c in clean::line(raw).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// A text between single backticks.
fn code(raw: &str) -> String {
    clean::line(raw).replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_stay_texts() {
        assert_eq!(text("<script>*x*</script> [a](b) | c"), r"&lt;script&gt;\*x\*&lt;/script&gt; \[a\](b) \| c");
        let lines = ["a ```` b".to_string()];
        assert_eq!(block("", &lines), "\n`````\na ```` b\n`````\n");
    }
}
