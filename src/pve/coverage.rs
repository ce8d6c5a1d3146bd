//! What a snapshot of a VM would hold and what it leaves out, from its configuration and the list of storages.
//!
//! One disk that cannot be snapshotted makes the whole VM un-snapshotable (qemu-server `src/PVE/QemuConfig.pm`,
//! `has_feature`). Which can is in pve-storage, `volume_has_feature` of each plugin.

use super::config::{self, Properties};
use super::error::PveError;
use crate::event::Coverage;
use serde_json::Value;

/// A storage of the cluster (`GET /storage`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// Its name.
    pub id: String,
    /// `dir`, `zfspool`, `lvmthin`, ...
    pub kind: String,
    /// `snapshot-as-volume-chain` of Proxmox VE 9: snapshots are a chain of qcow2 volumes.
    pub volume_chain: bool,
}

impl Storage {
    /// Reads the `data` of `GET /storage`.
    ///
    /// # Errors
    /// [`PveError::Shape`].
    pub fn list(data: &Value) -> Result<Vec<Self>, PveError> {
        let rows = data.as_array().ok_or_else(|| PveError::shape("list of storages", "not a list"))?;
        rows.iter()
            .map(|row| {
                let id = config::text(row, "storage").ok_or_else(|| PveError::shape("list of storages", "no name"))?;
                let kind = config::text(row, "type").ok_or_else(|| PveError::shape("list of storages", "no type"))?;
                let volume_chain = config::text(row, "snapshot-as-volume-chain").is_some_and(|v| v == "1");
                Ok(Self { id, kind, volume_chain })
            })
            .collect()
    }

    /// True where a rollback goes to the newest snapshot only. Source: pve-storage, `volume_rollback_is_possible`
    /// of `ZFSPoolPlugin.pm` (and `ZFSPlugin.pm`, which inherits it), `LVMPlugin.pm` and, for chains, `Plugin.pm`.
    fn newest_only(&self) -> bool {
        matches!(self.kind.as_str(), "zfspool" | "zfs" | "lvm") || self.volume_chain
    }
}

/// A disk of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Disk {
    key: String,
    volume: String,
    cdrom: bool,
    backup: bool,
}

/// Whether a disk can be snapshotted.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ability {
    Yes,
    No(String),
    /// A storage type that piton does not know: Proxmox decides when the snapshot is taken.
    Unknown(String),
}

/// What a checkpoint of this guest would protect. `config` is the `data` of `GET .../config`; `datasets` are the
/// node's ZFS datasets that the inventory names as holding its data.
pub fn coverage(guest: &str, config: &Value, storages: &[Storage], datasets: &[String]) -> Coverage {
    let mut out = Coverage { guest: guest.to_string(), possible: true, protected: Vec::new(), unprotected: Vec::new() };
    if is_template(config) {
        out.possible = false;
        out.unprotected.push(TEMPLATE.into());
    }
    for disk in disks(config) {
        let Disk { key, volume, .. } = &disk;
        if disk.cdrom {
            if is_cloudinit(volume) {
                out.unprotected.push(format!("{key} {volume}: cloud-init drive, written anew from the configuration"));
            }
            continue;
        }
        match ability(volume, storages) {
            Ability::Yes => {
                out.protected.push(format!("{key} {volume}"));
                if !disk.backup {
                    out.unprotected.push(format!("{key} is in the snapshot, but in no backup (backup=0)"));
                }
            }
            Ability::No(why) => {
                out.possible = false;
                out.unprotected
                    .push(format!("{key} {volume}: {why}; this makes a snapshot of the whole VM impossible"));
            }
            Ability::Unknown(why) => out.unprotected.push(format!("{key} {volume}: {why}")),
        }
    }
    if out.possible {
        out.protected.push("the VM's configuration".into());
    }
    out.protected.push("the guest's firewall file (copied: no snapshot holds it)".into());
    for (key, value) in entries(config) {
        let value = value.as_str().unwrap_or_default();
        if numbered(key, "unused") {
            out.unprotected.push(format!("{key} {value}: not attached, so not in the snapshot"));
        } else if numbered(key, "hostpci") || numbered(key, "usb") {
            out.unprotected.push(format!("{key} {value}: the state of a passed-through device"));
        } else if numbered(key, "virtiofs") {
            out.unprotected.push(format!("{key} {value}: a folder of the node"));
        }
    }
    out.unprotected.extend(
        datasets.iter().map(|d| format!("dataset {d} of the node (NFS or virtiofs data): no VM snapshot holds it")),
    );
    out.unprotected.push("RAM: the guest is started again after a rollback".into());
    out
}

