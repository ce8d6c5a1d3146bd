//! Snapshots of a guest: the list, piton's names and the marker in the description.
//!
//! Only a snapshot with both, the name and a marker that belongs to it, is piton's own; nothing else is ever
//! rolled back to or deleted.

use super::encode;
use super::error::PveError;
use crate::key::RunId;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// A snapshot as the node lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Seconds since the Unix epoch, by the node's clock.
    pub taken: u64,
    /// The snapshot that it came after.
    pub parent: Option<String>,
    /// Free text.
    pub description: String,
    /// True if the RAM is in it.
    pub ram: bool,
    /// `prepare` or `delete` if it is not whole. Proxmox VE 8 does not tell.
    pub state: Option<String>,
}

impl Snapshot {
    /// Its marker, if it is piton's own: a name of ours, and a marker of the run that the name tells.
    pub fn ours(&self) -> Option<Marker> {
        let short = our_name(&self.name)?;
        let marker: Marker = self.description.parse().ok()?;
        (marker.run.short() == short).then_some(marker)
    }
}

/// The list of a guest (`GET .../snapshot`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotList {
    /// Oldest first.
    pub snapshots: Vec<Snapshot>,
    /// The snapshot that the guest's present state came after.
    pub parent: Option<String>,
    /// True if the guest runs.
    pub running: bool,
}

impl SnapshotList {
    /// Reads the `data` of the answer. The order of the rows means nothing there.
    ///
    /// # Errors
    /// [`PveError::Shape`].
    pub fn parse(data: &Value) -> Result<Self, PveError> {
        let wrong = |why: &str| PveError::shape("list of snapshots", why);
        let rows = data.as_array().ok_or_else(|| wrong("not a list"))?;
        let mut list = Self::default();
        let mut present = false;
        for row in rows {
            let text = |key: &str| row.get(key).and_then(Value::as_str).map(str::to_string);
            let flag = |key: &str| row.get(key).is_some_and(|v| v.as_i64() == Some(1) || v.as_str() == Some("1"));
            let name = text("name").ok_or_else(|| wrong("a row without a name"))?;
            if name == "current" {
                present = true;
                list.parent = text("parent");
                list.running = flag("running");
                continue;
            }
            list.snapshots.push(Snapshot {
                name,
                taken: row.get("snaptime").and_then(Value::as_u64).unwrap_or(0),
                parent: text("parent"),
                description: text("description").unwrap_or_default(),
                ram: flag("vmstate"),
                state: text("snapstate"),
            });
        }
        if !present {
            return Err(wrong("no row `current`"));
        }
        list.sort();
        Ok(list)
    }

    /// Oldest first: by time, and within a second parents before children.
    fn sort(&mut self) {
        let depth: Vec<(String, usize)> =
            self.snapshots.iter().map(|s| (s.name.clone(), self.ancestors(&s.name).len())).collect();
        let depth_of = |name: &str| depth.iter().find(|(n, _)| n == name).map_or(0, |(_, d)| *d);
        self.snapshots.sort_by_key(|s| (s.taken, depth_of(&s.name)));
    }

    /// Names from the parent of a snapshot to the root; a cycle ends it.
    fn ancestors(&self, name: &str) -> Vec<&str> {
        let mut out: Vec<&str> = Vec::new();
        let mut at = self.get(name).and_then(|s| s.parent.as_deref());
        while let Some(parent) = at {
            if out.contains(&parent) || out.len() > self.snapshots.len() {
                break;
            }
            out.push(parent);
            at = self.get(parent).and_then(|s| s.parent.as_deref());
        }
        out
    }

    /// The snapshot of this name.
    pub fn get(&self, name: &str) -> Option<&Snapshot> {
        self.snapshots.iter().find(|s| s.name == name)
    }

    /// Piton's own with their markers, oldest first.
    pub fn ours(&self) -> impl Iterator<Item = (&Snapshot, Marker)> {
        self.snapshots.iter().filter_map(|s| s.ours().map(|m| (s, m)))
    }

    /// All that were taken after this one, newest first: what must go before a rollback to it on storages that go
    /// back to their newest snapshot only.
    pub fn newer_than(&self, name: &str) -> Vec<&Snapshot> {
        let at = self.snapshots.iter().position(|s| s.name == name);
        at.map_or_else(Vec::new, |at| self.snapshots[at + 1..].iter().rev().collect())
    }
}

/// Longest name that Proxmox takes. Source: pve-common `src/PVE/JSONSchema.pm`, `pve-snapshot-name`.
pub const LONGEST_NAME: usize = 40;

/// Name of the n-th checkpoint of a run: `piton-1a2b-03`.
pub fn name(run: &RunId, n: u32) -> String {
    format!("piton-{}-{n:02}", run.short())
}

