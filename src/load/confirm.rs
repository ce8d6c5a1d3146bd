//! `confirm_within:` of a step: the target takes the step's changes back by itself unless they are confirmed in time.

use super::fields::{entries, known, text, texts, time};
use super::node::{Kind, Node};
use super::source::Diagnostic;
use std::time::Duration;

/// The shortest time: a new connection has to fit in.
const SHORTEST: Duration = Duration::from_secs(5);
/// The longest: nobody waits longer for a host that is cut off.
const LONGEST: Duration = Duration::from_secs(3600);

/// What a step says of its revert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmWithin {
    /// Time to confirm, from 5 s to 1 h.
    pub time: Duration,
    /// Absolute paths of the files that the revert puts back; empty: those that the step's changes write.
    pub files: Vec<String>,
    /// Shell text that is run once they are back, `systemctl reload ssh` for example.
    pub after: Option<String>,
}

/// Reads `confirm_within: 90s` or `confirm_within: { time: 90s, files: [...], after: ... }`.
pub(super) fn read(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<ConfirmWithin> {
    const KEYS: &[&str] = &["time", "files", "after"];
    if !matches!(node.kind, Kind::Map(_)) {
        let time = within(node, "confirm_within", diagnostics)?;
        return Some(ConfirmWithin { time, files: Vec::new(), after: None });
    }
    known(entries(node, "confirm_within", diagnostics), KEYS, "`confirm_within`", diagnostics);
    let Some(at) = node.get("time") else {
        diagnostics.push(
            Diagnostic::error("P0302", node.span, "`confirm_within` needs a `time`")
                .hint("write `confirm_within: { time: 90s, files: [/etc/...] }`"),
        );
        return None;
    };
    let time = within(at, "time", diagnostics)?;
    let mut files = Vec::new();
    for (file, span) in node.get("files").map(|n| texts(n, "files", diagnostics)).unwrap_or_default() {
        if file.starts_with('/') && !file.ends_with('/') && !file.contains(['\n', '\0']) && !file.contains("{{") {
            files.push(file);
        } else {
            diagnostics.push(
                Diagnostic::error("P0302", span, format!("`{file}` is not the absolute path of a file"))
                    .hint("the revert puts back single files by their full path; templates are not rendered here"),
            );
        }
    }
    let after = node.get("after").and_then(|n| Some((text(n, "after", diagnostics)?, n.span)));
    if let Some((text, span)) = &after
        && text.contains("{{")
    {
        diagnostics.push(Diagnostic::error("P0302", *span, "`after` is shell text as it stands, not a template"));
    }
    Some(ConfirmWithin { time, files, after: after.map(|(text, _)| text) })
}

fn within(node: &Node, key: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Duration> {
    let value = time(node, key, diagnostics)?;
    if (SHORTEST..=LONGEST).contains(&value) {
        return Some(value);
    }
    let error = Diagnostic::error("P0304", node.span, format!("`{key}` is out of range"));
    diagnostics.push(error.label("from 5s to 1h"));
    None
}
