//! A run as one HTML file: no script, nothing from the network, outputs folded.
//!
//! Every text is escaped, and the page forbids itself scripts and loading by its own content security policy, so that
//! what a hostile host printed stays a text even if escaping had a hole.

use super::diff::{self, Mark, span};
use super::markdown::outcome;
use super::summary::sentence;
use super::text::said;
use super::view::{CheckpointState, RunView, SectionView, StepView, TaskView};
use super::{clean, clock};
use crate::event::RunEnd;

const STYLE: &str = include_str!("report.css");

/// The report.
pub fn page(view: &RunView) -> String {
    let title = view.start.as_ref().map_or_else(|| "A run".to_string(), |s| text(&s.runbook));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    out.push_str(&head(view, &title));
    out.push_str(&counts(view));
    out.push_str(&protection(view));
    for section in &view.sections {
        out.push_str(&part(section));
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn head(view: &RunView, title: &str) -> String {
    let mut out = format!("<h1>{title}</h1>\n");
    let (class, result) = match view.end {
        Some((end, took)) => (class_of(end), format!("{} ({})", sentence(end), span(took))),
        None => ("unknown", "no end was seen: it still runs, or piton was killed in it".to_string()),
    };
    out.push_str(&format!("<p class=\"result {class}\">{}</p>\n", text(&result)));
    if let Some(start) = &view.start {
        if start.lab {
            out.push_str("<p class=\"lab\">lab: simulated Proxmox</p>\n");
        }
        out.push_str("<dl>\n");
        for (name, value) in [
            ("Run", start.run.0.clone()),
            ("Command", start.command.clone()),
            ("Began", format!("{} UTC", clock::utc(start.at))),
            ("Runbook", start.path.clone()),
            ("Inventory", start.inventory.clone()),
            ("Operator", start.operator.clone()),
            ("piton", start.piton.clone()),
        ] {
            out.push_str(&format!("<dt>{name}</dt><dd>{}</dd>\n", text(&value)));
        }
        out.push_str("</dl>\n");
    }
    for (_, step, task) in view.unknowns() {
        let (name, host) = (text(&step.name), text(&task.key.host));
        out.push_str(&format!(
            "<p class=\"result unknown\">UNKNOWN: step &ldquo;{name}&rdquo; on {host}: nobody saw whether it was done. \
             Look before you go on.</p>\n"
        ));
    }
    for problem in &view.problems {
        let (host, what, todo) = (text(&problem.host), text(&problem.what), text(&problem.todo));
        out.push_str(&format!("<p class=\"failed\">not begun: {host}: {what} ({todo})</p>\n"));
    }
    for warning in &view.warnings {
        out.push_str(&format!("<p class=\"warning\">warning: {}</p>\n", text(warning)));
    }
    out
}

fn counts(view: &RunView) -> String {
    let mut out = "<table>\n<tr><th>host</th><th>ok</th><th>changed</th><th>skipped</th><th>failed</th>\
                   <th>ignored</th><th>unknown</th></tr>\n"
        .to_string();
    for host in view.hosts() {
        let c = view.counts(host);
        out.push_str(&format!("<tr><td>{}</td>", text(host)));
        for (class, n) in [
            ("ok", c.ok),
            ("changed", c.changed),
            ("skipped", c.skipped),
            ("failed", c.failed),
            ("ignored", c.ignored),
            ("unknown", c.unknown),
        ] {
            let class = if n > 0 { class } else { "none" };
            out.push_str(&format!("<td class=\"n {class}\">{n}</td>"));
        }
        out.push_str("</tr>\n");
    }
    out + "</table>\n"
}

fn protection(view: &RunView) -> String {
    let mut out = String::new();
    if !view.coverage.is_empty() {
        out.push_str("<h2>What is protected</h2>\n<ul>\n");
        for coverage in &view.coverage {
            let can = if coverage.possible { "a checkpoint can be taken" } else { "<b>no checkpoint can be taken</b>" };
            out.push_str(&format!("<li>{}: {can}<ul>\n", text(&coverage.guest)));
            for line in &coverage.protected {
                out.push_str(&format!("<li class=\"ok\">comes back: {}</li>\n", text(line)));
            }
            for line in &coverage.unprotected {
                out.push_str(&format!("<li class=\"changed\">does not: {}</li>\n", text(line)));
            }
            out.push_str("</ul></li>\n");
        }
        out.push_str("</ul>\n");
    }
    if !view.checkpoints.is_empty() || !view.rollbacks.is_empty() {
        out.push_str("<h2>Checkpoints</h2>\n<ul>\n");
        for checkpoint in &view.checkpoints {
            let state = match &checkpoint.state {
                CheckpointState::Begun => "begun, no end was seen".to_string(),
                CheckpointState::Taken => "taken".to_string(),
                CheckpointState::Failed(why) => format!("not taken: {}", text(why)),
                CheckpointState::Dropped => "deleted since (retention)".to_string(),
            };
            let before = view.section_name(checkpoint.section).map(|s| format!(" before &ldquo;{}&rdquo;", text(s)));
            let (guest, name) = (text(&checkpoint.guest), text(&checkpoint.name));
            out.push_str(&format!("<li>{guest} <code>{name}</code>{}: {state}</li>\n", before.unwrap_or_default()));
        }
        for rollback in &view.rollbacks {
            let (class, end) = match &rollback.end {
                Some(Ok(true)) => ("ok", "done, and it runs again".to_string()),
                Some(Ok(false)) => ("ok", "done".to_string()),
                Some(Err(why)) => ("failed", format!("failed: {}", text(why))),
                None => ("unknown", "no end was seen".to_string()),
            };
            let (guest, name) = (text(&rollback.guest), text(&rollback.name));
            out.push_str(&format!("<li class=\"{class}\">{guest} back to <code>{name}</code>: {end}</li>\n"));
        }
        out.push_str("</ul>\n");
    }
    if !view.undos.is_empty() {
        out.push_str("<h2>Taken back</h2>\n<ul>\n");
        for undo in &view.undos {
            let (class, end) = match &undo.end {
                Some(Ok(())) => ("ok", "done".to_string()),
                Some(Err(why)) => ("failed", format!("failed: {}", text(why))),
                None => ("unknown", "no end was seen".to_string()),
            };
            let (what, host) = (text(&undo.what), text(&undo.task.host));
            out.push_str(&format!("<li class=\"{class}\">{what} on {host}: {end}</li>\n"));
        }
        out.push_str("</ul>\n");
    }
    if let Some(command) = view.way_back() {
        out.push_str(&format!("<p>To go back: <code>{}</code></p>\n", text(&command)));
    }
    out
}

fn part(section: &SectionView) -> String {
    let name = if section.name.is_empty() { "Steps" } else { &section.name };
    let mut out = format!("<h2>{}</h2>\n", text(name));
    for step in &section.steps {
        for task in &step.tasks {
            out.push_str(&item(step, task));
        }
    }
    out
}

fn item(step: &StepView, task: &TaskView) -> String {
    let (word, why) = outcome(task);
    let class = if word == "UNKNOWN" { "unknown" } else { word };
    let label = task.label.as_ref().map(|l| format!(" [{}]", text(l))).unwrap_or_default();
    let open = if matches!(word, "failed" | "UNKNOWN") { " open" } else { "" };
    let mut out = format!(
        "<details{open}>\n<summary><span class=\"word {class}\">{word}</span> <b>{}</b>{label} \
         <span class=\"dim\">on {}, {}</span></summary>\n<p class=\"dim\"><code>{}</code>, {} UTC</p>\n",
        text(&step.name),
        text(&task.key.host),
        span(task.took),
        text(&step.module),
        clock::utc(task.at),
    );
    if let Some(why) = why {
        out.push_str(&format!("<p>{}</p>\n", text(&why)));
    }
    for (attempt, of, why) in &task.retries {
        out.push_str(&format!("<p class=\"dim\">attempt {attempt} of {of}: {}</p>\n", text(why)));
    }
    if let Some(answer) = &task.answer {
        out.push_str(&format!("<p>the operator answered: {}</p>\n", text(answer)));
    }
    for change in &task.changes {
        out.push_str("<pre>");
        for line in diff::change(change, None, true) {
            let class = match line.mark {
                Mark::Place => "place",
                Mark::Same => "same",
                Mark::Old => "old",
                Mark::New => "new",
                Mark::Note => "dim",
            };
            out.push_str(&format!("<span class=\"{class}\">{}</span>\n", escape(&line.text)));
        }
        out.push_str("</pre>\n");
    }
    for action in &task.actions {
        let mut lines = vec![format!("$ {}", clean::line(&action.line))];
        match &action.end {
            Some((_, result, took)) => {
                lines.extend(said(result));
                lines.push(format!("({})", span(*took)));
            }
            None => lines.push("no end of it was seen".to_string()),
        }
        out.push_str(&format!("<pre>{}</pre>\n", escape(&lines.join("\n"))));
    }
    out + "</details>\n"
}

fn class_of(end: RunEnd) -> &'static str {
    match end {
        RunEnd::Done => "ok",
        RunEnd::Failed | RunEnd::RolledBack | RunEnd::Interrupted | RunEnd::Reverted | RunEnd::Refused => "failed",
        RunEnd::RollbackFailed | RunEnd::Unknown => "unknown",
    }
}

/// One line of what somebody else wrote.
fn text(raw: &str) -> String {
    escape(&clean::line(raw))
}

fn escape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_host_becomes_markup() {
        assert_eq!(
            text("<img src=x onerror=\"a('b')\"> & \u{1b}[31m"),
            "&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt; &amp;"
        );
    }
}
