//! From what was loaded to what will run: a flat, checked program. Pure.

pub mod guards;
pub mod scope;

use crate::key::StepKey;
use crate::load::expr::Expr;
use crate::load::inventory::Inventory;
use crate::load::node::Node;
use crate::load::source::{Sources, Span};
use crate::modules::Erased;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A runbook against an inventory, ready to be planned or run: the static shape never changes afterwards.
#[derive(Clone)]
pub struct Program {
    /// `runbook:` title.
    pub name: String,
    /// Path as given.
    pub path: String,
    /// Folder that relative `src:` paths start from: the project (see `load`).
    pub project: PathBuf,
    /// Digest of runbook, includes and inventory texts.
    pub digest: String,
    /// Inventory.
    pub inventory: Arc<Inventory>,
    /// Texts, for errors at run time.
    pub sources: Arc<Sources>,
    /// Runbook `vars`, lowest precedence.
    pub vars: Map<String, Value>,
    /// `--set`, highest precedence.
    pub sets: Map<String, Value>,
    /// `inputs`, validated.
    pub inputs: Map<String, Value>,
    /// Sections in order.
    pub sections: Vec<Section>,
    /// Warnings of load and lint, for the screen.
    pub warnings: Vec<crate::load::source::Diagnostic>,
}

/// The unit of checkpoint, rollback and report.
#[derive(Clone)]
pub struct Section {
    /// Name.
    pub name: String,
    /// When snapshots are taken.
    pub checkpoint: CheckpointMode,
    /// What happens after a failure.
    pub on_failure: OnFailure,
    /// Steps in order.
    pub steps: Vec<Step>,
}

/// `checkpoint:` of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckpointMode {
    /// Before the first real change of each guest.
    #[default]
    Auto,
    /// At the section's start, of each guest in it.
    Always,
    /// Not at all; said in plan and report.
    Never,
}

/// `on_failure:` of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// Stop; the report says how to go back.
    #[default]
    Stop,
    /// Roll every guest changed in the section back.
    Rollback,
    /// Ask the operator; without a terminal, stop.
    Ask,
}

/// One module call on some hosts.
#[derive(Clone)]
pub struct Step {
    /// Stable name.
    pub key: StepKey,
    /// `name:` as written (may hold templates), or the module's name.
    pub name: String,
    /// Place of the step.
    pub span: Span,
    /// Step kind.
    pub module: &'static dyn Erased,
    /// Parameters as written; rendered per host and item with [`crate::load::template::render`].
    pub params: Node,
    /// Hosts, in inventory order, after `--limit`.
    pub hosts: Vec<String>,
    /// `when:`.
    pub when: Option<Expr>,
    /// `loop:`, a list or an expression that gives one.
    pub each: Option<Node>,
    /// `register:`.
    pub register: Option<String>,
    /// `until:`.
    pub until: Option<Expr>,
    /// `retries:` attempts after the first; 0 without `until`.
    pub retries: u32,
    /// `delay:` between attempts.
    pub delay: Duration,
    /// `become:`; `None` takes the host's default.
    pub r#become: Option<bool>,
    /// `become_user:`, `root` by default.
    pub become_user: String,
    /// `tags:` of step, section and runbook.
    pub tags: Vec<String>,
    /// `ignore_errors:`.
    pub ignore_errors: bool,
    /// `changed_when:`.
    pub changed_when: Option<Expr>,
    /// `failed_when:`.
    pub failed_when: Option<Expr>,
    /// `no_log:` keeps output and diff off screen and journal.
    pub no_log: bool,
    /// `run_once:` on the first host only; what it registers holds for all.
    pub run_once: bool,
    /// `timeout:` of each action.
    pub timeout: Option<Duration>,
    /// `vars:` of the step.
    pub vars: Vec<(crate::load::node::Key, Node)>,
    /// Left out by `--tags`, `--from`, ...: why.
    pub left_out: Option<String>,
}
