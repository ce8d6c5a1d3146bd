//! `kill -9` at random times, then `resume` until done: nothing lost, nothing double, counted on the host.
//!
//! 100 times by default; `PITON_KILLS=1000` for a long one.

use crate::drive::Drive;
use crate::ground::until;
use piton::event::{Event, Outcome};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Four commands that must run exactly once, and a file between them. Each command counts itself on the host.
const BOOK: &str = r#"
runbook: counted
vars: { round: none }
hosts: extranet
sections:
  - section: count
    checkpoint: never
    steps:
      - name: folder
        file: { path: "/srv/kills/{{ round }}", state: directory }
      - name: one
        command: echo x >> /srv/kills/{{ round }}/one; sleep 0.03
      - name: file
        copy: { content: "{{ round }}\n", dest: "/srv/kills/{{ round }}/file" }
      - name: two
        command: echo x >> /srv/kills/{{ round }}/two; sleep 0.03
      - name: each
        command: echo x >> /srv/kills/{{ round }}/{{ item }}
        loop: [three, four]
"#;

const COUNTERS: [&str; 4] = ["one", "two", "three", "four"];

/// A plain generator (SplitMix64): the same times in each run of the test, whatever the machine.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How often the step's command ran in this round.
fn count(drive: &Drive, round: &str, counter: &str) -> usize {
    let script = format!("cat /srv/kills/{round}/{counter} 2>/dev/null || true");
    drive.inside("extranet", &script).lines().count()
}

/// The shells of a killed piton end by themselves once their line is gone; what they were doing ends first.
fn settled(drive: &Drive) {
    until("no shell of the killed piton is left", || {
        drive.inside("extranet", "ps ax -o args= | grep -c '^sleep 0.03' || true").trim() == "0"
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_times_and_resumed_nothing_is_lost_or_double() {
    let kills: usize = std::env::var("PITON_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let drive = Drive::up().await;
    drive.write("runbooks/counted.yml", BOOK);
    // How long an undisturbed run takes here and now: kills are spread over that.
    let begun = Instant::now();
    assert_eq!(drive.say(&["run", "@counted", "-q"]).code, 0);
    let whole = begun.elapsed();
    let mut seed = 20_261_123;
    let (mut cut, mut asked, mut early) = (0, 0, 0);
    for n in 0..kills {
        let round = format!("r{n}");
        let set = format!("round={round}");
        let mut run = drive.command(&["run", "@counted", "--set", &set]);
        let mut child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let micros = next(&mut seed) % u64::try_from(whole.as_micros()).unwrap();
        std::thread::sleep(Duration::from_micros(micros));
        let ended = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        settled(&drive);
        cut += usize::from(!ended);
        let mut words: Vec<String> = Vec::new();
        for turn in 0.. {
            assert!(turn < 8, "round {round} is not done after eight turns");
            let mut args = vec!["resume".to_string()];
            args.append(&mut words);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let told = drive.tell(&args);
            // Killed before its journal began: nothing was done, and the last run is another one.
            if turn == 0 && (told.code == 2 || !begun_here(&drive, &round)) {
                early += 1;
                assert_eq!(drive.say(&["run", "@counted", "--set", &set, "-q"]).code, 0);
                break;
            }
            if told.code == 0 {
                break;
            }
            assert_eq!(told.code, 4, "{}", told.err);
            for event in &told.events {
                if let Event::TaskEnded { task, outcome: Outcome::Unknown(_), .. } = &event.event {
                    let counter = match (task.step.0.rsplit('/').next().unwrap(), task.item) {
                        ("each", Some(0)) => "three",
                        ("each", _) => "four",
                        (name, _) => name,
                    };
                    // The operator looks at the host.
                    let word = if count(&drive, &round, counter) > 0 { "--done" } else { "--redo" };
                    words.extend([word.to_string(), task.step.0.clone()]);
                    asked += 1;
                }
            }
        }
        for counter in COUNTERS {
            assert_eq!(count(&drive, &round, counter), 1, "round {round}: {counter}");
        }
    }
    println!("{kills} kills, {cut} in mid-run, {early} before the journal began, {asked} times the operator was asked");
    assert!(cut > kills / 2, "only {cut} of {kills} hit a living run");
}

/// True if a run of this round has a journal.
fn begun_here(drive: &Drive, round: &str) -> bool {
    let runs = drive.state().join("runs");
    std::fs::read_dir(runs).unwrap().flatten().any(|run| {
        std::fs::read_to_string(run.path().join("journal.jsonl"))
            .is_ok_and(|text| text.contains(&format!("\"{round}\"")))
    })
}
