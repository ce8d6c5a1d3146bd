//! The look before the first change: all problems at once, nothing changed, and no more round trips than needed.

use super::lease::with_node;
use super::world::*;
use piton::compile::{OnFailure, Program, Step};
use piton::engine::{Ending, run};
use piton::event::{Event, Problem, RunEnd};
use piton::exit::Exit;
use piton::journal::StateDir;
use piton::modules;
use serde_json::json;
use std::sync::Arc;

async fn checked(world: &World, program: &Program) -> (Ending, Vec<Event>) {
    let folder = tempfile::tempdir().unwrap();
    let id = piton::engine::clock::Clock::run_id(&Ticks::default());
    let dir = StateDir::at(folder.path()).create(&id).unwrap();
    let seen = Arc::new(Seen::default());
    let mut parts = parts(world, program, &dir, vec![], seen.clone());
    parts.options.preflight = true;
    let ending = run(parts).await.unwrap();
    let events = seen.0.lock().unwrap().clone();
    (ending, events)
}

fn on(mut step: Step, hosts: &[&str]) -> Step {
    step.hosts = hosts.iter().map(|h| (*h).to_string()).collect();
    step
}

fn sudo(mut step: Step) -> Step {
    step.r#become = Some(true);
    step
}

fn refused(events: &[Event]) -> Vec<String> {
    let lines = |problems: &Vec<Problem>| problems.iter().map(|p| format!("{}: {}", p.host, p.what)).collect();
    let of = |e: &Event| if let Event::Refused { problems } = e { Some(lines(problems)) } else { None };
    events.iter().find_map(of).unwrap_or_default()
}

fn warned(events: &[Event], text: &str) -> usize {
    events.iter().filter(|e| matches!(e, Event::Warning { text: t } if t.contains(text))).count()
}

#[tokio::test(start_paused = true)]
async fn all_problems_at_once_and_nothing_changed() {
    let world = World::default();
    world.0.lock().unwrap().down.insert("b".into());
    world.0.lock().unwrap().no_sudo.insert("c".into());
    let steps = vec![switch("x", "1"), sudo(on(switch("y", "1"), &["a", "b", "c"]))];
    let (ending, events) = checked(&world, &program(vec![section(OnFailure::Stop, steps)])).await;
    let want = ["b: b cannot be reached: a fault", "c: cannot become root on c: no"];
    assert_eq!(refused(&events), want);
    assert_eq!((ending.end, ending.exit), (RunEnd::Refused, Exit::Unreachable));
    assert_eq!(world.0.lock().unwrap().values.len(), 0);
    let mut calls = world.calls();
    calls.sort();
    assert_eq!(calls, ["a: true", "c: true"]);
}

#[tokio::test(start_paused = true)]
async fn with_all_hosts_there_a_problem_is_a_failure() {
    let world = World::default();
    world.0.lock().unwrap().no_sudo.insert("a".into());
    let (ending, _) = checked(&world, &program(vec![section(OnFailure::Stop, vec![sudo(switch("x", "1"))])])).await;
    assert_eq!((ending.end, ending.exit), (RunEnd::Refused, Exit::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_user_that_a_step_may_make_first_is_only_a_warning() {
    let world = World::default();
    world.0.lock().unwrap().no_sudo.insert("a".into());
    let mut step = sudo(switch("x", "1"));
    step.become_user = "deploy".into();
    let (ending, events) = checked(&world, &program(vec![section(OnFailure::Stop, vec![step])])).await;
    assert_eq!((ending.end, warned(&events, "cannot become deploy on a")), (RunEnd::Done, 1));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_waited_for_first_may_be_down() {
    let world = World::default();
    world.0.lock().unwrap().down.insert("b".into());
    let wait = modules::table::find("wait").unwrap();
    let wait = on(step("wait", wait, json!({"command": "true", "timeout": "10s"})), &["b"]);
    let book = program(vec![section(OnFailure::Stop, vec![switch("x", "1"), wait, on(switch("y", "1"), &["b"])])]);
    let (ending, events) = checked(&world, &book).await;
    assert_eq!((refused(&events), ending.end), (vec![], RunEnd::Failed), "it fails when its turn comes");
    assert_eq!(world.get("a", "x"), Some("1".into()));
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_a_step_starts_may_be_down() {
    let started = |params: serde_json::Value| {
        let mut book = with_node(program(vec![]));
        let mut inventory = (*book.inventory).clone();
        for (host, vmid) in [(1, 101), (2, 102)] {
            inventory.hosts[host].kind = piton::load::inventory::HostKind::Guest { node: "a".into(), vmid };
        }
        book.inventory = Arc::new(inventory);
        let start = step("start", modules::table::find("pve_vm").unwrap(), params);
        let mut section = section(OnFailure::Stop, vec![start, on(switch("x", "1"), &["b", "c"])]);
        section.checkpoint = piton::compile::CheckpointMode::Never;
        book.sections = vec![section];
        book
    };
    for (params, missing) in [
        (json!({"vmid": 101, "state": "started"}), vec!["c: c cannot be reached: a fault"]),
        (json!({"guest": "c", "state": "started"}), vec!["b: b cannot be reached: a fault"]),
        (
            json!({"vmid": 101, "config": {}}),
            vec!["b: b cannot be reached: a fault", "c: c cannot be reached: a fault"],
        ),
    ] {
        let world = World::default();
        world.0.lock().unwrap().down.extend(["b".to_string(), "c".to_string()]);
        let (ending, events) = checked(&world, &started(params.clone())).await;
        assert_eq!((refused(&events), ending.exit), (missing.into_iter().map(Into::into).collect(), Exit::Unreachable));
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_not_due_asks_for_nothing() {
    let world = World::default();
    world.0.lock().unwrap().down.insert("b".into());
    let mut never = on(switch("y", "1"), &["b"]);
    never.when = Some(expr("host.name == 'a'"));
    let book = program(vec![section(OnFailure::Stop, vec![switch("x", "1"), never])]);
    assert_eq!(checked(&world, &book).await.0.end, RunEnd::Done);
}

#[tokio::test(start_paused = true)]
async fn a_nodes_clock_is_compared() {
    let world = World::default();
    world.set("a", "look", "now 100\n");
    let book = with_node(program(vec![section(OnFailure::Stop, vec![switch("x", "1")])]));
    let (ending, events) = checked(&world, &book).await;
    assert_eq!((ending.end, warned(&events, "the clock of a is 100 s ahead of")), (RunEnd::Done, 1));
}

#[tokio::test(start_paused = true)]
async fn it_costs_a_round_trip_at_most() {
    let world = World::default();
    for host in ["a", "b", "c"] {
        world.set(host, "x", "1");
    }
    let steps = vec![on(switch("x", "1"), &["a", "b"]), sudo(on(switch("x", "1"), &["c"]))];
    let (ending, _) = checked(&world, &with_node(program(vec![section(OnFailure::Stop, steps)]))).await;
    assert_eq!(ending.end, RunEnd::Done);
    let batches = world.0.lock().unwrap().batches.clone();
    let count = |host: &str| batches.iter().filter(|b| *b == host).count();
    // The step's own look, and before it on the node its clock, on `c` the sudo.
    assert_eq!((count("a"), count("b"), count("c")), (2, 1, 2));
}
