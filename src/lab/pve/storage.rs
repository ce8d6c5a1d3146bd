//! Directory storages and the volumes on them.

use crate::lab::pve::answer::Refusal;
use serde::{Deserialize, Serialize};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// The largest file of the file system below (ext4 with blocks of 4 KiB): a raw image beyond it cannot be made.
const LARGEST_FILE: u64 = 16 << 40;

/// A directory storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Name in volume ids.
    pub name: String,
    /// Its directory.
    pub path: String,
    /// What may lie on it, in the order of the configuration file.
    pub content: Vec<String>,
    /// `keep-all=1`, if set.
    #[serde(default)]
    pub prune: Option<String>,
    /// Switched off.
    #[serde(default)]
    pub disabled: bool,
    /// Not in the configuration file: the node's built-in `local`.
    #[serde(default)]
    pub builtin: bool,
}

impl Storage {
    /// A directory storage.
    pub fn dir(name: &str, path: &str, content: &str) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            content: content.split(',').map(str::to_owned).collect(),
            prune: None,
            disabled: false,
            builtin: false,
        }
    }
}

/// A volume: a disk image, a backup, an ISO image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// `vmstore:100/vm-100-disk-0.qcow2`.
    pub id: String,
    /// `raw`, `qcow2`, `vma.zst`, `iso`.
    pub format: String,
    /// Bytes that the guest sees, or of the archive.
    pub size: u64,
    /// Bytes that it takes.
    pub used: u64,
    /// `images`, `backup`, `iso`.
    pub content: String,
    /// Whose it is.
    pub vmid: Option<u32>,
    /// When it was made, seconds since 1970.
    pub ctime: u64,
    /// Notes of a backup.
    #[serde(default)]
    pub notes: Option<String>,
    /// A backup that must not be removed.
    #[serde(default)]
    pub protected: bool,
}

impl Volume {
    /// Name of the storage that it lies on.
    pub fn storage(&self) -> &str {
        self.id.split(':').next().unwrap_or_default()
    }

    /// A disk image.
    pub fn image(id: &str, format: &str, size: u64, vmid: u32, ctime: u64) -> Self {
        let used = if format == "raw" { 4_096 } else { 331_776 };
        Self {
            id: id.into(),
            format: format.into(),
            size,
            used,
            content: "images".into(),
            vmid: Some(vmid),
            ctime,
            notes: None,
            protected: false,
        }
    }
}

/// All storages and volumes of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storages {
    /// In the order of the configuration file.
    pub storages: Vec<Storage>,
    /// In no particular order.
    #[serde(default)]
    pub volumes: Vec<Volume>,
}

impl Default for Storages {
    fn default() -> Self {
        let mut local = Storage::dir("local", "/var/lib/vz", "rootdir,iso,images,vztmpl,snippets,backup");
        local.prune = Some("keep-all=1".into());
        local.builtin = true;
        Self { storages: vec![local], volumes: Vec::new() }
    }
}

/// A volume that was just made: its value for the configuration, and what the tools printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocated {
    /// Volume id.
    pub id: String,
    /// `Formatting '...'`.
    pub printed: String,
}

impl Storages {
    /// A storage by name.
    ///
    /// # Errors
    /// There is no such storage.
    pub fn get(&self, name: &str) -> Result<&Storage, Refusal> {
        let found = self.storages.iter().find(|storage| storage.name == name);
        found.ok_or_else(|| Refusal::died(format!("storage '{name}' does not exist")))
    }

