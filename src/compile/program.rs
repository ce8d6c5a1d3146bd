//! From a runbook file and an inventory file to a [`Program`].

use super::keys::Keys;
use super::scope::Layers;
use super::{Program, Section, Step, check, lint, project, select, sets, targets};
use crate::key::digest;
use crate::load::expr::Expr;
use crate::load::inventory::Inventory;
use crate::load::read::nowhere;
use crate::load::runbook::{InputKind, RawStep, Runbook};
use crate::load::source::{Diagnostic, Severity, Sources, Span};
use crate::load::{inventory_file, runbook_file};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Retries of a step that has `until:` and no `retries:`, as in Ansible.
const RETRIES: u32 = 3;
/// Pause between attempts, as in Ansible.
const DELAY: Duration = Duration::from_secs(5);

/// What to compile.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The runbook's path.
    pub runbook: PathBuf,
    /// `-i`.
    pub inventory: Option<PathBuf>,
    /// `PITON_INVENTORY`, read by the caller.
    pub inventory_env: Option<PathBuf>,
    /// `--set NAME=VALUE`, later ones win; values are read as YAML.
    pub sets: Vec<(String, String)>,
    /// `--limit`: hosts and groups, `!name` leaves out.
    pub limit: Vec<String>,
    /// `--tags`.
    pub tags: Vec<String>,
    /// `--skip-tags`.
    pub skip_tags: Vec<String>,
    /// `--from KEY`.
    pub from: Option<String>,
    /// `--until KEY`.
    pub until: Option<String>,
    /// `--only KEY`.
    pub only: Vec<String>,
}

/// Why there is no program: at least one error, perhaps warnings too.
#[derive(Debug, Clone)]
pub struct Failed {
    /// In the order found; [`crate::load::diagnose::render`] sorts them.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that they point into.
    pub sources: Sources,
}

/// An input that nothing has given yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Name for `--set`.
    pub name: String,
    /// The question.
    pub question: String,
    /// Possible answers, empty if free.
    pub choices: Vec<String>,
}

/// Reads and checks everything; no host is contacted.
///
/// # Errors
/// [`Failed`] with all errors at once.
pub fn program(options: &Options) -> Result<Program, Failed> {
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let built = build(options, &mut sources, &mut diagnostics);
    quieten(&mut diagnostics);
    let mut unique: Vec<Diagnostic> = Vec::new();
    for diagnostic in diagnostics {
        let same = |d: &Diagnostic| {
            d.code == diagnostic.code
                && d.span == diagnostic.span
                && (d.span.is_some() || d.message == diagnostic.message)
        };
        if !unique.iter().any(same) {
            unique.push(diagnostic);
        }
    }
    match built {
        Some(mut program) if unique.iter().all(|d| d.severity == Severity::Warning) => {
            program.sources = Arc::new(sources);
            program.warnings = unique;
            Ok(program)
        }
        _ => Err(Failed { diagnostics: unique, sources }),
    }
}

/// Drops what only follows from something else that is said.
fn quieten(diagnostics: &mut Vec<Diagnostic>) {
    if diagnostics.iter().any(|d| matches!(d.code, "P0801" | "P0802")) {
        // An input without a right value is nothing, and nothing fits nowhere.
        diagnostics.retain(|d| !matches!(d.code, "P0503" | "P0504"));
    }
    let secrets: Vec<Span> = diagnostics.iter().filter(|d| d.code == "P0702").filter_map(|d| d.span).collect();
    let around = |s: Span, inner: &Span| s.file == inner.file && s.start <= inner.start && inner.end <= s.end;
    diagnostics.retain(|d| d.code != "P0504" || !d.span.is_some_and(|s| secrets.iter().any(|inner| around(s, inner))));
}

