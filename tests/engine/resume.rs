//! Death at every call, before and after the host did it; then resume until done: the same end, nothing twice.

use super::world::*;
use piton::compile::{OnFailure, Program};
use piton::engine::{Words, resume, run};
use piton::event::{Event, RunEnd};
use piton::exit::Exit;
use piton::journal::resume::Word;
use piton::journal::{RunDir, StateDir, read};
use piton::key::StepKey;
use serde_json::json;
use std::io::Write as _;
use std::sync::Arc;

/// Changes on three hosts, a loop, conditions on results, and two commands that must run exactly once.
pub fn book() -> Program {
    let on = |mut s: piton::compile::Step, hosts: &[&str]| {
        s.hosts = hosts.iter().map(|h| (*h).to_string()).collect();
        s
    };
    let mut first = poke(&["add", "n"]);
    first.register = Some("first".into());
    let mut last = on(poke(&["add", "m"]), &["b"]);
    last.key.0 = "s/last".into();
    let mut after = switch("z", "9");
    after.when = Some(expr("out.first.changed"));
    let mut list = each(switch("x", "{{ item }}"), json!(["1", "2"]));
    list.key.0 = "s/list".into();
    let one = section(OnFailure::Stop, vec![on(switch("y", "1"), &["a", "b", "c"]), first, after]);
    let two = section(OnFailure::Stop, vec![list, last]);
    program(vec![one, two])
}

pub fn folder() -> (tempfile::TempDir, RunDir) {
    let folder = tempfile::tempdir().unwrap();
    let id = piton::engine::clock::Clock::run_id(&Ticks::default());
    let dir = StateDir::at(folder.path()).create(&id).unwrap();
    (folder, dir)
}

/// Runs until the world says that we died.
async fn run_until_death(world: &World, dir: &RunDir) {
    let dead = world.0.lock().unwrap().dead.clone();
    let parts = parts(world, &book(), dir, vec![], Arc::default());
    let running = tokio::spawn(run(parts));
    dead.notified().await;
    running.abort();
    let _ = running.await;
    // The tasks of the hosts die with it.
    tokio::task::yield_now().await;
    no_child_has_our_files();
}

/// An operator who resumes until it is done: where piton asks, it looks at the world and answers.
pub async fn resume_until_done(world: &World, dir: &RunDir) -> usize {
    let mut words = Words::new();
    for round in 1..=6 {
        let seen = Arc::new(Seen::default());
        let ending = resume(parts(world, &book(), dir, vec![], seen.clone()), dir, words.clone()).await.unwrap();
        if ending.end == RunEnd::Done {
            return round;
        }
        assert_ne!(ending.exit, Exit::Done);
        words.clear();
        for event in seen.0.lock().unwrap().iter() {
            if let Event::TaskEnded { task, outcome, .. } = event
                && outcome.stops()
            {
                let name = if task.step.0 == "s/last" { "m" } else { "n" };
                let was_done = world.get(&task.host, name).is_some();
                words.insert(StepKey(task.step.0.clone()), if was_done { Word::Done } else { Word::Redo });
            }
        }
    }
    panic!("not done after six rounds");
}

#[tokio::test(start_paused = true)]
async fn death_at_every_call_and_resume_gives_the_same_end() {
    let undisturbed = World::default();
    let (_keep, dir) = folder();
    let ending = run(parts(&undisturbed, &book(), &dir, vec![], Arc::default())).await.unwrap();
    assert_eq!(ending.end, RunEnd::Done);
    let calls = undisturbed.calls().len();
    let want = undisturbed.0.lock().unwrap().values.clone();
    assert_eq!((&*want[&("a".into(), "n".into())], &*want[&("b".into(), "m".into())]), ("1", "1"));

    let mut cases = 0;
    for n in 0..calls {
        for death in [Fault::DieBefore, Fault::DieAfter] {
            for torn in [false, true] {
                let world = World::default();
                world.fault(n, death);
                let (_keep, dir) = folder();
                run_until_death(&world, &dir).await;
                world.0.lock().unwrap().faults.clear();
                if torn {
                    let mut file = std::fs::OpenOptions::new().append(true).open(dir.journal()).unwrap();
                    file.write_all(b"{\"at\":1,\"event\":\"task_en").unwrap();
                }
                resume_until_done(&world, &dir).await;
                let got = world.0.lock().unwrap().values.clone();
                assert_eq!(got, want, "death at call {n}, {death:?}, torn {torn}");
                assert!(!read(&dir).unwrap().torn);
                cases += 1;
            }
        }
    }
    println!("{cases} deaths, each resumed to the same end");
    assert!(cases >= 60, "{cases}");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_done_is_left_alone_when_resumed() {
    let world = World::default();
    let (_keep, dir) = folder();
    run(parts(&world, &book(), &dir, vec![], Arc::default())).await.unwrap();
    let before = world.calls().len();
    let ending = resume(parts(&world, &book(), &dir, vec![], Arc::default()), &dir, Words::new()).await.unwrap();
    assert_eq!((ending.end, world.calls().len()), (RunEnd::Done, before));
}

#[tokio::test(start_paused = true)]
async fn an_edited_step_runs_again_and_it_is_said() {
    let world = World::default();
    let (_keep, dir) = folder();
    run(parts(&world, &book(), &dir, vec![], Arc::default())).await.unwrap();
    let mut edited = book();
    edited.digest = "other".into();
    edited.sections[0].steps[0].params = switch("y", "2").params;
    let seen = Arc::new(Seen::default());
    resume(parts(&world, &edited, &dir, vec![], seen.clone()), &dir, Words::new()).await.unwrap();
    let said: Vec<String> = seen
        .0
        .lock()
        .unwrap()
        .iter()
        .filter_map(|e| match e {
            Event::Warning { text } => Some(text.clone()),
            _ => None,
        })
        .collect();
    assert!(said[0].starts_with("the runbook, a file that it includes"), "{said:?}");
    let mut rest = said[1..].to_vec();
    rest.sort();
    assert_eq!(rest[0], "s/y-1 on a runs again: its parameters are others now");
    assert_eq!(world.get("c", "y"), Some("2".into()));
    assert_eq!(world.get("a", "n"), Some("1".into()), "and nothing else");
}

#[tokio::test(start_paused = true)]
async fn two_at_once_are_refused() {
    let world = World::default();
    world.fault(2, Fault::DieBefore);
    let (_keep, dir) = folder();
    let dead = world.0.lock().unwrap().dead.clone();
    let running = tokio::spawn(run(parts(&world, &book(), &dir, vec![], Arc::default())));
    dead.notified().await;
    let error = resume(parts(&world, &book(), &dir, vec![], Arc::default()), &dir, Words::new()).await.unwrap_err();
    assert!(error.to_string().ends_with("is being written by another piton: that run goes on"), "{error}");
    running.abort();
}
