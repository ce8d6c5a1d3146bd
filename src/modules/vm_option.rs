//! Values of a VM's configuration, made comparable: Proxmox writes `1` for true, sorts tags, adds a MAC address.

use serde_json::Value;
use std::collections::BTreeMap;

/// The text that Proxmox takes for a value: `true` is `1`, a list is joined. `None` for a mapping or null.
pub fn text(key: &str, value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(b) => i32::from(*b).to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => s.clone(),
        Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(|i| text(key, i)).collect();
            items?.join(if key == "tags" { ";" } else { "," })
        }
        Value::Null | Value::Object(_) => return None,
    })
}

/// True if both texts mean the same for this key.
pub fn same(key: &str, a: &str, b: &str) -> bool {
    canonical(key, a) == canonical(key, b)
}

fn canonical(key: &str, value: &str) -> BTreeMap<String, String> {
    let one = |text: String| BTreeMap::from([(String::new(), text)]);
    match key {
        "description" => return one(value.trim_end().to_string()),
        "sshkeys" => return one(decoded(value).trim().to_string()),
        "tags" => {
            let tags = value.split([';', ',', ' ']).filter(|t| !t.is_empty());
            return tags.map(|t| (t.to_ascii_lowercase(), String::new())).collect();
        }
        "name" | "ostype" | "hookscript" | "args" | "cicustom" | "startdate" => return one(value.to_string()),
        _ => {}
    }
    let mut out = BTreeMap::new();
    for (at, part) in value.split(',').enumerate() {
        let (name, value) = part.split_once('=').unwrap_or(("", part));
        let name = match (key, name) {
            ("agent", "enabled") | ("memory", "current") | ("vga", "type") | ("cpu", "cputype") => "",
            (_, name) => name,
        };
        if is_nic(key) && at == 0 && name != "model" {
            // `virtio=MAC` or `virtio`.
            let (model, mac) = if name.is_empty() { (value, "") } else { (name, value) };
            out.insert("model".to_string(), model.to_string());
            out.insert("macaddr".to_string(), mac.to_ascii_uppercase());
            continue;
        }
        let value = match value {
            "on" | "yes" | "true" => "1",
            "off" | "no" | "false" => "0",
            value => value,
        };
        out.insert(name.to_string(), if name == "macaddr" { value.to_ascii_uppercase() } else { value.to_string() });
    }
    out
}

/// `net0`, `net1`, ...
pub fn is_nic(key: &str) -> bool {
    numbered(key, &["net"])
}

/// Keys that hold a volume, whose change makes or destroys data.
pub fn is_disk(key: &str) -> bool {
    numbered(key, &["scsi", "virtio", "sata", "ide", "unused", "efidisk", "tpmstate"])
}

fn numbered(key: &str, prefixes: &[&str]) -> bool {
    let digits = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    prefixes.iter().any(|p| key.strip_prefix(p).is_some_and(digits))
}

/// The wanted value as it is sent: a NIC without a MAC address keeps the one that it has.
pub fn to_send(key: &str, wanted: &str, old: Option<&str>) -> String {
    if key == "sshkeys" {
        return encoded(&format!("{}\n", decoded(wanted).trim()));
    }
    let (first, rest) = wanted.split_once(',').map_or((wanted, None), |(f, r)| (f, Some(r)));
    let mac = old.map(|old| canonical(key, old)).and_then(|o| o.get("macaddr").filter(|m| !m.is_empty()).cloned());
    match mac {
        Some(mac) if is_nic(key) && !first.contains('=') && !wanted.contains("macaddr=") => {
            rest.map_or_else(|| format!("{first}={mac}"), |rest| format!("{first}={mac},{rest}"))
        }
        _ => wanted.to_string(),
    }
}

/// Percent-decoded; bad escapes stay as they are.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let byte = text.get(i + 1..i + 3).filter(|_| bytes[i] == b'%').and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(byte.unwrap_or(bytes[i]));
        i += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn encoded(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_that_mean_the_same() {
        let same = |key: &str, a: Value, b: &str| {
            let text = text(key, &a).unwrap();
            same(key, &to_send(key, &text, Some(b)), b)
        };
        assert!(same("memory", json!(512), "512") && same("onboot", json!(true), "1"));
        assert!(same("memory", json!("current=512"), "512"));
        assert!(same("tags", json!(["web", "Prod"]), "prod;web") && !same("tags", json!(["web"]), "prod;web"));
        assert!(same("agent", json!("enabled=1,fstrim_cloned_disks=0"), "1,fstrim_cloned_disks=0"));
        assert!(same("net0", json!("virtio,bridge=vmbr0"), "virtio=BC:24:11:95:1E:45,bridge=vmbr0"));
        assert!(same(
            "net0",
            json!("virtio=bc:24:11:95:1e:45,firewall=1,bridge=vmbr0"),
            "virtio=BC:24:11:95:1E:45,bridge=vmbr0,firewall=1"
        ));
        assert!(!same("net0", json!("e1000,bridge=vmbr0"), "virtio=BC:24:11:95:1E:45,bridge=vmbr0"));
        assert!(!same("net0", json!("virtio,bridge=vmbr1"), "virtio=BC:24:11:95:1E:45,bridge=vmbr0"));
        assert!(same("description", json!("a\nb"), "a\nb\n") && !same("name", json!("on"), "1"));
        assert!(same("sshkeys", json!("ssh-ed25519 AAAA a@b\n"), "ssh-ed25519%20AAAA%20a%40b%0A"));
        assert!(!same("boot", json!("order=net0;scsi0"), "order=scsi0;net0"));
    }

    #[test]
    fn what_is_sent() {
        let old = Some("virtio=BC:24:11:95:1E:45,bridge=vmbr0");
        assert_eq!(to_send("net0", "virtio,bridge=vmbr1", old), "virtio=BC:24:11:95:1E:45,bridge=vmbr1");
        assert_eq!(to_send("net0", "virtio,bridge=vmbr1", None), "virtio,bridge=vmbr1");
        assert_eq!(to_send("sshkeys", "a b@c", None), "a%20b%40c%0A");
        assert!(is_disk("scsi0") && is_disk("unused12") && !is_disk("scsihw") && !is_disk("net0"));
        assert_eq!(text("x", &json!({})), None);
    }
}
