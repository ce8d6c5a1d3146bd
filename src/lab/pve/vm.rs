//! A virtual machine as its configuration file and its process make it.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One section of a configuration file: key to value, both as in the file (the description with real line breaks).
pub type Config = BTreeMap<String, String>;

/// The process of a running machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its process id on the node.
    pub pid: u32,
    /// When it began, seconds since 1970.
    pub since: u64,
    /// Stopped in its tracks by `qm suspend`.
    pub paused: bool,
}

/// A virtual machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    /// What it runs with.
    pub config: Config,
    /// What it will run with after the next start.
    #[serde(default)]
    pub pending: Config,
    /// Keys that go away with the next start.
    #[serde(default)]
    pub pending_delete: BTreeSet<String>,
    /// Snapshots by name; each is a configuration with `snaptime` and, if not a root, `parent`.
    #[serde(default)]
    pub snapshots: BTreeMap<String, Config>,
    /// The process, while it runs.
    #[serde(default)]
    pub run: Option<Run>,
}

/// Names of keys that hold a drive.
pub fn is_drive(key: &str) -> bool {
    let (name, number) = split_index(key);
    number.is_some() && matches!(name, "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate")
}

/// `net0` to `("net", Some(0))`, `name` to `("name", None)`.
pub fn split_index(key: &str) -> (&str, Option<u32>) {
    let name = key.trim_end_matches(|c: char| c.is_ascii_digit());
    (name, key[name.len()..].parse().ok())
}

/// The value of one `key=value` part of a property string.
pub fn property<'a>(value: &'a str, key: &str) -> Option<&'a str> {
    value.split(',').find_map(|part| part.split_once('=').filter(|(name, _)| *name == key).map(|(_, value)| value))
}

/// The volume that a drive's value names: its first part, with or without `file=`.
pub fn volume_of(value: &str) -> &str {
    let first = value.split(',').next().unwrap_or_default();
    first.strip_prefix("file=").unwrap_or(first)
}

impl Vm {
    /// True while its process is there, paused or not.
    pub fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// The lock word, if one is set.
    pub fn lock(&self) -> Option<&str> {
        self.config.get("lock").map(String::as_str)
    }

    /// `VM is locked (backup)` if it is.
    pub fn check_lock(&self) -> Result<(), String> {
        self.lock().map_or(Ok(()), |lock| Err(format!("VM is locked ({lock})")))
    }

    /// True if the configuration switches the guest agent on.
    pub fn has_agent(&self) -> bool {
        self.config.get("agent").is_some_and(|agent| {
            let first = agent.split(',').next().unwrap_or_default();
            first.strip_prefix("enabled=").unwrap_or(first) == "1"
        })
    }

    /// True if it was turned into a template.
    pub fn is_template(&self) -> bool {
        self.config.get("template").is_some_and(|value| value == "1")
    }

    /// The configuration with the pending changes laid over it: what `qm config` shows.
    pub fn effective(&self) -> Config {
        let mut config = self.config.clone();
        config.retain(|key, _| !self.pending_delete.contains(key));
        config.extend(self.pending.clone());
        config
    }

    /// Makes the pending changes real; done at each start.
    pub fn apply_pending(&mut self) {
        self.config = self.effective();
        self.pending.clear();
        self.pending_delete.clear();
    }

    /// Key and volume of each disk, CD drives left out, in key order.
    pub fn disks(&self) -> Vec<(String, String)> {
        disks_of(&self.config)
    }

    /// Key and volume of the cloud-init drive.
    pub fn cloudinit_drive(&self) -> Option<(&str, &str)> {
        self.config
            .iter()
            .filter(|(key, value)| is_drive(key) && volume_of(value).contains("-cloudinit"))
            .map(|(key, value)| (key.as_str(), volume_of(value)))
            .next()
    }

    /// True if the current configuration or a snapshot still names this volume.
    pub fn refers_to(&self, volume: &str) -> bool {
        let in_config = |config: &Config| config.values().any(|value| volume_of(value) == volume);
        in_config(&self.config) || self.held_by_snapshot(volume)
    }

    /// True if a snapshot names this volume.
    pub fn held_by_snapshot(&self, volume: &str) -> bool {
        self.snapshots.values().any(|config| config.values().any(|value| volume_of(value) == volume))
    }

    /// Takes a key out; a disk's volume stays as the next free `unusedN`.
    pub fn remove_key(&mut self, key: &str) {
        if let Some(value) = self.config.remove(key)
            && is_drive(key)
            && property(&value, "media") != Some("cdrom")
        {
            self.add_unused(volume_of(&value));
        }
    }

    /// Keeps a volume as the next free `unusedN`, once.
    pub fn add_unused(&mut self, volume: &str) {
        if self.config.iter().any(|(key, value)| key.starts_with("unused") && value == volume) {
            return;
        }
        let free = (0..256).map(|n| format!("unused{n}")).find(|key| !self.config.contains_key(key));
        if let Some(key) = free {
            self.config.insert(key, volume.to_owned());
        }
    }

    /// Every volume that the machine owns, snapshots included, each once.
    pub fn volumes(&self) -> BTreeSet<String> {
        let configs = std::iter::once(&self.config).chain(self.snapshots.values());
        configs
            .flat_map(|config| config.iter())
            .filter(|(key, _)| is_drive(key) || key.starts_with("unused") || *key == "vmstate")
            .map(|(_, value)| volume_of(value).to_owned())
            .filter(|volume| !volume.contains(":iso/"))
            .filter(|volume| volume.contains(':'))
            .collect()
    }
}

/// Key and volume of each disk of one section, CD drives left out.
pub fn disks_of(config: &Config) -> Vec<(String, String)> {
    config
        .iter()
        .filter(|(key, value)| is_drive(key) && property(value, "media") != Some("cdrom") && volume_of(value) != "none")
        .map(|(key, value)| (key.clone(), volume_of(value).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_taken_out_stays_as_unused() {
        let mut vm = Vm::default();
        vm.config.insert("scsi0".into(), "vmstore:1/vm-1-disk-0.qcow2,size=1G".into());
        vm.config.insert("ide2".into(), "vmstore:1/vm-1-cloudinit.qcow2,media=cdrom".into());
        assert_eq!(vm.cloudinit_drive(), Some(("ide2", "vmstore:1/vm-1-cloudinit.qcow2")));
        assert_eq!(vm.disks(), [("scsi0".to_owned(), "vmstore:1/vm-1-disk-0.qcow2".to_owned())]);
        vm.remove_key("scsi0");
        assert_eq!(vm.config.get("unused0").unwrap(), "vmstore:1/vm-1-disk-0.qcow2");
        assert!(!vm.config.contains_key("scsi0"));
    }
}
