//! Which guest needs a checkpoint before which section.

use super::{CheckpointMode, Program};

/// Guests of a section that get a checkpoint before their first change, in inventory order: every guest that a
/// changing step of the section is for (its own host, or a `pve_*` step that names its VMID).
pub fn guests(program: &Program, section: usize) -> Vec<String> {
    let Some(section) = program.sections.get(section) else { return Vec::new() };
    if section.checkpoint == CheckpointMode::Never {
        return Vec::new();
    }
    program
        .inventory
        .hosts
        .iter()
        .filter(|h| h.vmid().is_some() && section.steps.iter().any(|s| s.hosts.contains(&h.name)))
        .map(|h| h.name.clone())
        .collect()
}
