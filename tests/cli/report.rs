//! `piton report` of journals that were written by hand, hostile output and secrets in them.

use crate::builder::{Test, fixtures, golden};

const ROLLED_BACK: &str = "20261123-025500-1a2b";
const UNKNOWN: &str = "20261123-030000-beef";

/// What the fixtures contain and no output may: raw marks, escape sequences, a bell.
fn assert_clean(text: &str) {
    for c in ['\u{1b}', '\u{7}', '\u{e000}', '\u{e001}', '\r'] {
        assert!(!text.contains(c), "{c:?} in {text}");
    }
}

#[test]
fn each_kind_of_report_is_as_it_was_looked_at() {
    for (run, name) in [(ROLLED_BACK, "rolled-back"), (UNKNOWN, "unknown")] {
        for kind in ["text", "md", "html", "json"] {
            let got = Test::new()
                .journal(run, &format!("{name}.jsonl"))
                .args(["report", "--format", kind])
                .any_output()
                .run();
            assert_eq!(got.stderr, "");
            assert_clean(&got.stdout);
            golden(&fixtures().join(format!("{name}.report.{kind}")), &got.stdout);
        }
    }
}

#[test]
fn the_ending_of_the_file_decides() {
    let got = Test::new()
        .journal(ROLLED_BACK, "rolled-back.jsonl")
        .args(["report", "1a2b", "-o", "r.html"])
        .stderr("written: r.html\n")
        .run();
    let page = std::fs::read_to_string(got.folder.path().join("r.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(page.contains("‹secret:db_password›"));
    for loaded in ["http://", "src=", "<script", "<link", "url("] {
        assert!(!page.contains(loaded), "{loaded}");
    }
}

#[test]
fn an_unknown_run_is_bad_input() {
    Test::new()
        .journal(ROLLED_BACK, "rolled-back.jsonl")
        .args(["report", "ffff"])
        .status(2)
        .stderr(
            "error: there is no run `ffff` in [DIR]/home/.local/state/piton/runs\n  \
             hint: `piton runs list` shows the runs there are\n",
        )
        .run();
}

#[test]
fn other_commands_do_not_write_html() {
    Test::new()
        .args(["--format", "html", "runs", "list"])
        .status(2)
        .stderr("error: only `piton report` writes Markdown and HTML\n  hint: use --format text or json\n")
        .run();
}

#[test]
fn a_later_format_is_refused() {
    let text = std::fs::read_to_string(fixtures().join("unknown.jsonl")).unwrap();
    Test::new()
        .file("home/.local/state/piton/runs/r/journal.jsonl", text.replacen("\"format\": 1", "\"format\": 2", 1))
        .arg("report")
        .status(2)
        .stderr(
            "error: [DIR]/home/.local/state/piton/runs/r/journal.jsonl has format 2, this piton reads up to 1; use the \
             version that wrote it\n",
        )
        .run();
}
