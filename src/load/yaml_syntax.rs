//! What a syntax error of YAML most likely means: the parser's own words help few people.

use super::source::{Diagnostic, FileId, Span};
use serde_saphyr::granit_parser::ScanError;

fn span(file: FileId, start: usize, end: usize) -> Span {
    let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span { file, start: cut(start), end: cut(end) }
}

/// The diagnostic of a syntax error.
pub fn explain(file: FileId, text: &str, error: &ScanError) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let mut at = (0..=at).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    // An error at the end of the file has nothing to point at: take the last text before it.
    if text[at..].trim().is_empty() {
        at = text.trim_end().len().saturating_sub(1);
        at = (0..=at).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    }
    let line_start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    let before_start = text[..line_start.saturating_sub(1)].rfind('\n').map_or(0, |i| i + 1);
    // The reader may give up a line early: a tab can look like the rest of the text before it.
    let after_start = text[at..].find('\n').map_or(text.len(), |i| at + i + 1);
    for start in [line_start, before_start, after_start] {
        if let Some(found) = tab(file, text, start) {
            return found;
        }
    }
    for start in [line_start, before_start] {
        let line = text[start..].lines().next().unwrap_or("");
        if let Some(offset) = unquoted_braces(line) {
            return eaten(file, text, start + offset);
        }
    }
    let line = text[line_start..].lines().next().unwrap_or("");
    let width = text[at..].chars().next().map_or(0, char::len_utf8);
    let message = error.info();
    let diagnostic =
        Diagnostic::error("P0102", span(file, at, at + width), format!("this is not valid YAML: {message}"));
    if line.matches(": ").count() > 1 && !line.contains(['"', '\'', '{']) {
        return diagnostic.hint("quote a text that contains `: `");
    }
    if line.trim_start().contains(": \"") && line.contains('\\') {
        return diagnostic.hint("in double quotes a backslash begins an escape: use single quotes");
    }
    diagnostic.hint("the mistake is here or in the lines above: a quote, bracket or indentation that does not fit")
}

fn tab(file: FileId, text: &str, line_start: usize) -> Option<Diagnostic> {
    let line = text[line_start..].lines().next()?;
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    let offset = line[..indent].find('\t')?;
    if line.trim().is_empty() {
        return None;
    }
    let at = line_start + offset;
    Some(
        Diagnostic::error("P0103", span(file, at, at + 1), "a tab in the indentation")
            .label("a tab stands here")
            .hint("YAML is indented by spaces only: replace it, two spaces a level"),
    )
}

/// Offset of a value that begins with an unquoted `{{`.
fn unquoted_braces(line: &str) -> Option<usize> {
    let at = line.find("{{")?;
    let before = &line[..at];
    let head = before.trim_end();
    (before != head && (head.ends_with(':') || head.ends_with('-'))).then_some(at)
}

/// A `{{ x }}` that YAML took for a mapping in a mapping.
pub fn eaten(file: FileId, text: &str, at: usize) -> Diagnostic {
    let rest = text[at..].lines().next().unwrap_or("");
    let value = rest.split(" #").next().unwrap_or(rest).trim_end();
    let shown: String = value.chars().take(60).collect();
    Diagnostic::error("P0104", span(file, at, at + value.len()), "YAML takes this `{{` for a mapping")
        .label("needs quotes")
        .hint(format!("quote it: \"{}\"", shown.replace('"', "'")))
}
