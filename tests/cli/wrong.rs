//! Wrong runbooks through the program itself: the errors on standard error as they are (their words are the goldens of
//! `check.rs`), exit code 2, nothing contacted.

use crate::builder::compare;
use piton::compile::{self, Options};
use piton::load::diagnose;
use std::path::Path;
use std::process::Command;

const INVENTORY: &str = "tests/cli/wrong/inventory.yml";

#[test]
fn every_wrong_runbook_ends_2_with_its_errors_for_check_plan_and_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(root.join("tests/cli/wrong")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        if path.extension().is_none_or(|e| e != "yml") || path.ends_with("inventory.yml") {
            continue;
        }
        seen += 1;
        let options = Options { runbook: name.into(), inventory: Some(INVENTORY.into()), ..Options::default() };
        let Err(failed) = compile::program(&options) else { panic!("{name} is accepted") };
        let want = diagnose::render(&failed.diagnostics, &failed.sources, false);
        for command in ["check", "plan", "run"] {
            // No ssh in the PATH: whoever wanted to contact a host could not.
            let output = Command::new(env!("CARGO_BIN_EXE_piton"))
                .args([command, name, "-i", INVENTORY])
                .current_dir(root)
                .env_clear()
                .env("HOME", home.path())
                .output()
                .unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{command} {name}: {stderr}");
            assert_eq!(output.stdout, b"", "{command} {name}");
            assert!(stderr.trim_end() == want.trim_end(), "{command} {name}\n{}", compare(&want, &stderr));
        }
    }
    assert!(seen >= 20, "{seen}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "a run that was refused left something behind");
}
