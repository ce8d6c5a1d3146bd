//! What comes back from the shell loop: output bytes and marks, out of a stream cut anywhere. Pure.

use super::frame::MARK;
use memchr::memchr;

/// A mark longer than this is not one of ours: the stream is broken.
const LONGEST: usize = 512;

/// What a mark says; see [`super::frame`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The loop stands.
    Hello {
        /// Process of the loop; `None` on stderr.
        pid: Option<u32>,
        /// User that it runs as; empty on stderr.
        user: String,
    },
    /// A command was begun.
    Begun {
        /// Its number.
        id: u64,
        /// Its process.
        pid: u32,
        /// True if `pid` is also a process group of its own.
        group: bool,
    },
    /// A command ended.
    Ended {
        /// Its number.
        id: u64,
        /// Exit status; `None` on stderr.
        code: Option<i32>,
        /// True if processes of its group still live.
        left: bool,
    },
    /// A command was not begun.
    Skipped {
        /// Its number.
        id: u64,
        /// True if it was not begun because the channel has to be retired, false if because of a failure.
        retired: bool,
    },
}

/// A piece of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Output of the command that runs.
    Bytes(&'a [u8]),
    /// A mark.
    Mark(Mark),
}

/// The stream holds a line with our nonce that is no mark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer cannot be read: {0}")]
pub struct Broken(pub String);

/// Splits one stream into output and marks.
#[derive(Debug)]
pub struct Parser {
    /// The mark byte, the nonce and a space.
    lead: Vec<u8>,
    /// The beginning of what may be a mark.
    held: Vec<u8>,
}

impl Parser {
    /// For the loop with this nonce.
    pub fn new(nonce: &str) -> Self {
        let mut lead = vec![MARK];
        lead.extend_from_slice(nonce.as_bytes());
        lead.push(b' ');
        Self { lead, held: Vec::new() }
    }

    /// Takes the next bytes and hands on what is certain.
    ///
    /// # Errors
    /// [`Broken`]: the stream cannot be used any more.
    pub fn push(&mut self, chunk: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), Broken> {
        if self.held.is_empty() {
            let rest = self.scan(chunk, sink)?;
            self.held.extend_from_slice(rest);
            return Ok(());
        }
        // Only the end of a mark is looked for in the joined bytes; the bulk is never copied.
        let mut joined = std::mem::take(&mut self.held);
        let had = joined.len();
        let borrow = chunk.len().min(LONGEST);
        joined.extend_from_slice(&chunk[..borrow]);
        let rest = self.scan(&joined, sink)?;
        let done = joined.len() - rest.len();
        if done >= had {
            // What was held is used up: go on in the chunk itself.
            let rest = self.scan(&chunk[done - had..], sink)?;
            self.held.extend_from_slice(rest);
        } else {
            let rest = rest.to_vec();
            if rest.len() > LONGEST {
                return Err(Broken(String::from_utf8_lossy(&rest[..80]).into_owned()));
            }
            self.held = rest;
        }
        Ok(())
    }

    /// Bytes that were held back when the stream ended: output that looked like the beginning of a mark.
    pub fn finish(&mut self, sink: &mut impl FnMut(Event<'_>)) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            sink(Event::Bytes(&held));
        }
    }

