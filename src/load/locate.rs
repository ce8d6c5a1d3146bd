//! Places inside a scalar: from an offset in the text that YAML gave to the bytes in the file.

use super::source::{Sources, Span};
use std::ops::Range;

/// The bytes in the file of a range of a scalar's text; the whole scalar where escapes or folding hide them.
pub fn within(sources: &Sources, whole: Span, text: &str, range: Range<usize>) -> Span {
    let Some(file) = sources.get(whole.file) else { return whole };
    let Some(written) = file.text.get(whole.start as usize..whole.end as usize) else { return whole };
    let Some(needle) = text.get(range.clone()).map(str::trim_end).filter(|n| !n.is_empty()) else { return whole };
    // The same text stands in the source as often as in the value: count which one is meant.
    let nth = text[..range.start].match_indices(needle).count();
    let needle = needle.lines().next().unwrap_or(needle);
    let Some((at, _)) = written.match_indices(needle).nth(nth) else { return whole };
    let start = whole.start + u32::try_from(at).unwrap_or(0);
    Span { file: whole.file, start, end: start + u32::try_from(needle.len()).unwrap_or(0) }
}

/// The byte offset of a line and column (from 1, in characters) in a text.
pub fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(start..).unwrap_or("");
    let within: usize = rest.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
    (start + within).min(text.len())
}
