//! Runbook files to a [`Runbook`]: sections, flat steps and includes, all errors at once.

use super::ansible::{self, At};
use super::expr::Expr;
use super::fields::{self, boolean, entries, items, text, texts, variables, word};
use super::inputs;
use super::inventory::Vars;
use super::node::{Key, Kind, Node};
use super::read;
use super::runbook::{CheckpointMode, Inherited, Input, OnFailure, RawSection, RawStep, Runbook, Targets};
use super::source::{Diagnostic, Sources, Span};
use super::step_file;
use std::path::{Path, PathBuf};

const TOP: &[&str] =
    &["runbook", "description", "vars", "inputs", "hosts", "tags", "become", "become_user", "sections", "steps"];
const SECTION: &[&str] =
    &["section", "hosts", "checkpoint", "on_failure", "become", "become_user", "tags", "vars", "when", "steps"];
const CHECKPOINT: &[(&str, CheckpointMode)] =
    &[("auto", CheckpointMode::Auto), ("always", CheckpointMode::Always), ("never", CheckpointMode::Never)];
const ON_FAILURE: &[(&str, OnFailure)] =
    &[("stop", OnFailure::Stop), ("rollback", OnFailure::Rollback), ("ask", OnFailure::Ask)];
/// Steps of one runbook, includes resolved.
const STEPS: usize = 20_000;

/// Reads a runbook and what it includes. `None` if nothing of it can be used.
pub fn load(path: &Path, name: &str, sources: &mut Sources, diagnostics: &mut Vec<Diagnostic>) -> Option<Runbook> {
    let mut loader = Loader { sources, diagnostics, stack: Vec::new(), vars: Vec::new(), steps: 0 };
    let (_, root) = read::tree(path, name, "the runbook", None, loader.sources, loader.diagnostics)?;
    loader.stack.push((
        std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()),
        path.to_path_buf(),
        name.to_string(),
    ));
    let file = loader.file(&root, &Inherited::default(), None)?;
    let mut vars = file.vars;
    for (key, value) in loader.vars {
        if !vars.iter().any(|(k, _): &(Key, Node)| k.name == key.name) {
            vars.push((key, value));
        }
    }
    Some(Runbook { title: file.title, span: file.span, vars, inputs: file.inputs, sections: file.sections })
}

/// What one file gives.
pub(super) struct File {
    title: String,
    span: Span,
    pub(super) vars: Vars,
    inputs: Vec<Input>,
    pub(super) sections: Vec<RawSection>,
    pub(super) flat: bool,
}

/// What is being read, for includes and for messages.
pub(super) struct Loader<'a> {
    pub(super) sources: &'a mut Sources,
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
    /// Files that are being read, outermost first: real path, path, name.
    pub(super) stack: Vec<(PathBuf, PathBuf, String)>,
    /// `vars:` of included files.
    pub(super) vars: Vars,
    steps: usize,
}

/// What an include gives to the file it takes.
pub(super) struct Include<'n> {
    pub(super) inputs: Option<&'n Node>,
    pub(super) span: Span,
}

