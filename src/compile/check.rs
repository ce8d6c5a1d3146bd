//! Every name and every parameter of every step, checked for every host of it.
//!
//! What depends on nothing that is only known while running is rendered and given to the module; of the rest at least
//! the names and keys are checked.

use super::circle::circle;
use super::names::{Names, Registered};
use super::params;
use super::place::{Place, line_end, shown_path};
use super::scope::Layers;
use super::{Section, Step};
use crate::load::expr::Expr;
use crate::load::inventory::Vars;
use crate::load::node::{Key, Kind, Node};
use crate::load::runbook::{RawStep, Runbook};
use crate::load::source::{Diagnostic, FileId, Sources};
use crate::load::{local, locate, read, template, template_names};
use crate::modules::Want;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Items of a static loop that are checked one by one.
const ITEMS: usize = 64;

/// What is checked.
pub(super) struct Input<'a> {
    pub(super) layers: Layers<'a>,
    pub(super) runbook: &'a Runbook,
    pub(super) sections: &'a [Section],
    pub(super) project: &'a Path,
    pub(super) runbook_dir: &'a Path,
}

/// Checks everything.
pub(super) fn check(input: &Input<'_>, sources: &mut Sources, diagnostics: &mut Vec<Diagnostic>) {
    let mut registered = Registered::default();
    let raws = || input.runbook.sections.iter().flat_map(|s| &s.steps);
    registered.ever = raws().filter_map(|s| s.register.as_ref().map(|(name, _)| name.clone())).collect();
    registered.ever.sort();
    registered.ever.dedup();
    let mut checker = Checker { input, sources, diagnostics, templates: BTreeMap::new(), scopes: BTreeMap::new() };
    checker.variables(&registered);
    let all: Vec<String> = input.layers.inventory.hosts.iter().map(|h| h.name.clone()).collect();
    for (raw, step) in raws().zip(input.sections.iter().flat_map(|s| &s.steps)) {
        for host in &step.hosts {
            checker.step(raw, step, host, &registered);
        }
        if let Some(name) = &step.register {
            let hosts = registered.by_now.entry(name.clone()).or_default();
            hosts.extend(if step.run_once { all.clone() } else { step.hosts.clone() });
        }
    }
}

struct Checker<'a, 'b> {
    input: &'a Input<'a>,
    sources: &'b mut Sources,
    diagnostics: &'b mut Vec<Diagnostic>,
    /// Template files that were read.
    templates: BTreeMap<PathBuf, Option<FileId>>,
    /// Scopes of hosts outside of any step.
    scopes: BTreeMap<String, Rc<Value>>,
}

impl Checker<'_, '_> {
    /// `vars:` of runbook, inventory, groups and hosts: their names and their circles.
    fn variables(&mut self, registered: &Registered) {
        let none: Vars = Vec::new();
        let mut circles: Vec<String> = Vec::new();
        let layers = self.input.layers;
        for host in &layers.inventory.hosts {
            let scope = layers.scope(&host.name, &none, &[], &Map::new(), None);
            let merged = layers.merged(&host.name, &none);
            let names = Names {
                layers,
                host: &host.name,
                step: &none,
                registered,
                own: None,
                item: false,
                anytime: true,
                scope: &scope,
            };
            let own: Vec<&(Key, Node)> = layers.vars.iter().chain(&layers.inventory.vars).chain(&host.vars).collect();
            let groups = layers.inventory.groups.iter().filter(|g| g.hosts.contains(&host.name)).flat_map(|g| &g.vars);
            for (key, node) in own.into_iter().chain(groups) {
                // One that is overridden is never rendered for this host.
                if layers.sets.contains_key(&key.name)
                    || !merged.iter().any(|(n, winner)| *n == key.name && std::ptr::eq(*winner, node))
                {
                    continue;
                }
                if let Some(chain) = circle(&merged, &key.name) {
                    // Each variable of a circle is in it: the first one tells of all.
                    if chain.iter().any(|name| circles.contains(name)) {
                        continue;
                    }
                    circles.extend(chain.iter().cloned());
                    self.diagnostics.push(
                        Diagnostic::error("P0406", key.span, format!("the variable `{}` needs itself", key.name))
                            .label(chain.join(" -> ")),
                    );
                    continue;
                }
                // Values of included files may use that file's inputs, which stand here without a step.
                let _ = self.texts(node, &names, true);
            }
        }
    }

    /// The scope of a step without results: one for all steps that have no names of their own.
    fn scope(&mut self, step: &Step, host: &str) -> Rc<Value> {
        let layers = self.input.layers;
        let build = || Rc::new(layers.scope(host, &step.vars, &step.inputs, &Map::new(), None));
        if !step.vars.is_empty() || !step.inputs.is_empty() {
            return build();
        }
        self.scopes.entry(host.to_string()).or_insert_with(build).clone()
    }

