//! Diagnostics as people read them: place, line with caret, code, second place, advice.

use super::source::{Diagnostic, Severity, Sources, Span};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::ops::Range;

/// Longest line that is shown; longer ones are cut by the renderer around the caret.
const WIDTH: usize = 140;

/// All diagnostics, sorted by file and place, those without a place first, and a count at the end.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|d| (d.span.map(|s| (s.file, s.start)), d.code));
    let mut out = String::new();
    // A password in plain text is not repeated on the screen or in the log of a CI job.
    let hidden: Vec<Span> = sorted.iter().filter(|d| d.code == "P0208").filter_map(|d| d.span).collect();
    let masked = sources.masked(&hidden);
    for diagnostic in &sorted {
        out.push_str(&one(diagnostic, &masked, color));
        out.push_str("\n\n");
    }
    let errors = sorted.iter().filter(|d| d.severity == Severity::Error).count();
    let warnings = sorted.len() - errors;
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => {}
        (0, w) => out.push_str(&format!("{}\n", count(w, "warning"))),
        (e, 0) => out.push_str(&format!("{}\n", count(e, "error"))),
        (e, w) => out.push_str(&format!("{}, {}\n", count(e, "error"), count(w, "warning"))),
    }
    out
}

/// One diagnostic, without a line break at its end.
pub fn one(diagnostic: &Diagnostic, sources: &Sources, color: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let message = safe(&diagnostic.message);
    let mut group = level
        .primary_title(message)
        .id(diagnostic.code)
        .elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new());
    let also = diagnostic.also.as_deref().filter(|(span, _)| sources.get(span.file).is_some());
    if let Some(span) = diagnostic.span
        && let Some(file) = sources.get(span.file)
    {
        let mut snippet = Snippet::source(file.text.as_ref()).path(file.name.as_str());
        let label = (!diagnostic.label.is_empty()).then(|| safe(&diagnostic.label));
        snippet = snippet.annotation(AnnotationKind::Primary.span(clip(&file.text, span)).label(label));
        let second = also.filter(|(other, _)| other.file == span.file);
        if let Some((other, text)) = second {
            snippet = snippet.annotation(AnnotationKind::Context.span(clip(&file.text, *other)).label(safe(text)));
        }
        group = group.element(snippet);
    }
    if let Some((other, text)) = also.filter(|(other, _)| diagnostic.span.is_none_or(|s| s.file != other.file))
        && let Some(file) = sources.get(other.file)
    {
        group = group.element(
            Snippet::source(file.text.as_ref())
                .path(file.name.as_str())
                .annotation(AnnotationKind::Context.span(clip(&file.text, *other)).label(safe(text))),
        );
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(safe(hint)));
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.decor_style(DecorStyle::Ascii).term_width(WIDTH).render(&[group])
}

/// True where colours are wanted: a terminal, and `NO_COLOR` is not set.
pub fn wants_color(terminal: bool, no_color: Option<&std::ffi::OsStr>) -> bool {
    terminal && no_color.is_none_or(std::ffi::OsStr::is_empty)
}

/// The span within its first line and on character boundaries; a caret is never wider than what it means.
fn clip(text: &str, span: Span) -> Range<usize> {
    let down = |i: usize| (0..=i.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    let start = down(span.start as usize);
    let line = text[start..].find('\n').map_or(text.len(), |n| start + n);
    let end = down((span.end as usize).min(line)).max(start);
    let trimmed = text[start..end].trim_end().len();
    start..start + trimmed
}

/// Marks of secrets by their names, control characters never.
fn safe(text: &str) -> String {
    crate::secret::shown(text).chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::source::FileId;

    fn span(file: FileId, start: u32, end: u32) -> Span {
        Span { file, start, end }
    }

    #[test]
    fn place_line_caret_code_and_help() {
        let mut sources = Sources::default();
        let file = sources.add("a.yml", "hosts: a\nsteps: []\nhosts: b\n");
        let error = Diagnostic::error("P0101", span(file, 19, 24), "the key `hosts` is there twice")
            .label("again here")
            .also(span(file, 0, 5), "first here")
            .hint("keep one");
        let other = Diagnostic::error("P0302", span(file, 16, 40), "x");
        let text = render(&[error, other], &sources, false);
        assert_eq!(
            text,
            "error[P0302]: x\n --> a.yml:2:8\n  |\n2 | steps: []\n  |        ^^\n\n\
             error[P0101]: the key `hosts` is there twice\n --> a.yml:3:1\n  |\n1 | hosts: a\n  | ----- first here\n2 | steps: []\n3 | hosts: b\n  | ^^^^^ again here\n  |\n  = help: keep one\n\n2 errors\n"
        );
        assert!(render(&[Diagnostic::error("P0101", span(file, 0, 5), "x")], &sources, true).contains("\u{1b}["));
    }

    #[test]
    fn spans_of_any_kind_are_rendered() {
        let mut sources = Sources::default();
        let file = sources.add("a.yml", "é: ü\n");
        for (start, end) in [(0, 0), (1, 2), (3, 99), (99, 100), (6, 6), (5, 3)] {
            assert!(
                one(&Diagnostic::error("P0101", span(file, start, end), "x\u{1b}[31m"), &sources, false)
                    .starts_with("error[P0101]: x\u{fffd}[31m")
            );
        }
        assert_eq!(one(&crate::load::read::nowhere("P0601", "gone"), &sources, false), "error[P0601]: gone");
    }
}
