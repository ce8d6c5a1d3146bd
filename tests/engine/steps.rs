//! One step: what is asked, what is sent, what is claimed.

use super::world::*;
use piton::compile::OnFailure;
use piton::event::RunEnd;
use piton::exit::Exit;
use serde_json::json;

fn one(step: piton::compile::Step) -> piton::compile::Program {
    program(vec![section(OnFailure::Stop, vec![step])])
}

#[tokio::test(start_paused = true)]
async fn a_change_is_probed_made_and_probed_again() {
    let world = World::default();
    let left = go(&world, one(switch("x", "1"))).await;
    assert_eq!(world.calls(), ["a: get x", "a: set x 1", "a: get x"]);
    assert_eq!(left.outcomes(), ["a x-1 changed"]);
    assert_eq!(left.ending.exit, Exit::Done);
}

#[tokio::test(start_paused = true)]
async fn what_is_so_is_asked_once_and_left_alone() {
    let world = World::default();
    world.set("a", "x", "1");
    let left = go(&world, one(switch("x", "1"))).await;
    assert_eq!(world.calls(), ["a: get x"]);
    assert_eq!(left.outcomes(), ["a x-1 ok"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_does_not_hold_is_not_claimed() {
    let world = World::default();
    let left = go(&world, one(stuck("x", "1"))).await;
    assert_eq!(left.outcomes(), ["a stuck failed"]);
    assert_eq!(left.why("stuck"), "did not converge: after the change it would still set x to 1");
    assert_eq!(left.ending.exit, Exit::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_failed_command_says_what_the_host_said() {
    let left = go(&World::default(), one(poke(&["fail", "7"]))).await;
    assert_eq!(left.why("fail-7"), "run fail 7: exit status 7: it said no");
    assert_eq!(left.ending.end, RunEnd::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_line_lost_in_mid_action_is_unknown_and_never_sent_again() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        let world = World::default();
        world.fault(0, fault);
        let mut step = poke(&["add", "n"]);
        step.retries = 3;
        step.ignore_errors = true;
        let left = go(&world, one(step)).await;
        assert_eq!(world.calls(), ["a: add n"], "{fault:?}");
        assert_eq!(left.outcomes(), ["a add-n unknown"]);
        assert_eq!(left.why("add-n"), "the connection to a was lost: a fault; in flight was: add n");
        assert_eq!(left.ending.exit, Exit::Unknown);
        assert_eq!(left.journal.state.in_flight().count(), 0, "the task has ended, as unknown");
    }
}

/// A way back does not make known what was in flight.
#[tokio::test(start_paused = true)]
async fn a_lost_line_stays_unknown_when_the_rest_was_taken_back() {
    let world = World::default();
    world.set("a", "x", "old");
    world.set("a", "y", "old");
    // Each time that it is sent.
    for (n, fault) in [(4, Fault::LostBefore), (6, Fault::LostBefore), (8, Fault::LostAfter)] {
        world.fault(n, fault);
    }
    let left = go(&world, program(vec![section(OnFailure::Rollback, vec![switch("x", "1"), switch("y", "1")])])).await;
    assert_eq!(left.outcomes(), ["a x-1 changed", "a y-1 unknown"]);
    assert_eq!(world.get("a", "x"), Some("old".into()));
    assert_eq!(left.ending.exit, Exit::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_line_lost_while_looking_is_opened_anew() {
    let world = World::default();
    world.fault(0, Fault::LostBefore);
    let left = go(&world, one(switch("x", "1"))).await;
    assert_eq!(world.calls(), ["a: get x", "a: get x", "a: set x 1", "a: get x"]);
    assert_eq!(left.outcomes(), ["a x-1 changed"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_nobody_saw_hold_is_unknown() {
    let world = World::default();
    world.fault(2, Fault::LostAfter);
    world.fault(3, Fault::Unreachable);
    let left = go(&world, one(switch("x", "1"))).await;
    assert_eq!(left.outcomes(), ["a x-1 unknown"]);
    let why = "the change was made, but not seen to hold: a cannot be reached: a fault";
    assert_eq!(left.why("x-1"), why);
    assert_eq!(left.ending.exit, Exit::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_not_there_ends_with_its_own_code() {
    let world = World::default();
    world.fault(0, Fault::Unreachable);
    let left = go(&world, one(switch("x", "1"))).await;
    assert_eq!(left.outcomes(), ["a x-1 failed"]);
    assert_eq!(left.ending.exit, Exit::Unreachable);
}

#[tokio::test(start_paused = true)]
async fn a_condition_decides_and_is_shown() {
    let world = World::default();
    let mut step = switch("x", "1");
    step.when = Some(expr("host.name == 'b'"));
    let left = go(&world, one(step)).await;
    assert_eq!(world.calls(), Vec::<String>::new());
    assert_eq!(left.why("x-1"), "when: host.name == 'b' is false");
}

#[tokio::test(start_paused = true)]
async fn what_a_step_registers_decides_later_ones() {
    let world = World::default();
    let mut first = switch("x", "1");
    first.register = Some("first".into());
    let mut second = poke(&["add", "n"]);
    second.when = Some(expr("out.first.changed"));
    second.register = Some("second".into());
    let mut third = poke(&["add", "m"]);
    third.when = Some(expr("out.second.rc == 0 and out.second.stdout == 'now 1'"));
    let program = |w: Vec<_>| program(vec![section(OnFailure::Stop, w)]);
    let left = go(&world, program(vec![first.clone(), second.clone(), third.clone()])).await;
    assert_eq!(left.outcomes(), ["a add-m changed", "a add-n changed", "a x-1 changed"]);
    second.key.0 = "s/second".into();
    let left = go(&world, program(vec![first, second])).await;
    assert_eq!(left.outcomes(), ["a second skipped", "a x-1 ok"]);
}

#[tokio::test(start_paused = true)]
async fn a_loop_runs_each_item_and_stops_at_the_first_failure() {
    let world = World::default();
    world.fault(4, Fault::ExitOne);
    let mut step = each(switch("x", "{{ item }}"), json!(["1", "2", "3"]));
    step.key.0 = "s/loop".into();
    let left = go(&world, one(step)).await;
    assert_eq!(left.outcomes(), ["a loop[0] changed", "a loop[1] failed"]);
    assert_eq!(world.get("a", "x"), Some("1".into()));
}

#[tokio::test(start_paused = true)]
async fn retries_wait_between_attempts_and_say_so() {
    let world = World::default();
    world.fault(0, Fault::ExitOne);
    world.fault(1, Fault::ExitOne);
    let mut step = poke(&["add", "n"]);
    step.retries = 2;
    let begun = tokio::time::Instant::now();
    let left = go(&world, one(step)).await;
    assert_eq!(left.outcomes(), ["a add-n changed"]);
    assert_eq!(begun.elapsed().as_secs(), 6);
    let retries = left.seen.iter().filter(|e| matches!(e, piton::event::Event::Retry { of: 3, .. })).count();
    assert_eq!(retries, 2);
}

/// The second attempt finds the value that the first one set before its look was refused.
#[tokio::test(start_paused = true)]
async fn what_an_earlier_attempt_changed_stays_changed() {
    let world = World::default();
    world.fault(2, Fault::ExitOne);
    let mut step = switch("x", "1");
    step.retries = 1;
    let left = go(&world, one(step)).await;
    assert_eq!(world.calls(), ["a: get x", "a: set x 1", "a: get x", "a: get x"]);
    assert_eq!(left.outcomes(), ["a x-1 changed"]);
}

#[tokio::test(start_paused = true)]
async fn until_asks_again_and_gives_up() {
    let world = World::default();
    let mut step = poke(&["add", "n"]);
    step.retries = 5;
    step.register = Some("r".into());
    step.until = Some(expr("out.r.stdout == 'now 3'"));
    let left = go(&world, one(step.clone())).await;
    assert_eq!(left.outcomes(), ["a add-n changed"]);
    assert_eq!(world.get("a", "n"), Some("3".into()));
    step.retries = 1;
    let left = go(&world, one(step)).await;
    assert_eq!(left.why("add-n"), "until: out.r.stdout == 'now 3' was false after 2 attempts");
}

#[tokio::test(start_paused = true)]
async fn failed_when_and_changed_when_have_the_last_word() {
    let mut step = poke(&["fail", "3"]);
    step.register = Some("r".into());
    step.failed_when = Some(expr("out.r.rc not in [0, 3]"));
    step.changed_when = Some(expr("false"));
    let left = go(&World::default(), one(step)).await;
    assert_eq!(left.outcomes(), ["a fail-3 ok"]);
}

#[tokio::test(start_paused = true)]
async fn ignore_errors_goes_on_and_says_so() {
    let world = World::default();
    let mut step = poke(&["fail", "1"]);
    step.ignore_errors = true;
    let left = go(&world, program(vec![section(OnFailure::Stop, vec![step, switch("x", "1")])])).await;
    assert_eq!(left.outcomes(), ["a fail-1 ignored", "a x-1 changed"]);
    assert_eq!(left.ending.exit, Exit::Done);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_looks_has_a_verdict() {
    let world = World::default();
    world.set("a", "x", "1");
    assert_eq!(go(&world, one(peek("x", "1"))).await.outcomes(), ["a peek ok"]);
    let left = go(&world, one(peek("x", "2"))).await;
    assert_eq!(left.why("peek"), "x is Some(\"1\")");
}

#[tokio::test(start_paused = true)]
async fn no_log_keeps_words_out_of_journal_and_screen() {
    let world = World::default();
    world.set("a", "x", "old-words");
    let mut step = switch("x", "new-words");
    step.key.0 = "s/quiet".into();
    step.no_log = true;
    let left = go(&world, one(step)).await;
    assert_eq!(left.outcomes(), ["a quiet changed"]);
    let text = std::fs::read_to_string(left.dir.journal()).unwrap();
    assert!(!text.contains("old-words"), "{text}");
    assert!(!format!("{:?}", left.seen).contains("old-words"));
}