    fn step(&mut self, raw: &RawStep, step: &Step, host: &str, registered: &Registered) {
        let layers = self.input.layers;
        let none = Map::new();
        let shared = self.scope(step, host);
        let scope = shared.as_ref();
        let names = Names { layers, host, step: &step.vars, registered, own: None, item: false, anytime: false, scope };
        for (_, node) in &step.vars {
            let _ = self.texts(node, &Names { item: step.each.is_some(), ..names }, false);
        }
        for (i, layer) in step.inputs.iter().enumerate() {
            let outer = layers.scope(host, &step.vars, &step.inputs[..i], &none, None);
            for (_, node) in layer {
                let _ = self.texts(node, &Names { scope: &outer, ..names }, false);
            }
        }
        let items = self.items(step, &names, scope);
        let inner = Names { item: step.each.is_some(), ..names };
        let mut skipped = false;
        for expr in &raw.inherited.when {
            skipped |= self.condition(expr, &inner, scope, "when");
        }
        let after = Names { own: step.register.as_deref(), ..inner };
        for (expr, key) in
            [(&step.until, "until"), (&step.changed_when, "changed_when"), (&step.failed_when, "failed_when")]
        {
            if let Some(expr) = expr {
                self.condition(expr, &after, scope, key);
            }
        }
        if let Some(name) = &raw.name {
            let _ = self.texts(name, &inner, false);
        }
        if skipped {
            return;
        }
        if raw.module.name() == "assert" {
            self.assertions(&raw.params, &inner);
        }
        // Names first; a step with unknown names is not rendered.
        let Some(used) = self.texts(&raw.params, &inner, false) else { return };
        let dynamic = used.iter().any(|path| path[0] == "out" || (path[0] != "item" && inner.is_dynamic(path)));
        let uses_item = used.iter().any(|path| path[0] == "item");
        let known_keys = params::keys(raw, self.diagnostics);
        if dynamic || !known_keys || (uses_item && items.is_none()) {
            return;
        }
        let items = if uses_item { items.unwrap_or_default() } else { vec![None] };
        for item in items.iter().take(ITEMS) {
            let shared = match item {
                None => Rc::clone(&shared),
                Some(_) => Rc::new(layers.scope(host, &step.vars, &step.inputs, &none, item.as_ref())),
            };
            let value = match template::render(&raw.params, &shared) {
                Ok(value) => value,
                Err(error) => {
                    self.diagnostics.push(error);
                    return;
                }
            };
            if let Some(instance) = params::parse(raw, value, self.diagnostics) {
                for want in instance.local_files().into_iter().filter(|want| !want.optional) {
                    self.local_file(raw, &want, &inner);
                }
            }
        }
    }

    /// The items of a loop if they are known now. A loop that gives no list is said.
    fn items(&mut self, step: &Step, names: &Names<'_>, scope: &Value) -> Option<Vec<Option<Value>>> {
        let node = step.each.as_ref()?;
        match &node.kind {
            Kind::Str(text, _) if !template::is_template(text) => {
                let expr = Expr { text: text.clone(), span: node.span };
                let used = self.expression_names(&expr, names, "loop")?;
                if used.iter().any(|path| names.is_dynamic(path)) {
                    return None;
                }
            }
            _ => {
                let used = self.texts(node, names, false)?;
                if used.iter().any(|path| names.is_dynamic(path)) {
                    return None;
                }
            }
        }
        match step.items(scope) {
            Ok(items) => Some(items),
            Err(message) => {
                let shown: String = message.chars().take(120).collect();
                self.diagnostics
                    .push(Diagnostic::error("P0315", node.span, shown).hint("a loop goes over a list: `loop: [a, b]`"));
                None
            }
        }
    }

    /// True if the condition is known now and does not hold.
    fn condition(&mut self, expr: &Expr, names: &Names<'_>, scope: &Value, key: &str) -> bool {
        let Some(used) = self.expression_names(expr, names, key) else { return false };
        if used.iter().any(|path| names.is_dynamic(path)) {
            return false;
        }
        match expr.holds(scope) {
            Ok(holds) => !holds && key == "when",
            Err(error) => {
                self.diagnostics.push(
                    Diagnostic::error("P0407", expr.span, format!("`{key}`: {}", error.message))
                        .hint("compare it: `x == 'text'`, `x > 0`, `x is defined`"),
                );
                false
            }
        }
    }

    /// The expressions of `assert`: their values are the step's business, their names are known now.
    fn assertions(&mut self, params: &Node, names: &Names<'_>) {
        let that = params.get("that").unwrap_or(params);
        let list = match &that.kind {
            Kind::Seq(items) => items.as_slice(),
            _ => std::slice::from_ref(that),
        };
        for node in list {
            let Some(text) = node.as_str() else { continue };
            let expr = Expr { text: text.to_string(), span: node.span };
            match expr.problem() {
                Some(problem) => self.diagnostics.push(problem.diagnostic(self.sources, &expr, "that")),
                None => drop(self.expression_names(&expr, names, "that")),
            }
        }
    }

