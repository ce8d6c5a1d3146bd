//! The keys of a virtual machine's configuration: their formats, and which take effect at once on a running one.

use crate::lab::pve::schema::Kind;
use crate::lab::pve::vm::{Config, property, split_index};
use serde_json::{Map, Value, json};

const OSTYPES: &[&str] =
    &["other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24", "l26", "solaris"];
const LOCKS: &[&str] =
    &["backup", "clone", "create", "migrate", "rollback", "snapshot", "snapshot-delete", "suspending", "suspended"];
const NIC_MODELS: &[&str] = &[
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
const SCSI_CONTROLLERS: &[&str] = &["lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi"];
const CPU_TYPES: &[&str] = &[
    "host",
    "max",
    "kvm32",
    "kvm64",
    "qemu32",
    "qemu64",
    "x86-64-v2",
    "x86-64-v2-AES",
    "x86-64-v3",
    "x86-64-v4",
    "Broadwell",
    "EPYC",
    "EPYC-Rome",
    "EPYC-Milan",
    "EPYC-Genoa",
    "Haswell",
    "IvyBridge",
    "Nehalem",
    "SandyBridge",
    "Skylake-Client",
    "Skylake-Server",
    "Westmere",
];

/// The format of a key; none if there is no such key.
pub fn kind_of(key: &str) -> Option<Kind> {
    let (name, index) = split_index(key);
    if let Some(index) = index {
        let (kind, max) = match name {
            "net" => (Kind::Format(nic), 31),
            "scsi" => (Kind::Format(drive), 30),
            "virtio" => (Kind::Format(drive), 15),
            "sata" => (Kind::Format(drive), 5),
            "ide" => (Kind::Format(drive), 3),
            "efidisk" | "tpmstate" => (Kind::Format(drive), 0),
            "ipconfig" => (Kind::Format(ipconfig), 31),
            "serial" => (Kind::Text, 3),
            "unused" => (Kind::Text, 255),
            "hostpci" => (Kind::Text, 15),
            "usb" => (Kind::Text, 13),
            "numa" => (Kind::Text, 7),
            "parallel" => (Kind::Text, 2),
            "audio" | "rng" => (Kind::Text, 0),
            "smbios" if index == 1 => return Some(Kind::Text),
            _ => return None,
        };
        return (index <= max).then_some(kind);
    }
    Some(match key {
        "name" => Kind::Format(dns_name),
        "memory" => Kind::Format(memory),
        "cores" | "sockets" | "vcpus" => Kind::Int(1),
        "balloon" | "shares" | "cpuunits" | "migrate_downtime" => Kind::Int(0),
        "kvm" | "onboot" | "protection" | "tablet" | "numa" | "acpi" | "freeze" | "localtime" | "template"
        | "reboot" | "ciupgrade" => Kind::Bool,
        "ostype" => Kind::Enum(OSTYPES),
        "lock" => Kind::Enum(LOCKS),
        "scsihw" => Kind::Enum(SCSI_CONTROLLERS),
        "bios" => Kind::Enum(&["seabios", "ovmf"]),
        "boot" => Kind::Format(boot),
        "cpu" => Kind::Format(cpu),
        "sshkeys" => Kind::Format(sshkeys),
        "description" => Kind::TextUpTo(8_192),
        "agent" | "vga" | "tags" | "ciuser" | "cipassword" | "nameserver" | "searchdomain" | "args" | "startup"
        | "machine" | "hotplug" | "vmgenid" | "citype" | "cicustom" | "cpulimit" | "keyboard" | "hookscript"
        | "watchdog" | "vmstatestorage" | "affinity" | "arch" | "startdate" | "spice_enhancements" => Kind::Text,
        _ => return None,
    })
}

/// True for keys that a running machine takes over at once.
pub fn takes_effect_at_once(key: &str) -> bool {
    let (name, index) = split_index(key);
    let words = [
        "lock",
        "name",
        "onboot",
        "shares",
        "startup",
        "description",
        "protection",
        "vmstatestorage",
        "hookscript",
        "tags",
        "balloon",
    ];
    words.contains(&key)
        || index.is_some() && ["net", "scsi", "virtio", "usb", "unused", "ipconfig", "sata", "ide"].contains(&name)
        || ["ciuser", "cipassword", "nameserver", "searchdomain", "sshkeys", "citype", "cicustom"].contains(&key)
}

/// A configuration as the API answers it: whole numbers and booleans of the schema as numbers, the rest as text.
pub fn to_json(config: &Config) -> Map<String, Value> {
    config.iter().map(|(key, value)| (key.clone(), value_of(key, value))).collect()
}

/// One value as the API answers it.
pub fn value_of(key: &str, value: &str) -> Value {
    let number = match kind_of(key) {
        Some(Kind::Int(_)) => value.parse::<i64>().ok(),
        Some(Kind::Bool) => Some(i64::from(crate::lab::pve::params::truthy(value))),
        _ if key == "snaptime" => value.parse().ok(),
        _ => None,
    };
    number.map_or_else(|| json!(value), |number| json!(number))
}

/// A value as it is stored: booleans as 0 or 1, tags sorted and each once.
pub fn normalize(key: &str, value: &str) -> String {
    match kind_of(key) {
        Some(Kind::Bool) => u8::from(crate::lab::pve::params::truthy(value)).to_string(),
        _ if key == "tags" => {
            let mut tags: Vec<_> = value.split([';', ',', ' ']).filter(|tag| !tag.is_empty()).collect();
            tags.sort_unstable();
            tags.dedup();
            tags.join(";")
        }
        _ => value.to_owned(),
    }
}

/// A network card with its MAC address made up if it has none: `virtio,bridge=vmbr0` to `virtio=BC:...,bridge=vmbr0`.
pub fn with_mac(value: &str, mac: impl FnOnce() -> String) -> String {
    let (first, rest) = value.split_once(',').map_or((value, None), |(first, rest)| (first, Some(rest)));
    if first.contains('=') && !first.starts_with("model=") {
        return value.to_owned();
    }
    let model = first.strip_prefix("model=").unwrap_or(first);
    let rest = rest.map(|rest| format!(",{rest}")).unwrap_or_default();
    format!("{model}={}{rest}", mac())
}

/// The boot order that a new machine gets: its first disk and its first network card.
pub fn default_boot(config: &Config) -> String {
    let disks = crate::lab::pve::vm::disks_of(config);
    let rank = |key: &str| ["ide", "scsi", "virtio", "sata"].iter().position(|name| *name == split_index(key).0);
    let disk = disks.iter().map(|(key, _)| key.as_str()).min_by_key(|key| rank(key));
    let cdrom = config.iter().find(|(key, value)| {
        crate::lab::pve::vm::is_drive(key) && property(value, "media") == Some("cdrom") && !value.contains("cloudinit")
    });
    let nic = config.keys().find(|key| split_index(key).0 == "net" && split_index(key).1.is_some());
    let devices: Vec<_> =
        disk.into_iter().chain(cdrom.map(|(key, _)| key.as_str())).chain(nic.map(String::as_str)).collect();
    if devices.is_empty() { " ".to_owned() } else { format!("order={}", devices.join(";")) }
}

fn format_error(key: &str, part: &str, message: &str) -> String {
    format!("invalid format - format error\n{key}.{part}: {message}\n")
}

fn dns_name(_: &str, value: &str) -> Result<(), String> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if value.split('.').all(label) {
        Ok(())
    } else {
        Err("invalid format - value does not look like a valid DNS name\n".into())
    }
}

