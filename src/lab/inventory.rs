//! The inventory and the ssh configuration of a lab, as texts.

use super::Layout;
use super::layout::{GUESTS, LabFile, NODE, hosts};

/// `inventory.yml`.
pub fn inventory(layout: &Layout, lab: &LabFile) -> String {
    let dir = layout.dir().display();
    let vmid = |name: &str| GUESTS.iter().find(|(n, _)| *n == name).map_or(0, |(_, id)| *id);
    format!(
        "# Written by `piton lab up`: simulated Proxmox, real guests. Gone with `piton lab down`.\n\
         lab: true\n\
         ssh:\n  config: {config}\n\
         nodes:\n  {NODE}:\n    address: {NODE}\n    node: {NODE}\n\
         guests:\n\
         \x20 extranet:\n    node: {NODE}\n    vmid: {ext}\n    address: extranet\n    role: dmz\n    vars:\n      npm_port: {npm}\n\
         \x20 intranet:\n    node: {NODE}\n    vmid: {int}\n    address: intranet\n    role: lan\n\
         roles:\n\
         \x20 lan:\n    bridge: vmbr0\n    cidr: 10.10.10.0/24\n    gateway: 10.10.10.1\n    node_address: 10.10.10.2/24\n    port: eno1\n\
         \x20 dmz:\n    bridge: vmbr2\n    cidr: 10.10.0.0/24\n    node_address: 10.10.0.1/24\n\
         groups:\n  media:\n    hosts: [extranet, intranet]\n\
         vars:\n  site: lab\n\
         secrets:\n  npm_password:\n    file: {secret}\n  npm_db:\n    file: {secret}\n",
        config = quoted(&format!("{dir}/ssh_config")),
        secret = quoted(&format!("{dir}/secret")),
        ext = vmid("extranet"),
        int = vmid("intranet"),
        npm = lab.npm_port,
    )
}

/// `ssh_config`: nobody's own keys, agent or known hosts are used or changed.
pub fn ssh_config(layout: &Layout, lab: &LabFile) -> String {
    let dir = layout.dir().display();
    let one = |host: &str| {
        let port = lab.ports.get(host).copied().unwrap_or_default();
        format!(
            "Host {host}\n  HostName 127.0.0.1\n  Port {port}\n  User root\n  HostKeyAlias {host}.piton-lab\n  \
             IdentityFile \"{dir}/key\"\n  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile \"{dir}/known_hosts\"\n  \
             GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  UpdateHostKeys no\n"
        )
    };
    hosts().map(one).collect()
}

/// `known_hosts`, from the hosts' public keys.
pub fn known_hosts(keys: &[(&str, String)]) -> String {
    keys.iter().map(|(host, key)| [host, ".piton-lab ", key.trim(), "\n"].concat()).collect()
}

/// A YAML text in double quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_host_is_pinned_by_its_own_name_and_port() {
        let layout = Layout::new(Some(Path::new("/tmp/a b"))).unwrap();
        let ports = hosts().zip(2001..).map(|(h, p)| (h.to_string(), p)).collect();
        let lab = LabFile { version: "0".into(), ports, npm_port: 2009, rootless: false };
        let config = ssh_config(&layout, &lab);
        assert!(config.contains("Host intranet\n  HostName 127.0.0.1\n  Port 2003\n"), "{config}");
        assert!(config.contains("HostKeyAlias intranet.piton-lab\n  IdentityFile \"/tmp/a b/key\"\n"), "{config}");
        let text = inventory(&layout, &lab);
        assert!(text.contains("  config: \"/tmp/a b/ssh_config\"\n"), "{text}");
        assert!(text.contains("      npm_port: 2009\n"), "{text}");
        assert_eq!(known_hosts(&[("pve", "ssh-ed25519 AAA c\n".into())]), "pve.piton-lab ssh-ed25519 AAA c\n");
    }
}
