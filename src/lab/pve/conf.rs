//! The text of `/etc/pve/qemu-server/VMID.conf`, and the digest that the API gives for it.

use crate::lab::pve::vm::{Config, Vm};
use sha1::{Digest as _, Sha1};

/// The file as the node writes it: description as comment lines, keys sorted, then `[PENDING]`, then each snapshot.
pub fn render(vm: &Vm) -> String {
    let mut text = section(&vm.config);
    if !vm.pending.is_empty() || !vm.pending_delete.is_empty() {
        text.push_str("\n[PENDING]\n");
        if !vm.pending_delete.is_empty() {
            let keys: Vec<_> = vm.pending_delete.iter().map(String::as_str).collect();
            text.push_str(&format!("delete: {}\n", keys.join(",")));
        }
        text.push_str(&section(&vm.pending));
    }
    for (name, config) in &vm.snapshots {
        text.push_str(&format!("\n[{name}]\n{}", section(config)));
    }
    text
}

fn section(config: &Config) -> String {
    let mut text = String::new();
    if let Some(description) = config.get("description") {
        for line in description.lines() {
            text.push_str(&format!("#{line}\n"));
        }
    }
    for (key, value) in config.iter().filter(|(key, _)| *key != "description") {
        text.push_str(&format!("{key}: {value}\n"));
    }
    text
}

/// SHA-1 of the file, in hex: what `digest` must match.
pub fn digest(vm: &Vm) -> String {
    digest_of(&render(vm))
}

/// SHA-1 of a text, in hex.
pub fn digest_of(text: &str) -> String {
    let mut hex = String::with_capacity(40);
    for byte in Sha1::digest(text.as_bytes()) {
        hex.push_str(&format!("{byte:02x}"));
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_written_as_on_the_node() {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<Config>();
        let mut vm = Vm { config: pairs(&[("name", "a"), ("description", "x\ny")]), ..Vm::default() };
        vm.pending = pairs(&[("memory", "256")]);
        vm.pending_delete.insert("net1".into());
        vm.snapshots.insert("base".into(), pairs(&[("name", "a"), ("snaptime", "5"), ("description", "d")]));
        let want = "#x\n#y\nname: a\n\n[PENDING]\ndelete: net1\nmemory: 256\n\n[base]\n#d\nname: a\nsnaptime: 5\n";
        assert_eq!(render(&vm), want);
    }

    #[test]
    fn the_digest_of_nothing_is_the_recorded_one() {
        assert_eq!(digest_of(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    }
}
