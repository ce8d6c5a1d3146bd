//! Lines that are cut, an operator who wants out, a disk that is full, an output that is too long: what is not known is
//! called unknown, and nothing goes on behind anybody's back.

use crate::drive::{Drive, Told, events, files_below, same};
use crate::ground::{PITON, Said};
use piton::event::{Event, Outcome, RunEnd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Polls until it is so; fails after 20 seconds.
#[track_caller]
fn until(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < end, "not within 20 seconds: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn begin(drive: &Drive, args: &[&str]) -> Child {
    drive.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn there(drive: &Drive, host: &str, path: &str) -> bool {
    drive.inside(host, &format!("test -e {path} && echo yes || echo no")) == "yes\n"
}

fn kill(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

fn ended(child: Child) -> Told {
    let said = Said::of(child.wait_with_output().unwrap());
    Told { code: said.code, events: events(&said.out), err: said.err }
}

/// A long command in the middle.
const LONG: &str = r#"
runbook: Long
hosts: [extranet]
vars: { cmd: "true" }
steps:
  - name: first
    copy: { content: "first\n", dest: /root/first }
  - name: long
    command: "{{ cmd }}"
  - name: last
    copy: { content: "last\n", dest: /root/last }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_flight_when_the_line_was_cut_is_unknown_and_a_task_of_the_node_is_not() {
    let drive = Drive::up().await;
    drive.write("runbooks/long.yml", LONG);
    let cmd = "cmd=echo > /root/begun; sleep 30; echo > /root/ended";
    let child = begin(&drive, &["run", "@long", "--set", cmd]);
    until("the command has begun", || there(&drive, "extranet", "/root/begun"));
    drive.pull("cut extranet").await;
    let said = Said::of(child.wait_with_output().unwrap());
    assert_eq!(said.code, 4, "{said:?}");
    let line = said.out.lines().find(|l| l.trim_start().starts_with("UNKNOWN")).unwrap_or_else(|| panic!("{said:?}"));
    assert!(line.contains("extranet") && line.contains("long"), "{line}");
    assert!(!there(&drive, "extranet", "/root/last"));
    let journal = drive.say(&["report", "--format", "json"]);
    assert!(journal.out.contains("unknown"), "{journal:?}");
    let journal = std::fs::read_dir(drive.state().join("runs")).unwrap().next().unwrap().unwrap().path();
    let journal = events(&std::fs::read_to_string(journal.join("journal.jsonl")).unwrap());
    let unknown = |e: &Event| match e {
        Event::TaskEnded { task, outcome: Outcome::Unknown(why), .. } => Some((task.to_string(), why.clone())),
        _ => None,
    };
    let (task, why) = journal.iter().find_map(|e| unknown(&e.event)).expect("the journal says so");
    assert!(task.ends_with("long on extranet"), "{task}");
    assert!(why.contains("/root/begun"), "the command in flight is named: {why}");
    assert!(matches!(journal.last().unwrap().event, Event::RunEnded { end: RunEnd::Unknown, .. }));

    // The node's line, while a task of Proxmox runs: it belongs to the node, and is followed over a new line.
    drive.write(
        "runbooks/snap.yml",
        "runbook: Snap\nhosts: [pve]\nsteps:\n  - name: keep\n    pve_snapshot: { name: keep, vmid: 102 }\n  - name: last\n    copy: { content: x, dest: /root/last }\n",
    );
    drive.pull("slow-tasks 5000").await;
    let tasks = || crate::proxmox::get_all(&drive, &["/nodes/pve/tasks?source=active".to_string()]).remove(0);
    let child = begin(&drive, &["run", "@snap", "--format", "json"]);
    until("the task runs", || tasks().contains("qmsnapshot"));
    drive.pull("cut pve").await;
    let told = ended(child);
    assert_eq!((told.code, told.end()), (0, Some(RunEnd::Done)), "{told:?}");
    assert_eq!(told.outcomes(), ["keep on pve: changed", "last on pve: changed"]);
    let lost = told.events.iter().filter(|e| matches!(e.event, Event::Disconnected { .. })).count();
    assert_eq!((lost, drive.snapshots(102)), (1, vec!["keep".to_string()]), "cut once, taken once");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_stops_in_order_twice_kills_three_times_leaves() {
    let drive = Drive::up().await;
    drive.write("runbooks/long.yml", LONG);
    let clean = || drive.inside("extranet", "rm -f /root/first /root/last /root/begun /root/ended; echo");
    let run = |cmd: &str| {
        clean();
        let child = begin(&drive, &["run", "@long", "--format", "json", "--set", &format!("cmd={cmd}")]);
        until("the command has begun", || there(&drive, "extranet", "/root/begun"));
        child
    };
    for signal in ["-INT", "-TERM"] {
        let child = run("echo > /root/begun; sleep 1; echo > /root/ended");
        kill(&child, signal);
        let told = ended(child);
        assert_eq!((told.code, told.end()), (5, Some(RunEnd::Interrupted)), "{signal}: {}", told.err);
        let heard = told.events.iter().filter(|e| matches!(e.event, Event::Interrupted { .. })).count();
        assert_eq!(heard, 1, "said once");
        assert_eq!(told.outcomes(), ["first on extranet: changed", "long on extranet: changed"], "{signal}");
        assert!(there(&drive, "extranet", "/root/ended") && !there(&drive, "extranet", "/root/last"), "{signal}");
    }

    let sleeps = |seconds: &str| drive.inside("extranet", "ps ax -o args").contains(&format!("sleep {seconds}"));
    let child = run("sleep 4321 & sleep 4322 & echo > /root/begun; wait");
    assert!(sleeps("4321") && sleeps("4322"));
    kill(&child, "-INT");
    std::thread::sleep(Duration::from_millis(200));
    assert!(sleeps("4321"), "one Ctrl-C kills nothing");
    kill(&child, "-INT");
    let begun = Instant::now();
    let told = ended(child);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert_eq!((told.code, told.end()), (5, Some(RunEnd::Interrupted)), "{}", told.err);
    assert!(!sleeps("4321") && !sleeps("4322"));
    assert!(!there(&drive, "extranet", "/root/last"));

    // Deaf to SIGTERM: killed after a grace; who does not wait for that leaves.
    let child = run("trap '' TERM INT HUP; echo > /root/begun; sleep 6");
    for _ in 0..2 {
        kill(&child, "-INT");
        std::thread::sleep(Duration::from_millis(200));
    }
    let begun = Instant::now();
    kill(&child, "-INT");
    let said = Said::of(child.wait_with_output().unwrap());
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(said.code, 5, "{said:?}");
    assert!(said.err.contains("may still run"), "{said:?}");
    assert!(!there(&drive, "extranet", "/root/last"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_written_stops_the_run_before_the_next_change() {
    let drive = Drive::up().await;
    let items: Vec<String> = (0..60).map(|i| i.to_string()).collect();
    drive.write(
        "runbooks/many.yml",
        &format!(
            "runbook: Many\nsections:\n- section: Many\n  hosts: [extranet]\n  checkpoint: never\n  steps:\n  - name: count\n    loop: [{}]\n    \
             command: \"echo >> /root/count; yes | head -c 3000\"\n",
            items.join(", ")
        ),
    );
    std::fs::create_dir_all(drive.state()).unwrap();
    // A small disk that only this process sees.
    let root = rustix::process::geteuid().is_root();
    let user: &[&str] = if root { &[] } else { &["--map-root-user"] };
    let mut small = Command::new("unshare");
    small
        .arg("--mount")
        .args(user)
        .args([
            "sh",
            "-c",
            "mount -t tmpfs -o size=60m tmpfs \"$PITON_STATE_DIR\" && cd \"$PITON_STATE_DIR\" && {
             until grep -qs section_started runs/*/journal.jsonl; do sleep 0.01; done
             head -c 62799872 /dev/zero > full; } & exec \"$0\" run runbooks/many.yml",
        ])
        .arg(PITON)
        .current_dir(drive.project())
        .env("PITON_STATE_DIR", drive.state())
        .env("PITON_INVENTORY", drive.inventory())
        .stdin(Stdio::null());
    let said = Said::of(small.output().unwrap());
    let after = drive.looks("extranet");
    assert_eq!(said.code, 8, "{said:?}");
    assert!(said.err.contains("No space left on device"), "{said:?}");
    assert!(
        said.err.contains("no change was begun after that") && said.err.contains("piton plan"),
        "says what that means: {said:?}"
    );
    let done = drive.cat("extranet", "/root/count").lines().count();
    assert!((3..50).contains(&done), "{done}");
    let shown = said.out.lines().filter(|l| l.trim_start().starts_with("changed")).count();
    assert!(shown == done || shown + 1 == done, "{shown} shown, {done} done");
    same(&drive.looks("extranet"), &after, "afterwards");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_mebibytes_of_output_are_not_held_in_memory() {
    let drive = Drive::up().await;
    drive.write(
        "runbooks/loud.yml",
        "runbook: Loud\nhosts: [extranet]\nsteps:\n  - name: loud\n    command: yes 0123456789abcdef | head -c 104857600\n",
    );
    let mut child = drive.command(&["run", "@loud", "-q"]).stdout(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        let about = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let kib = about.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = kib.unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(0));
    assert!((4 * 1024..64 * 1024_u64).contains(&peak), "{peak} KiB");
    let spilled = files_below(&drive.state()).into_iter().map(|f| f.1.len()).max().unwrap();
    assert!(spilled >= 100 * 1024 * 1024, "{spilled} bytes kept");
}
