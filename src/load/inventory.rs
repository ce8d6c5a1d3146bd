//! The inventory: nodes, guests, other hosts, groups, roles, variables, secrets.

use super::node::Node;
use super::source::Span;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Everything an inventory file says, checked.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// Path as given.
    pub path: String,
    /// Nodes, guests and other hosts in the order written.
    pub hosts: Vec<Host>,
    /// Groups in the order written. `all`, `nodes` and `guests` exist always.
    pub groups: Vec<Group>,
    /// Networks by purpose.
    pub roles: Vec<Role>,
    /// Variables of all hosts.
    pub vars: Vars,
    /// Where secrets come from.
    pub secrets: Vec<SecretSource>,
    /// An ssh configuration file used besides the user's own (`ssh: { config: FILE }`), absolute.
    pub ssh_config: Option<PathBuf>,
    /// True for the built-in lab (`lab: true`): screens and reports say that Proxmox is simulated.
    pub lab: bool,
}

/// Variables with their places.
pub type Vars = Vec<(super::node::Key, Node)>;

/// A machine that commands can be sent to.
#[derive(Debug, Clone)]
pub struct Host {
    /// Inventory name.
    pub name: String,
    /// Where it is written.
    pub span: Span,
    /// What it is.
    pub kind: HostKind,
    /// Name or address that ssh connects to; the inventory name if not given.
    pub address: String,
    /// `user:`; ssh's own choice if `None`.
    pub user: Option<String>,
    /// `port:`; ssh's own choice if `None`.
    pub port: Option<u16>,
    /// `transport:` of a guest; [`Transport::Auto`] for all others.
    pub transport: Transport,
    /// `connection: local` runs commands on this machine.
    pub local: bool,
    /// `become:` default for its steps.
    pub r#become: bool,
    /// Name of the secret with the sudo password (`become_password: "{{ secrets.NAME }}"`).
    pub become_password: Option<String>,
    /// Role of its network, for example `dmz`.
    pub role: Option<String>,
    /// ZFS datasets of the node that hold this guest's data and belong to its checkpoint.
    pub datasets: Vec<String>,
    /// Its own variables.
    pub vars: Vars,
}

/// How a guest is reached (`transport:`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// By ssh; where the network does not lead there, through its node, then by its guest agent.
    #[default]
    Auto,
    /// By ssh, or not at all.
    Ssh,
    /// By ssh through its node.
    Jump,
    /// By its QEMU guest agent, through its node.
    Agent,
}

/// Kind of a [`Host`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKind {
    /// A Proxmox VE host; `node` is its name in the API (`pve`), the inventory name if not given.
    Node {
        /// Name in the API.
        node: String,
    },
    /// A VM or container of a node.
    Guest {
        /// Inventory name of the node.
        node: String,
        /// VMID.
        vmid: u32,
    },
    /// Anything else that ssh reaches.
    Other,
}

/// Hosts under one name.
#[derive(Debug, Clone)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Inventory names of its hosts.
    pub hosts: Vec<String>,
    /// Variables of its hosts.
    pub vars: Vars,
}

/// A network by its purpose.
#[derive(Debug, Clone)]
pub struct Role {
    /// `wan`, `lan`, `dmz`, `drill` or a name of the user's.
    pub name: String,
    /// Place.
    pub span: Span,
    /// Bridge on the node.
    pub bridge: String,
    /// `10.10.0.0/24`.
    pub cidr: Option<String>,
    /// `10.10.0.1`.
    pub gateway: Option<String>,
    /// The node's own address on the bridge with prefix length (`10.10.0.1/24`), if it has one.
    pub node_address: Option<String>,
    /// Physical port of the bridge; none for an isolated switch.
    pub port: Option<String>,
}

/// Where the value of a secret comes from.
#[derive(Debug, Clone)]
pub struct SecretSource {
    /// Name, as in `{{ secrets.NAME }}`.
    pub name: String,
    /// Place.
    pub span: Span,
    /// Provider.
    pub from: Provider,
}

/// A provider of secret values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// Output of a program on this machine (age, sops, pass, ansible-vault); one trailing newline is cut off.
    Command(Vec<String>),
    /// A file that only its owner may read; one trailing newline is cut off.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// Typed by the operator, without echo.
    Prompt(String),
}

impl Inventory {
    /// The host of this name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|h| h.name == name)
    }

    /// Inventory name of the node that API calls for this host go to.
    pub fn node_of(&self, name: &str) -> Option<&str> {
        let host = self.host(name)?;
        match &host.kind {
            HostKind::Node { .. } => Some(&host.name),
            HostKind::Guest { node, .. } => Some(node),
            HostKind::Other => None,
        }
    }

    /// The name of a node in the Proxmox API.
    pub fn api_name(&self, node: &str) -> Option<&str> {
        match &self.host(node)?.kind {
            HostKind::Node { node } => Some(node),
            _ => None,
        }
    }
}

impl Host {
    /// VMID if it is a guest.
    pub fn vmid(&self) -> Option<u32> {
        match self.kind {
            HostKind::Guest { vmid, .. } => Some(vmid),
            _ => None,
        }
    }
}

/// Variables as plain values.
pub fn plain(vars: &Vars) -> Map<String, Value> {
    vars.iter().map(|(k, v)| (k.name.clone(), v.to_value())).collect()
}
