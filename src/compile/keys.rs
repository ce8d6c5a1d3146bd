//! Stable names of steps: `section-slug/step-slug`, or the step's `id:`; unique in a program.

use crate::key::{StepKey, slug};
use crate::load::runbook::{RawSection, RawStep};
use crate::load::source::{Diagnostic, Span};
use std::collections::BTreeMap;

/// Gives keys, one after another.
#[derive(Default)]
pub struct Keys {
    taken: BTreeMap<String, Span>,
}

impl Keys {
    /// The key of the next step. Two steps with the same `id:` are an error; equal names get `-2`, `-3`.
    pub fn next(&mut self, section: &RawSection, step: &RawStep, diagnostics: &mut Vec<Diagnostic>) -> StepKey {
        let mut parts = step.inherited.slugs.clone();
        if let Some((id, span)) = &step.id {
            parts.push(id.clone());
            let key = parts.join("/");
            if let Some(first) = self.taken.insert(key.clone(), *span) {
                diagnostics.push(
                    Diagnostic::error("P0317", *span, format!("the id `{id}` is there twice"))
                        .also(first, "first here"),
                );
            }
            return StepKey(key);
        }
        parts.insert(0, slug(&section.name));
        let name = step.name.as_ref().and_then(|n| n.as_str()).unwrap_or(step.module.name());
        parts.push(slug(name));
        let base = parts.join("/");
        let mut key = base.clone();
        let mut n = 2;
        while self.taken.contains_key(&key) {
            key = format!("{base}-{n}");
            n += 1;
        }
        self.taken.insert(key.clone(), step.span);
        StepKey(key)
    }
}
