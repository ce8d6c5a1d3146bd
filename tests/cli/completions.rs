//! `piton completions`.

use crate::builder::Test;

#[test]
fn scripts_name_the_subcommands_and_not_the_hidden_ones() {
    for shell in ["bash", "zsh", "fish"] {
        let got = Test::new().args(["completions", shell]).any_output().run();
        assert!(got.stdout.contains("completions"), "{shell}");
        assert!(got.stdout.contains("runs"), "{shell}");
    }
}

#[test]
fn bash_takes_the_script() {
    let script = Test::new().args(["completions", "bash"]).any_output().run().stdout;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("piton.bash");
    std::fs::write(&path, script).unwrap();
    assert!(std::process::Command::new("bash").arg("-n").arg(&path).status().unwrap().success());
}
