//! The live display and questions on a real pseudo-terminal of 80 columns, made by `script`.

use crate::builder::fixtures;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// What a terminal of this size received from piton.
fn on_a_terminal(events: &str, args: &str, typed: &str, no_color: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("events.jsonl"), events).unwrap();
    let piton = env!("CARGO_BIN_EXE_piton");
    let mut command = Command::new("script");
    command
        .args([
            "-qefc",
            &format!("stty cols 80 rows 24; {piton} screen {args} events.jsonl; echo EXIT $?"),
            "/dev/null",
        ])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder.path())
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if no_color {
        command.env("NO_COLOR", "1");
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    String::from_utf8(output.stdout).unwrap()
}

/// What stays on the screen: lines that were written and not taken away again. Understands what indicatif sends: up,
/// carriage return, clear line, clear to the end.
fn screen(received: &str) -> Vec<String> {
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut col) = (0usize, 0usize);
    let mut chars = received.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                assert_eq!(chars.next(), Some('['), "an escape sequence that is no CSI");
                let mut number = String::new();
                let last = loop {
                    match chars.next().unwrap() {
                        c @ ('0'..='9' | ';' | '?') => number.push(c),
                        c => break c,
                    }
                };
                let n = number.parse::<usize>().unwrap_or(1);
                match last {
                    'A' => row = row.saturating_sub(n),
                    'B' => row += n,
                    'K' => lines[row].clear(),
                    'J' => {
                        lines.truncate(row + 1);
                        lines[row].truncate(col);
                    }
                    'm' | 'h' | 'l' => {}
                    other => panic!("unexpected control sequence {number}{other}"),
                }
            }
            '\r' => col = 0,
            '\n' => {
                row += 1;
                col = 0;
            }
            c => {
                // A full line wraps when the next character comes.
                if col == 80 {
                    row += 1;
                    col = 0;
                }
                grow(&mut lines, row);
                if lines[row].len() <= col {
                    lines[row].resize(col + 1, ' ');
                }
                lines[row][col] = c;
                col += 1;
            }
        }
        grow(&mut lines, row);
    }
    lines.into_iter().map(|l| l.into_iter().collect::<String>().trim_end().to_string()).collect()
}

fn grow(lines: &mut Vec<Vec<char>>, row: usize) {
    while lines.len() <= row {
        lines.push(Vec::new());
    }
}

/// Lines as a terminal of 80 columns shows them.
fn wrapped(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    for line in text.lines() {
        let chars: Vec<char> = line.chars().collect();
        let rows = chars.chunks(80).map(|c| c.iter().collect::<String>().trim_end().to_string());
        out.extend(rows);
        if chars.is_empty() {
            out.push(String::new());
        }
    }
    out
}

fn fixture(name: &str) -> String {
    std::fs::read_to_string(fixtures().join(name)).unwrap()
}

#[test]
fn the_live_display_leaves_what_the_plain_printer_prints() {
    let received = on_a_terminal(&fixture("rolled-back.screen.jsonl"), "--pace 30", "", true);
    let live = ["Pulling", "layer 1/3 60%", "layer 2/3 40%", "Digest"];
    let live = live.map(|line| received.contains(&format!("pull the images [npm:2.11]: {line}")));
    assert!(live.contains(&true), "live output of a long step: {received}");
    let shown = screen(&received);
    let until = |lines: &[String]| lines.iter().position(|l| l.starts_with("  journal:")).unwrap();
    let want = wrapped(&fixture("rolled-back.screen.txt"));
    assert_eq!(shown[..until(&shown)], want[..until(&want)], "{}", shown.join("\n"));
    let rest: Vec<&String> = shown[until(&shown) + 1..].iter().filter(|l| !l.is_empty()).collect();
    assert_eq!(rest.last().unwrap().as_str(), "EXIT 0");
    assert!(rest.len() <= 2, "bars are left: {rest:?}");
    assert!(!received.contains("\u{1b}[3"), "NO_COLOR");
}

#[test]
fn a_terminal_gets_colours() {
    let received = on_a_terminal(&fixture("unknown.jsonl"), "", "", false);
    assert!(received.contains("\u{1b}[1;37;41mUNKNOWN\u{1b}[0m"), "{received}");
}

#[test]
fn a_question_is_asked_and_the_display_comes_back() {
    let mut events: Vec<String> = fixture("unknown.jsonl").lines().map(str::to_string).collect();
    events.insert(8, r#"{"host": "pve", "ask": {"confirm": "Go on?"}}"#.to_string());
    let received = on_a_terminal(&events.join("\n"), "", "maybe\nyes\n", true);
    assert_eq!(received.matches("pve: Go on? [yes/no]").count(), 2, "{received}");
    assert!(received.contains("warning: answer: yes"), "{received}");
    assert!(received.contains("Result: the outcome of a step is UNKNOWN"), "{received}");
}
