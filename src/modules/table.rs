//! The table of step kinds: one line each, sorted by name.

use super::Erased;

/// Every step kind.
pub static ALL: &[&dyn Erased] = &[];

/// The step kind of this name.
pub fn find(name: &str) -> Option<&'static dyn Erased> {
    ALL.iter().copied().find(|m| m.name() == name)
}

/// All names, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|m| m.name())
}
