//! `include:` a file with inputs of its own, in a step's or a section's place.

use super::ansible::At;
use super::fields::{self, entries, text};
use super::node::{Kind, Node};
use super::read;
use super::runbook::Inherited;
use super::runbook_file::{File, Include, Loader};
use super::source::Diagnostic;
use crate::key::slug;
use std::path::{Path, PathBuf};

/// Includes within includes.
const DEEPEST: usize = 16;

impl Loader<'_> {
    /// The file of an `include:` in a step or section entry; `None` if it has none, or after an error.
    pub(super) fn include(&mut self, node: &Node, around: &Inherited) -> Option<File> {
        let setting = node.get("include")?;
        let (file, given) = if let Kind::Str(..) = &setting.kind {
            (setting, None)
        } else {
            let fields = entries(setting, "include", self.diagnostics);
            fields::known(fields, &["file", "inputs"], "`include`", self.diagnostics);
            let Some(file) = setting.get("file") else {
                self.diagnostics.push(
                    Diagnostic::error("P0602", setting.span, "`include` names no file")
                        .hint("write `include: { file: x.yml }`"),
                );
                return None;
            };
            (file, setting.get("inputs"))
        };
        let allowed: &[&str] = &["include", "name", "id", "hosts", "when", "tags", "become", "become_user", "vars"];
        for (key, _) in entries(node, "include", self.diagnostics) {
            if !allowed.contains(&key.name.as_str()) {
                let error = fields::unknown(key, allowed, "a step with `include`");
                self.diagnostics.push(error);
            }
        }
        let written = text(file, "file", self.diagnostics)?;
        let (_, from, name) = self.stack.last()?.clone();
        let path = from.parent().unwrap_or(Path::new(".")).join(&written);
        let shown = beside(&name, &written);
        if let Some(at) =
            std::fs::canonicalize(&path).ok().and_then(|real| self.stack.iter().position(|(p, _, _)| *p == real))
        {
            let chain: Vec<&str> =
                self.stack[at..].iter().map(|(_, _, n)| n.as_str()).chain([shown.as_str()]).collect();
            self.diagnostics.push(
                Diagnostic::error("P0603", file.span, "this file includes itself")
                    .label(chain.join(" -> "))
                    .hint("an include must end somewhere: remove one of them"),
            );
            return None;
        }
        if self.stack.len() > DEEPEST {
            self.diagnostics.push(Diagnostic::error(
                "P0603",
                file.span,
                format!("includes are nested deeper than {DEEPEST}"),
            ));
            return None;
        }
        let before = self.diagnostics.len();
        let Some((_, root)) =
            read::tree(&path, &shown, "the included file", Some(file.span), self.sources, self.diagnostics)
        else {
            if let Some(error) = self.diagnostics.get_mut(before)
                && error.hint.is_none()
                && error.code == "P0601"
            {
                error.hint = Some(format!("paths of includes start at the folder of {name}"));
            }
            return None;
        };
        let mut inner = around.clone();
        self.inherit(node, &mut inner, At::Step);
        let label = node
            .get("id")
            .or(node.get("name"))
            .and_then(Node::as_str)
            .map_or_else(|| slug(Path::new(&written).file_stem().and_then(|s| s.to_str()).unwrap_or(&written)), slug);
        inner.slugs.push(label);
        self.stack.push((std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone()), path, shown));
        let include = Include { inputs: given, span: file.span };
        let loaded = self.file(&root, &inner, Some(&include));
        self.stack.pop();
        if let Some(loaded) = &loaded {
            self.vars.extend(loaded.vars.iter().cloned());
        }
        loaded
    }
}

/// The name of a file as the user knows it, beside another one.
fn beside(name: &str, written: &str) -> String {
    let joined = Path::new(name).parent().unwrap_or(Path::new("")).join(written);
    joined
        .components()
        .filter(|c| !matches!(c, std::path::Component::CurDir))
        .collect::<PathBuf>()
        .display()
        .to_string()
}