    /// A volume by id.
    pub fn volume(&self, id: &str) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.id == id)
    }

    /// Where a volume's file lies. The storage must exist.
    ///
    /// # Errors
    /// The id cannot be read, or its storage does not exist.
    pub fn path(&self, id: &str) -> Result<String, Refusal> {
        let (storage, name) =
            id.split_once(':').ok_or_else(|| Refusal::died(format!("unable to parse volume ID '{id}'")))?;
        let base = &self.get(storage)?.path;
        Ok(match name.split_once('/') {
            Some(("backup", file)) => format!("{base}/dump/{file}"),
            Some(("iso", file)) => format!("{base}/template/iso/{file}"),
            Some(("snippets", file)) => format!("{base}/snippets/{file}"),
            Some((vmid, file)) if vmid.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("{base}/images/{vmid}/{file}")
            }
            _ => return Err(Refusal::died(format!("unable to parse directory volume name '{name}'"))),
        })
    }

    /// The next free `vm-100-disk-N` of a machine, whatever the format.
    pub fn free_disk_name(&self, storage: &str, vmid: u32) -> String {
        let prefix = format!("{storage}:{vmid}/vm-{vmid}-disk-");
        let taken = |n: u32| {
            self.volumes.iter().any(|volume| {
                volume.id.strip_prefix(&prefix).and_then(|rest| rest.split('.').next()) == Some(&n.to_string())
            })
        };
        let n = (0..1_000).find(|n| !taken(*n)).unwrap_or(1_000);
        format!("vm-{vmid}-disk-{n}")
    }

    /// Makes an image. `full` is the lever: no room on the storage.
    ///
    /// # Errors
    /// The text of `qemu-img`, and what was printed before it.
    pub fn allocate(
        &mut self,
        (storage, vmid, file): (&str, u32, &str),
        (format, size): (&str, u64),
        full: bool,
        now: u64,
    ) -> Result<Allocated, (String, Refusal)> {
        let id = format!("{storage}:{vmid}/{file}");
        let path = self.path(&id).map_err(|refusal| (String::new(), refusal))?;
        if self.volume(&id).is_some() {
            return Err((String::new(), Refusal::died_with(25, format!("disk image '{path}' already exists"))));
        }
        let printed = formatting(&path, format, size);
        let fail = |why: &str| {
            Err((printed.clone(), Refusal::died(format!("unable to create image: qemu-img: {path}: {why}"))))
        };
        if format == "raw" && size > LARGEST_FILE {
            return fail("The image size is too large for file format 'raw'");
        }
        if full {
            return fail("Could not write to file: No space left on device");
        }
        self.volumes.push(Volume::image(&id, format, size, vmid, now));
        Ok(Allocated { id, printed })
    }

    /// Removes a volume; the line that is printed if it was not there.
    pub fn remove(&mut self, id: &str) -> Option<String> {
        let before = self.volumes.len();
        self.volumes.retain(|volume| volume.id != id);
        (self.volumes.len() == before)
            .then(|| self.path(id).ok())
            .flatten()
            .map(|path| format!("disk image '{path}' does not exist"))
    }

    /// The text of `/etc/pve/storage.cfg`.
    pub fn render(&self) -> String {
        if self.storages.iter().all(|storage| storage.builtin) {
            return String::new();
        }
        let mut text = String::new();
        for storage in &self.storages {
            text.push_str(&format!("dir: {}\n\tpath {}\n", storage.name, storage.path));
            if storage.disabled {
                text.push_str("\tdisable\n");
            }
            text.push_str(&format!("\tcontent {}\n", storage.content.join(",")));
            if let Some(prune) = &storage.prune {
                text.push_str(&format!("\tprune-backups {prune}\n"));
            }
            text.push('\n');
        }
        text
    }
}

/// What `qemu-img create` prints with the options that Proxmox VE gives it.
pub fn formatting(path: &str, format: &str, size: u64) -> String {
    if format == "qcow2" {
        format!(
            "Formatting '{path}', fmt=qcow2 cluster_size=65536 extended_l2=off preallocation=metadata \
             compression_type=zlib size={size} lazy_refcounts=off refcount_bits=16"
        )
    } else {
        format!("Formatting '{path}', fmt={format} size={size} preallocation=off")
    }
}

/// `2684354560` to `2560M`: as in `size=`.
pub fn size_text(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(GIB) => format!("{}G", bytes / GIB),
        _ if bytes.is_multiple_of(MIB) => format!("{}M", bytes / MIB),
        _ if bytes.is_multiple_of(KIB) => format!("{}K", bytes / KIB),
        _ => bytes.to_string(),
    }
}

/// `2560M` to bytes; `default` is the unit of a bare number.
pub fn parse_size(text: &str, default: u64) -> Option<u64> {
    let (number, unit) = match text.chars().last()? {
        'K' => (&text[..text.len() - 1], KIB),
        'M' => (&text[..text.len() - 1], MIB),
        'G' => (&text[..text.len() - 1], GIB),
        'T' => (&text[..text.len() - 1], GIB << 10),
        _ => (text, default),
    };
    let value: f64 = number.parse().ok().filter(|value: &f64| *value >= 0.0 && value.is_finite())?;
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some((value * unit as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        assert_eq!(size_text(2_684_354_560), "2560M");
        assert_eq!(size_text(1 << 30), "1G");
        assert_eq!(parse_size("2560M", 1), Some(2_684_354_560));
        assert_eq!(parse_size("4", GIB), Some(4 << 30));
        assert_eq!(parse_size("0.5", GIB), Some(1 << 29));
        assert_eq!(parse_size("x", 1), None);
    }
}
