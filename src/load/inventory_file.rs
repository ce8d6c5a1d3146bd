//! An inventory file to an [`Inventory`], all errors at once.

use super::fields::{self, boolean, entries, integer, is_name, items, known, text, texts, variables};
use super::inventory::{Group, Host, HostKind, Inventory, Transport};
use super::inventory_roles as roles;
use super::inventory_secrets as secrets;
use super::node::{Key, Kind, Node};
use super::read;
use super::source::{Diagnostic, Sources, Span};
use super::suggest;
use std::collections::BTreeMap;
use std::path::Path;

const TOP: &[&str] = &["vars", "roles", "nodes", "guests", "hosts", "groups", "secrets", "ssh", "lab"];
const NODE: &[&str] = &["address", "user", "port", "node", "connection", "become", "become_password", "vars"];
const GUEST: &[&str] = &[
    "node",
    "vmid",
    "address",
    "user",
    "port",
    "connection",
    "transport",
    "role",
    "become",
    "become_password",
    "datasets",
    "vars",
];
const OTHER: &[&str] = &["address", "user", "port", "connection", "role", "become", "become_password", "vars"];

/// Groups that are always there.
pub const IMPLICIT: &[&str] = &["all", "nodes", "guests"];

/// Reads an inventory. `None` if the file cannot be read or is no mapping.
pub fn load(path: &Path, name: &str, sources: &mut Sources, diagnostics: &mut Vec<Diagnostic>) -> Option<Inventory> {
    let (_, root) = read::tree(path, name, "the inventory", None, sources, diagnostics)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    Some(from_tree(&root, name, &folder, diagnostics))
}

/// The same from a tree that was read; relative paths in it start at `folder`.
pub fn from_tree(root: &Node, name: &str, folder: &Path, diagnostics: &mut Vec<Diagnostic>) -> Inventory {
    let top = entries(root, "an inventory", diagnostics);
    known(top, TOP, "an inventory", diagnostics);
    let mut reader = Reader { diagnostics, names: BTreeMap::new() };
    let mut inventory = Inventory {
        path: name.to_string(),
        hosts: Vec::new(),
        groups: Vec::new(),
        roles: Vec::new(),
        vars: Vec::new(),
        secrets: Vec::new(),
        ssh_config: None,
        lab: false,
    };
    if let Some(node) = root.get("lab") {
        inventory.lab = boolean(node, "lab", reader.diagnostics).unwrap_or(false);
    }
    if let Some(node) = root.get("vars") {
        inventory.vars = variables(node, reader.diagnostics);
    }
    if let Some(node) = root.get("ssh") {
        let fields = entries(node, "ssh", reader.diagnostics);
        known(fields, &["config"], "`ssh`", reader.diagnostics);
        if let Some(config) = node.get("config").and_then(|n| text(n, "config", reader.diagnostics)) {
            inventory.ssh_config = Some(super::super::modules::inside(folder, &config));
        }
    }
    if let Some(node) = root.get("secrets") {
        inventory.secrets = secrets::secrets(node, folder, reader.diagnostics);
    }
    if let Some(node) = root.get("roles") {
        inventory.roles = roles::roles(node, reader.diagnostics);
    }
    for (section, kind) in [("nodes", Section::Nodes), ("guests", Section::Guests), ("hosts", Section::Others)] {
        if let Some(node) = root.get(section) {
            reader.hosts(node, kind, &mut inventory);
        }
    }
    reader.check_guests(root, &inventory);
    if let Some(node) = root.get("groups") {
        inventory.groups = reader.groups(node, &inventory);
    }
    implicit(&mut inventory);
    inventory
}

#[derive(Clone, Copy, PartialEq)]
enum Section {
    Nodes,
    Guests,
    Others,
}

struct Reader<'d> {
    diagnostics: &'d mut Vec<Diagnostic>,
    /// Every host and group with its place: one name, one thing.
    names: BTreeMap<String, Span>,
}

