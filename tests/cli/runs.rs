//! `piton runs`.

use crate::builder::Test;

const ROLLED_BACK: &str = "20261123-025500-1a2b";
const UNKNOWN: &str = "20261123-030000-beef";

#[test]
fn an_empty_state_directory_is_not_an_error() {
    Test::new().args(["runs", "list"]).stderr("no runs yet in [DIR]/home/.local/state/piton\n").run();
}

#[test]
fn no_last_run_is_bad_input() {
    Test::new()
        .args(["runs", "show"])
        .status(2)
        .stderr(
            "error: there is no run `(the last one)` in [DIR]/home/.local/state/piton/runs\n  \
             hint: `piton runs list` shows the runs there are\n",
        )
        .run();
}

#[test]
fn runs_are_listed_oldest_first() {
    Test::new()
        .journal(UNKNOWN, "unknown.jsonl")
        .journal(ROLLED_BACK, "rolled-back.jsonl")
        .args(["runs", "list"])
        .stdout(
            "run                   began (UTC)          took  end          command  runbook
20261123-025500-1a2b  2026-11-23 02:55:00  8.6s  rolled back  run      Configure the firewall of both guests
20261123-030000-beef  2026-11-23 02:55:00  8.6s  UNKNOWN      run      Configure the firewall of both guests
",
        )
        .run();
}

#[test]
fn the_state_directory_can_be_chosen() {
    for call in [
        Test::new().env("XDG_STATE_HOME", "/nowhere").args(["runs", "list"]).stderr("no runs yet in /nowhere/piton\n"),
        Test::new().args(["--state-dir", "/other", "runs", "list"]).stderr("no runs yet in /other\n"),
    ] {
        call.run();
    }
}

#[test]
fn a_torn_journal_is_shown_up_to_where_it_is_whole_with_a_note() {
    let journal = std::fs::read_to_string(crate::builder::fixtures().join("unknown.jsonl")).unwrap();
    let cut: String = journal.chars().take(journal.chars().count() - 10).collect();
    let got = Test::new()
        .file(&format!("home/.local/state/piton/runs/{UNKNOWN}/journal.jsonl"), cut)
        .args(["runs", "show", "beef"])
        .any_output()
        .run();
    assert_eq!(
        got.stderr,
        "note: the last line of [DIR]/home/.local/state/piton/runs/20261123-030000-beef/journal.jsonl was cut off in \
         the middle and is left out\nnote: no end of this run was written: it still runs, or piton was killed in it\n"
    );
    assert!(got.stdout.contains("UNKNOWN  extranet  rules from the flow matrix"), "{}", got.stdout);
    assert!(!got.stdout.contains("Result:"), "{}", got.stdout);
}

#[test]
fn a_damaged_journal_is_named_and_the_other_runs_are_listed() {
    Test::new()
        .journal(ROLLED_BACK, "rolled-back.jsonl")
        .file("home/.local/state/piton/runs/20261123-000000-0bad/journal.jsonl", "not json\n")
        .args(["--format", "json", "runs", "list"])
        .stdout(
            "{\"run\":\"20261123-025500-1a2b\",\"at\":1795402500000,\"command\":\"run\",\"runbook\":\"Configure the \
             firewall of both guests\",\"path\":\"runbooks/firewall.yml\",\"hosts\":[\"pve\",\"intranet\",\
             \"extranet\"],\"end\":\"rolled_back\",\"lab\":true,\"checkpoints\":[{\"guest\":\"extranet\",\"name\":\
             \"piton-1a2b-01\"}]}\n",
        )
        .stderr(
            "note: run 20261123-000000-0bad: [DIR]/home/.local/state/piton/runs/20261123-000000-0bad/journal.jsonl:1: not an event of a journal: \
             expected ident at line 1 column 2\n",
        )
        .run();
}
