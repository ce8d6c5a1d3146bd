//! Where the bytes of a channel come from and where they go.

use super::capture::Capture;
use super::channel::{Reader, Writer};
use crate::cmd::Captured;
use std::fs::File;
use std::io::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

/// Where a stream goes.
pub enum Sink {
    /// Concealed, kept, shown.
    Capture(Box<Capture>),
    /// As it is into a file.
    Save {
        /// Open for writing.
        file: File,
        /// Bytes so far.
        len: u64,
        /// The first error.
        error: Option<String>,
    },
}

impl Sink {
    /// Takes output.
    pub fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Capture(capture) => capture.push(bytes),
            Self::Save { file, len, error } => {
                *len += bytes.len() as u64;
                if error.is_none()
                    && let Err(e) = file.write_all(bytes)
                {
                    *error = Some(e.to_string());
                }
            }
        }
    }

    /// The end; an error text if it could not all be kept.
    pub fn finish(self) -> Result<Captured, String> {
        match self {
            Self::Capture(capture) => capture.finish(),
            Self::Save { error: Some(error), .. } => Err(error),
            Self::Save { len, .. } => Ok(Captured { bytes: Vec::new(), total: len, spill: None }),
        }
    }
}

/// What is still to be written.
pub struct Feed {
    /// What is written first; afterwards the buffer for `source`.
    pub frames: Zeroizing<Vec<u8>>,
    /// How much of it is written.
    pub at: usize,
    /// What is written then.
    pub source: Option<Reader>,
}

impl Feed {
    /// True if something is left to write.
    pub fn has_more(&self) -> bool {
        self.at < self.frames.len() || self.source.is_some()
    }

    /// Writes or reads once. Safe to drop and call again.
    ///
    /// # Errors
    /// The system's.
    pub async fn step(&mut self, stdin: &mut Option<Writer>) -> std::io::Result<()> {
        let Some(stdin) = stdin else { return Ok(()) };
        if self.at < self.frames.len() {
            self.at += stdin.write(&self.frames[self.at..]).await?;
        } else if let Some(source) = &mut self.source {
            let mut buffer = std::mem::take(&mut *self.frames);
            buffer.clear();
            buffer.resize(256 * 1024, 0);
            let n = source.read(&mut buffer).await?;
            buffer.truncate(n);
            *self.frames = buffer;
            self.at = 0;
            if n == 0 {
                self.source = None;
            }
        }
        Ok(())
    }
}