impl Loader<'_> {
    pub(super) fn file(&mut self, root: &Node, around: &Inherited, include: Option<&Include<'_>>) -> Option<File> {
        let d = &mut *self.diagnostics;
        let Kind::Map(top) = &root.kind else {
            let error = match &root.kind {
                Kind::Null => Diagnostic::error("P0309", root.span, "this runbook is empty").hint("begin with `runbook: TITLE`, then `hosts:` and `steps:`"),
                Kind::Seq(_) => Diagnostic::error("P0302", root.span, "a runbook is a mapping, not a list")
                    .hint("begin with `runbook: TITLE`, then `hosts:` and `steps:`; an Ansible play's `tasks:` become `steps:`"),
                _ => Diagnostic::error("P0302", root.span, "a runbook is a mapping").hint("begin with `runbook: TITLE`, then `hosts:` and `steps:`"),
            };
            d.push(error);
            return None;
        };
        for (key, _) in top {
            if !TOP.contains(&key.name.as_str()) {
                d.push(stranger(key, TOP, "a runbook", At::Runbook));
            }
        }
        let (title, span) = if let Some(node) = root.get("runbook") {
            (text(node, "runbook", d).unwrap_or_default(), node.span)
        } else {
            let first = top.first().map_or(root.span, |(k, _)| k.span);
            d.push(Diagnostic::error("P0310", first, "this runbook has no title").hint("begin with `runbook: TITLE`"));
            (String::new(), first)
        };
        let declared = root.get("inputs").map(|n| inputs::declared(n, d)).unwrap_or_default();
        let mut inner = around.clone();
        // What the including step says wins over what the file says for itself.
        let mut own = Inherited::default();
        self.inherit(root, &mut own, At::Runbook);
        inner.hosts = inner.hosts.or(own.hosts);
        inner.r#become = inner.r#become.or(own.r#become);
        inner.become_user = inner.become_user.or(own.become_user);
        inner.tags.extend(own.tags);
        let vars = root.get("vars").map(|n| variables(n, self.diagnostics)).unwrap_or_default();
        if let Some(include) = include {
            let layer = inputs::given(&declared, include.inputs, include.span, self.diagnostics);
            inner.inputs.push(layer);
        }
        let mut sections = Vec::new();
        let mut flat = false;
        match (root.get("sections"), root.get("steps")) {
            (Some(_), Some(steps)) => self.diagnostics.push(
                Diagnostic::error("P0311", steps.span, "a runbook has `sections:` or `steps:`, not both")
                    .hint("put these steps into a section"),
            ),
            (Some(list), None) => {
                for item in items(list, "sections", self.diagnostics).to_vec() {
                    sections.extend(self.section_or_include(&item, &inner));
                }
            }
            (None, Some(list)) => {
                flat = true;
                let steps = self.steps_of(list, &inner);
                sections.push(RawSection {
                    name: title.clone(),
                    span,
                    checkpoint: CheckpointMode::Auto,
                    checkpoint_span: None,
                    on_failure: OnFailure::Stop,
                    steps,
                });
            }
            (None, None) => {
                let hint = if root.get("tasks").is_some() {
                    "rename `tasks:` to `steps:`"
                } else {
                    "write `steps:` with a list of steps"
                };
                self.diagnostics.push(Diagnostic::error("P0309", span, "this runbook has no steps").hint(hint));
            }
        }
        if include.is_none() && sections.iter().all(|s| s.steps.is_empty()) && self.diagnostics.is_empty() {
            self.diagnostics
                .push(Diagnostic::error("P0309", span, "this runbook has no steps").hint("write at least one step"));
        }
        Some(File { title, span, vars, inputs: declared, sections, flat })
    }

    fn section_or_include(&mut self, node: &Node, around: &Inherited) -> Vec<RawSection> {
        if !matches!(node.kind, Kind::Map(_)) {
            self.diagnostics.push(
                Diagnostic::error("P0302", node.span, "a section is a mapping")
                    .hint("- section: TITLE\n  steps: [...]"),
            );
            return Vec::new();
        }
        if let Some(file) = self.include(node, around) {
            return file.sections;
        }
        if node.get("include").is_some() {
            return Vec::new();
        }
        let fields = entries(node, "section", self.diagnostics);
        let module = fields.iter().find(|(key, _)| crate::modules::table::find(&key.name).is_some());
        if let (Some((key, _)), None) = (module, node.get("section")) {
            self.diagnostics.push(
                Diagnostic::error("P0302", key.span, "a step stands where a section should")
                    .hint("put it into the `steps:` of a section"),
            );
            return Vec::new();
        }
        for (key, _) in fields {
            if !SECTION.contains(&key.name.as_str()) {
                let mut error = stranger(key, SECTION, "a section", At::Section);
                if crate::modules::table::find(&key.name).is_some() {
                    error = error.hint("a step belongs into the `steps:` of a section");
                }
                self.diagnostics.push(error);
            }
        }
        let first = fields.first().map_or(node.span, |(k, _)| k.span);
        let (name, span) = if let Some(n) = node.get("section") {
            (text(n, "section", self.diagnostics).unwrap_or_default(), n.span)
        } else {
            self.diagnostics.push(
                Diagnostic::error("P0310", first, "this section has no title").hint("begin with `section: TITLE`"),
            );
            (String::new(), first)
        };
        let mut inner = around.clone();
        self.inherit(node, &mut inner, At::Section);
        let checkpoint = node.get("checkpoint");
        let steps = if let Some(list) = node.get("steps") {
            self.steps_of(list, &inner)
        } else {
            self.diagnostics.push(
                Diagnostic::error("P0309", span, "this section has no steps")
                    .hint("write `steps:` with a list of steps"),
            );
            Vec::new()
        };
        let d = &mut *self.diagnostics;
        vec![RawSection {
            name,
            span,
            checkpoint: checkpoint.and_then(|n| word(n, "checkpoint", CHECKPOINT, d)).unwrap_or_default(),
            checkpoint_span: checkpoint.map(|n| n.span),
            on_failure: node.get("on_failure").and_then(|n| word(n, "on_failure", ON_FAILURE, d)).unwrap_or_default(),
            steps,
        }]
    }

    fn steps_of(&mut self, list: &Node, around: &Inherited) -> Vec<RawStep> {
        let mut steps = Vec::new();
        for item in items(list, "steps", self.diagnostics) {
            if self.steps > STEPS {
                return steps;
            }
            if !matches!(item.kind, Kind::Map(_)) {
                let hint = item
                    .as_str()
                    .map_or("a step is a mapping: `- command: uptime`".to_string(), |t| format!("write `- {t}: ...`"));
                self.diagnostics.push(
                    Diagnostic::error("P0302", item.span, "a step is a mapping")
                        .label(format!("this is {}", fields::kind_name(&item.kind)))
                        .hint(hint),
                );
                continue;
            }
            if item.get("include").is_some() {
                if let Some(file) = self.include(item, around) {
                    if file.flat || file.sections.is_empty() {
                        steps.extend(file.sections.into_iter().flat_map(|s| s.steps));
                    } else {
                        let place = item.get("include").map_or(item.span, |n| n.span);
                        self.diagnostics.push(
                            Diagnostic::error("P0604", place, "the included file has sections")
                                .hint("include it in `sections:`, or give it flat `steps:`"),
                        );
                    }
                }
                continue;
            }
            self.steps += 1;
            if self.steps > STEPS {
                self.diagnostics.push(Diagnostic::error("P0110", item.span, format!("more than {STEPS} steps")));
                return steps;
            }
            steps.extend(step_file::step(self, item, around));
        }
        steps
    }

    /// What a step, section or file says for everything in it.
    pub(super) fn inherit(&mut self, node: &Node, into: &mut Inherited, at: At) {
        if let Some(n) = node.get("hosts") {
            into.hosts = Some(Targets { span: n.span, patterns: texts(n, "hosts", self.diagnostics) });
        }
        if let Some(n) = node.get("become") {
            into.r#become = boolean(n, "become", self.diagnostics);
        }
        if let Some(n) = node.get("become_user") {
            into.become_user = text(n, "become_user", self.diagnostics);
        }
        if let Some(n) = node.get("tags") {
            for (tag, _) in texts(n, "tags", self.diagnostics) {
                for tag in tag.split(',').map(str::trim).filter(|t| !t.is_empty()) {
                    if !into.tags.iter().any(|t| t == tag) {
                        into.tags.push(tag.to_string());
                    }
                }
            }
        }
        if at == At::Runbook {
            return;
        }
        if let Some(n) = node.get("vars") {
            for (key, value) in variables(n, self.diagnostics) {
                into.vars.retain(|(k, _)| k.name != key.name);
                into.vars.push((key, value));
            }
        }
        if let Some(n) = node.get("when") {
            let conditions = self.conditions(n, "when");
            into.when.extend(conditions);
        }
    }

    /// A condition, or a list of conditions that must all hold.
    pub(super) fn conditions(&mut self, node: &Node, key: &str) -> Vec<Expr> {
        match &node.kind {
            Kind::Seq(items) => items.iter().filter_map(|n| self.expression(n, key)).collect(),
            _ => self.expression(node, key).into_iter().collect(),
        }
    }

    /// One expression, its syntax checked.
    pub(super) fn expression(&mut self, node: &Node, key: &str) -> Option<Expr> {
        let text = match &node.kind {
            Kind::Bool(value) => value.to_string(),
            Kind::Str(text, _) => text.clone(),
            _ => text(node, key, self.diagnostics)?,
        };
        let expr = Expr { text, span: node.span };
        if let Some(problem) = expr.problem() {
            self.diagnostics.push(problem.diagnostic(self.sources, &expr, key));
            return None;
        }
        Some(expr)
    }
}

/// The error for a key that does not belong here.
pub(super) fn stranger(key: &Key, known: &[&str], place: &str, at: At) -> Diagnostic {
    match ansible::instead(&key.name, at) {
        Some(instead) => {
            Diagnostic::error("P0312", key.span, format!("`{}` is Ansible's, {place} has no such key", key.name))
                .label("not here")
                .hint(instead)
        }
        None => fields::unknown(key, known, place),
    }
}
