//! Commit-confirm in the small world: armed before the change, confirmed over a new line, or taken back and said so.

use super::resume::folder;
use super::world::*;
use piton::compile::{OnFailure, Program, Step};
use piton::engine::{Words, resume, rollback_run, run};
use piton::event::{Event, RunEnd};
use piton::exit::Exit;
use piton::journal::read;
use piton::load::confirm::ConfirmWithin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn guarded(mut step: Step) -> Step {
    let files = vec!["/etc/x".to_string()];
    step.confirm_within = Some(ConfirmWithin { time: Duration::from_secs(30), files, after: None });
    step
}

fn one(step: Step) -> Program {
    program(vec![section(OnFailure::Stop, vec![guarded(step)])])
}

fn reverts(seen: &[Event]) -> Vec<&'static str> {
    let word = |e: &Event| match e {
        Event::RevertArmed { .. } => Some("armed"),
        Event::RevertDropped { .. } => Some("dropped"),
        Event::RevertConfirmed { .. } => Some("confirmed"),
        Event::RevertFired { failed: None, .. } => Some("fired"),
        Event::RevertFired { .. } => Some("failed"),
        _ => None,
    };
    seen.iter().filter_map(word).collect()
}

fn none_left(world: &World) -> bool {
    world.0.lock().unwrap().reverts.is_empty()
}

