//! From what was loaded to what will run: a flat, checked program. Pure.

mod check;
mod circle;
pub mod explain;
pub mod guards;
mod keys;
mod lint;
mod names;
mod params;
mod place;
mod program;
pub mod project;
pub mod scope;
mod select;
mod sets;
pub mod targets;

pub use program::{Failed, Options, Wanted, program, wanted_inputs};

use crate::key::StepKey;
pub use crate::load::runbook::{CheckpointMode, OnFailure};

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
    /// Runbook `vars`, lowest precedence, as written.
    pub vars: crate::load::inventory::Vars,
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
    /// `durable:` runs the command as a job of its own on the host, which outlives the line and piton.
    pub durable: bool,
    /// `timeout:` of each action.
    pub timeout: Option<Duration>,
    /// `confirm_within:` the target takes the step's changes back unless they are confirmed in time.
    pub confirm_within: Option<crate::load::confirm::ConfirmWithin>,
    /// `vars:` of section, including step and step; the innermost one wins.
    pub vars: Vec<(crate::load::node::Key, Node)>,
    /// In an included file: the `inputs` of each include, outermost first.
    pub inputs: Vec<crate::load::inventory::Vars>,
    /// Left out by `--tags`, `--from`, ...: why.
    pub left_out: Option<String>,
}

impl Program {
    /// The folder of the runbook, where relative paths start.
    pub fn runbook_dir(&self) -> PathBuf {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| PathBuf::from(&self.path));
        path.parent().map(std::path::Path::to_path_buf).unwrap_or_default()
    }

    /// A local file that a step wants; a template is rendered with the scope.
    ///
    /// # Errors
    /// [`crate::load::local::LocalError`].
    pub fn load_file(
        &self,
        want: &crate::modules::Want,
        scope: &Value,
    ) -> Result<crate::modules::LocalFile, crate::load::local::LocalError> {
        crate::load::local::load_file(&self.project, &self.runbook_dir(), want, scope)
    }

    /// Every step in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.sections.iter().flat_map(|s| &s.steps)
    }
}

impl Step {
    /// The items of its loop in a scope; one `None` for a step without loop.
    ///
    /// # Errors
    /// One line, if the loop gives no list.
    pub fn items(&self, scope: &Value) -> Result<Vec<Option<Value>>, String> {
        let Some(node) = &self.each else { return Ok(vec![None]) };
        let value = match &node.kind {
            crate::load::node::Kind::Str(text, _) if !crate::load::template::is_template(text) => {
                Expr { text: text.clone(), span: node.span }.value(scope).map_err(|e| e.message)?
            }
            _ => crate::load::template::render(node, scope).map_err(|d| d.message)?,
        };
        match value {
            Value::Array(items) => Ok(items.into_iter().map(Some).collect()),
            other => Err(format!("`loop` gives {other}, which is no list")),
        }
    }
}
