//! A runbook as it is written: raw, every part with its place, includes resolved, what is inherited merged in.

use super::expr::Expr;
use super::inventory::Vars;
use super::node::{Key, Node};
use super::source::Span;
use crate::modules::Erased;
use std::time::Duration;

/// A runbook file with everything that it includes.
#[derive(Clone)]
pub struct Runbook {
    /// `runbook:`.
    pub title: String,
    /// Place of the title.
    pub span: Span,
    /// `vars:`, those of included files after its own.
    pub vars: Vars,
    /// `inputs:`.
    pub inputs: Vec<Input>,
    /// Sections in order.
    pub sections: Vec<RawSection>,
}

/// A section with its steps.
#[derive(Clone)]
pub struct RawSection {
    /// `section:`, or the runbook's title for a flat list of steps.
    pub name: String,
    /// Place of the name.
    pub span: Span,
    /// `checkpoint:`.
    pub checkpoint: CheckpointMode,
    /// Where `checkpoint:` is written.
    pub checkpoint_span: Option<Span>,
    /// `on_failure:`.
    pub on_failure: OnFailure,
    /// Steps in order, those of includes in their place.
    pub steps: Vec<RawStep>,
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

/// What steps take over from the section, the runbook and the including step.
#[derive(Debug, Clone, Default)]
pub struct Inherited {
    /// `hosts:`.
    pub hosts: Option<Targets>,
    /// `become:`.
    pub r#become: Option<bool>,
    /// `become_user:`.
    pub become_user: Option<String>,
    /// `tags:`, those of all levels.
    pub tags: Vec<String>,
    /// `when:`, all of which must hold.
    pub when: Vec<Expr>,
    /// `vars:`; later ones win.
    pub vars: Vars,
    /// Slugs of the including steps.
    pub slugs: Vec<String>,
    /// `inputs` of the includes, outermost first.
    pub inputs: Vec<Vars>,
}

/// `hosts:` as written.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Place of the whole value.
    pub span: Span,
    /// Names of hosts and groups, `!name` to leave out.
    pub patterns: Vec<(String, Span)>,
}

/// One step.
#[derive(Clone)]
pub struct RawStep {
    /// Place of the step's first key.
    pub span: Span,
    /// `id:`.
    pub id: Option<(String, Span)>,
    /// `name:`.
    pub name: Option<Node>,
    /// Step kind.
    pub module: &'static dyn Erased,
    /// The module's key.
    pub module_key: Key,
    /// Parameters as written.
    pub params: Node,
    /// What it has from itself and from around it.
    pub inherited: Inherited,
    /// `register:`.
    pub register: Option<(String, Span)>,
    /// `loop:`.
    pub each: Option<Node>,
    /// `until:`.
    pub until: Option<Expr>,
    /// `retries:`.
    pub retries: Option<u32>,
    /// `delay:`.
    pub delay: Option<Duration>,
    /// `timeout:`.
    pub timeout: Option<Duration>,
    /// `confirm_within:`.
    pub confirm_within: Option<super::confirm::ConfirmWithin>,
    /// `ignore_errors:`.
    pub ignore_errors: bool,
    /// `changed_when:`.
    pub changed_when: Option<Expr>,
    /// `failed_when:`.
    pub failed_when: Option<Expr>,
    /// `no_log:`.
    pub no_log: bool,
    /// `run_once:`.
    pub run_once: bool,
    /// `durable:`.
    pub durable: bool,
}

/// A value that the operator gives.
#[derive(Debug, Clone)]
pub struct Input {
    /// Name, as in `{{ inputs.NAME }}`.
    pub name: Key,
    /// `type:`, `string` by default.
    pub kind: InputKind,
    /// `choices:`.
    pub choices: Vec<String>,
    /// `default:`.
    pub default: Option<Node>,
    /// `prompt:`: the question for the operator.
    pub prompt: Option<String>,
    /// `description:`.
    pub description: Option<String>,
    /// `required:`; without a default true unless said otherwise.
    pub required: bool,
    /// `pattern:` of a shell (`*`, `?`, `[a-z]`) that the whole value must match.
    pub pattern: Option<String>,
}

/// `type:` of an [`Input`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// A text.
    String,
    /// A whole number.
    Int,
    /// `true` or `false`.
    Bool,
    /// One of `choices`.
    Choice,
}