#[tokio::test(start_paused = true)]
async fn what_holds_is_confirmed_over_a_new_line() {
    let world = World::default();
    world.set("a", "x", "old");
    let left = go(&world, one(switch("x", "new"))).await;
    let want = ["a: get x", "a: revert arm 30", "a: set x new", "a: get x", "a: revert disarm"];
    assert_eq!((world.calls(), world.connects()), (want.map(String::from).to_vec(), 2));
    assert_eq!((left.ending.exit, reverts(&left.seen)), (Exit::Done, vec!["armed", "confirmed"]));
    assert!(none_left(&world) && left.ending.state.reverts.is_empty());
    assert_eq!(left.ending.state.applied.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_cuts_its_own_line_is_taken_back_and_has_its_own_code() {
    let world = World::default();
    world.set("a", "net", "fine");
    let begun = Instant::now();
    let left = go(&world, one(switch("net", "cut"))).await;
    assert_eq!(world.get("a", "net"), Some("fine".into()));
    assert_eq!((left.ending.end, left.ending.exit.code()), (RunEnd::Reverted, 10));
    assert_eq!(reverts(&left.seen), ["armed", "fired"]);
    assert_eq!(left.why("net-cut"), "reverted: not confirmed within 30s: a cannot be reached: it is cut off");
    assert!((30..35).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    // There is nothing left to undo, and nothing on the host.
    assert!(left.ending.state.applied.is_empty() && none_left(&world));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_hold_or_fails_is_taken_back_at_once() {
    for step in [stuck("x", "new"), poke(&["fail", "3"])] {
        let world = World::default();
        world.set("a", "x", "old");
        let begun = Instant::now();
        let left = go(&world, one(step)).await;
        assert_eq!((left.ending.exit, reverts(&left.seen)), (Exit::Reverted, vec!["armed", "fired"]));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(none_left(&world));
    }
}

#[tokio::test(start_paused = true)]
async fn a_revert_that_cannot_be_armed_means_that_nothing_is_changed() {
    let world = World::default();
    world.set("a", "x", "old");
    world.fault(1, Fault::ExitOne);
    let left = go(&world, one(switch("x", "new"))).await;
    assert_eq!((left.ending.exit, reverts(&left.seen)), (Exit::Failed, vec!["armed", "dropped"]));
    assert!(!world.calls().iter().any(|c| c.contains("set x")), "{:?}", world.calls());
    assert!(left.why("x-new").starts_with("the host cannot be relied on to take it back, so nothing was changed"));
}

#[tokio::test(start_paused = true)]
async fn a_step_without_anything_to_put_back_says_so_before() {
    let mut step = switch("x", "new");
    step.confirm_within = Some(ConfirmWithin { time: Duration::from_secs(30), files: vec![], after: None });
    let world = World::default();
    let left = go(&world, program(vec![section(OnFailure::Stop, vec![step])])).await;
    assert_eq!((left.ending.exit, world.get("a", "x")), (Exit::Failed, None));
    assert!(left.why("x-new").starts_with("`confirm_within` has nothing to put back"), "{}", left.why("x-new"));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_stays_away_is_unknown_and_looked_at_first_when_resumed() {
    let world = World::default();
    world.set("a", "x", "old");
    world.fault(2, Fault::LostAfter);
    world.away(Duration::from_secs(600));
    let (_keep, dir) = folder();
    let book = one(switch("x", "new"));
    let ending = run(parts(&world, &book, &dir, vec![], Arc::default())).await.unwrap();
    assert_eq!((ending.end, ending.exit.code(), ending.state.reverts.len()), (RunEnd::Unknown, 4, 1));
    // Still away: nothing else is done.
    let ending = resume(parts(&world, &book, &dir, vec![], Arc::default()), &dir, Words::new()).await.unwrap();
    assert_eq!((ending.end, ending.state.reverts.len()), (RunEnd::Unknown, 1));
    tokio::time::sleep(Duration::from_secs(600)).await;
    let seen = Arc::new(Seen::default());
    let ending = resume(parts(&world, &book, &dir, vec![], seen.clone()), &dir, Words::new()).await.unwrap();
    assert_eq!(reverts(&seen.0.lock().unwrap()), ["fired", "armed", "confirmed"]);
    assert_eq!((ending.exit, world.get("a", "x")), (Exit::Done, Some("new".into())));
    assert!(none_left(&world));
}

/// Whatever is lost, and whenever: what the exit code says of the change is so, and nothing stays armed.
#[tokio::test(start_paused = true)]
async fn every_fault_at_every_call_leaves_what_is_said() {
    let mut cases = 0;
    let mut exits = std::collections::BTreeMap::new();
    for n in 0..5 {
        for fault in [Fault::LostBefore, Fault::LostAfter, Fault::ExitOne, Fault::Unreachable] {
            for away in [0, 15, 60] {
                let world = World::default();
                world.set("a", "x", "old");
                world.fault(n, fault);
                if away > 0 {
                    world.away(Duration::from_secs(away));
                }
                let (_keep, dir) = folder();
                let book = one(switch("x", "new"));
                let mut ending = run(parts(&world, &book, &dir, vec![], Arc::default())).await.unwrap();
                let case = format!("call {n}, {fault:?}, away {away}: {:?}", ending.exit);
                *exits.entry(ending.exit.code()).or_insert(0) += 1;
                let now = world.get("a", "x").unwrap();
                match ending.exit {
                    Exit::Done => assert_eq!((now.as_str(), none_left(&world)), ("new", true), "{case}"),
                    Exit::Reverted => assert_eq!((now.as_str(), none_left(&world)), ("old", true), "{case}"),
                    _ => {}
                }
                world.0.lock().unwrap().faults.clear();
                for pause in [0, 60, 0] {
                    tokio::time::sleep(Duration::from_secs(pause)).await;
                    if ending.end != RunEnd::Done {
                        let parts = parts(&world, &book, &dir, vec![], Arc::default());
                        ending = resume(parts, &dir, Words::new()).await.unwrap();
                    }
                }
                assert_eq!((ending.end, world.get("a", "x")), (RunEnd::Done, Some("new".into())), "{case}");
                tokio::time::sleep(Duration::from_secs(60)).await;
                super::deadman::tick(&mut world.0.lock().unwrap());
                assert_eq!(world.get("a", "x"), Some("new".into()), "nothing fires afterwards: {case}");
                assert!(read(&dir).unwrap().state.reverts.is_empty(), "{case}");
                cases += 1;
            }
        }
    }
    println!("{cases} faults around a revert, exit codes {exits:?}");
    assert_eq!(cases, 60);
    assert!(exits.contains_key(&0) && exits.contains_key(&10), "{exits:?}");
}

#[tokio::test(start_paused = true)]
async fn death_at_every_call_and_resume_or_rollback_leave_nothing_armed() {
    for n in 0..5 {
        for death in [Fault::DieBefore, Fault::DieAfter] {
            for (rollback, later) in [(false, 0), (false, 40), (true, 0), (true, 40)] {
                let world = World::default();
                world.set("a", "x", "old");
                world.fault(n, death);
                let (_keep, dir) = folder();
                let book = one(switch("x", "new"));
                let dead = world.0.lock().unwrap().dead.clone();
                let running = tokio::spawn(run(parts(&world, &book, &dir, vec![], Arc::default())));
                dead.notified().await;
                running.abort();
                let _ = running.await;
                tokio::task::yield_now().await;
                world.0.lock().unwrap().faults.clear();
                tokio::time::sleep(Duration::from_secs(later)).await;
                let case = format!("death at call {n}, {death:?}, rollback {rollback}, {later} s later");
                let want = if rollback {
                    let old = read(&dir).unwrap().state;
                    let (_keep, dir) = folder();
                    let ending = rollback_run(parts(&world, &book, &dir, vec![], Arc::default()), &old).await.unwrap();
                    assert_eq!(ending.end, RunEnd::Done, "{case}");
                    "old"
                } else {
                    let parts = parts(&world, &book, &dir, vec![], Arc::default());
                    let ending = resume(parts, &dir, Words::new()).await.unwrap();
                    assert_eq!(ending.end, RunEnd::Done, "{case}");
                    "new"
                };
                tokio::time::sleep(Duration::from_secs(60)).await;
                super::deadman::tick(&mut world.0.lock().unwrap());
                assert_eq!((world.get("a", "x"), none_left(&world)), (Some(want.into()), true), "{case}");
            }
        }
    }
}
