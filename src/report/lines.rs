//! The plain printer: lines as they come, for pipes, files, CI and dumb terminals.

use super::text::{Options, Text};
use crate::event::{Sink, Stamped};
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// Prints events as lines. A reader that went away (`| head`) does not stop the run.
pub struct Lines {
    inner: Mutex<(Text, Box<dyn Write + Send>)>,
}

impl Lines {
    /// Prints to this writer.
    pub fn new(options: Options, out: Box<dyn Write + Send>) -> Self {
        Self { inner: Mutex::new((Text::new(options), out)) }
    }
}

impl Sink for Lines {
    fn event(&self, event: &Stamped) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = inner.0.feed(event);
        if !lines.is_empty() {
            let _ = inner.1.write_all((lines.join("\n") + "\n").as_bytes());
            let _ = inner.1.flush();
        }
    }
}
