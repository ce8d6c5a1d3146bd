//! Places of templates, in a YAML scalar or in a file of their own.

use crate::load::locate;
use crate::load::source::{FileId, Sources, Span};
use std::path::Path;

/// Where a template stands.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// In a scalar of a YAML file.
    Scalar(Span),
    /// A file of its own.
    File(FileId),
}

impl Place {
    /// All of it.
    pub(super) fn whole(self) -> Span {
        match self {
            Self::Scalar(span) => span,
            Self::File(file) => Span { file, start: 0, end: 0 },
        }
    }

    /// A range of its text.
    pub(super) fn span(self, sources: &Sources, text: &str, range: (usize, usize)) -> Span {
        match self {
            Self::Scalar(span) => locate::within(sources, span, text, range.0..range.1),
            Self::File(file) => {
                let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                Span { file, start: cut(range.0), end: cut(range.1) }
            }
        }
    }
}

/// The end of the line at an offset.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n)
}

/// A path as the user would type it from the current folder.
pub(super) fn shown_path(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let short = path.strip_prefix(&here).unwrap_or(path).display().to_string();
    if short.is_empty() { ".".to_string() } else { short }
}
