//! The name of a Proxmox task: `UPID:node:pid:pstart:starttime:type:id:user:`.
//!
//! Source: pve-common `src/PVE/UPID.pm`, `encode` and `decode`.

use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// A task's name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Upid {
    /// Node that it runs on.
    pub node: String,
    /// Process id.
    pub pid: u32,
    /// Start of the process in clock ticks since boot; more than 32 bits after 497 days.
    pub pstart: u64,
    /// Seconds since the Unix epoch, by the node's clock.
    pub starttime: u32,
    /// `qmstart`, `qmsnapshot`, `vzdump`, ...
    pub kind: String,
    /// VMID or another subject; may be empty.
    pub id: String,
    /// `root@pam`, or a token `user@realm!name`.
    pub user: String,
}

/// Not the name of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UPID")]
pub struct NotAUpid;

impl FromStr for Upid {
    type Err = NotAUpid;

    fn from_str(text: &str) -> Result<Self, NotAUpid> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["UPID", node, pid, pstart, starttime, kind, id, user, ""] = parts[..] else {
            return Err(NotAUpid);
        };
        let name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let node_ok = !node.is_empty() && node.chars().all(name) && !node.starts_with('-') && !node.ends_with('-');
        let word = |w: &str| !w.chars().any(|c| c.is_whitespace() || c == '/');
        if !node_ok || kind.is_empty() || user.is_empty() || ![kind, id, user].iter().all(|w| word(w)) {
            return Err(NotAUpid);
        }
        Ok(Self {
            node: node.to_string(),
            pid: u32::try_from(hex(pid, 8..=8)?).map_err(|_| NotAUpid)?,
            pstart: hex(pstart, 8..=9)?,
            starttime: u32::try_from(hex(starttime, 8..=8)?).map_err(|_| NotAUpid)?,
            kind: kind.to_string(),
            id: id.to_string(),
            user: user.to_string(),
        })
    }
}

fn hex(text: &str, digits: std::ops::RangeInclusive<usize>) -> Result<u64, NotAUpid> {
    if !digits.contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(NotAUpid);
    }
    u64::from_str_radix(text, 16).map_err(|_| NotAUpid)
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, pid, pstart, starttime, kind, id, user } = self;
        write!(f, "UPID:{node}:{pid:08X}:{pstart:08X}:{starttime:08X}:{kind}:{id}:{user}:")
    }
}

impl Upid {
    /// The UPID that an answer's `data` is, if it is one.
    pub fn of(data: &Value) -> Option<Self> {
        data.as_str()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_upid_is_taken_apart_and_put_together_again() {
        let text = "UPID:pve1:0000402A:000CBD83:6B0282B9:qmsnapshot:901:root@pam:";
        let upid: Upid = text.parse().unwrap();
        assert_eq!(
            upid,
            Upid {
                node: "pve1".into(),
                pid: 16426,
                pstart: 834_947,
                starttime: 1_795_326_649,
                kind: "qmsnapshot".into(),
                id: "901".into(),
                user: "root@pam".into()
            }
        );
        assert_eq!(upid.to_string(), text);
        let long = "UPID:pve-1:0000402A:1000CBD83:6B0282B9:vzdump::a@pve!tok:";
        assert_eq!(long.parse::<Upid>().unwrap().to_string(), long);
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "UPID",
            "garbage",
            "UPID:pve1:402A:000CBD83:6B0282B9:qmstart:1:root@pam:",
            "UPID:pve1:0000402A:000CBD83:6B0282B9:qmstart:1:root@pam",
            "UPID:pve1:0000402A:000CBD83:6B0282B9:qm/start:1:root@pam:",
            "UPID:-pve1:0000402A:000CBD83:6B0282B9:qmstart:1:root@pam:",
            "UPID:pve1:0000402A:000CBD83:6B0282B9::1:root@pam:",
            "UPID:pve1:+000402A:000CBD83:6B0282B9:qmstart:1:root@pam:",
        ] {
            assert_eq!(text.parse::<Upid>(), Err(NotAUpid), "{text}");
        }
    }
}
