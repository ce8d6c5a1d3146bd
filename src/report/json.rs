//! `--format json`: one event a line, for programs.

use crate::event::{Sink, Stamped};
use crate::secret;
use serde_json::Value;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// Prints each event as one line of JSON. The fields are those of the journal; secrets are names.
pub struct Json {
    out: Mutex<Box<dyn Write + Send>>,
}

impl Json {
    /// Prints to this writer.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out: Mutex::new(out) }
    }
}

impl Sink for Json {
    fn event(&self, event: &Stamped) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(out, "{}", line(event));
        let _ = out.flush();
    }
}

/// An event as one line of JSON.
pub fn line(event: &Stamped) -> String {
    serde_json::to_value(event).map(|value| text(&value)).unwrap_or_default()
}

/// A value as one line of JSON: secrets as names, and the control characters that JSON lets through escaped too, so
/// that not even `piton --format json` on a terminal obeys a host.
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    for c in secret::shown(&value.to_string()).chars() {
        match c {
            '\u{7f}'..='\u{9f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}
