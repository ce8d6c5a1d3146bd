//! The world's side of a revert: it keeps a host's values, and gives them back in time or when told. A host whose
//! value `net` is `cut` can neither be connected to nor spoken with.

use super::world::Inside;
use piton::cmd::{Cmd, Output};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A revert on a host.
#[derive(Debug, Clone)]
pub struct Deadman {
    host: String,
    values: BTreeMap<String, String>,
    due: Instant,
    pub state: &'static str,
}

/// How a command to a revert is noted; `None` for others.
pub fn line(cmd: &Cmd) -> Option<String> {
    match cmd.argv.as_slice() {
        [sh, c, _, _, _, word] if sh == "sh" && c == "-c" => Some(match word.parse::<u64>() {
            Ok(seconds) => format!("revert arm {seconds}"),
            Err(_) => format!("revert {word}"),
        }),
        _ => None,
    }
}

pub fn is_cut(inside: &Inside, host: &str) -> bool {
    inside.values.get(&(host.to_string(), "net".to_string())).is_some_and(|v| v == "cut")
}

fn fire(inside: &mut Inside, folder: &str) {
    let deadman = inside.reverts.get_mut(folder).unwrap();
    deadman.state = "reverted";
    let (host, values) = (deadman.host.clone(), deadman.values.clone());
    inside.values.retain(|(h, _), _| *h != host);
    inside.values.extend(values.into_iter().map(|(name, value)| ((host.clone(), name), value)));
}

/// Lets time pass.
pub fn tick(inside: &mut Inside) {
    let now = Instant::now();
    let due = inside.reverts.iter().filter(|(_, d)| d.state == "armed" && d.due <= now);
    for folder in due.map(|(folder, _)| folder.clone()).collect::<Vec<_>>() {
        fire(inside, &folder);
    }
}

pub fn told(inside: &mut Inside, host: &str, folder: &str, word: &str) -> Output {
    let state = inside.reverts.get(folder).map(|d| d.state);
    if let Ok(seconds) = word.parse() {
        let of_host =
            |((h, name), value): (&(String, String), &String)| (h == host).then(|| (name.clone(), value.clone()));
        let values = inside.values.iter().filter_map(of_host).collect();
        let due = Instant::now() + Duration::from_secs(seconds);
        let deadman = Deadman { host: host.into(), values, due, state: "armed" };
        assert!(inside.reverts.insert(folder.into(), deadman).is_none(), "the folder is the once-token");
        return Output::of(0, "armed\n", "");
    }
    match (word, state) {
        (_, None) => Output::of(0, "gone\n", ""),
        ("disarm", Some("armed")) => {
            inside.reverts.remove(folder);
            Output::of(0, "disarmed\n", "")
        }
        ("status" | "disarm", Some(state)) => Output::of(0, &format!("{state}\n"), ""),
        ("now", Some("armed")) => {
            fire(inside, folder);
            Output::of(0, "", "")
        }
        ("clear", Some(_)) => {
            inside.reverts.remove(folder);
            Output::of(0, "", "")
        }
        _ => Output::of(0, "", ""),
    }
}
