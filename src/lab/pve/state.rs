//! The one state of the node, kept in one JSON file.

use crate::lab::pve::levers::{Changes, Levers};
use crate::lab::pve::node::Node;
use crate::lab::pve::storage::Storages;
use crate::lab::pve::task::{Task, Upid};
use crate::lab::pve::vm::Vm;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

/// How many tasks are remembered; the oldest that has ended makes room.
const KEPT_TASKS: usize = 1_000;

/// Everything that the node remembers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The machine.
    pub node: Node,
    /// Storages and volumes.
    pub storage: Storages,
    /// Virtual machines by VMID.
    pub vms: BTreeMap<u32, Vm>,
    /// Tasks, oldest first.
    pub tasks: Vec<Task>,
    /// Interfaces that are up: what the last network reload made of the file.
    pub active_interfaces: BTreeSet<String>,
    /// API tokens that are accepted, as `user@realm!name=secret`.
    pub api_tokens: BTreeSet<String>,
    /// The last process id given out.
    pub last_pid: u32,
    /// The last process id given out in a guest.
    pub last_guest_pid: u32,
    /// What is set to go wrong.
    pub levers: Levers,
    /// What was changed, for tests.
    pub changes: Changes,
}

impl State {
    /// The next process id.
    pub fn pid(&mut self) -> u32 {
        self.last_pid = self.last_pid.max(1_000) + 7;
        self.last_pid
    }

    /// The next process id inside a guest.
    pub fn guest_pid(&mut self) -> u32 {
        self.last_guest_pid = self.last_guest_pid.max(400) + 2;
        self.last_guest_pid
    }

    /// A task by its name.
    pub fn task(&self, upid: &str) -> Option<&Task> {
        self.tasks.iter().rev().find(|task| task.upid.to_string() == upid)
    }

    /// A task by its name, to write to.
    pub fn task_mut(&mut self, upid: &str) -> Option<&mut Task> {
        self.tasks.iter_mut().rev().find(|task| task.upid.to_string() == upid)
    }

    /// Opens a task.
    pub fn open_task(&mut self, kind: &str, id: &str, now: u64) -> String {
        let pid = self.pid();
        let upid = Upid {
            node: self.node.name.clone(),
            pid,
            pstart: now.saturating_sub(self.node.booted) * 100 + u64::from(pid % 100),
            start: now,
            kind: kind.to_owned(),
            id: id.to_owned(),
            user: "root@pam".to_owned(),
        };
        let name = upid.to_string();
        if self.tasks.len() >= KEPT_TASKS
            && let Some(oldest) = self.tasks.iter().position(|task| !task.is_running())
        {
            self.tasks.remove(oldest);
        }
        self.tasks.push(Task { upid, log: Vec::new(), end: None, exit: None });
        name
    }

    /// The lowest free VMID from 100 on.
    pub fn next_vmid(&self) -> u32 {
        (100..1_000_000_000).find(|vmid| !self.vms.contains_key(vmid)).unwrap_or(u32::MAX)
    }

    /// Reads a state file; tasks that ran when the lab went down have lost their process.
    ///
    /// # Errors
    /// The file cannot be read or is not one of ours.
    pub fn load(path: &Path) -> io::Result<Self> {
        let mut state: Self = serde_json::from_slice(&fs::read(path)?)?;
        for task in state.tasks.iter_mut().filter(|task| task.is_running()) {
            task.finish(task.upid.start, Err("unexpected status".into()));
        }
        Ok(state)
    }

    /// Writes the state beside its file and moves it over.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let fresh = path.with_extension("new");
        fs::write(&fresh, serde_json::to_vec(self)?)?;
        fs::rename(&fresh, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_ran_when_the_lab_went_down_is_no_success() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        let mut state = State::default();
        let upid = state.open_task("qmstart", "100", 50);
        state.save(&path).unwrap();
        let loaded = State::load(&path).unwrap();
        assert!(loaded.task(&upid).unwrap().has_failed());
        assert_eq!(loaded.next_vmid(), 100);
    }
}
