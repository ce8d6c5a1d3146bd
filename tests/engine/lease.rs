//! One operator at a time on a node, with the real script on a paused clock.

use super::world::*;
use piton::cmd::Cmd;
use piton::compile::{OnFailure, Program};
use piton::engine::lease::Terms;
use piton::engine::lease_file::{Mine, Note, Reply, break_it, show};
use piton::engine::{Ending, Parts, resume, run};
use piton::event::{Event, Problem, RunEnd};
use piton::exit::Exit;
use piton::journal::{RunDir, StateDir};
use piton::key::RunId;
use piton::load::inventory::HostKind;
use piton::transport::{Batch, Connect as _};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// A world whose host `a` is a node, with folders for leases and runs.
struct Place {
    world: World,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = World::default();
        {
            let mut inside = world.0.lock().unwrap();
            inside.leases = Some(folder.path().join("nodes"));
            inside.epoch = Some(Instant::now());
        }
        Self { world, folder }
    }

    /// Everything for a run of `operator`, whose state directory bears the machine's name.
    fn parts(&self, operator: &str, id: &str, program: &Program) -> (Parts, RunDir, Arc<Seen>) {
        let machine = operator.split_once('@').unwrap().1;
        let state = StateDir::at(self.folder.path().join(machine));
        let dir = state.create(&RunId(id.into())).unwrap();
        let seen = Arc::new(Seen::default());
        let mut parts = parts(&self.world, program, &dir, vec![], seen.clone());
        parts.options.run = RunId(id.into());
        parts.options.operator = operator.into();
        parts.options.state = Some(state);
        parts.options.lease = Some(Terms::USUAL);
        (parts, dir, seen)
    }

    /// Starts a run and lets it come to its first nap.
    async fn start(&self, operator: &str, id: &str, program: &Program) -> (JoinHandle<Ending>, Arc<Seen>) {
        let (parts, _, seen) = self.parts(operator, id, program);
        let running = tokio::spawn(async move { run(parts).await.unwrap() });
        sleep(Duration::from_secs(1)).await;
        (running, seen)
    }

    async fn whole(&self, operator: &str, id: &str, program: &Program) -> (Ending, Vec<Event>) {
        let (parts, _, seen) = self.parts(operator, id, program);
        let ending = run(parts).await.unwrap();
        (ending, events(&seen))
    }

    async fn ask(&self, cmd: Cmd) -> Reply {
        let remote = self.world.connect("a").await.unwrap();
        Reply::read(&remote.run(Batch::one(cmd)).await.remove(0).unwrap()).unwrap()
    }

    fn left_on_node(&self) -> bool {
        self.folder.path().join("nodes/a").exists()
    }
}

fn events(seen: &Seen) -> Vec<Event> {
    seen.0.lock().unwrap().clone()
}

fn warnings(events: &[Event]) -> Vec<String> {
    let text = |e: &Event| if let Event::Warning { text } = e { Some(text.clone()) } else { None };
    events.iter().filter_map(text).collect()
}

fn problems(events: &[Event]) -> Vec<Problem> {
    let of = |e: &Event| if let Event::Refused { problems } = e { Some(problems.clone()) } else { None };
    events.iter().find_map(of).unwrap_or_default()
}

/// Naps on the node, one after another.
fn naps(seconds: &[&str]) -> Program {
    let mut steps = Vec::new();
    for (i, seconds) in seconds.iter().enumerate() {
        let mut step = poke(&["nap", seconds]);
        step.key.0 = format!("s/nap{i}");
        steps.push(step);
    }
    with_node(program(vec![section(OnFailure::Stop, steps)]))
}

pub fn with_node(mut program: Program) -> Program {
    let mut inventory = (*program.inventory).clone();
    inventory.hosts[0].kind = HostKind::Node { node: "a".into() };
    program.inventory = Arc::new(inventory);
    program
}

