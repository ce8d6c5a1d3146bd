//! `piton explain`.

use crate::builder::Test;

#[test]
fn exit_codes() {
    Test::new()
        .args(["explain", "exit"])
        .stdout(
            "  0  done: every step is ok, changed or skipped
  1  a step failed; what was changed before it stays, and the report says how to go back
  2  bad input: nothing was contacted, nothing was changed
  3  a step failed and every guest changed in its section is back as it was
  4  the line was lost: a step's outcome is unknown or a host is gone in mid-run; `piton resume` goes on
  5  interrupted by the operator
  6  a step failed and the way back failed too: a person is needed
  7  a host could not be reached, and nothing was changed
  8  this machine: the journal cannot be written, a disk is full, a program is missing
  9  another operator has the node: nothing was changed
 10  a change cut the line or was not confirmed, and the host took it back: it is as before
 70  a defect of piton: please report it
",
        )
        .run();
}

#[test]
fn an_unknown_code_is_bad_input() {
    let got = Test::new().args(["explain", "P9999"]).any_output().status(2).run();
    assert!(got.stderr.starts_with("error: there is no code `P9999`\n  hint: "), "{}", got.stderr);
}

#[test]
fn a_code_has_a_title_and_a_text_in_80_columns_in_any_case() {
    let upper = Test::new().args(["explain", "P0101"]).any_output().run().stdout;
    let lower = Test::new().args(["explain", "p0101"]).any_output().run().stdout;
    assert_eq!(upper, lower);
    assert!(upper.starts_with("P0101: a key stands twice\n\n  In one mapping each key may stand once."), "{upper}");
    assert!(upper.lines().all(|l| l.chars().count() <= 80), "{upper}");
}

#[test]
fn every_listed_code_can_be_explained() {
    let list = Test::new().args(["explain", "list"]).any_output().run().stdout;
    assert!(list.lines().count() > 20, "{list}");
    for code in list.lines().map(|l| l.split_whitespace().next().unwrap()) {
        let text = Test::new().args(["explain", code]).any_output().run().stdout;
        assert!(text.starts_with(&format!("{code}: ")), "{text}");
    }
}