    /// Hands on all that is certain and returns the rest, which begins with what may be a mark.
    fn scan<'a>(&self, bytes: &'a [u8], sink: &mut impl FnMut(Event<'_>)) -> Result<&'a [u8], Broken> {
        let mut from = 0;
        let mut at = 0;
        while let Some(found) = memchr(MARK, &bytes[at..]) {
            let start = at + found;
            let tail = &bytes[start..];
            if !tail.starts_with(&self.lead) {
                if self.lead.starts_with(tail) {
                    emit(&bytes[from..start], sink);
                    return Ok(tail);
                }
                at = start + 1;
                continue;
            }
            emit(&bytes[from..start], sink);
            let Some(end) = memchr(b'\n', tail) else {
                return if tail.len() > LONGEST { Err(broken(tail)) } else { Ok(tail) };
            };
            let line = std::str::from_utf8(&tail[self.lead.len()..end]).map_err(|_| broken(tail))?;
            sink(Event::Mark(read_mark(line).ok_or_else(|| broken(&tail[..end]))?));
            from = start + end + 1;
            at = from;
        }
        emit(&bytes[from..], sink);
        Ok(&[])
    }
}

fn emit(bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) {
    if !bytes.is_empty() {
        sink(Event::Bytes(bytes));
    }
}

fn broken(bytes: &[u8]) -> Broken {
    Broken(String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned())
}

fn read_mark(line: &str) -> Option<Mark> {
    let mut words = line.split(' ').filter(|w| !w.is_empty());
    let kind = words.next()?;
    if kind == "H" {
        let pid = words.next().map(str::parse).transpose().ok()?;
        return Some(Mark::Hello { pid, user: words.collect::<Vec<_>>().join(" ") });
    }
    let id = words.next()?.parse().ok()?;
    match kind {
        "B" => Some(Mark::Begun { id, pid: words.next()?.parse().ok()?, group: words.next() == Some("g") }),
        "E" => {
            let code = words.next().map(str::parse).transpose().ok()?;
            Some(Mark::Ended { id, code, left: words.next() == Some("L") })
        }
        "S" => Some(Mark::Skipped { id, retired: words.next()? == "R" }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream as dash gave it, with traps added to the output of command 2.
    const STREAM: &[u8] = b"Welcome to pve!\n\x1e\n\x1e0a0b H 4711 root\n\x1e0a0b B 1 4712 g\nhello\n\x1e0a0b E 1 0 \n\
        \x1e0a0b B 2 4713 g\nno newline\x1e\x1e0a0\x1e0a0bX\0\xff\x1e\x1e0a0b E 2 255 L\n\x1e0a0b S 3 R\n\x1e0a0b S 4 N\n";

    fn all(chunks: &[&[u8]]) -> (Vec<u8>, Vec<(usize, Mark)>) {
        let mut parser = Parser::new("0a0b");
        let (mut bytes, mut marks) = (Vec::new(), Vec::new());
        let mut sink = |event: Event<'_>| match event {
            Event::Bytes(b) => bytes.extend_from_slice(b),
            Event::Mark(m) => marks.push((bytes.len(), m)),
        };
        for chunk in chunks {
            parser.push(chunk, &mut sink).unwrap();
        }
        parser.finish(&mut sink);
        (bytes, marks)
    }

    #[test]
    fn the_recorded_stream() {
        let (bytes, marks) = all(&[STREAM]);
        let want = b"Welcome to pve!\n\x1e\nhello\nno newline\x1e\x1e0a0\x1e0a0bX\0\xff\x1e";
        assert_eq!(bytes, want);
        let want = vec![
            (18, Mark::Hello { pid: Some(4711), user: "root".into() }),
            (18, Mark::Begun { id: 1, pid: 4712, group: true }),
            (24, Mark::Ended { id: 1, code: Some(0), left: false }),
            (24, Mark::Begun { id: 2, pid: 4713, group: true }),
            (48, Mark::Ended { id: 2, code: Some(255), left: true }),
            (48, Mark::Skipped { id: 3, retired: true }),
            (48, Mark::Skipped { id: 4, retired: false }),
        ];
        assert_eq!(marks, want);
    }

    #[test]
    fn wherever_the_stream_is_cut_the_same_comes_out() {
        let want = all(&[STREAM]);
        for i in 0..=STREAM.len() {
            for j in i..=STREAM.len() {
                assert_eq!(all(&[&STREAM[..i], &STREAM[i..j], &STREAM[j..]]), want, "cut at {i} and {j}");
            }
        }
        let single: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(all(&single), want);
    }

    #[test]
    fn a_beginning_that_never_became_a_mark_is_output() {
        let (bytes, marks) = all(&[b"x\x1e0a", b"0"]);
        assert_eq!((bytes.as_slice(), marks.len()), (b"x\x1e0a0".as_slice(), 0));
    }

    #[test]
    fn a_line_that_is_no_mark_of_ours_is_an_error() {
        let mut sink = |_: Event<'_>| {};
        for bad in ["\x1e0a0b Z 1\n", "\x1e0a0b E x 0\n", "\x1e0a0b B 1\n", "\x1e0a0b E 1 zero\n"] {
            assert!(Parser::new("0a0b").push(bad.as_bytes(), &mut sink).is_err(), "{bad:?}");
        }
        let mut long = b"\x1e0a0b E 1 ".to_vec();
        long.extend(std::iter::repeat_n(b'7', 2 * LONGEST));
        assert!(Parser::new("0a0b").push(&long, &mut sink).is_err());
    }
}
