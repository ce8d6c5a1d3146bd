//! A durable step with this machine's `sh`: a fault at every call, and it runs once, to its end.

use super::world::*;
use piton::compile::{OnFailure, Program};
use piton::engine::{Words, resume, run};
use piton::event::{Event, RunEnd};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// One durable command that counts its runs, prints and ends with 0.
fn book(count: &Path) -> Program {
    let script = format!("echo run >>{}; echo one; sleep 0.1; echo two; echo three >&2", count.display());
    let mut step = poke(&["sh", "-c", &script]);
    step.key.0 = "s/job".into();
    step.durable = true;
    step.register = Some("job".into());
    program(vec![section(OnFailure::Stop, vec![step])])
}

fn folder() -> (tempfile::TempDir, piton::journal::RunDir) {
    let folder = tempfile::tempdir().unwrap();
    let id = piton::engine::clock::Clock::run_id(&Ticks::default());
    let dir = piton::journal::StateDir::at(folder.path()).create(&id).unwrap();
    (folder, dir)
}

struct Place {
    folder: tempfile::TempDir,
    world: World,
}

impl Place {
    fn new() -> Self {
        let (folder, world) = (tempfile::tempdir().unwrap(), World::default());
        world.0.lock().unwrap().jobs = Some(folder.path().join("piton/jobs"));
        Self { folder, world }
    }

    fn count(&self) -> std::path::PathBuf {
        self.folder.path().join("count")
    }

    fn book(&self) -> Program {
        book(&self.count())
    }

    /// It ran once, and only the count is left.
    #[track_caller]
    fn is_clean(&self, case: &str) {
        assert_eq!(std::fs::read_to_string(self.count()).unwrap(), "run\n", "{case}");
        let names: Vec<_> = std::fs::read_dir(self.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["count"], "{case}");
    }
}

#[track_caller]
fn is_whole(events: &[Event], case: &str) {
    let out = events.iter().rev().find_map(|e| match e {
        Event::TaskEnded { out, .. } => Some(out.clone()),
        _ => None,
    });
    let out = out.unwrap_or(Value::Null);
    assert_eq!(
        (&out["stdout"], &out["stderr"], &out["rc"]),
        (&"one\ntwo".into(), &"three".into(), &0.into()),
        "{case}"
    );
}

#[tokio::test]
async fn a_job_is_started_looked_at_and_cleared() {
    let place = Place::new();
    let left = go(&place.world, place.book()).await;
    assert_eq!(left.outcomes(), ["a job changed"]);
    is_whole(&left.seen, "undisturbed");
    place.is_clean("undisturbed");
    // Known by name before it is started, and no more once its end is written down.
    let at = |is: fn(&Event) -> bool| left.journal.events.iter().position(|e| is(&e.event)).unwrap();
    let begun = at(|e| matches!(e, Event::ActionStarted { .. }));
    let job = at(|e| matches!(e, Event::JobStarted { folder, .. } if folder.starts_with("20261123-000000-abcd-")));
    assert_eq!(job, begun + 1);
    assert!(at(|e| matches!(e, Event::ActionEnded { .. })) > job);
    assert!(left.journal.state.tasks.values().all(|t| t.job.is_none() && t.jobs == 1));
}

#[tokio::test]
async fn a_fault_at_every_call_and_the_job_runs_once() {
    let mut cases = 0;
    for n in 0..5 {
        for fault in [Fault::LostBefore, Fault::LostAfter, Fault::ExitOne] {
            let case = format!("call {n}, {fault:?}");
            let place = Place::new();
            place.world.fault(n, fault);
            let (_keep, dir) = folder();
            let seen = Arc::new(Seen::default());
            let ending = run(parts(&place.world, &place.book(), &dir, vec![], seen.clone())).await.unwrap();
            assert!(fault == Fault::ExitOne || ending.end == RunEnd::Done, "{case}: {:?}", ending.end);
            if ending.end != RunEnd::Done {
                seen.0.lock().unwrap().clear();
                let parts = parts(&place.world, &place.book(), &dir, vec![], seen.clone());
                assert_eq!(resume(parts, &dir, Words::new()).await.unwrap().end, RunEnd::Done, "{case}");
            }
            is_whole(&seen.0.lock().unwrap(), &case);
            if n < 4 {
                place.is_clean(&case);
            }
            cases += 1;
        }
    }
    println!("{cases} faults around a job");
}