/// The inputs that `--set` or a prompt still has to give, so that the caller can ask first.
///
/// # Errors
/// [`Failed`] if the runbook itself cannot be read.
pub fn wanted_inputs(options: &Options) -> Result<Vec<Wanted>, Failed> {
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let Some(runbook) = runbook_file::load(&options.runbook, &shown(&options.runbook), &mut sources, &mut diagnostics)
    else {
        return Err(Failed { diagnostics, sources });
    };
    let missing = runbook
        .inputs
        .iter()
        .filter(|i| i.required && i.default.is_none() && !options.sets.iter().any(|(n, _)| *n == i.name.name));
    Ok(missing
        .map(|input| Wanted {
            name: input.name.name.clone(),
            question: input
                .prompt
                .clone()
                .or_else(|| input.description.clone())
                .unwrap_or_else(|| input.name.name.clone()),
            choices: if input.kind == InputKind::Bool {
                vec!["true".into(), "false".into()]
            } else {
                input.choices.clone()
            },
        })
        .collect())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn build(options: &Options, sources: &mut Sources, diagnostics: &mut Vec<Diagnostic>) -> Option<Program> {
    let project = project::of(&options.runbook);
    let inventory = inventory(options, &project, sources, diagnostics);
    let runbook = runbook_file::load(&options.runbook, &shown(&options.runbook), sources, diagnostics);
    let text: Vec<String> =
        (0..).map_while(|i| sources.get(crate::load::source::FileId(i))).map(|f| digest(f.text.as_bytes())).collect();
    let runbook = runbook?;
    let given = sets::apply(&options.sets, &runbook, inventory.as_ref(), sources, diagnostics);
    let inventory = inventory?;
    let limit = limit(options, &inventory, diagnostics);
    let mut keys = Keys::default();
    let mut sections = Vec::new();
    for raw in &runbook.sections {
        let steps = raw
            .steps
            .iter()
            .map(|step| {
                let key = keys.next(raw, step, diagnostics);
                self::step(step, key, &inventory, limit.as_deref(), diagnostics)
            })
            .collect();
        sections.push(Section {
            name: raw.name.clone(),
            checkpoint: raw.checkpoint,
            on_failure: raw.on_failure,
            steps,
        });
    }
    let layers = Layers { inventory: &inventory, vars: &runbook.vars, sets: &given.vars, inputs: &given.inputs };
    let runbook_dir =
        std::path::absolute(&options.runbook).ok().and_then(|p| p.parent().map(Path::to_path_buf)).unwrap_or_default();
    check::check(
        &check::Input { layers, runbook: &runbook, sections: &sections, project: &project, runbook_dir: &runbook_dir },
        sources,
        diagnostics,
    );
    lint::lint(&runbook, &sections, &inventory, diagnostics);
    select::select(options, &mut sections, diagnostics);
    Some(assemble(options, project, &text, inventory, runbook, given, sections))
}

fn assemble(
    options: &Options,
    project: PathBuf,
    text: &[String],
    inventory: Inventory,
    runbook: Runbook,
    given: sets::Given,
    sections: Vec<Section>,
) -> Program {
    Program {
        name: runbook.title,
        path: shown(&options.runbook),
        project,
        digest: digest(text.concat().as_bytes()),
        inventory: Arc::new(inventory),
        sources: Arc::new(Sources::default()),
        vars: runbook.vars,
        sets: given.vars,
        inputs: given.inputs,
        sections,
        warnings: Vec::new(),
    }
}

fn inventory(
    options: &Options,
    project: &Path,
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Inventory> {
    let path = match options
        .inventory
        .clone()
        .or_else(|| options.inventory_env.clone())
        .map_or_else(|| project::inventory(project), Ok)
    {
        Ok(path) => path,
        Err(message) => {
            let mut error = nowhere("P0807", message);
            error.hint = Some("give one with `-i FILE`, or name it inventory/hosts.yml".to_string());
            diagnostics.push(error);
            return None;
        }
    };
    // A path that was found is shown as the user would type it.
    let here = std::env::current_dir().unwrap_or_default();
    let name = path.strip_prefix(&here).unwrap_or(&path);
    inventory_file::load(&path, &shown(name), sources, diagnostics)
}

fn limit(options: &Options, inventory: &Inventory, diagnostics: &mut Vec<Diagnostic>) -> Option<Vec<String>> {
    if options.limit.is_empty() {
        return None;
    }
    let patterns: Vec<&str> = options.limit.iter().map(String::as_str).collect();
    match targets::resolve(&patterns, inventory) {
        Ok(hosts) => {
            if hosts.is_empty() {
                diagnostics.push(nowhere("P0808", format!("--limit {} leaves no host", options.limit.join(","))));
            }
            Some(hosts)
        }
        Err(errors) => {
            for (_, unknown) in errors {
                let mut error = nowhere("P0808", format!("--limit: there is no host or group `{}`", unknown.name));
                error.hint = unknown.hint;
                diagnostics.push(error);
            }
            None
        }
    }
}

fn hosts(raw: &RawStep, inventory: &Inventory, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
    let Some(written) = &raw.inherited.hosts else {
        diagnostics.push(
            Diagnostic::error("P0318", raw.span, "nothing says on which hosts this step runs")
                .hint("write `hosts:` in the step, its section or at the top of the runbook"),
        );
        return Vec::new();
    };
    let patterns: Vec<&str> = written.patterns.iter().map(|(p, _)| p.as_str()).collect();
    match targets::resolve(&patterns, inventory) {
        Ok(hosts) => {
            if hosts.is_empty() && !inventory.hosts.is_empty() {
                diagnostics.push(
                    Diagnostic::error("P0320", written.span, "no host is left here")
                        .label("gives no host")
                        .hint("the group is empty, or every host is left out"),
                );
            }
            hosts
        }
        Err(errors) => {
            for (i, unknown) in errors {
                let place = written.patterns.get(i).map_or(written.span, |(_, s)| *s);
                let mut error =
                    Diagnostic::error("P0319", place, format!("there is no host or group `{}`", unknown.name))
                        .label(format!("not in {}", inventory.path));
                error.hint = unknown.hint;
                diagnostics.push(error);
            }
            Vec::new()
        }
    }
}

fn step(
    raw: &RawStep,
    key: crate::key::StepKey,
    inventory: &Inventory,
    limit: Option<&[String]>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Step {
    let mut hosts = hosts(raw, inventory, diagnostics);
    let mut left_out = None;
    if let Some(limit) = limit {
        hosts.retain(|h| limit.contains(h));
        if hosts.is_empty() {
            left_out = Some("no host left by --limit".to_string());
        }
    }
    Step {
        key,
        name: raw.name.as_ref().and_then(|n| n.as_str()).unwrap_or(raw.module.name()).to_string(),
        span: raw.span,
        module: raw.module,
        params: raw.params.clone(),
        hosts,
        when: Expr::all(&raw.inherited.when),
        each: raw.each.clone(),
        register: raw.register.as_ref().map(|(name, _)| name.clone()),
        until: raw.until.clone(),
        retries: raw.retries.unwrap_or(if raw.until.is_some() { RETRIES } else { 0 }),
        delay: raw.delay.unwrap_or(DELAY),
        r#become: raw.inherited.r#become,
        become_user: raw.inherited.become_user.clone().unwrap_or_else(|| "root".to_string()),
        tags: raw.inherited.tags.clone(),
        ignore_errors: raw.ignore_errors,
        changed_when: raw.changed_when.clone(),
        failed_when: raw.failed_when.clone(),
        no_log: raw.no_log,
        run_once: raw.run_once,
        durable: raw.durable,
        timeout: raw.timeout,
        confirm_within: raw.confirm_within.clone(),
        vars: raw.inherited.vars.clone(),
        inputs: raw.inherited.inputs.clone(),
        left_out,
    }
}
