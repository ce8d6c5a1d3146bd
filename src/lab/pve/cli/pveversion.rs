//! `pveversion`.

use super::{CallError, Caller, Printed};
use serde_json::Value;

/// The other packages of the recorded node; the three that name the node's own versions are made up around them.
const PACKAGES: &str = "\
ceph-fuse: not correctly installed
corosync: 3.1.7-1+deb12u2
glusterfs-client: not correctly installed
ifupdown2: 3.0.0-1.1
libknet1: 1.25-1
libpve-access-control: 8.2.3
libpve-apiclient-perl: 3.3.2
libpve-cluster-api-perl: 8.1.3
libpve-cluster-perl: 8.1.3
libpve-common-perl: 8.3.8
libpve-guest-common-perl: 5.2.2
libpve-http-server-perl: 5.2.2
libpve-network-perl: 0.11.3
libpve-storage-perl: 8.3.8
libspice-server1: 0.15.1-1
lvm2: 2.03.16-2
lxcfs: not correctly installed
pve-cluster: 8.1.3
pve-container: 5.3.5
pve-firewall: 5.1.2
pve-ha-manager: 4.0.7
pve-qemu-kvm: 10.0.2-4
qemu-server: 8.4.10
smartmontools: 7.3-1+b1
swtpm: 0.7.1-1.3
";

/// Runs `pveversion`.
///
/// # Errors
/// The server cannot be reached.
pub async fn run(args: &[String], caller: &dyn Caller) -> Result<Printed, CallError> {
    let node = caller.ask("/lab/node", Value::Null).await?;
    let text = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
    let (kernel, version, release) = (text("kernel"), text("version"), text("release"));
    let full = format!("{version}/{}", text("repoid"));
    Ok(match args {
        [] => Printed::out(format!("pve-manager/{full} (running kernel: {kernel})\n")),
        [only] if ["--verbose", "-verbose", "-v"].contains(&only.as_str()) => Printed::out(format!(
            "proxmox-ve: {release}.0 (running kernel: {kernel})\n\
             pve-manager: {version} (running version: {full})\n{PACKAGES}"
        )),
        other => Printed::not_simulated(&format!("pveversion {}", other.join(" "))),
    })
}
