//! `hosts:` and `--limit` to hosts of the inventory, in inventory order.

use crate::load::inventory::Inventory;
use crate::load::suggest;

/// A name that is neither a host nor a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownHost {
    /// As written.
    pub name: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

/// The hosts of patterns: names of hosts and groups (several by comma), `!name` leaves out. Only `!name` means all others.
///
/// # Errors
/// The unknown names, each with the index of its pattern.
pub fn resolve(patterns: &[&str], inventory: &Inventory) -> Result<Vec<String>, Vec<(usize, UnknownHost)>> {
    let mut errors = Vec::new();
    let mut with: Vec<&str> = Vec::new();
    let mut without: Vec<&str> = Vec::new();
    let mut positive = false;
    for (i, pattern) in patterns.iter().enumerate() {
        for part in pattern.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, list) = if let Some(name) = part.strip_prefix('!') {
                (name.trim(), &mut without)
            } else {
                positive = true;
                (part, &mut with)
            };
            if let Some(group) = inventory.groups.iter().find(|g| g.name == name) {
                list.extend(group.hosts.iter().map(String::as_str));
            } else if let Some(host) = inventory.host(name) {
                list.push(&host.name);
            } else {
                let known: Vec<&str> = inventory
                    .hosts
                    .iter()
                    .map(|h| h.name.as_str())
                    .chain(inventory.groups.iter().map(|g| g.name.as_str()))
                    .collect();
                errors.push((
                    i,
                    UnknownHost { name: name.to_string(), hint: suggest::hint(name, known, "hosts and groups") },
                ));
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(inventory
        .hosts
        .iter()
        .map(|h| h.name.as_str())
        .filter(|name| (!positive || with.contains(name)) && !without.contains(name))
        .map(str::to_string)
        .collect())
}
