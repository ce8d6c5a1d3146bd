//! From files to checked data: texts, YAML trees, inventory, runbook, templates, expressions.
//!
//! All errors of a load are reported at once, each with its place. Nothing here contacts a host.

pub mod expr;
pub mod inventory;
pub mod node;
pub mod source;
pub mod template;
