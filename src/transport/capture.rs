//! What becomes of one output stream: secrets are concealed, the first bytes kept, all of a long one written to a
//! file, and its lines shown live.

use super::{Live, Stream};
use crate::cmd::Captured;
use crate::secret::Vault;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A live line longer than this is shown in pieces.
const LONGEST_LINE: usize = 8 * 1024;

/// Distinguishes the spill files of one process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Collects one stream of one command.
pub struct Capture {
    vault: Arc<Vault>,
    folder: PathBuf,
    kept: Vec<u8>,
    total: u64,
    held: Vec<u8>,
    clean: Vec<u8>,
    spill: Spill,
    live: Option<(Live, usize, Stream)>,
    line: Vec<u8>,
}

enum Spill {
    Unneeded,
    Open(PathBuf, File),
    Failed(String),
}

impl Capture {
    /// For a stream whose long output goes to a file in `folder`, and whose lines go to `live`, if any.
    pub fn new(vault: Arc<Vault>, folder: &Path, live: Option<(Live, usize, Stream)>) -> Self {
        Self {
            vault,
            folder: folder.to_path_buf(),
            kept: Vec::new(),
            total: 0,
            held: Vec::new(),
            clean: Vec::new(),
            spill: Spill::Unneeded,
            live,
            line: Vec::new(),
        }
    }

    /// Takes output.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.held.is_empty() {
            let done = self.conceal(bytes, false);
            self.held.extend_from_slice(&bytes[done..]);
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(bytes);
            let done = self.conceal(&held, false);
            held.drain(..done);
            self.held = held;
        }
    }

    /// The end: what is known of the stream, or why it could not all be kept.
    ///
    /// # Errors
    /// The system's error text if the file could not be written. The command is not touched by that.
    pub fn finish(mut self) -> Result<Captured, String> {
        let held = std::mem::take(&mut self.held);
        self.conceal(&held, true);
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.show(&line);
        }
        let spill = match self.spill {
            Spill::Unneeded => None,
            Spill::Open(path, _) => Some(path),
            Spill::Failed(why) => return Err(why),
        };
        Ok(Captured { bytes: self.kept, total: self.total, spill })
    }

    fn conceal(&mut self, bytes: &[u8], last: bool) -> usize {
        let mut clean = std::mem::take(&mut self.clean);
        clean.clear();
        let done = self.vault.conceal_foreign(bytes, last, &mut clean);
        self.take(&clean);
        self.clean = clean;
        done
    }

    fn take(&mut self, clean: &[u8]) {
        if clean.is_empty() {
            return;
        }
        self.total += clean.len() as u64;
        if matches!(self.spill, Spill::Unneeded) && self.kept.len() + clean.len() > Captured::KEEP {
            self.spill = self.begin_spill();
        }
        if let Spill::Open(path, file) = &mut self.spill
            && let Err(error) = file.write_all(clean)
        {
            // Half a file would be taken for the whole output.
            let _ = std::fs::remove_file(path);
            self.spill = Spill::Failed(error.to_string());
        }
        let room = Captured::KEEP - self.kept.len();
        self.kept.extend_from_slice(&clean[..room.min(clean.len())]);
        if self.live.is_some() {
            self.lines(clean);
        }
    }

    fn begin_spill(&self) -> Spill {
        let name = format!("output-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = self.folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match file.and_then(|mut file| file.write_all(&self.kept).map(|()| file)) {
            Ok(file) => Spill::Open(path, file),
            Err(error) => Spill::Failed(format!("{}: {error}", path.display())),
        }
    }

    fn lines(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.line.is_empty() {
                self.show(line);
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.show(&whole);
            }
            bytes = rest;
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() > LONGEST_LINE {
            let line = std::mem::take(&mut self.line);
            self.show(&line);
        }
    }

    fn show(&self, line: &[u8]) {
        if let Some((live, index, stream)) = &self.live {
            live(*index, *stream, String::from_utf8_lossy(line).trim_end_matches('\r'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::mark;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Mutex;

    fn vault() -> Arc<Vault> {
        let vault = Vault::default();
        vault.insert("db", "hunter22".into()).unwrap();
        Arc::new(vault)
    }

    #[test]
    fn a_short_output_is_kept_in_memory() {
        let mut capture = Capture::new(vault(), Path::new("/nonexistent"), None);
        capture.push(b"password hunt");
        capture.push(b"er22\n");
        assert_eq!(capture.finish().unwrap(), Captured::from_text(format!("password {}\n", mark("db"))));
    }

    #[test]
    fn a_long_output_goes_to_an_owner_only_file_in_full() {
        let folder = tempfile::tempdir().unwrap();
        let mut capture = Capture::new(vault(), folder.path(), None);
        let mut want = Vec::new();
        for i in 0..40_000 {
            let line = format!("line {i} hunter22 and more text behind it\n");
            capture.push(line.as_bytes());
            want.extend_from_slice(line.replace("hunter22", &mark("db")).as_bytes());
        }
        let captured = capture.finish().unwrap();
        assert!(captured.is_cut());
        assert_eq!(captured.total, want.len() as u64);
        assert_eq!(captured.bytes, want[..Captured::KEEP]);
        let path = captured.spill.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), want);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error_at_the_end_only() {
        let mut capture = Capture::new(vault(), Path::new("/nonexistent"), None);
        capture.push(&vec![b'x'; Captured::KEEP + 1]);
        capture.push(b"more");
        let why = capture.finish().unwrap_err();
        assert!(why.contains("No such file or directory"), "{why}");
    }

    #[test]
    fn live_lines_come_whole_and_concealed() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let live: Live = Arc::new(move |i, stream, line| sink.lock().unwrap().push((i, stream, line.to_string())));
        let mut capture = Capture::new(vault(), Path::new("/nonexistent"), Some((live, 3, Stream::Err)));
        capture.push(b"one\r\ntwo is hun");
        assert_eq!(*seen.lock().unwrap(), vec![(3, Stream::Err, "one".to_string())]);
        capture.push(b"ter22!\n\nend");
        capture.finish().unwrap();
        let lines: Vec<String> = seen.lock().unwrap().iter().map(|(_, _, l)| l.clone()).collect();
        assert_eq!(lines, ["one".to_string(), format!("two is {}!", mark("db")), String::new(), "end".to_string()]);
    }
}