/// Why no snapshot is possible; `None` if one is, as far as can be told.
pub fn obstacle(config: &Value, storages: &[Storage]) -> Option<String> {
    let template = is_template(config).then(|| TEMPLATE.to_string());
    let disks = disks(config).into_iter().filter(|d| !d.cdrom);
    let bad = disks.filter_map(|d| match ability(&d.volume, storages) {
        Ability::No(why) => Some(format!("{} {}: {why}", d.key, d.volume)),
        Ability::Yes | Ability::Unknown(_) => None,
    });
    let all: Vec<String> = template.into_iter().chain(bad).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

const TEMPLATE: &str = "it is a template, and Proxmox takes no snapshot of one";

fn is_template(config: &Value) -> bool {
    config::text(config, "template").is_some_and(|t| t == "1")
}

/// Storages of the VM's disks where a rollback is to the newest snapshot only.
pub fn newest_only(config: &Value, storages: &[Storage]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for disk in disks(config).into_iter().filter(|d| !d.cdrom) {
        let id = disk.volume.split_once(':').map_or("", |(id, _)| id);
        if let Some(storage) = storages.iter().find(|s| s.id == id && s.newest_only())
            && !out.contains(&storage.id)
        {
            out.push(storage.id.clone());
        }
    }
    out
}

/// Keys and values, `scsi2` before `scsi10`: Proxmox gives them in an order that changes from call to call.
fn entries(config: &Value) -> Vec<(&String, &Value)> {
    let number = |key: &str| key.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().unwrap_or(0);
    let word = |key: &str| key.trim_end_matches(|c: char| c.is_ascii_digit()).to_string();
    let mut all: Vec<_> = config.as_object().into_iter().flatten().collect();
    all.sort_by_key(|(key, _)| (word(key), number(key)));
    all
}

fn disks(config: &Value) -> Vec<Disk> {
    entries(config)
        .into_iter()
        .filter(|(key, _)| {
            ["ide", "sata", "scsi", "virtio", "efidisk", "tpmstate"].iter().any(|bus| numbered(key, bus))
        })
        .filter_map(|(key, value)| {
            let drive = Properties::parse(value.as_str()?, "file");
            let volume = drive.bare.clone()?;
            let cdrom = drive.get("media") == Some("cdrom") || volume == "none" || volume == "cdrom";
            Some(Disk { key: key.clone(), volume, cdrom, backup: drive.flag("backup").unwrap_or(true) })
        })
        .collect()
}

fn numbered(key: &str, bus: &str) -> bool {
    key.strip_prefix(bus).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Source: qemu-server `src/PVE/QemuServer/Drive.pm`, `drive_is_cloudinit`.
fn is_cloudinit(volume: &str) -> bool {
    let name = volume.rsplit([':', '/']).next().unwrap_or_default();
    let name = name.split_once('.').map_or(name, |(stem, _)| stem);
    name == "cloudinit" || (name.starts_with("vm-") && name.ends_with("-cloudinit"))
}

fn ability(volume: &str, storages: &[Storage]) -> Ability {
    if volume.starts_with('/') {
        return Ability::No("a device or file of the node, outside of any storage".into());
    }
    let Some((id, name)) = volume.split_once(':') else {
        return Ability::No("not a volume of a storage".into());
    };
    let Some(storage) = storages.iter().find(|s| s.id == id) else {
        return Ability::No(format!("storage `{id}` is not in the cluster's list"));
    };
    let format = match name.rsplit_once('.') {
        Some((_, format @ ("qcow2" | "vmdk" | "subvol"))) => format,
        _ => "raw",
    };
    match (storage.kind.as_str(), format) {
        ("zfspool" | "zfs" | "lvmthin" | "rbd", _)
        | ("dir" | "nfs" | "cifs" | "cephfs" | "glusterfs" | "lvm", "qcow2")
        | ("btrfs", "qcow2" | "raw" | "subvol") => Ability::Yes,
        ("lvm", _) => Ability::No(format!("LVM without thin provisioning ({format}) has no snapshots")),
        (kind @ ("dir" | "nfs" | "cifs" | "cephfs" | "glusterfs" | "btrfs"), format) => {
            Ability::No(format!("{format} on a storage of type {kind} has no snapshots (qcow2 has)"))
        }
        (kind @ ("iscsi" | "iscsidirect" | "esxi" | "pbs"), _) => {
            Ability::No(format!("a storage of type {kind} has no snapshots"))
        }
        (kind, _) => Ability::Unknown(format!(
            "whether a storage of type {kind} has snapshots is not known here; Proxmox says so when one is taken"
        )),
    }
}

#[cfg(test)]
#[path = "coverage_tests.rs"]
mod tests;
