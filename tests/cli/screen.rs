//! What a run shows, off a terminal: played from files of events.

use crate::builder::{Test, fixtures, golden};

fn play(fixture: &str, args: &[&str]) -> String {
    let text = std::fs::read(fixtures().join(fixture)).unwrap();
    let got = Test::new().file("events.jsonl", text).args(args.iter().copied()).args(["screen", "events.jsonl"]);
    let got = got.any_output().run();
    assert_eq!(got.stderr, "");
    got.stdout
}

#[test]
fn each_display_is_as_it_was_looked_at() {
    for (fixture, name, args) in [
        ("rolled-back.screen.jsonl", "rolled-back", &[][..]),
        ("rolled-back.screen.jsonl", "rolled-back.quiet", &["-q"]),
        ("rolled-back.screen.jsonl", "rolled-back.verbose", &["-v"]),
        ("unknown.jsonl", "unknown", &[]),
        ("unknown.jsonl", "unknown.quiet", &["-q"]),
        ("plan.jsonl", "plan", &[]),
    ] {
        let shown = play(fixture, args);
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{e000}'), "{shown}");
        golden(&fixtures().join(format!("{name}.screen.txt")), &shown);
    }
}

#[test]
fn colours_are_on_only_where_they_are_wanted() {
    assert!(play("unknown.jsonl", &["--color", "always"]).contains("\u{1b}[1;37;41mUNKNOWN\u{1b}[0m"));
    assert!(!play("unknown.jsonl", &["--color", "never"]).contains('\u{1b}'));
    assert!(!play("unknown.jsonl", &["--color", "auto"]).contains('\u{1b}'));
}

#[test]
fn json_is_one_event_a_line_with_secrets_as_names() {
    let shown = play("rolled-back.screen.jsonl", &["--format", "json"]);
    let events = std::fs::read_to_string(fixtures().join("rolled-back.screen.jsonl")).unwrap();
    assert_eq!(shown.lines().count(), events.lines().count());
    for line in shown.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["event"].is_string() && value["at"].is_u64(), "{line}");
    }
    assert!(shown.contains("DB_PASSWORD=‹secret:db_password›"));
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{e000}'));
}

#[test]
fn off_a_terminal_nobody_is_asked() {
    let ask = r#"{"host": "pve", "ask": {"confirm": "Go on?"}}"#;
    Test::new()
        .file("events.jsonl", ask)
        .args(["screen", "events.jsonl"])
        .stdout("warning: no answer: no terminal to ask at; `--yes` confirms without asking\n")
        .run();
    Test::new()
        .file("events.jsonl", ask)
        .args(["screen", "--yes", "events.jsonl"])
        .stdout("warning: answer: yes\n")
        .run();
}
