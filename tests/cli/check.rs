//! Wrong runbooks: what is said about each, word for word. `PITON_GOLDEN=overwrite` writes the texts anew.

use piton::compile::{self, Options};
use piton::load::diagnose;
use std::path::{Path, PathBuf};

fn options(runbook: &Path, inventory: &str) -> Options {
    Options { runbook: runbook.to_path_buf(), inventory: Some(PathBuf::from(inventory)), ..Options::default() }
}

fn said(options: &Options) -> String {
    match compile::program(options) {
        Ok(program) => diagnose::render(&program.warnings, &program.sources, false),
        Err(failed) => diagnose::render(&failed.diagnostics, &failed.sources, false),
    }
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    found
}

#[test]
fn wrong_runbooks_get_pointed_errors() {
    let overwrite = std::env::var_os("PITON_GOLDEN").is_some_and(|v| v == "overwrite");
    let mut seen = 0;
    let mut wrong = Vec::new();
    for runbook in files("tests/cli/wrong", "yml") {
        if runbook.ends_with("inventory.yml") {
            continue;
        }
        seen += 1;
        let options = options(&runbook, "tests/cli/wrong/inventory.yml");
        assert!(compile::program(&options).is_err(), "{} is accepted", runbook.display());
        let got = said(&options);
        let golden = runbook.with_extension("stderr");
        if overwrite {
            std::fs::write(&golden, &got).unwrap();
        }
        let want = std::fs::read_to_string(&golden).unwrap_or_default();
        if got != want {
            wrong.push(format!("{}:\n--- expected\n{want}\n--- got\n{got}", runbook.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 24, "{seen}");
}

#[test]
fn shipped_runbooks_are_clean_with_every_shipped_inventory() {
    for inventory in ["inventory/adr-008.yml", "inventory/pfsense.yml"] {
        for runbook in files("runbooks", "yml") {
            assert_eq!(said(&options(&runbook, inventory)), "", "{} with {inventory}", runbook.display());
        }
    }
}
