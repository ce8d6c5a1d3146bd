//! What a resumed run does with each task: one table, one pure function.
//!
//! | the journal says, for a task | parameters | then |
//! | --- | --- | --- |
//! | ended ok, changed, skipped or ignored | same | [`Resume::Skip`] |
//! | ended so | other | [`Resume::Run`], said |
//! | not seen; started; planned; between two actions of a repeatable step; failed | any | [`Resume::Run`] |
//! | a durable job started and its end not seen | any | [`Resume::Attach`] |
//! | another action sent and its end not seen, or ended as unknown, repeatable | any | [`Resume::Run`]: the probe finds what is left |
//! | the same, not repeatable | any | [`Resume::Ask`]: `--redo KEY` or `--done KEY` |
//! | between two actions of a step that is not repeatable | any | [`Resume::Ask`] |
//! | it was taken back since, by a checkpoint or an undo | any | [`Resume::Run`] |
//!
//! Last revised 2026-11-23.

use crate::event::Outcome;
use crate::state::{Task, TaskState};
use serde_json::Value;

/// What the operator said of a task that may have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// `--redo KEY`: run it again.
    Redo,
    /// `--done KEY`: it was done.
    Done,
}

/// What to do with a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Resume {
    /// It is done; this is what it registered.
    Skip(Value),
    /// Run it; the note says why where that is not plain.
    Run(Option<String>),
    /// It runs, or ran, as this job on the host: see its end first.
    Attach(String),
    /// It may or may not have run, and running it twice may do harm.
    Ask(String),
}

/// Decides for one task.
pub fn decide(task: Option<&Task>, params: &str, word: Option<Word>) -> Resume {
    let Some(task) = task else { return Resume::Run(None) };
    if task.taken_back {
        return Resume::Run(Some("it was taken back since".into()));
    }
    match &task.state {
        TaskState::Ended(Outcome::Ok | Outcome::Changed | Outcome::Skipped(_) | Outcome::Ignored(_)) => {
            if word == Some(Word::Redo) {
                Resume::Run(Some("--redo".into()))
            } else if task.params == params || matches!(task.state, TaskState::Ended(Outcome::Skipped(_))) {
                Resume::Skip(task.out.clone())
            } else {
                Resume::Run(Some("its parameters are others now".into()))
            }
        }
        _ if let (Some(job), None) = (&task.job, word) => Resume::Attach(job.clone()),
        TaskState::Started | TaskState::Planned | TaskState::Ended(Outcome::Failed(_)) => Resume::Run(None),
        TaskState::Acting { .. } | TaskState::Between | TaskState::Ended(Outcome::Unknown(_)) => match word {
            Some(Word::Redo) => Resume::Run(Some("--redo".into())),
            Some(Word::Done) => Resume::Skip(task.out.clone()),
            None if task.repeatable => Resume::Run(Some("it was cut off; the probe finds what is left".into())),
            None => Resume::Ask("it was cut off, and running it twice may do harm".into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Nature;

    fn task(state: TaskState, repeatable: bool) -> Task {
        Task {
            state,
            section: 0,
            params: "p".into(),
            nature: Some(Nature::Converges),
            repeatable,
            changes: vec![],
            begun: 0,
            out: Value::from(1),
            answers: vec![],
            job: None,
            jobs: 0,
            taken_back: false,
            life: 0,
        }
    }

    #[test]
    fn each_row_of_the_table() {
        let acting = TaskState::Acting { change: 0, action: 0 };
        let ended = TaskState::Ended;
        let cut = || Resume::Run(Some("it was cut off; the probe finds what is left".into()));
        let ask = || Resume::Ask("it was cut off, and running it twice may do harm".into());
        let skip = || Resume::Skip(Value::from(1));
        let rows: Vec<(TaskState, bool, &str, Resume)> = vec![
            (ended(Outcome::Ok), true, "p", skip()),
            (ended(Outcome::Changed), false, "p", skip()),
            (ended(Outcome::Ignored("x".into())), true, "p", skip()),
            (ended(Outcome::Skipped("x".into())), true, "", skip()),
            (ended(Outcome::Changed), true, "q", Resume::Run(Some("its parameters are others now".into()))),
            (TaskState::Started, false, "p", Resume::Run(None)),
            (TaskState::Planned, false, "p", Resume::Run(None)),
            (ended(Outcome::Failed("x".into())), false, "p", Resume::Run(None)),
            (acting.clone(), true, "p", cut()),
            (acting.clone(), false, "p", ask()),
            (TaskState::Between, true, "p", cut()),
            (TaskState::Between, false, "p", ask()),
            (ended(Outcome::Unknown("x".into())), true, "p", cut()),
            (ended(Outcome::Unknown("x".into())), false, "p", ask()),
        ];
        for (state, repeatable, params, want) in rows {
            let got = decide(Some(&task(state.clone(), repeatable)), params, None);
            assert_eq!(got, want, "{state:?} repeatable={repeatable}");
        }
        assert_eq!(decide(None, "p", None), Resume::Run(None));
        let with_job = |state| Task { job: Some("j".into()), ..task(state, false) };
        for state in [acting.clone(), TaskState::Started, ended(Outcome::Unknown("x".into()))] {
            assert_eq!(decide(Some(&with_job(state)), "q", None), Resume::Attach("j".into()));
        }
        assert_eq!(decide(Some(&with_job(acting.clone())), "p", Some(Word::Done)), skip());
        assert_eq!(decide(Some(&with_job(ended(Outcome::Changed))), "p", None), skip());
        let back = Resume::Run(Some("it was taken back since".into()));
        let undone = Task { taken_back: true, ..task(ended(Outcome::Changed), true) };
        assert_eq!(decide(Some(&undone), "p", None), back);
        let redo = Resume::Run(Some("--redo".into()));
        assert_eq!(decide(Some(&task(acting.clone(), false)), "p", Some(Word::Redo)), redo);
        assert_eq!(decide(Some(&task(acting, false)), "p", Some(Word::Done)), skip());
    }
}
