//! Values of a VM's configuration: property strings such as `virtio=BC:24:11:..,bridge=vmbr0,firewall=1`.
//!
//! Proxmox writes their keys in an order of its own, so they are compared parsed, never as text.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// A property string, taken apart. Equal whatever the order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// The value that stands alone at some place: the default key (`file` of a disk, `enabled` of the agent).
    pub bare: Option<String>,
    /// The rest.
    pub named: BTreeMap<String, String>,
}

impl Properties {
    /// Takes a property string apart. `default` is the key that may be left out: `file`, `enabled`, `model`.
    /// Source: pve-common `src/PVE/JSONSchema.pm`, `parse_property_string`.
    pub fn parse(text: &str, default: &str) -> Self {
        let mut out = Self::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            match part.split_once('=') {
                Some((key, value)) if key == default => out.bare = Some(value.to_string()),
                Some((key, value)) => {
                    out.named.insert(key.to_string(), value.to_string());
                }
                None => out.bare = Some(part.to_string()),
            }
        }
        out
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.named.get(key).map(String::as_str)
    }

    /// A boolean as Proxmox writes them: `1 yes on true`; `None` if the key is not there.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).map(truth)
    }
}

impl fmt::Display for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.bare.iter().cloned().collect();
        parts.extend(self.named.iter().map(|(k, v)| format!("{k}={v}")));
        f.write_str(&parts.join(","))
    }
}

fn truth(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "1" | "yes" | "on" | "true")
}

/// A network card (`net0`): the model's key holds the MAC address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Net {
    /// `virtio`, `e1000`, ...
    pub model: String,
    /// MAC address in capitals, as Proxmox writes it; `None` in what a user asks for.
    pub mac: Option<String>,
    /// `bridge`, `tag`, `firewall`, `link_down`, ...
    pub rest: Properties,
}

/// Models of a network card. Source: qemu-server `src/PVE/QemuServer/Network.pm`, `$nic_model_list`.
const MODELS: [&str; 14] = [
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "vmxnet3",
];

impl Net {
    /// Takes the value of a `netN` apart; `None` without a known model.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = Properties::parse(text, "model");
        let (model, mac) = match MODELS.iter().find(|m| rest.named.contains_key(**m)) {
            Some(model) => (model.to_string(), rest.named.remove(*model)),
            None => (rest.bare.take()?, rest.named.remove("macaddr")),
        };
        let known = MODELS.contains(&model.as_str());
        let mac = mac.map(|m| m.to_ascii_uppercase());
        known.then_some(Self { model, mac, rest })
    }
}

/// A configuration value as text: Proxmox gives numbers for some keys and texts for others.
pub fn text(config: &Value, key: &str) -> Option<String> {
    match config.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(u8::from(*flag).to_string()),
        _ => None,
    }
}

/// True if the guest agent is switched on (`agent: 1`, `agent: enabled=1,...`).
pub fn agent_enabled(config: &Value) -> bool {
    text(config, "agent").and_then(|t| Properties::parse(&t, "enabled").bare).is_some_and(|v| truth(&v))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_does_not_matter() {
        let a = Properties::parse("vmstore:100/vm-100-disk-0.qcow2,size=2G,backup=0", "file");
        let b = Properties::parse("backup=0,file=vmstore:100/vm-100-disk-0.qcow2,size=2G", "file");
        assert_eq!(a, b);
        assert_eq!(a.bare.as_deref(), Some("vmstore:100/vm-100-disk-0.qcow2"));
        assert_eq!((a.get("size"), a.flag("backup"), a.flag("ssd")), (Some("2G"), Some(false), None));
        assert_ne!(a, Properties::parse("vmstore:100/vm-100-disk-0.qcow2,size=3G,backup=0", "file"));
        assert_eq!(a.to_string(), "vmstore:100/vm-100-disk-0.qcow2,backup=0,size=2G");
    }

    #[test]
    fn network_cards_have_the_mac_under_the_model() {
        let net = Net::parse("virtio=BC:24:11:0B:4D:B3,bridge=vmbr0").unwrap();
        assert_eq!((net.model.as_str(), net.mac.as_deref()), ("virtio", Some("BC:24:11:0B:4D:B3")));
        assert_eq!(net.rest.get("bridge"), Some("vmbr0"));
        assert_eq!(Net::parse("bridge=vmbr0,virtio=bc:24:11:0b:4d:b3").unwrap(), net);
        let wanted = Net::parse("virtio,bridge=vmbr0").unwrap();
        assert_eq!((wanted.model.as_str(), wanted.mac), ("virtio", None));
        assert_eq!(Net::parse("model=virtio,macaddr=BC:24:11:0B:4D:B3,bridge=vmbr0").unwrap(), net);
        assert!(Net::parse("bridge=vmbr0").is_none());
    }

    #[test]
    fn the_agent_is_on_or_off() {
        for (value, on) in
            [(json!("1"), true), (json!(1), true), (json!("enabled=1,type=virtio"), true), (json!("0"), false)]
        {
            assert_eq!(agent_enabled(&json!({ "agent": value })), on, "{value}");
        }
        assert!(!agent_enabled(&json!({})));
    }
}
