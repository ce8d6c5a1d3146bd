//! A change as lines: unified diffs of files, before and after of named values.

use super::clean;
use super::paint::Paint;
use crate::modules::{Change, Diff, Undo, ValueChange};
use similar::{ChangeTag, TextDiff};
use std::time::Duration;

/// Lines of a diff that are shown unless everything is asked for.
pub const SHOWN: usize = 40;

/// What a line of a diff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Names a file or says where in it.
    Place,
    /// The same before and after.
    Same,
    /// Only before.
    Old,
    /// Only after.
    New,
    /// A remark of ours.
    Note,
}

/// One line of a diff, safe to show, without colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub mark: Mark,
    /// The line with its sign.
    pub text: String,
}

impl Line {
    fn new(mark: Mark, text: String) -> Self {
        Self { mark, text }
    }

    /// The line for a terminal.
    pub fn painted(&self, paint: Paint) -> String {
        match self.mark {
            Mark::Place => paint.cyan(&self.text),
            Mark::Same => self.text.clone(),
            Mark::Old => paint.red(&self.text),
            Mark::New => paint.green(&self.text),
            Mark::Note => paint.dim(&self.text),
        }
    }
}

/// The lines of a diff; at most `limit` of them, the rest counted.
pub fn lines(diff: &Diff, limit: Option<usize>) -> Vec<Line> {
    let mut out = match diff {
        Diff::None => Vec::new(),
        Diff::Text { path, before, after } => text_lines(path, before.as_deref(), after.as_deref()),
        Diff::Values(values) => values.iter().flat_map(value_lines).collect(),
    };
    if let Some(limit) = limit
        && out.len() > limit
    {
        let more = out.len() - limit;
        out.truncate(limit);
        out.push(Line::new(Mark::Note, format!("({more} more lines)")));
    }
    out
}

/// A change: what it does, its diff, and that it reverts by itself where it does; with `undo` also that it has none of
/// its own, which one wants to know before, not at each step of a run.
pub fn change(change: &Change, limit: Option<usize>, undo: bool) -> Vec<Line> {
    let mut out = vec![Line::new(Mark::Same, clean::line(&change.what))];
    for line in lines(&change.diff, limit) {
        out.push(Line::new(line.mark, format!("  {}", line.text)));
    }
    if let Some(within) = change.confirm_within {
        let text = format!("  reverts by itself unless confirmed within {}", span(within));
        out.push(Line::new(Mark::Note, text));
    }
    if let Undo::Impossible(why) = &change.undo
        && undo
    {
        out.push(Line::new(Mark::Note, format!("  cannot be undone by itself: {}", clean::line(why))));
    }
    out
}

/// A time as people read it: `80ms`, `2.4s`, `3m 05s`, `2h 07m`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 if time.as_millis() < 1000 && time.as_millis() > 0 => format!("{}ms", time.as_millis()),
        0..60 if time.subsec_millis() >= 50 => format!("{:.1}s", time.as_secs_f64()),
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

fn value_lines(value: &ValueChange) -> Vec<Line> {
    let ValueChange { key, before, after } = value;
    let key = clean::line(key);
    let old = before.as_deref().map(clean::text);
    let new = after.as_deref().map(clean::text);
    match (old, new) {
        (Some(old), Some(new)) if !old.contains('\n') && !new.contains('\n') => {
            vec![Line::new(Mark::New, format!("{key}: {old} -> {new}"))]
        }
        (old, new) => {
            let mut out = Vec::new();
            for (mark, sign, text) in [(Mark::Old, '-', old), (Mark::New, '+', new)] {
                for line in text.iter().flat_map(|t| t.lines()) {
                    out.push(Line::new(mark, format!("{sign} {key}: {line}")));
                }
            }
            out
        }
    }
}

