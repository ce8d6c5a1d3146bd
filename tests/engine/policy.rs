//! Several hosts, failure policies, the operator's wish to stop.

use super::world::*;
use piton::compile::OnFailure;
use piton::engine::cancel::Cancel;
use piton::event::{Event, RunEnd};
use piton::exit::Exit;

fn on(mut step: piton::compile::Step, hosts: &[&str]) -> piton::compile::Step {
    step.hosts = hosts.iter().map(|h| (*h).to_string()).collect();
    step
}

#[tokio::test(start_paused = true)]
async fn a_failing_host_lets_the_step_finish_on_the_others_and_stops_the_run() {
    let world = World::default();
    world.set("b", "x", "stays");
    let mut bad = on(switch("x", "1"), &["a", "b", "c"]);
    bad.params = on(stuck("x", "1"), &[]).params;
    let steps = vec![on(switch("y", "1"), &["a", "b", "c"]), bad, on(switch("z", "1"), &["a", "b", "c"])];
    let left = go(&world, program(vec![section(OnFailure::Stop, steps)])).await;
    let want = ["a x-1 failed", "a y-1 changed", "b x-1 failed", "b y-1 changed", "c x-1 failed", "c y-1 changed"];
    assert_eq!(left.outcomes(), want);
    assert_eq!(world.get("a", "z"), None);
}

#[tokio::test(start_paused = true)]
async fn rollback_takes_changes_back_newest_first() {
    let world = World::default();
    world.set("a", "x", "old");
    world.set("b", "x", "old");
    let steps = vec![on(switch("x", "1"), &["a", "b"]), switch("x", "2"), poke(&["fail", "1"])];
    let mut failing = steps;
    // A step that says that it only looks has nothing to be taken back.
    let mut looking = failing.clone();
    looking[2].changed_when = Some(expr("false"));
    let left = go(&world, program(vec![section(OnFailure::Rollback, looking)])).await;
    assert_eq!((world.get("a", "x"), left.ending.exit), (Some("old".into()), Exit::RolledBack));
    failing[2].changed_when = None;
    let left = go(&world, program(vec![section(OnFailure::Rollback, failing)])).await;
    assert_eq!((world.get("a", "x"), world.get("b", "x")), (Some("old".into()), Some("old".into())));
    let undone: Vec<String> = left
        .seen
        .iter()
        .filter_map(|e| match e {
            Event::UndoEnded { task, what, failed } => Some(format!("{} {what} {failed:?}", task.host)),
            _ => None,
        })
        .collect();
    // The failing command itself cannot be taken back, and that is said: the way back was not complete.
    assert_eq!(undone[0], "a run fail 1 Some(\"a command\")");
    assert_eq!(undone[1], "a set x to 2 None");
    assert_eq!(left.ending.exit, Exit::RollbackFailed);
}

#[tokio::test(start_paused = true)]
async fn a_whole_way_back_has_its_own_code() {
    let world = World::default();
    world.set("a", "x", "old");
    let steps = vec![switch("x", "1"), peek("x", "never")];
    let left = go(&world, program(vec![section(OnFailure::Rollback, steps)])).await;
    assert_eq!(world.get("a", "x"), Some("old".into()));
    assert_eq!((left.ending.end, left.ending.exit.code()), (RunEnd::RolledBack, 3));
    assert!(left.ending.state.applied.is_empty());
}

#[tokio::test(start_paused = true)]
async fn asking_needs_somebody() {
    for (answers, value) in [(vec!["yes".to_string()], "old"), (vec!["no".to_string()], "1"), (vec![], "1")] {
        let world = World::default();
        world.set("a", "x", "old");
        let steps = vec![switch("x", "1"), peek("x", "never")];
        let program = program(vec![section(OnFailure::Ask, steps)]);
        let left = go_with(&world, program, answers.clone(), Cancel::default()).await;
        assert_eq!(world.get("a", "x"), Some(value.into()), "{answers:?}");
        let warned =
            left.seen.iter().any(|e| matches!(e, Event::Warning { text } if text.contains("nobody was asked")));
        assert_eq!(warned, answers.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_section_is_not_touched_by_a_later_ones_rollback() {
    let world = World::default();
    world.set("a", "x", "old");
    world.set("a", "y", "old");
    let first = section(OnFailure::Stop, vec![switch("x", "1")]);
    let second = section(OnFailure::Rollback, vec![switch("y", "1"), peek("y", "never")]);
    go(&world, program(vec![first, second])).await;
    assert_eq!((world.get("a", "x"), world.get("a", "y")), (Some("1".into()), Some("old".into())));
}

#[tokio::test(start_paused = true)]
async fn run_once_runs_once_and_all_hosts_know() {
    let world = World::default();
    let mut once = on(poke(&["add", "n"]), &["a", "b"]);
    once.run_once = true;
    once.register = Some("r".into());
    let mut after = on(switch("x", "1"), &["a", "b"]);
    after.when = Some(expr("out.r.rc == 0"));
    let left = go(&world, program(vec![section(OnFailure::Stop, vec![once, after])])).await;
    assert_eq!(left.outcomes(), ["a add-n changed", "a x-1 changed", "b x-1 changed"]);
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_stop_ends_before_the_next_step() {
    let world = World::default();
    let cancel = Cancel::default();
    cancel.raise();
    let left = go_with(&world, program(vec![section(OnFailure::Stop, vec![switch("x", "1")])]), vec![], cancel).await;
    assert_eq!((left.ending.exit.code(), world.calls().len()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_stop_cuts_a_wait_short() {
    let world = World::default();
    let cancel = Cancel::default();
    let mut step = poke(&["fail", "1"]);
    step.retries = 100;
    step.delay = std::time::Duration::from_secs(60);
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(90)).await;
        later.raise();
    });
    let begun = tokio::time::Instant::now();
    let left = go_with(&world, program(vec![section(OnFailure::Stop, vec![step])]), vec![], cancel).await;
    assert_eq!((left.ending.end, begun.elapsed().as_secs()), (RunEnd::Interrupted, 90));
}

#[tokio::test(start_paused = true)]
async fn ignore_errors_does_not_make_a_stopped_run_a_done_one() {
    let world = World::default();
    let cancel = Cancel::default();
    let mut step = poke(&["fail", "1"]);
    (step.retries, step.ignore_errors) = (100, true);
    step.delay = std::time::Duration::from_secs(60);
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(90)).await;
        later.raise();
    });
    let left = go_with(&world, program(vec![section(OnFailure::Stop, vec![step])]), vec![], cancel).await;
    assert_eq!((left.ending.exit.code(), left.outcomes()), (5, vec!["a fail-1 failed".to_string()]));
}

#[tokio::test(start_paused = true)]
async fn every_prefix_of_a_journal_is_a_state() {
    let world = World::default();
    world.set("a", "x", "old");
    let steps = vec![on(switch("x", "1"), &["a", "b"]), poke(&["add", "n"]), peek("x", "never")];
    let left = go(&world, program(vec![section(OnFailure::Rollback, steps)])).await;
    let all = &left.journal.events;
    for end in 1..=all.len() {
        piton::state::RunState::fold(&all[..end]).unwrap_or_else(|e| panic!("after {end} events: {e}"));
    }
}