#[tokio::test(start_paused = true)]
async fn a_run_takes_its_node_and_gives_it_back() {
    let place = Place::new();
    let (ending, events) = place.whole("me@here", "20261123-000000-0001", &naps(&["1"])).await;
    assert_eq!((ending.end, ending.exit), (RunEnd::Done, Exit::Done));
    let at = |of: fn(&Event) -> bool| events.iter().position(of).unwrap();
    let taken = at(|e| matches!(e, Event::LeaseTaken { node, .. } if node == "a"));
    let released = at(|e| matches!(e, Event::LeaseReleased { node } if node == "a"));
    assert!(taken < at(|e| matches!(e, Event::SectionStarted { .. })));
    assert!(released < at(|e| matches!(e, Event::RunEnded { .. })) && taken < released);
    assert!(!place.left_on_node());
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_gives_it_back_too() {
    let place = Place::new();
    let failing = with_node(program(vec![section(OnFailure::Stop, vec![poke(&["fail", "1"])])]));
    let (ending, _) = place.whole("me@here", "20261123-000000-0001", &failing).await;
    assert_eq!((ending.end, place.left_on_node()), (RunEnd::Failed, false));
}

#[tokio::test(start_paused = true)]
async fn a_run_on_other_hosts_takes_none() {
    let place = Place::new();
    let program = program(vec![section(OnFailure::Stop, vec![poke(&["nap", "1"])])]);
    let (_, events) = place.whole("me@here", "20261123-000000-0001", &program).await;
    assert!(!events.iter().any(|e| matches!(e, Event::LeaseTaken { .. })));
}

#[tokio::test(start_paused = true)]
async fn the_second_operator_is_refused_as_long_as_the_first_goes_on() {
    let place = Place::new();
    let (first, seen) = place.start("ann@laptop", "20261123-000000-0001", &naps(&["1000"])).await;
    for round in 0..9 {
        let before = place.world.calls().len();
        let begun = Instant::now();
        let (ending, events) = place.whole("bob@desk", &format!("20261123-00000{round}-0002"), &naps(&["1"])).await;
        assert_eq!((ending.end, ending.exit.code()), (RunEnd::Refused, 9));
        let want = "leased to ann@laptop since 2026-11-23 02:13:20 UTC (run 20261123-000000-0001)";
        let told = problems(&events);
        assert_eq!((told.len(), told[0].host.as_str(), told[0].what.as_str()), (1, "a", want));
        assert!(begun.elapsed() < Duration::from_secs(2));
        let calls = place.world.calls()[before..].to_vec();
        assert_eq!(calls.len(), 1, "only the lease was asked for: {calls:?}");
        assert!(calls[0].contains("piton-lease take"));
        sleep(Duration::from_secs(100)).await;
    }
    assert_eq!(first.await.unwrap().end, RunEnd::Done);
    assert_eq!(warnings(&events(&seen)), Vec::<String>::new());
    assert!(!place.left_on_node());
    let (ending, _) = place.whole("bob@desk", "20261123-000010-0002", &naps(&["1"])).await;
    assert_eq!(ending.end, RunEnd::Done);
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_run_that_was_killed_runs_out_and_is_taken_over() {
    let place = Place::new();
    let (first, _) = place.start("ann@laptop", "20261123-000000-0001", &naps(&["1000"])).await;
    first.abort();
    let _ = first.await;
    no_child_has_our_files();
    sleep(Duration::from_secs(100)).await;
    let (ending, _) = place.whole("bob@desk", "20261123-000001-0002", &naps(&["1"])).await;
    assert_eq!(ending.exit, Exit::Leased);
    sleep(Duration::from_secs(20)).await;
    let (ending, events) = place.whole("bob@desk", "20261123-000002-0002", &naps(&["1"])).await;
    assert_eq!(ending.end, RunEnd::Done);
    let want = "the lease on a was taken over from ann@laptop since 2026-11-23 02:13:20 UTC (run \
                20261123-000000-0001): it had run out";
    assert_eq!(warnings(&events), [want]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_piton_of_this_machine_that_is_gone() {
    let place = Place::new();
    let (first, _) = place.start("ann@laptop", "20261123-000000-0001", &naps(&["1000"])).await;
    first.abort();
    let _ = first.await;
    no_child_has_our_files();
    sleep(Duration::from_secs(1)).await;
    let (ending, events) = place.whole("ann@laptop", "20261123-000001-0002", &naps(&["1"])).await;
    assert_eq!(ending.end, RunEnd::Done);
    assert!(warnings(&events)[0].ends_with("the piton that had it is gone"), "{:?}", warnings(&events));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lives_on_this_machine_is_waited_for() {
    let place = Place::new();
    let (first, _) = place.start("ann@laptop", "20261123-000000-0001", &naps(&["1000"])).await;
    let (ending, _) = place.whole("ann@laptop", "20261123-000001-0002", &naps(&["1"])).await;
    assert_eq!(ending.exit, Exit::Leased);
    first.abort();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_resumed_has_its_own_lease_at_once() {
    let place = Place::new();
    let program = naps(&["1000"]);
    let (parts, dir, _) = place.parts("ann@laptop", "20261123-000000-0001", &program);
    let running = tokio::spawn(run(parts));
    sleep(Duration::from_secs(1)).await;
    running.abort();
    let _ = running.await;
    no_child_has_our_files();
    sleep(Duration::from_secs(1)).await;
    let seen = Arc::new(Seen::default());
    let mut again = super::world::parts(&place.world, &program, &dir, vec![], seen.clone());
    again.options.run = RunId("20261123-000000-0001".into());
    again.options.operator = "ann@laptop".into();
    again.options.lease = Some(Terms::USUAL);
    let ending = resume(again, &dir, piton::engine::Words::new()).await.unwrap();
    // The nap was in flight, so it is asked about; the lease was no obstacle.
    assert_eq!((ending.end, warnings(&events(&seen))), (RunEnd::Unknown, vec![]));
    assert!(!place.left_on_node());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_broken_stops_the_run_with_the_reason() {
    let place = Place::new();
    let (first, seen) = place.start("ann@laptop", "20261123-000000-0001", &naps(&["100", "100"])).await;
    let Reply::Held(_, Some(lease)) = place.ask(show()).await else { panic!() };
    let note = Note { by: "bob@desk".into(), reason: "her laptop was stolen".into() };
    assert!(matches!(place.ask(break_it("00", &note)).await, Reply::Held(..)), "only the lease that was seen");
    assert!(matches!(place.ask(break_it(&lease.nonce, &note)).await, Reply::Broken(_)));
    let ending = first.await.unwrap();
    assert_eq!((ending.end, ending.exit), (RunEnd::Interrupted, Exit::Interrupted));
    let want = "this run no longer has the lease on a, so it stops here: bob@desk broke it: her laptop was stolen";
    assert_eq!(warnings(&events(&seen)), [want]);
    let naps = place.world.calls().iter().filter(|c| c.contains("nap")).count();
    assert_eq!(naps, 1, "what ran was finished, and nothing was begun after it");
    assert!(!place.left_on_node());
}

/// Naps of ten seconds on the node; nobody can connect to it anew for so long, or for ever.
async fn cut_off(secs: Option<u64>) -> (Place, Ending, Vec<Event>, u64) {
    let place = Place::new();
    let (mut parts, _, seen) = place.parts("ann@laptop", "20261123-000000-0001", &naps(&["10"; 30]));
    parts.options.patience = Duration::from_secs(600);
    let running = tokio::spawn(run(parts));
    sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    place.world.0.lock().unwrap().down.insert("a".into());
    if let Some(secs) = secs {
        sleep(Duration::from_secs(secs)).await;
        let naps = place.world.calls().iter().filter(|c| c.contains("nap")).count();
        assert!((12..=13).contains(&naps), "nothing new was begun after the lease had run out: {naps}");
        place.world.0.lock().unwrap().down.clear();
    }
    let ending = running.await.unwrap().unwrap();
    (place, ending, events(&seen), begun.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cut_off_waits_with_its_changes_until_it_has_its_lease_again() {
    let (place, ending, events, _) = cut_off(Some(400)).await;
    assert_eq!((ending.end, warnings(&events)), (RunEnd::Done, vec![]));
    assert!(!place.left_on_node());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cut_off_for_longer_than_its_patience_stops() {
    let (_, ending, events, took) = cut_off(None).await;
    assert_eq!(ending.end, RunEnd::Interrupted);
    assert!((715..=740).contains(&took), "{took}");
    assert!(warnings(&events)[0].contains("could not be renewed"), "{:?}", warnings(&events));
}

/// The script itself, by real shells side by side.
#[test]
fn of_many_at_once_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("piton");
    let ask = |cmd: &Cmd| {
        let mut argv = cmd.argv.clone();
        argv[5] = dir.display().to_string();
        let said = said(Command::new(&argv[0]).args(&argv[1..]));
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).unwrap()
    };
    let mine = |n: usize, life: u64| Mine {
        nonce: format!("{n:016x}"),
        operator: "o\"}',\"expires\":1,".into(),
        machine: "m".into(),
        run: "r".into(),
        life: Duration::from_secs(life),
    };
    let race = |life| -> Vec<String> {
        std::thread::scope(|scope| {
            let ask = &ask;
            let all: Vec<_> = (0..8).map(|n| scope.spawn(move || ask(&mine(n, life).take(None)))).collect();
            all.into_iter().map(|t| t.join().unwrap()).collect()
        })
    };
    let won = |said: &[String]| said.iter().filter(|s| !s.starts_with("held ")).count();
    // A lock whose process is dead is no obstacle.
    std::fs::create_dir(&dir).unwrap();
    std::os::unix::fs::symlink("4194304", dir.join("lock")).unwrap();
    assert_eq!(won(&race(100)), 1);
    assert_eq!(won(&race(100)), 1, "the winner asks again, and it is still the one");
    for n in 0..8 {
        ask(&mine(n, 100).release());
    }
    assert!(!dir.exists());
    // All see one that has run out.
    let text = r#"{"nonce":"ff","since":1,"expires":2,"operator":"o","machine":"m","run":"r"}"#;
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("lease.json"), text).unwrap();
    assert_eq!(won(&race(100)), 1);
}
