//! The machine that the simulated node says it is: the recorded one, unless told otherwise.

use serde::{Deserialize, Serialize};

/// Facts about the node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Name in paths and UPIDs.
    pub name: String,
    /// Its own address, for `/cluster/status`.
    pub address: String,
    /// Kernel release that `pveversion` prints.
    pub kernel: String,
    /// SHA-256 fingerprint of its certificate.
    pub fingerprint: String,
    /// When it was booted, seconds since 1970.
    pub booted: u64,
    /// Processors.
    pub cpus: u32,
    /// Part of them that is busy, 0 to 1.
    pub cpu: f64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of memory in use.
    pub memory_used: u64,
    /// Bytes of the root file system, on which the directory storages lie.
    pub disk: u64,
    /// Bytes of it that are used.
    pub disk_used: u64,
    /// Bytes of it that are available; less than the difference, as some are reserved.
    pub disk_available: u64,
    /// `8.4`.
    pub release: String,
    /// `8.4.21`.
    pub version: String,
    /// Revision of pve-manager.
    pub repoid: String,
    /// QEMU's version.
    pub qemu: String,
    /// True if the kernel can make bridges VLAN-aware; else a reload of such a bridge fails.
    pub vlan_aware: bool,
    /// What `pvenode config` holds.
    pub description: String,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "pve".into(),
            address: "10.10.10.2".into(),
            kernel: "6.8.12-lab".into(),
            fingerprint: ["9A", "51", "7E", "D0"].repeat(8).join(":"),
            booted: 0,
            cpus: 2,
            cpu: 0.05,
            memory: 25_276_510_208,
            memory_used: 1_739_251_712,
            disk: 270_553_174_016,
            disk_used: 26_650_005_504,
            disk_available: 70_922_477_568,
            release: "8.4".into(),
            version: "8.4.21".into(),
            repoid: "2606ac850d46da29".into(),
            qemu: "10.0.2".into(),
            vlan_aware: true,
            description: String::new(),
        }
    }
}
