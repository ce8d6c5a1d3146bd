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

/// Compares what is said with the golden file beside `file`.
fn golden(file: &Path, options: &Options) -> Option<String> {
    assert!(compile::program(options).is_err(), "{} is accepted", file.display());
    let got = said(options);
    let golden = file.with_extension("stderr");
    if std::env::var_os("PITON_GOLDEN").is_some_and(|v| v == "overwrite") {
        std::fs::write(&golden, &got).unwrap();
    }
    let want = std::fs::read_to_string(&golden).unwrap_or_default();
    (got != want).then(|| format!("{}:\n--- expected\n{want}\n--- got\n{got}", file.display()))
}

#[test]
fn wrong_runbooks_get_pointed_errors() {
    let runbooks: Vec<PathBuf> =
        files("tests/cli/wrong", "yml").into_iter().filter(|p| !p.ends_with("inventory.yml")).collect();
    assert!(runbooks.len() >= 24, "{}", runbooks.len());
    let wrong: Vec<String> =
        runbooks.iter().filter_map(|r| golden(r, &options(r, "tests/cli/wrong/inventory.yml"))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_program_says_the_same_and_ends_with_2() {
    for runbook in files("tests/cli/wrong", "yml").into_iter().filter(|p| !p.ends_with("inventory.yml")) {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_piton"))
            .args(["check", "-i", "tests/cli/wrong/inventory.yml"])
            .arg(&runbook)
            .env_clear()
            .output()
            .unwrap();
        let want = std::fs::read_to_string(runbook.with_extension("stderr")).unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), want, "{}", runbook.display());
        assert_eq!((output.stdout.as_slice(), output.status.code()), (&b""[..], Some(2)), "{}", runbook.display());
    }
}

#[test]
fn wrong_inventories_get_pointed_errors() {
    let runbook = Path::new("tests/cli/wrong/parts/right.yml");
    let inventories = files("tests/cli/wrong/inventories", "yml");
    assert!(inventories.len() >= 5);
    let wrong: Vec<String> =
        inventories.iter().filter_map(|i| golden(i, &options(runbook, i.to_str().unwrap()))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn shipped_runbooks_are_clean_with_every_shipped_inventory() {
    for inventory in ["inventory/adr-008.yml", "inventory/pfsense.yml"] {
        // The demo belongs to the lab's own inventory.
        for runbook in files("runbooks", "yml").into_iter().filter(|p| !p.ends_with("demo.yml")) {
            assert_eq!(said(&options(&runbook, inventory)), "", "{} with {inventory}", runbook.display());
        }
    }
}