fn memory(key: &str, value: &str) -> Result<(), String> {
    let number = value.strip_prefix("current=").unwrap_or(value);
    match number.parse::<i64>() {
        Err(_) => Err(format_error(key, "current", &format!("type check ('integer') failed - got '{number}'"))),
        Ok(..16) => Err(format_error(key, "current", "value must have a minimum value of 16")),
        Ok(_) => Ok(()),
    }
}

fn nic(key: &str, value: &str) -> Result<(), String> {
    let first = value.split(',').next().unwrap_or_default();
    let model = first.strip_prefix("model=").unwrap_or_else(|| first.split('=').next().unwrap_or_default());
    if NIC_MODELS.contains(&model) {
        return Ok(());
    }
    let words = NIC_MODELS.join(", ");
    Err(format_error(key, "model", &format!("value '{model}' does not have a value in the enumeration '{words}'")))
}

fn drive(key: &str, value: &str) -> Result<(), String> {
    let volume = crate::lab::pve::vm::volume_of(value);
    if matches!(volume, "none" | "cdrom") || volume.contains(':') || volume.starts_with('/') {
        return Ok(());
    }
    Err(format_error(key, "file", &format!("invalid format - unable to parse volume ID '{volume}'\n")))
}

fn boot(key: &str, value: &str) -> Result<(), String> {
    let Some(order) = value.strip_prefix("order=") else { return Ok(()) };
    let device = |device: &&str| {
        let (name, index) = split_index(device);
        index.is_some() && ["net", "scsi", "virtio", "sata", "ide", "hostpci", "usb"].contains(&name)
    };
    match order.split(';').find(|name| !name.is_empty() && !device(name)) {
        Some(bad) => Err(format_error(key, "order", &format!("invalid format - invalid boot device '{bad}'\n"))),
        None => Ok(()),
    }
}