/// The run's short form out of a name of ours.
fn our_name(name: &str) -> Option<&str> {
    let (short, n) = name.strip_prefix("piton-")?.rsplit_once('-')?;
    let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric());
    (name.len() <= LONGEST_NAME && plain(short) && n.len() >= 2 && n.bytes().all(|b| b.is_ascii_digit()))
        .then_some(short)
}

/// What the description says: whose checkpoint it is. One line, `piton v1 run=.. section=.. by=..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The run.
    pub run: RunId,
    /// Name of the section that it was taken before.
    pub section: String,
    /// `user@machine`.
    pub by: String,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, section, by } = self;
        write!(f, "piton v1 run={} section={} by={}", word(&run.0), word(section), word(by))
    }
}

/// Spaces and what is not printable as `%XX`, so that words stay words.
fn word(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() || c == '%' {
            let mut buffer = [0; 4];
            out.extend(c.encode_utf8(&mut buffer).bytes().map(|b| format!("%{b:02X}")));
        } else {
            out.push(c);
        }
    }
    out
}

impl FromStr for Marker {
    type Err = NotAMarker;

    fn from_str(text: &str) -> Result<Self, NotAMarker> {
        let line = text.trim().strip_prefix("piton v1 ").ok_or(NotAMarker)?;
        let value = |key: &str| {
            let found = line.split_ascii_whitespace().find_map(|w| w.strip_prefix(key)?.strip_prefix('='));
            found.filter(|v| !v.is_empty()).map(|v| encode::unescape(v).into_owned()).ok_or(NotAMarker)
        };
        Ok(Self { run: RunId(value("run")?), section: value("section")?, by: value("by")? })
    }
}

/// A description that is not piton's marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a marker of piton's")]
pub struct NotAMarker;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn marker(section: &str) -> Marker {
        Marker { run: RunId("20261123-031500-1a2b".into()), section: section.into(), by: "alice@laptop".into() }
    }

    #[test]
    fn a_marker_says_what_it_was_given() {
        for section in ["ufw", "Pare-feu des deux invités", "50 % of\nit", "a=b c=d"] {
            let text = marker(section).to_string();
            assert_eq!(text.lines().count(), 1);
            assert_eq!(text.parse::<Marker>().unwrap(), marker(section), "{text}");
        }
        assert_eq!(
            marker("the ufw").to_string(),
            "piton v1 run=20261123-031500-1a2b section=the%20ufw by=alice@laptop"
        );
        assert_eq!("piton v1 run=x".parse::<Marker>(), Err(NotAMarker));
        assert_eq!("before upgrade".parse::<Marker>(), Err(NotAMarker));
    }

    #[test]
    fn only_name_and_marker_together_make_one_ours() {
        let run = RunId("20261123-031500-1a2b".into());
        assert_eq!(name(&run, 3), "piton-1a2b-03");
        let snap = |name: &str, description: String| Snapshot {
            name: name.into(),
            taken: 1,
            parent: None,
            description,
            ram: false,
            state: None,
        };
        let text = marker("ufw").to_string();
        assert_eq!(snap("piton-1a2b-03", format!("{text}\n")).ours(), Some(marker("ufw")));
        for (name, text) in [
            ("piton-1a2b-03", "my own"),
            ("piton-9999-03", &text),
            ("before-upgrade", &text),
            ("piton-1a2b", &text),
            ("piton-1a2b-x", &text),
            ("piton-1a2b-3", &text),
        ] {
            assert_eq!(snap(name, text.into()).ours(), None, "{name} {text}");
        }
    }

    #[test]
    fn the_list_is_sorted_by_time_and_by_parent_within_a_second() {
        let data = json!([
            {"name": "c", "parent": "b", "snaptime": 20, "vmstate": 0, "description": ""},
            {"name": "current", "parent": "c", "running": 1, "description": "You are here!"},
            {"name": "b", "parent": "a", "snaptime": 20, "vmstate": 1, "description": "x"},
            {"name": "a", "snaptime": 10, "vmstate": 0, "description": ""},
        ]);
        let list = SnapshotList::parse(&data).unwrap();
        let names: Vec<_> = list.snapshots.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!((list.parent.as_deref(), list.running), (Some("c"), true));
        assert!(list.get("b").unwrap().ram);
        let newer: Vec<_> = list.newer_than("a").iter().map(|s| s.name.as_str()).collect();
        assert_eq!(newer, ["c", "b"]);
        assert!(SnapshotList::parse(&json!([])).is_err());
        assert!(SnapshotList::parse(&json!({"data": []})).is_err());
    }

    #[test]
    fn a_cycle_of_parents_ends() {
        let data = json!([
            {"name": "a", "parent": "b", "snaptime": 1},
            {"name": "b", "parent": "a", "snaptime": 1},
            {"name": "current"},
        ]);
        assert_eq!(SnapshotList::parse(&data).unwrap().snapshots.len(), 2);
    }
}
