//! Reading a journal back, also after a crash.

use super::{JournalError, RunDir};
use crate::event::{Event, FORMAT, Stamped};
use crate::state::RunState;
use std::fs;

/// A journal as it was found.
#[derive(Debug, Clone)]
pub struct Journaled {
    /// Its events.
    pub events: Vec<Stamped>,
    /// What they add up to.
    pub state: RunState,
    /// True if the last line was cut off in the middle (a crash or a full disk) and left out.
    pub torn: bool,
}

/// Reads the journal of a run. A torn last line is left out; anything else that is not an event is an error.
///
/// # Errors
/// [`JournalError`].
pub fn read(dir: &RunDir) -> Result<Journaled, JournalError> {
    let path = dir.journal();
    let bytes = fs::read(&path).map_err(|source| JournalError::Read { path: path.clone(), source })?;
    let mut events = Vec::new();
    let mut torn = false;
    let mut lines = bytes.split_inclusive(|b| *b == b'\n').enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let last = lines.peek().is_none();
        // A line counts once its newline is there: without it the write was cut, whatever it looks like.
        if last && !line.ends_with(b"\n") {
            torn = true;
            break;
        }
        match serde_json::from_slice::<Stamped>(line) {
            Ok(event) => {
                if let Event::RunStarted { format, .. } = event.event
                    && format > FORMAT
                {
                    return Err(JournalError::Newer { path, format });
                }
                events.push(event);
            }
            Err(e) => return Err(JournalError::Damaged { path, line: number + 1, why: e.to_string() }),
        }
    }
    let state = RunState::fold(&events)?;
    Ok(Journaled { events, state, torn })
}

#[cfg(test)]
mod tests {
    use super::super::{Journal, StateDir};
    use super::*;
    use crate::key::RunId;

    fn started(run: &RunId) -> Stamped {
        serde_json::from_value(serde_json::json!({
            "at": 1, "event": "run_started", "format": FORMAT, "run": run.0, "command": "run", "runbook": "r",
            "path": "r.yml", "digest": "", "inventory": "i", "operator": "me", "piton": "0", "hosts": [],
            "vars": null, "tasks": 0, "lab": false,
        }))
        .unwrap()
    }

    #[test]
    fn what_was_written_comes_back_cut_at_any_byte() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path());
        let run = RunId("20261123-000000-abcd".into());
        let dir = state.create(&run).unwrap();
        let mut journal = Journal::create(&dir).unwrap();
        let warning = Stamped { at: 2, event: Event::Warning { text: "x".into() } };
        journal.append(&started(&run)).unwrap();
        journal.append(&warning).unwrap();
        let whole = fs::read(dir.journal()).unwrap();
        let first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        for cut in first..=whole.len() {
            fs::write(dir.journal(), &whole[..cut]).unwrap();
            let got = read(&dir).unwrap();
            assert_eq!(got.events.len(), if cut == whole.len() { 2 } else { 1 }, "cut at {cut}");
            assert_eq!(got.torn, cut != first && cut != whole.len(), "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path());
        let run = RunId("20261123-000000-abcd".into());
        let dir = state.create(&run).unwrap();
        let line = serde_json::to_string(&started(&run)).unwrap();
        fs::write(dir.journal(), format!("{line}\n{{oops\n{{}}\n")).unwrap();
        let error = read(&dir).unwrap_err().to_string();
        assert!(error.contains("journal.jsonl:2: not an event"), "{error}");
    }

    #[test]
    fn a_run_is_found_by_id_by_its_last_digits_and_as_the_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::at(folder.path());
        for id in ["20261123-000000-abcd", "20261124-000000-ef01"] {
            let run = RunId(id.into());
            let dir = state.create(&run).unwrap();
            Journal::create(&dir).unwrap();
        }
        assert!(state.find(None).unwrap().path().ends_with("20261124-000000-ef01"));
        assert!(state.find(Some("abcd")).unwrap().path().ends_with("20261123-000000-abcd"));
        let error = state.find(Some("beef")).unwrap_err().to_string();
        assert!(error.starts_with("there is no run `beef` in "), "{error}");
    }
}
