//! Holds the arrows between the folders of `src/` to a table, and `async` to the folders that may act.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folder, and the folders that it may name. Loose files (`cmd event exit key secret state`) are free for all.
const ARROWS: &[(&str, &[&str])] = &[
    ("load", &["modules"]),
    ("compile", &["load", "modules"]),
    ("modules", &[]),
    ("flows", &[]),
    ("pve", &["modules"]),
    ("transport", &["modules", "pve"]),
    ("checkpoint", &["modules", "pve", "transport"]),
    ("journal", &["modules"]),
    ("report", &["journal", "modules", "load"]),
    ("engine", &["checkpoint", "compile", "journal", "load", "modules", "pve", "transport"]),
    ("lab", &["load", "pve", "transport"]),
    (
        "cli",
        &[
            "checkpoint",
            "compile",
            "engine",
            "flows",
            "journal",
            "lab",
            "load",
            "modules",
            "pve",
            "report",
            "transport",
        ],
    ),
];

/// Loose files, and what each may name besides loose files: the vocabulary of events speaks of changes.
const LOOSE: &[(&str, &[&str])] = &[("event", &["modules"]), ("state", &["modules"])];

/// Folders that do things. The others decide, as plain functions.
const MAY_ACT: &[&str] = &["engine", "transport", "checkpoint", "lab", "cli"];

fn files(under: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn folder(src: &Path, file: &Path) -> String {
    let relative = file.strip_prefix(src).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_string()
}

/// The text without its comments: docs may point anywhere.
fn code(text: &str) -> String {
    text.lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect()
}

/// Names after `crate::` in the text, also those of a `use crate::{a, b}`.
fn named(text: &str) -> BTreeSet<String> {
    let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut out = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let group = &group[..group.find("};").unwrap_or(group.len())];
            let mut depth = 0;
            let mut start = 0;
            for (i, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        out.insert(word(group[start..i].trim()));
                        start = i + 1;
                    }
                    _ => {}
                }
            }
            out.insert(word(group[start..].trim()));
        } else {
            out.insert(word(rest));
        }
    }
    out.retain(|n| !n.is_empty());
    out
}

#[test]
fn folders_name_only_what_the_table_allows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders: BTreeSet<&str> = ARROWS.iter().map(|(from, _)| *from).collect();
    let mut all = Vec::new();
    files(&src, &mut all);
    let mut wrong = Vec::new();
    for file in all {
        let from = folder(&src, &file);
        if from == "lib" || from == "main" {
            continue;
        }
        let allowed = ARROWS.iter().chain(LOOSE).find(|(f, _)| *f == from).map_or(&[][..], |(_, to)| *to);
        for to in named(&code(&fs::read_to_string(&file).unwrap())) {
            if folders.contains(to.as_str()) && to != from && !allowed.contains(&to.as_str()) {
                wrong.push(format!("{}: {from} -> {to}", file.strip_prefix(&src).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the table does not have:\n{}", wrong.join("\n"));
}

#[test]
fn only_folders_that_act_are_async() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    let mut wrong = Vec::new();
    for file in all {
        let from = folder(&src, &file);
        let text = code(&fs::read_to_string(&file).unwrap());
        if !MAY_ACT.contains(&from.as_str()) && from != "main" && (text.contains("async fn") || text.contains(".await"))
        {
            wrong.push(file.strip_prefix(&src).unwrap().display().to_string());
        }
    }
    assert!(wrong.is_empty(), "`async` where only deciding belongs:\n{}", wrong.join("\n"));
}

#[test]
fn a_use_of_a_group_is_seen() {
    let got = named("use crate::{cmd::{Cmd, quote}, modules::Ask};\nlet x = crate::load::node::Node;");
    assert_eq!(got, BTreeSet::from(["cmd".to_string(), "load".to_string(), "modules".to_string()]));
}
