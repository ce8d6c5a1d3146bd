//! `--tags --skip-tags --from --until --only`: which steps are left out, and why.

use super::{Options, Section, Step};
use crate::load::read::nowhere;
use crate::load::source::Diagnostic;
use crate::load::suggest;

/// Sets [`Step::left_out`]. Unknown keys and tags are errors.
pub fn select(options: &Options, sections: &mut [Section], diagnostics: &mut Vec<Diagnostic>) {
    let keys: Vec<String> = sections.iter().flat_map(|s| &s.steps).map(|s| s.key.0.clone()).collect();
    let mut find = |option: &str, wanted: &str| -> Option<usize> {
        if let Some(at) = keys.iter().position(|k| k == wanted) {
            return Some(at);
        }
        // The last part alone, if only one step has it.
        let ends: Vec<usize> =
            keys.iter().enumerate().filter(|(_, k)| k.rsplit('/').next() == Some(wanted)).map(|(i, _)| i).collect();
        match ends.as_slice() {
            [one] => Some(*one),
            [_, _, ..] => {
                let mut error = nowhere("P0805", format!("{option} {wanted}: several steps end so"));
                error.hint = Some(format!(
                    "say which: {}",
                    ends.iter().map(|i| keys[*i].as_str()).collect::<Vec<_>>().join(", ")
                ));
                diagnostics.push(error);
                None
            }
            [] => {
                let mut error = nowhere("P0805", format!("{option}: there is no step `{wanted}`"));
                let tails = keys.iter().filter_map(|k| k.rsplit('/').next());
                error.hint = suggest::hint(wanted, keys.iter().map(String::as_str).chain(tails), "steps");
                if error.hint.is_none() {
                    error.hint = Some("`piton plan` shows the names of all steps".to_string());
                }
                diagnostics.push(error);
                None
            }
        }
    };
    let from = options.from.as_deref().and_then(|k| find("--from", k));
    let until = options.until.as_deref().and_then(|k| find("--until", k));
    let only: Vec<usize> = options.only.iter().filter_map(|k| find("--only", k)).collect();
    let known: Vec<String> = sections.iter().flat_map(|s| &s.steps).flat_map(|s| s.tags.iter().cloned()).collect();
    for (option, tags) in [("--tags", &options.tags), ("--skip-tags", &options.skip_tags)] {
        for tag in tags.iter().filter(|t| !known.contains(t) && t.as_str() != "always" && t.as_str() != "never") {
            let mut error = nowhere("P0806", format!("{option}: no step has the tag `{tag}`"));
            let mut names: Vec<&str> = known.iter().map(String::as_str).collect();
            names.sort_unstable();
            names.dedup();
            error.hint = suggest::hint(tag, names, "tags");
            diagnostics.push(error);
        }
    }
    for (at, step) in sections.iter_mut().flat_map(|s| &mut s.steps).enumerate() {
        let why = out_by_tags(options, step).or_else(|| {
            if !options.only.is_empty() && !only.contains(&at) {
                Some("not among --only".to_string())
            } else if from.is_some_and(|f| at < f) {
                Some("before --from".to_string())
            } else if until.is_some_and(|u| at > u) {
                Some("after --until".to_string())
            } else {
                None
            }
        });
        if why.is_some() {
            step.left_out = why;
        }
    }
    // A run of nothing would end as done.
    let given = given(options);
    let wrong = diagnostics.iter().any(|d| matches!(d.code, "P0805" | "P0806" | "P0808"));
    let left = sections.iter().flat_map(|s| &s.steps).any(|s| s.left_out.is_none() && !s.hosts.is_empty());
    if !given.is_empty() && !wrong && !left {
        let mut error = nowhere("P0809", format!("nothing is left to do by {}", given.join(" and ")));
        error.hint = Some("`piton check -v` shows the steps with their hosts".to_string());
        diagnostics.push(error);
    }
}

/// The options that leave something out, as typed.
fn given(options: &Options) -> Vec<String> {
    let lists = [
        ("--limit", &options.limit),
        ("--tags", &options.tags),
        ("--skip-tags", &options.skip_tags),
        ("--only", &options.only),
    ];
    let one = [("--from", &options.from), ("--until", &options.until)];
    let lists = lists.into_iter().filter(|(_, l)| !l.is_empty()).map(|(name, l)| format!("{name} {}", l.join(",")));
    lists.chain(one.into_iter().filter_map(|(name, o)| o.as_ref().map(|o| format!("{name} {o}")))).collect()
}

/// As in Ansible: `always` runs unless it is skipped by name, `never` runs only if it is asked for.
fn out_by_tags(options: &Options, step: &Step) -> Option<String> {
    let has = |tag: &str| step.tags.iter().any(|t| t == tag);
    if let Some(tag) = options.skip_tags.iter().find(|t| step.tags.contains(t)) {
        return Some(format!("--skip-tags {tag}"));
    }
    let asked = options.tags.iter().any(|t| step.tags.contains(t));
    if has("never") && !asked {
        return Some("tag never".to_string());
    }
    if !options.tags.is_empty() && !asked && !has("always") {
        return Some(format!("not in --tags {}", options.tags.join(",")));
    }
    None
}
