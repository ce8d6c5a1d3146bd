//! The list of rows that the simulated node does not answer as recorded.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What came of one row: number, what it was, and the difference.
pub type Outcome = (u32, String, Result<(), String>);

/// The list: `api 123 reason`, one row a line.
fn read() -> (usize, BTreeMap<(String, u32), String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/uncovered.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let limit = lines.next().and_then(|line| line.strip_prefix("# at most ")).expect("the first line says how many");
    let rows = lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#')).map(|line| {
        let mut parts = line.splitn(3, ' ');
        let (file, seq, reason) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or_default());
        assert!(!reason.trim().is_empty(), "a row without a reason: {line}");
        ((file.to_owned(), seq.parse().unwrap()), reason.to_owned())
    });
    (limit.trim().parse().unwrap(), rows.collect())
}

/// Every row passes or is listed; a listed row that passes must leave the list.
pub fn hold_to_list(file: &str, outcomes: &[Outcome]) {
    let (_, listed) = read();
    let mut complaints = String::new();
    for (seq, what, result) in outcomes {
        match (result, listed.contains_key(&(file.to_owned(), *seq))) {
            (Err(why), false) => {
                let _ = writeln!(complaints, "{file} {seq} differs and is not listed: {what}\n     {why}");
            }
            (Ok(()), true) => {
                let _ = writeln!(complaints, "{file} {seq} passes now: take it off the list: {what}");
            }
            _ => {}
        }
    }
    for (_, seq) in listed.keys().filter(|(name, seq)| name == file && !outcomes.iter().any(|(own, ..)| own == seq)) {
        let _ = writeln!(complaints, "{file} {seq} is listed but not recorded");
    }
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn the_list_is_no_longer_than_it_says() {
    let (limit, listed) = read();
    assert!(listed.len() <= limit, "{} rows listed, at most {limit} allowed", listed.len());
}