fn cpu(_: &str, value: &str) -> Result<(), String> {
    let first = value.split(',').next().unwrap_or_default();
    let name = first.strip_prefix("cputype=").unwrap_or(first);
    if CPU_TYPES.contains(&name) || name.starts_with("custom-") || name.contains('=') {
        return Ok(());
    }
    Err(format!("invalid format - Built-in cputype '{name}' is not defined (missing 'custom-' prefix?)\n"))
}

fn ipconfig(key: &str, value: &str) -> Result<(), String> {
    let words = ["dhcp", "manual"];
    match property(value, "ip") {
        Some(ip) if !words.contains(&ip) && !crate::lab::pve::schema::is_cidr4(ip) => Err(format_error(
            key,
            "ip",
            "invalid format - value does not look like a valid ipv4 network configuration\n",
        )),
        _ => Ok(()),
    }
}

fn sshkeys(_: &str, value: &str) -> Result<(), String> {
    let encoded = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!*'()".contains(&byte);
    if value.bytes().all(encoded) {
        Ok(())
    } else {
        Err(format!("invalid format - invalid urlencoded string: {value}\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_card_keeps_its_address_or_gets_one() {
        let mac = || "BC:24:11:00:00:01".to_owned();
        assert_eq!(with_mac("virtio,bridge=vmbr1", mac), "virtio=BC:24:11:00:00:01,bridge=vmbr1");
        assert_eq!(with_mac("virtio=AA:00:00:00:00:01,bridge=vmbr1", mac), "virtio=AA:00:00:00:00:01,bridge=vmbr1");
        assert_eq!(with_mac("virtio", mac), "virtio=BC:24:11:00:00:01");
    }

    #[test]
    fn the_default_boot_order_is_disk_then_net() {
        let config = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        assert_eq!(default_boot(&config(&[("scsi0", "s:1/d,size=1G"), ("net0", "virtio")])), "order=scsi0;net0");
        assert_eq!(default_boot(&config(&[("net0", "virtio")])), "order=net0");
        assert_eq!(default_boot(&config(&[])), " ");
    }

    #[test]
    fn keys_with_numbers_end_where_they_end() {
        assert!(kind_of("net31").is_some());
        assert!(kind_of("net32").is_none());
        assert!(kind_of("smbios1").is_some());
        assert!(kind_of("bogus").is_none());
    }
}