impl Reader<'_> {
    fn name(&mut self, key: &Key, what: &str) {
        if IMPLICIT.contains(&key.name.as_str()) {
            self.diagnostics.push(
                Diagnostic::error("P0202", key.span, format!("`{}` is a group that is always there", key.name))
                    .hint("choose another name"),
            );
        } else if !is_name(&key.name) {
            self.diagnostics.push(
                Diagnostic::error("P0202", key.span, format!("`{}` cannot be the name of {what}", key.name))
                    .hint("a lower-case letter, then lower-case letters, digits, `-` and `_`"),
            );
        }
        if let Some(first) = self.names.insert(key.name.clone(), key.span) {
            self.diagnostics.push(
                Diagnostic::error("P0203", key.span, format!("the name `{}` is there twice", key.name))
                    .also(first, "first here")
                    .hint("nodes, guests, hosts and groups share their names: `hosts:` must say clearly who is meant"),
            );
        }
    }

    fn hosts(&mut self, node: &Node, section: Section, inventory: &mut Inventory) {
        let (what, keys) = match section {
            Section::Nodes => ("a node", NODE),
            Section::Guests => ("a guest", GUEST),
            Section::Others => ("a host", OTHER),
        };
        for (key, value) in entries(node, what, self.diagnostics) {
            self.name(key, what);
            let fields = entries(value, &key.name, self.diagnostics);
            for (field, _) in fields {
                if !keys.contains(&field.name.as_str()) {
                    let mut error = fields::unknown(field, keys, what);
                    if let Some(hint) = ansible(&field.name) {
                        error.hint = Some(hint.to_string());
                    }
                    self.diagnostics.push(error);
                }
            }
            let host = self.host(key, value, section, inventory);
            inventory.hosts.push(host);
        }
    }

    fn host(&mut self, key: &Key, value: &Node, section: Section, inventory: &Inventory) -> Host {
        let d = &mut *self.diagnostics;
        let mut word = |name: &str| value.get(name).and_then(|n| text(n, name, d));
        let address = word("address");
        let user = word("user");
        let connection = word("connection");
        let role = word("role");
        let node = word("node");
        let local = match connection.as_deref() {
            None | Some("ssh") => false,
            Some("local") => true,
            Some(other) => {
                if let Some(n) = value.get("connection") {
                    self.diagnostics.push(
                        Diagnostic::error("P0306", n.span, format!("`connection` cannot be `{other}`"))
                            .hint("it is `ssh` or `local`"),
                    );
                }
                false
            }
        };
        if let (Some(n), Some(address)) = (value.get("address"), address.as_deref())
            && (address.is_empty()
                || address.starts_with('-')
                || address.contains(|c: char| c.is_whitespace() || c == '@'))
        {
            self.diagnostics.push(
                Diagnostic::error("P0205", n.span, format!("`{address}` is no address"))
                    .hint("a name, an IP address, or a host of your ssh configuration; the user goes into `user:`"),
            );
        }
        if let (Some(n), Some(role)) = (value.get("role"), role.as_deref())
            && !inventory.roles.iter().any(|r| r.name == role)
        {
            let mut error = Diagnostic::error("P0206", n.span, format!("there is no role `{role}`"));
            error.hint = suggest::hint(role, inventory.roles.iter().map(|r| r.name.as_str()), "roles")
                .or(Some("define it under `roles:`".to_string()));
            self.diagnostics.push(error);
        }
        let port = value
            .get("port")
            .and_then(|n| integer(n, "port", 1..=65_535, self.diagnostics))
            .and_then(|n| u16::try_from(n).ok());
        let kind = match section {
            Section::Nodes => HostKind::Node { node: node.unwrap_or_else(|| key.name.clone()) },
            Section::Others => HostKind::Other,
            Section::Guests => {
                let vmid = if let Some(n) = value.get("vmid") {
                    integer(n, "vmid", 100..=999_999_999, self.diagnostics)
                } else {
                    self.diagnostics.push(
                        Diagnostic::error("P0207", key.span, format!("the guest `{}` has no `vmid`", key.name))
                            .hint("write its VMID, for example `vmid: 102`"),
                    );
                    None
                };
                HostKind::Guest {
                    node: node.unwrap_or_default(),
                    vmid: vmid.and_then(|v| u32::try_from(v).ok()).unwrap_or(0),
                }
            }
        };
        let datasets = value.get("datasets").map(|n| texts(n, "datasets", self.diagnostics)).unwrap_or_default();
        Host {
            name: key.name.clone(),
            span: key.span,
            kind,
            address: address.unwrap_or_else(|| key.name.clone()),
            user,
            port,
            transport: self.transport(value, local),
            local,
            r#become: value.get("become").and_then(|n| boolean(n, "become", self.diagnostics)).unwrap_or(false),
            become_password: value.get("become_password").and_then(|n| self.password(n, inventory)),
            role,
            datasets: datasets.into_iter().map(|(t, _)| t).collect(),
            vars: value.get("vars").map(|n| variables(n, self.diagnostics)).unwrap_or_default(),
        }
    }

    /// Only guests may have it; that is said as an unknown field.
    fn transport(&mut self, value: &Node, local: bool) -> Transport {
        let Some(node) = value.get("transport") else { return Transport::Auto };
        let transport = match text(node, "transport", self.diagnostics).as_deref() {
            None | Some("auto") => return Transport::Auto,
            Some("ssh") => Transport::Ssh,
            Some("jump") => Transport::Jump,
            Some("agent") => Transport::Agent,
            Some(other) => {
                self.diagnostics.push(
                    Diagnostic::error("P0306", node.span, format!("`transport` cannot be `{other}`"))
                        .hint("it is `auto`, `ssh`, `jump` (ssh through the node) or `agent` (the QEMU guest agent)"),
                );
                return Transport::Auto;
            }
        };
        if local {
            self.diagnostics.push(
                Diagnostic::error("P0306", node.span, "`connection: local` needs no `transport`")
                    .hint("leave one of the two out"),
            );
        }
        transport
    }

    /// `"{{ secrets.NAME }}"` and nothing else: a password never stands in an inventory.
    fn password(&mut self, node: &Node, inventory: &Inventory) -> Option<String> {
        let text = text(node, "become_password", self.diagnostics)?;
        let inner = text.trim().strip_prefix("{{").and_then(|t| t.strip_suffix("}}")).map(str::trim);
        let Some(name) = inner.and_then(|t| t.strip_prefix("secrets.")) else {
            self.diagnostics.push(
                Diagnostic::error("P0208", node.span, "a password must not stand in an inventory")
                    .label("must be a secret")
                    .hint(
                        "write become_password: \"{{ secrets.NAME }}\" and say under `secrets:` where NAME comes from",
                    ),
            );
            return None;
        };
        if !inventory.secrets.iter().any(|s| s.name == name) {
            let mut error = Diagnostic::error("P0209", node.span, format!("there is no secret `{name}`"));
            error.hint = suggest::hint(name, inventory.secrets.iter().map(|s| s.name.as_str()), "secrets")
                .or(Some("name it under `secrets:`".to_string()));
            self.diagnostics.push(error);
        }
        Some(name.to_string())
    }

    /// The node of each guest, and one VMID once a node.
    fn check_guests(&mut self, root: &Node, inventory: &Inventory) {
        let nodes: Vec<&str> = inventory
            .hosts
            .iter()
            .filter(|h| matches!(h.kind, HostKind::Node { .. }))
            .map(|h| h.name.as_str())
            .collect();
        let mut seen: BTreeMap<(&str, u32), Span> = BTreeMap::new();
        for host in &inventory.hosts {
            let HostKind::Guest { node, vmid } = &host.kind else { continue };
            let written = root.get("guests").and_then(|g| g.get(&host.name));
            match written.and_then(|g| g.get("node")) {
                None => self.diagnostics.push(
                    Diagnostic::error("P0207", host.span, format!("the guest `{}` has no `node`", host.name))
                        .hint("write the inventory name of the node that runs it"),
                ),
                Some(n) if !nodes.contains(&node.as_str()) => {
                    let mut error = Diagnostic::error("P0204", n.span, format!("there is no node `{node}`"));
                    error.hint = suggest::hint(node, nodes.iter().copied(), "nodes")
                        .or(Some("define it under `nodes:`".to_string()));
                    self.diagnostics.push(error);
                }
                Some(_) => {}
            }
            if *vmid == 0 {
                continue;
            }
            let place = written.and_then(|g| g.get("vmid")).map_or(host.span, |n| n.span);
            if let Some(first) = seen.insert((node, *vmid), place) {
                self.diagnostics.push(
                    Diagnostic::error("P0210", place, format!("two guests of `{node}` have the VMID {vmid}"))
                        .also(first, "first here")
                        .hint("one VMID is one guest"),
                );
            }
        }
    }

    fn groups(&mut self, node: &Node, inventory: &Inventory) -> Vec<Group> {
        let mut groups = Vec::new();
        for (key, value) in entries(node, "groups", self.diagnostics) {
            self.name(key, "a group");
            let (members, vars) = match &value.kind {
                Kind::Map(fields) => {
                    known(fields, &["hosts", "vars"], "a group", self.diagnostics);
                    (value.get("hosts"), value.get("vars").map(|n| variables(n, self.diagnostics)).unwrap_or_default())
                }
                _ => (Some(value), Vec::new()),
            };
            let mut hosts = Vec::new();
            for item in members.map(|n| items(n, &key.name, self.diagnostics)).unwrap_or_default() {
                let Some(member) = text(item, "a member of a group", self.diagnostics) else { continue };
                if inventory.host(&member).is_some() {
                    if !hosts.contains(&member) {
                        hosts.push(member);
                    }
                } else {
                    let mut error = Diagnostic::error("P0204", item.span, format!("there is no host `{member}`"));
                    error.hint = suggest::hint(&member, inventory.hosts.iter().map(|h| h.name.as_str()), "hosts");
                    self.diagnostics.push(error);
                }
            }
            groups.push(Group { name: key.name.clone(), hosts, vars });
        }
        groups
    }
}

/// Ansible's names for what a host has.
fn ansible(word: &str) -> Option<&'static str> {
    Some(match word {
        "ansible_host" => "write `address:`",
        "ansible_user" => "write `user:`",
        "ansible_port" => "write `port:`",
        "ansible_connection" => "write `connection:`",
        "ansible_become" => "write `become:`",
        "ansible_become_password" | "ansible_password" => "write become_password: \"{{ secrets.NAME }}\"",
        "needs_data_from" | "restore_after" => "restore orders come in a later version",
        _ => return None,
    })
}

fn implicit(inventory: &mut Inventory) {
    let names = |keep: fn(&Host) -> bool| {
        inventory.hosts.iter().filter(|h| keep(h)).map(|h| h.name.clone()).collect::<Vec<_>>()
    };
    let all = [
        ("all", names(|_| true)),
        ("nodes", names(|h| matches!(h.kind, HostKind::Node { .. }))),
        ("guests", names(|h| matches!(h.kind, HostKind::Guest { .. }))),
    ];
    for (name, hosts) in all {
        inventory.groups.push(Group { name: name.to_string(), hosts, vars: Vec::new() });
    }
}
