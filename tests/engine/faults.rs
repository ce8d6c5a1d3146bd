//! A fault at every call of a run, of each kind; then resume until done: the same end as the undisturbed run, and what
//! must not run twice ran once.

use super::resume::{book, folder, resume_until_done};
use super::world::*;
use piton::compile::OnFailure;
use piton::engine::cancel::Cancel;
use piton::engine::run;
use piton::event::{Event, RunEnd};
use piton::exit::Exit;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn every_fault_at_every_call_and_resume_gives_the_same_end() {
    let undisturbed = World::default();
    let (_keep, dir) = folder();
    run(parts(&undisturbed, &book(), &dir, vec![], Arc::default())).await.unwrap();
    let calls = undisturbed.calls().len();
    let want = undisturbed.0.lock().unwrap().values.clone();

    let (mut cases, mut resumed) = (0, 0);
    let mut exits = std::collections::BTreeMap::new();
    for n in 0..calls {
        for fault in [Fault::LostBefore, Fault::LostAfter, Fault::ExitOne, Fault::Unreachable] {
            for lost_before in [false, true] {
                let world = World::default();
                world.fault(n, fault);
                // Twice in a row: the settling meets a fault too.
                if lost_before {
                    world.fault(n + 1, Fault::LostBefore);
                }
                let (_keep, dir) = folder();
                let ending = run(parts(&world, &book(), &dir, vec![], Arc::default())).await.unwrap();
                *exits.entry(ending.exit.code()).or_insert(0) += 1;
                world.0.lock().unwrap().faults.clear();
                if ending.end != RunEnd::Done {
                    resume_until_done(&world, &dir).await;
                    resumed += 1;
                }
                let case = format!("call {n}, {fault:?}, and the next lost: {lost_before}");
                assert_eq!(world.0.lock().unwrap().values.clone(), want, "{case}");
                for once in ["a: add n", "b: add m"] {
                    let done = world.done().iter().filter(|c| *c == once).count();
                    assert_eq!(done, 1, "{once} at {case}");
                }
                cases += 1;
            }
        }
    }
    println!("{cases} faults, {resumed} of them resumed, all to the same end; exit codes {exits:?}");
    assert!(cases >= 120, "{cases}");
}

fn one(step: piton::compile::Step) -> piton::compile::Program {
    program(vec![section(OnFailure::Stop, vec![step])])
}

#[tokio::test(start_paused = true)]
async fn a_converging_step_that_lost_its_line_is_settled_by_a_look() {
    for (fault, want) in [
        (Fault::LostAfter, vec!["a: get x", "a: set x 1", "a: get x"]),
        (Fault::LostBefore, vec!["a: get x", "a: set x 1", "a: get x", "a: set x 1", "a: get x"]),
    ] {
        let world = World::default();
        world.fault(1, fault);
        let left = go(&world, one(switch("x", "1"))).await;
        assert_eq!(world.calls(), want, "{fault:?}");
        assert_eq!(left.outcomes(), ["a x-1 changed"]);
        assert_eq!((left.ending.exit, world.connects()), (Exit::Done, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_always_loses_its_line_is_unknown_in_the_end() {
    let world = World::default();
    for n in [1, 3, 5, 7] {
        world.fault(n, Fault::LostBefore);
    }
    let left = go(&world, one(switch("x", "1"))).await;
    assert_eq!(world.calls().iter().filter(|c| *c == "a: set x 1").count(), 3);
    assert_eq!(left.ending.exit, Exit::Unknown);
    assert_eq!(left.why("x-1"), "the connection to a was lost: a fault; in flight was: set x 1");
}

#[tokio::test(start_paused = true)]
async fn a_lost_line_is_waited_for_and_it_is_said() {
    let world = World::default();
    world.fault(1, Fault::LostAfter);
    world.away(Duration::from_secs(20));
    let begun = tokio::time::Instant::now();
    let left = go(&world, one(switch("x", "1"))).await;
    assert_eq!((left.ending.exit, left.outcomes()), (Exit::Done, vec!["a x-1 changed".to_string()]));
    assert_eq!(begun.elapsed().as_secs(), 1 + 2 + 4 + 8 + 15);
    let waits: Vec<String> = left
        .seen
        .iter()
        .filter_map(|e| match e {
            Event::Waiting { host, what } => Some(format!("{host}: {what}")),
            _ => None,
        })
        .collect();
    let want = [1, 2, 4, 8, 15]
        .map(|s| format!("a: the line is lost; trying again in {s} s: a cannot be reached: it is away"))
        .to_vec();
    assert_eq!(waits, want);
}

#[tokio::test(start_paused = true)]
async fn patience_ends_and_the_run_can_be_resumed() {
    let world = World::default();
    world.fault(1, Fault::LostBefore);
    world.away(Duration::from_secs(3600));
    let begun = tokio::time::Instant::now();
    let left = go(&world, one(switch("x", "1"))).await;
    assert_eq!((left.ending.exit, left.ending.end), (Exit::Unknown, RunEnd::Unknown));
    assert_eq!(begun.elapsed().as_secs(), 60);
    let why = "the connection to a was lost: a fault; in flight was: set x 1; and it could not be looked at: a cannot \
               be reached: it is away";
    assert_eq!(left.why("x-1"), why);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_gone_in_mid_run_ends_with_the_code_of_a_lost_line() {
    let world = World::default();
    world.fault(2, Fault::LostAfter);
    let steps = vec![poke(&["add", "n"]), poke(&["add", "m"]), poke(&["add", "k"])];
    // After two commands the line breaks in a look, and the host stays away.
    let mut steps = steps;
    steps[2] = peek("x", "1");
    world.away(Duration::from_secs(3600));
    let left = go(&world, program(vec![section(OnFailure::Stop, steps)])).await;
    assert_eq!((left.ending.end, left.ending.exit), (RunEnd::Failed, Exit::Unknown));
    assert_eq!(left.why("peek"), "a cannot be reached: it is away");
}

#[tokio::test(start_paused = true)]
async fn the_operator_ends_the_wait() {
    let world = World::default();
    world.fault(1, Fault::LostBefore);
    world.away(Duration::from_secs(3600));
    let cancel = Cancel::default();
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(4500)).await;
        later.raise();
    });
    let begun = tokio::time::Instant::now();
    let left = go_with(&world, one(switch("x", "1")), vec![], cancel).await;
    assert_eq!(begun.elapsed().as_millis(), 4500);
    // What was in flight is not known: that weighs more than the wish to stop.
    assert_eq!(left.ending.exit, Exit::Unknown);
}
