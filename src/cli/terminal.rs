//! The operator's terminal: questions and answers on `/dev/tty`, so that piped output stays clean.
//!
//! Everything here blocks; callers use `spawn_blocking`.

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use zeroize::Zeroizing;

/// True if somebody can answer: standard input and the controlling terminal are there.
pub fn is_there() -> bool {
    io::stdin().is_terminal() && open().is_ok()
}

/// Shows a question and reads a line.
///
/// # Errors
/// The system's; `UnexpectedEof` if the terminal was closed.
pub fn ask(question: &str) -> io::Result<String> {
    let mut tty = open()?;
    tty.write_all(question.as_bytes())?;
    tty.flush()?;
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match tty.read(&mut byte)? {
            0 if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => break,
            _ if byte[0] == b'\n' => break,
            _ => line.push(byte[0]),
        }
    }
    Ok(String::from_utf8_lossy(&line).trim().to_string())
}

/// Shows a question and reads a line that is not shown.
///
/// # Errors
/// As [`ask`]; `Interrupted` for Ctrl-C.
pub fn ask_hidden(question: &str) -> io::Result<Zeroizing<String>> {
    let tty = open()?;
    let silent = Silent::new(&tty)?;
    let mut both = &tty;
    both.write_all(question.as_bytes())?;
    both.flush()?;
    let line = read_hidden(&mut both);
    drop(silent);
    both.write_all(b"\n")?;
    line
}

/// Reads to the end of the line. The terminal edits nothing now, so Backspace, Ctrl-U, Ctrl-C and Ctrl-D are ours.
fn read_hidden(tty: &mut impl io::Read) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(Vec::new());
    let mut byte = [0];
    loop {
        if tty.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match byte[0] {
            b'\n' | b'\r' => break,
            3 => return Err(io::ErrorKind::Interrupted.into()),
            4 if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            8 | 127 => {
                // A character of several bytes goes as a whole.
                while line.pop().is_some_and(|b| b & 0xc0 == 0x80) {}
            }
            21 => line.clear(),
            b => line.push(b),
        }
    }
    match std::str::from_utf8(&line) {
        Ok(text) => Ok(Zeroizing::new(text.to_string())),
        Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "what was typed is not UTF-8")),
    }
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

/// No echo, no signals, no line editing, until it goes.
struct Silent<'a> {
    tty: &'a File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn new(tty: &'a File) -> io::Result<Self> {
        let before = tcgetattr(tty)?;
        let mut now = before.clone();
        now.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        now.special_codes[SpecialCodeIndex::VMIN] = 1;
        now.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(tty, OptionalActions::Flush, &now)?;
        Ok(Self { tty, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.tty, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_lines_can_be_edited() {
        for (typed, line) in [
            (&b"secret\n"[..], "secret"),
            (b"secrex\x7ft\r", "secret"),
            (b"oops\x15secret\n", "secret"),
            ("é\u{7f}x\n".as_bytes(), "x"),
            (b"\x7f\x7fa\n", "a"),
        ] {
            assert_eq!(*read_hidden(&mut &*typed).unwrap(), line);
        }
    }

    #[test]
    fn control_c_and_a_closed_terminal_are_not_answers() {
        assert_eq!(read_hidden(&mut &b"abc\x03"[..]).unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert_eq!(read_hidden(&mut &b"\x04"[..]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(read_hidden(&mut &b"abc"[..]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
