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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::node::{Key, Style};
    use crate::load::source::{FileId, Span};

    const SPAN: Span = Span { file: FileId(0), start: 0, end: 0 };

    fn text(text: &str) -> Node {
        Node { span: SPAN, kind: Kind::Str(text.into(), Style::Plain) }
    }

    fn map(entries: &[(&str, Node)]) -> Node {
        let key = |name: &str| Key { name: name.into(), span: SPAN };
        let entries = entries.iter().map(|(name, node)| (key(name), node.clone())).collect();
        Node { span: SPAN, kind: Kind::Map(entries) }
    }

    fn read(node: &Node) -> (Option<ConfirmWithin>, Vec<&'static str>) {
        let mut diagnostics = Vec::new();
        let read = super::read(node, &mut diagnostics);
        (read, diagnostics.iter().map(|d| d.code).collect())
    }

    #[test]
    fn a_time_or_a_mapping() {
        let of = |seconds, files: &[&str], after: Option<&str>| ConfirmWithin {
            time: Duration::from_secs(seconds),
            files: files.iter().map(ToString::to_string).collect(),
            after: after.map(Into::into),
        };
        assert_eq!(read(&text("90s")), (Some(of(90, &[], None)), vec![]));
        let list = Node { span: SPAN, kind: Kind::Seq(vec![text("/etc/a"), text("/etc/b")]) };
        let whole = map(&[("time", text("2m")), ("files", list), ("after", text("reload it"))]);
        assert_eq!(read(&whole), (Some(of(120, &["/etc/a", "/etc/b"], Some("reload it"))), vec![]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let rows = [
            (text("4s"), "P0304"),
            (text("2h"), "P0304"),
            (text("soon"), "P0305"),
            (map(&[("files", text("/etc/a"))]), "P0302"),
            (map(&[("time", text("1m")), ("files", text("etc/a"))]), "P0302"),
            (map(&[("time", text("1m")), ("files", text("/etc/{{ x }}"))]), "P0302"),
            (map(&[("time", text("1m")), ("after", text("reload {{ x }}"))]), "P0302"),
            (map(&[("time", text("1m")), ("filez", text("/etc/a"))]), "P0301"),
        ];
        for (node, code) in rows {
            assert_eq!(read(&node).1, [code], "{node:?}");
        }
    }
}
