//! No input makes a load panic: every prefix and thousands of small damages of the shipped files.

use piton::compile::{self, Options};
use piton::load::diagnose;
use std::path::{Path, PathBuf};

/// A small generator with a fixed seed: the same damages every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (sides.max(1) as u64)).unwrap()
    }
}

fn damaged(text: &[u8], dice: &mut Dice) -> Vec<u8> {
    const PIECES: &[&str] = &[
        "{{",
        "}}",
        "{",
        "}",
        "[",
        "]",
        ":",
        ": ",
        "- ",
        "\n",
        "\t",
        "\"",
        "'",
        "|",
        ">",
        "&a ",
        "*a",
        "!x ",
        "#",
        "0",
        "~",
        "<<",
        "{{#if ",
        "{{/if}}",
        "{{> x}}",
        "\u{e000}",
        "é",
        "\\",
        "(",
        ")",
        "out.",
        "item",
        "-1",
        "---\n",
        "  ",
        "%",
        "include: ",
        "null",
    ];
    let mut bytes = text.to_vec();
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(bytes.len() + 1);
        match dice.roll(4) {
            0 if at < bytes.len() => {
                bytes.remove(at);
            }
            1 if at < bytes.len() => bytes[at] = u8::try_from(dice.roll(256)).unwrap(),
            2 => {
                let end = (at + dice.roll(40)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            _ => {
                let piece = PIECES[dice.roll(PIECES.len())].as_bytes();
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes
}

struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for path in [
            "runbooks/configure-extranet.yml",
            "inventory/adr-008.yml",
            "templates/extranet/compose.yml.hbs",
            "templates/extranet/npm.json.hbs",
        ] {
            let to = folder.path().join(path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(path, to).unwrap();
        }
        Self { folder }
    }

    /// Compiles with one file in this state, renders what is said, and gives the file its old content back.
    fn survives(&self, path: &str, text: &[u8], runbook: &str) {
        let at = self.folder.path().join(path);
        std::fs::write(&at, text).unwrap();
        let options = Options {
            runbook: self.folder.path().join(runbook),
            inventory: Some(self.folder.path().join("inventory/adr-008.yml")),
            ..Options::default()
        };
        match compile::program(&options) {
            Ok(program) => drop(diagnose::render(&program.warnings, &program.sources, true)),
            Err(failed) => assert!(!diagnose::render(&failed.diagnostics, &failed.sources, false).is_empty()),
        }
    }
}

fn shipped() -> Vec<(PathBuf, &'static str)> {
    let mut files = vec![
        (PathBuf::from("inventory/adr-008.yml"), "runbooks/configure-extranet.yml"),
        (PathBuf::from("templates/extranet/compose.yml.hbs"), "runbooks/configure-extranet.yml"),
    ];
    for entry in std::fs::read_dir("tests/cli/wrong").unwrap().chain(std::fs::read_dir("runbooks").unwrap()) {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yml") && !path.ends_with("inventory.yml") {
            files.push((path, "runbooks/x.yml"));
        }
    }
    files.sort();
    files
}

#[test]
fn every_prefix_of_every_shipped_file_is_read_or_refused() {
    let ground = Ground::new();
    for (file, runbook) in shipped() {
        let text = std::fs::read(&file).unwrap();
        let target = if runbook == "runbooks/x.yml" { Path::new("runbooks/x.yml") } else { file.as_path() };
        let step = (text.len() / 60).max(1);
        for end in (0..text.len()).step_by(step) {
            ground.survives(target.to_str().unwrap(), &text[..end], runbook);
        }
        ground.survives(target.to_str().unwrap(), &text, runbook);
    }
}

#[test]
fn damaged_files_are_read_or_refused() {
    let ground = Ground::new();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for (file, runbook) in shipped() {
        let text = std::fs::read(&file).unwrap();
        let target = if runbook == "runbooks/x.yml" { Path::new("runbooks/x.yml") } else { file.as_path() };
        for _ in 0..60 {
            ground.survives(target.to_str().unwrap(), &damaged(&text, &mut dice), runbook);
        }
        ground.survives(target.to_str().unwrap(), &text, runbook);
    }
}
