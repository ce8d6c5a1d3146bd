//! Worker tasks: their UPID, log and end.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The unique name of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upid {
    /// Node name.
    pub node: String,
    /// Process id of the worker.
    pub pid: u32,
    /// Start of that process in hundredths of a second since boot.
    pub pstart: u64,
    /// Start in seconds since 1970.
    pub start: u64,
    /// `qmstart`, `qmsnapshot`, `srvreload` ...
    pub kind: String,
    /// What it works on: a VMID, or `networking`.
    pub id: String,
    /// Who started it.
    pub user: String,
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, pid, pstart, start, kind, id, user } = self;
        write!(f, "UPID:{node}:{pid:08X}:{pstart:08X}:{start:08X}:{kind}:{id}:{user}:")
    }
}

impl Upid {
    /// Reads one; none if the text is not a UPID.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("UPID:")?.strip_suffix(':')?.split(':');
        let node = parts.next()?.to_owned();
        let pid = u32::from_str_radix(parts.next()?, 16).ok()?;
        let pstart = u64::from_str_radix(parts.next()?, 16).ok()?;
        let start = u64::from_str_radix(parts.next()?, 16).ok()?;
        let (kind, id, user) = (parts.next()?.to_owned(), parts.next()?.to_owned(), parts.next()?.to_owned());
        (parts.next().is_none() && !kind.is_empty()).then_some(Self { node, pid, pstart, start, kind, id, user })
    }
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub upid: Upid,
    /// Lines without their line breaks; the last is `TASK OK` or `TASK ERROR: ...` once it has ended.
    pub log: Vec<String>,
    /// When it ended, seconds since 1970.
    pub end: Option<u64>,
    /// `OK` or the error; none while it runs.
    pub exit: Option<String>,
}

impl Task {
    /// True until it has ended.
    pub fn is_running(&self) -> bool {
        self.exit.is_none()
    }

    /// True if it ended with anything but `OK` (warnings count as an end without error).
    pub fn has_failed(&self) -> bool {
        self.exit.as_deref().is_some_and(|exit| exit != "OK" && !exit.starts_with("WARNINGS: "))
    }

    /// Ends it and writes the last line of its log.
    pub fn finish(&mut self, end: u64, result: Result<(), String>) {
        if self.exit.is_some() {
            return;
        }
        self.end = Some(end);
        let (exit, line) = match result {
            Ok(()) => ("OK".to_owned(), "TASK OK".to_owned()),
            Err(error) => (error.replace('\n', " "), format!("TASK ERROR: {error}")),
        };
        self.log.extend(line.split('\n').map(str::to_owned));
        self.exit = Some(exit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_upid_is_read_and_written() {
        let text = "UPID:pve1:00003FB2:000CB814:6B0282AC:qmstart:300:root@pam:";
        let upid = Upid::parse(text).unwrap();
        assert_eq!((upid.pid, upid.pstart, upid.start), (16_306, 833_556, 1_795_326_636));
        assert_eq!(upid.to_string(), text);
        assert_eq!(Upid::parse("garbage"), None);
        assert_eq!(Upid::parse("UPID:pve1:1:2"), None);
    }
}
