//! Levers that make the node fail on purpose, and the count of what it was made to change.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The next task of a kind ends with a text of our choosing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailTask {
    /// `qmsnapshot`, `qmstart` and so on; none means whatever comes next.
    #[serde(default)]
    pub kind: Option<String>,
    /// The task's exit status.
    pub message: String,
}

/// Everything that can be set. Sent as JSON to `POST /lab/levers`; absent keys mean "off".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levers {
    /// Tasks that fail, first come first served; each is used up by one task.
    pub fail_tasks: Vec<FailTask>,
    /// Storages without room: creating, snapshotting and restoring on them fails.
    pub full_storages: BTreeSet<String>,
    /// Guests whose agent and ACPI do not answer. The lab's sshd of the guest reads this too.
    pub deaf_guests: BTreeSet<u32>,
    /// Milliseconds that every task takes longer.
    pub slow_tasks_ms: u64,
    /// Close that many of the next API connections without an answer, after the call was carried out.
    pub cut_connections: u32,
    /// Virtual machines whose lock file another process holds.
    pub held_locks: BTreeSet<u32>,
}

/// Accepted changing calls by kind (`qmstart`, `config`, `network`), since the start of the lab.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes(pub BTreeMap<String, u64>);

impl Changes {
    /// One more of a kind.
    pub fn count(&mut self, kind: &str) {
        *self.0.entry(kind.to_owned()).or_default() += 1;
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl Levers {
    /// Takes the text with which a task of this kind is to fail, if one is set.
    pub fn take_failure(&mut self, kind: &str) -> Option<String> {
        let at = self.fail_tasks.iter().position(|fail| fail.kind.as_deref().is_none_or(|wanted| wanted == kind))?;
        Some(self.fail_tasks.remove(at).message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_used_up_by_the_first_task_of_its_kind() {
        let fail = FailTask { kind: Some("qmstart".into()), message: "no".into() };
        let mut levers = Levers { fail_tasks: vec![fail], ..Levers::default() };
        assert_eq!(levers.take_failure("qmstop"), None);
        assert_eq!(levers.take_failure("qmstart"), Some("no".into()));
        assert_eq!(levers.take_failure("qmstart"), None);
    }

    #[test]
    fn an_unknown_lever_is_refused() {
        assert!(serde_json::from_str::<Levers>(r#"{"bogus": 1}"#).is_err());
        assert_eq!(serde_json::from_str::<Levers>("{}").unwrap(), Levers::default());
    }
}