fn text_lines(path: &str, before: Option<&str>, after: Option<&str>) -> Vec<Line> {
    let path = clean::line(path);
    let name = |there: bool| if there { path.clone() } else { format!("{path} (no such file)") };
    let mut out = vec![
        Line::new(Mark::Place, format!("--- {}", name(before.is_some()))),
        Line::new(Mark::Place, format!("+++ {}", name(after.is_some()))),
    ];
    let old = clean::text(before.unwrap_or(""));
    let new = clean::text(after.unwrap_or(""));
    if old == new && before.is_some() && after.is_some() {
        let why = if before == after { "(no difference)" } else { "(differs only in characters that are not shown)" };
        out.push(Line::new(Mark::Note, why.to_string()));
        return out;
    }
    // A second is far more than 256 KiB of lines need; past it the diff is coarser, never wrong.
    let diff = TextDiff::configure().timeout(Duration::from_secs(1)).diff_lines(old.as_str(), new.as_str());
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        out.push(Line::new(Mark::Place, hunk.header().to_string().trim_end().to_string()));
        for change in hunk.iter_changes() {
            let (mark, sign) = match change.tag() {
                ChangeTag::Equal => (Mark::Same, ' '),
                ChangeTag::Delete => (Mark::Old, '-'),
                ChangeTag::Insert => (Mark::New, '+'),
            };
            let value = change.value();
            out.push(Line::new(mark, format!("{sign}{}", value.trim_end_matches('\n'))));
            if !value.ends_with('\n') {
                out.push(Line::new(Mark::Note, "\\ no newline at the end".to_string()));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(diff: &Diff, limit: Option<usize>) -> String {
        lines(diff, limit).into_iter().map(|l| l.text + "\n").collect()
    }

    fn text(before: Option<&str>, after: Option<&str>) -> Diff {
        Diff::Text { path: "/etc/x".into(), before: before.map(Into::into), after: after.map(Into::into) }
    }

    #[test]
    fn a_file_shows_three_lines_around_each_change() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let after = "1\n2\n3\n4\nfive\n6\n7\n8\n9";
        assert_eq!(
            shown(&text(Some(before), Some(after)), None),
            "--- /etc/x\n+++ /etc/x\n@@ -2,8 +2,8 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n-9\n+9\n\\ no newline at the end\n"
        );
    }

    #[test]
    fn a_new_file_and_a_removed_one_say_so() {
        assert_eq!(shown(&text(None, Some("a\n")), None), "--- /etc/x (no such file)\n+++ /etc/x\n@@ -0,0 +1 @@\n+a\n");
        assert_eq!(shown(&text(Some("a\n"), None), None), "--- /etc/x\n+++ /etc/x (no such file)\n@@ -1 +0,0 @@\n-a\n");
    }

    #[test]
    fn long_diffs_are_cut_and_counted() {
        let after: String = (0..50).map(|n: u32| n.to_string() + "\n").collect();
        let cut = shown(&text(None, Some(&after)), Some(5));
        assert!(cut.ends_with("+0\n+1\n(48 more lines)\n"), "{cut}");
    }

    #[test]
    fn values_show_before_and_after() {
        let diff = Diff::Values(vec![
            ValueChange::new("memory", Some("2048"), Some("4096")),
            ValueChange::new("tags", None, Some("dmz")),
            ValueChange::new("onboot", Some("1"), None),
        ]);
        assert_eq!(shown(&diff, None), "memory: 2048 -> 4096\n+ tags: dmz\n- onboot: 1\n");
    }

    #[test]
    fn a_difference_in_hidden_characters_is_not_called_none() {
        let diff = text(Some("a\u{7}\n"), Some("a\n"));
        assert_eq!(shown(&diff, None), "--- /etc/x\n+++ /etc/x\n(differs only in characters that are not shown)\n");
    }

    #[test]
    fn times_read_well() {
        let of = |ms| span(Duration::from_millis(ms));
        assert_eq!(
            [of(0), of(80), of(2400), of(3000), of(185_000), of(7_620_000)],
            ["0s", "80ms", "2.4s", "3s", "3m 05s", "2h 07m"]
        );
    }
}
