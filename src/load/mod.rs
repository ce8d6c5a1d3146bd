//! From files to checked data: texts, YAML trees, inventory, runbook, templates, expressions.
//!
//! All errors of a load are reported at once, each with its place. Nothing here contacts a host.

pub mod ansible;
pub mod codes;
pub mod confirm;
pub mod diagnose;
pub mod duration;
pub mod expr;
pub mod fields;
mod include;
pub mod inputs;
pub mod inventory;
pub mod inventory_file;
pub mod inventory_roles;
pub mod inventory_secrets;
pub mod local;
pub mod locate;
pub mod network;
pub mod node;
pub mod read;
pub mod runbook;
pub mod runbook_file;
pub mod source;
pub mod step_file;
pub mod suggest;
pub mod template;
pub mod template_helpers;
pub mod template_names;
pub mod yaml;
pub mod yaml_scalar;
pub mod yaml_syntax;
#[cfg(test)]
mod yaml_tests;
