//! Every recorded answer that piton reads, through the carrier that would have brought it.

mod api;
mod curl;
mod pvesh;

use serde_json::Value;
use std::collections::BTreeMap;

/// The rows of a recording.
fn rows(file: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_else(|| panic!("{key} of {row}"))
}

/// Counts by class, printed so that a reader of the log sees what was held against the recordings.
#[derive(Default)]
struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    fn add(&mut self, class: &'static str) {
        *self.0.entry(class).or_default() += 1;
    }

    fn check(&self, what: &str, expected: &[(&str, usize)]) {
        println!("{what}: {:?}", self.0);
        let got: Vec<(&str, usize)> = self.0.iter().map(|(class, n)| (*class, *n)).collect();
        assert_eq!(got, expected, "{what}");
    }
}
