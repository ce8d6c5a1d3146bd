//! `piton modules`.

use crate::builder::Test;

#[test]
fn an_unknown_step_kind_is_bad_input() {
    let got = Test::new().args(["modules", "nonsense"]).any_output().status(2).run();
    assert!(got.stderr.starts_with("error: there is no step kind `nonsense`\n  hint: "), "{}", got.stderr);
}

#[test]
fn each_listed_kind_shows_its_parameters_and_examples_in_80_columns() {
    let list = Test::new().arg("modules").any_output().run().stdout;
    for name in list.lines().map(|l| l.split_whitespace().next().unwrap()) {
        let shown = Test::new().args(["modules", name]).any_output().run().stdout;
        assert!(shown.starts_with(&format!("{name}: ")), "{shown}");
        assert!(shown.contains("\nExamples:\n"), "{shown}");
    }
}