    /// The names of an expression; `None` if one of them is not defined.
    fn expression_names(&mut self, expr: &Expr, names: &Names<'_>, key: &str) -> Option<Vec<Vec<String>>> {
        let mut fine = true;
        let mut used = Vec::new();
        for name in expr.names() {
            let place = |sources: &Sources| locate::within(sources, expr.span, &expr.text, name.range.0..name.range.1);
            if name.path[0] == "secrets" {
                let place = place(self.sources);
                self.diagnostics.push(
                    Diagnostic::error("P0408", place, format!("`{key}` cannot use a secret"))
                        .hint("its value is only known on the way to the host"),
                );
                fine = false;
            } else if let Some(problem) = names.problem(&name.path)
                && !name.guarded
            {
                let place = place(self.sources);
                let mut error = Diagnostic::error(problem.code, place, problem.message);
                error.hint = problem.hint;
                self.diagnostics.push(error);
                fine = false;
            }
            used.push(name.path);
        }
        fine.then_some(used)
    }

    /// The names of all templates in a tree; `None` if one is not defined or a template is broken.
    fn texts(&mut self, node: &Node, names: &Names<'_>, lenient: bool) -> Option<Vec<Vec<String>>> {
        let mut used = Vec::new();
        let mut fine = true;
        match &node.kind {
            Kind::Str(text, _) => match self.template(text, Place::Scalar(node.span), names, lenient) {
                Some(found) => used = found,
                None => fine = false,
            },
            Kind::Seq(items) => {
                for item in items {
                    self.texts(item, names, lenient).map_or_else(|| fine = false, |found| used.extend(found));
                }
            }
            Kind::Map(entries) => {
                for (_, value) in entries {
                    self.texts(value, names, lenient).map_or_else(|| fine = false, |found| used.extend(found));
                }
            }
            _ => {}
        }
        fine.then_some(used)
    }

    fn template(&mut self, text: &str, place: Place, names: &Names<'_>, lenient: bool) -> Option<Vec<Vec<String>>> {
        let found = match template_names::names(text) {
            Ok(found) => found,
            Err(problem) => {
                let at = problem.at.map(|(line, column)| locate::offset(text, line, column));
                let span = at.map_or(place.whole(), |at| place.span(self.sources, text, (at, line_end(text, at))));
                self.diagnostics
                    .push(Diagnostic::error("P0409", span, problem.message).hint(
                        "`{{ name }}` fills in a value, `{{#if x}}...{{/if}}` decides, `\\{{` is a literal `{{`",
                    ));
                return None;
            }
        };
        let mut fine = found.misuses.is_empty();
        for misuse in found.misuses {
            let span = place.span(self.sources, text, misuse.range);
            let mut error = Diagnostic::error("P0410", span, misuse.message);
            error.hint = misuse.hint;
            self.diagnostics.push(error);
        }
        let mut used = Vec::new();
        for name in found.names {
            if let Some(problem) = names.problem(&name.path)
                && !(lenient && name.path[0] == "inputs")
            {
                let span = place.span(self.sources, text, name.range);
                let mut error = Diagnostic::error(problem.code, span, problem.message);
                error.hint = problem.hint;
                self.diagnostics.push(error);
                fine = false;
            }
            used.push(name.path);
        }
        fine.then_some(used)
    }

    fn local_file(&mut self, raw: &RawStep, want: &Want, names: &Names<'_>) {
        let place = raw.params.at(&["src".to_string()]).span;
        let path = match local::find(self.input.project, self.input.runbook_dir, want) {
            Ok(path) => path,
            Err(error) => {
                let mut diagnostic = Diagnostic::error("P0605", place, error.to_string()).label("no such file");
                if let local::LocalError::Missing { looked, .. } = error {
                    let shown: Vec<String> = looked.iter().map(|folder| shown_path(folder)).collect();
                    diagnostic = diagnostic.hint(format!("looked in {}", shown.join(", ")));
                }
                self.diagnostics.push(diagnostic);
                return;
            }
        };
        if !want.template {
            return;
        }
        let id = if let Some(known) = self.templates.get(&path) {
            *known
        } else {
            let shown = shown_path(&path);
            let id = read::text(&path, &shown, "the template", Some(place), self.sources, self.diagnostics);
            self.templates.insert(path, id);
            id
        };
        let Some(id) = id else { return };
        let Some(text) = self.sources.get(id).map(|f| f.text.clone()) else { return };
        let before = self.diagnostics.len();
        let _ = self.template(&text, Place::File(id), names, false);
        for error in &mut self.diagnostics[before..] {
            error.also.get_or_insert_with(|| Box::new((place, "used here".to_string())));
        }
    }
}
