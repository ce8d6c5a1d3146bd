//! Reading a file into [`Sources`], with the errors that files have.

use super::node::Node;
use super::source::{Diagnostic, FileId, Severity, Sources, Span};
use super::yaml;
use std::path::Path;

/// A diagnostic without a place.
pub fn nowhere(code: &'static str, message: impl Into<String>) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code,
        message: message.into(),
        span: None,
        label: String::new(),
        also: None,
        hint: None,
    }
}

/// The text of a file. The error is said at `from`, the place that named the file, if there is one.
pub fn text(
    path: &Path,
    name: &str,
    what: &str,
    from: Option<Span>,
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<FileId> {
    let error = |message: String| {
        let mut diagnostic = nowhere("P0601", message);
        diagnostic.span = from;
        diagnostic
    };
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > yaml::BYTES as u64 => {
            diagnostics.push(error(format!("{what} `{name}` has {} bytes: at most 4 MiB are read", meta.len())));
            return None;
        }
        Ok(meta) if meta.is_dir() => {
            diagnostics.push(error(format!("{what} `{name}` is a folder")));
            return None;
        }
        _ => {}
    }
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) => {
            let why = if e.kind() == std::io::ErrorKind::NotFound {
                "is not there".to_string()
            } else {
                format!("cannot be read: {e}")
            };
            diagnostics.push(error(format!("{what} `{name}` {why}")));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        // Two characters of the private use area are piton's own: a text that holds one would pass for a secret.
        Ok(text) if text.contains(['\u{e000}', '\u{e001}']) => {
            let at = text.find(['\u{e000}', '\u{e001}']).map_or(0, |i| text[..i].matches('\n').count() + 1);
            diagnostics
                .push(error(format!("{what} `{name}` holds U+E000 or U+E001 (line {at}), which mark secrets here")));
            None
        }
        Ok(text) => Some(sources.add(name, text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_string))),
        Err(e) => {
            diagnostics.push(error(format!("{what} `{name}` is not UTF-8 (byte {})", e.utf8_error().valid_up_to())));
            None
        }
    }
}

/// The YAML tree of a file.
pub fn tree(
    path: &Path,
    name: &str,
    what: &str,
    from: Option<Span>,
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<(FileId, Node)> {
    let id = text(path, name, what, from, sources, diagnostics)?;
    let text = sources.get(id)?.text.clone();
    Some((id, yaml::parse(id, &text, diagnostics)?))
}
