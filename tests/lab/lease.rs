//! Two operators at once, a run that was killed, a lease that was broken, and the look before the first change.

use crate::drive::{Drive, Told, same};
use crate::ground::Said;
use piton::event::{Event, RunEnd};
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Changes a guest, then takes its time, then changes it again.
const SLOW: &str = r#"
runbook: Slow
hosts: [extranet]
steps:
  - name: first
    copy: { content: "first\n", dest: /root/first }
  - name: slow
    command: sleep {{ seconds }}
    changed_when: "false"
  - name: last
    copy: { content: "last\n", dest: /root/last }
vars: { seconds: 3 }
"#;

/// Polls until the node is leased; the lease.
#[track_caller]
fn leased(drive: &Drive) -> Value {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let said = drive.say(&["lease", "show", "--format", "json"]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        let value: Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(value["node"], "pve");
        if value["held"] == true {
            return value["lease"].clone();
        }
        assert!(Instant::now() < end, "the node is not leased");
    }
}

fn begin(drive: &Drive, args: &[&str]) -> Child {
    let mut command = drive.command(&[args, &["--format", "json"]].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> Told {
    let said = Said::of(child.wait_with_output().unwrap());
    Told { code: said.code, events: crate::drive::events(&said.out), err: said.err }
}

fn warnings(told: &Told) -> Vec<String> {
    let text = |e: &Event| if let Event::Warning { text } = e { Some(text.clone()) } else { None };
    told.events.iter().filter_map(|e| text(&e.event)).collect()
}

fn left_on_node(drive: &Drive) -> String {
    drive.inside("pve", "ls -A /var/lib/piton 2>&1 || true")
}

/// The same project and lab, driven from another machine: another state directory.
fn elsewhere(drive: &Drive, args: &[&str]) -> Command {
    let mut command = drive.command(args);
    command.env("PITON_STATE_DIR", drive.project().join("elsewhere")).env("USER", "bob");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_the_second_is_told_who_the_first_is() {
    let drive = Drive::up().await;
    drive.write("runbooks/slow.yml", SLOW);
    let first = begin(&drive, &["run", "@slow"]);
    let lease = leased(&drive);
    let begun = Instant::now();
    let second = Said::of(elsewhere(&drive, &["run", "@slow"]).output().unwrap());
    let took = begun.elapsed();
    assert_eq!(second.code, 9, "{second:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let machine = machine_name();
    let run = lease["run"].as_str().unwrap();
    let who = format!("leased to tester@{machine} since ");
    assert!(second.out.contains(&who) && second.out.contains(&format!("UTC (run {run})")), "{}", second.out);
    assert!(second.out.contains("Result: not begun; nothing was changed"), "{}", second.out);

    let first = ended(first);
    assert_eq!((first.code, first.end(), first.run().as_str()), (0, Some(RunEnd::Done), run));
    assert_eq!(warnings(&first), Vec::<String>::new());
    assert_eq!(drive.snapshots(101).len(), 1, "the second took none");
    assert!(left_on_node(&drive).contains("No such file"), "{}", left_on_node(&drive));
    let shown = drive.say(&["lease", "show"]);
    assert!(shown.out.contains("nobody"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_is_in_the_way_of_others_and_not_of_its_own_resume() {
    let drive = Drive::up().await;
    drive.write("runbooks/slow.yml", SLOW);
    let mut first = begin(&drive, &["run", "@slow"]);
    let lease = leased(&drive);
    first.kill().unwrap();
    first.wait().unwrap();
    let other = Said::of(elsewhere(&drive, &["run", "@slow"]).output().unwrap());
    assert_eq!(other.code, 9, "{other:?}");
    // Another run from the same machine sees that the piton is gone, and takes over.
    let again = drive.tell(&["run", "@slow", "--set", "seconds=0"]);
    let who = format!("(run {}): the piton that had it is gone", lease["run"].as_str().unwrap());
    assert_eq!(again.code, 0, "{again:?}");
    assert!(warnings(&again).iter().any(|w| w.ends_with(&who)), "{:?}", warnings(&again));
    assert!(left_on_node(&drive).contains("No such file"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_broken_with_a_reason() {
    let drive = Drive::up().await;
    drive.write("runbooks/slow.yml", SLOW);
    let mut first = begin(&drive, &["run", "@slow", "--set", "seconds=600"]);
    leased(&drive);
    let asked = Said::of(elsewhere(&drive, &["lease", "break", "pve", "--reason", "gone home"]).output().unwrap());
    assert_eq!(asked.code, 2, "{asked:?}");
    let wrong = Said::of(elsewhere(&drive, &["lease", "break", "nas", "--reason", "x", "--yes"]).output().unwrap());
    assert!(wrong.code == 2 && wrong.err.contains("`nas` is no node"), "{wrong:?}");
    let broken = Said::of(elsewhere(&drive, &["lease", "break", "--reason", "gone home", "-y"]).output().unwrap());
    assert!(broken.code == 0 && broken.out.starts_with("broken: the lease on pve of tester@"), "{broken:?}");
    // The note waits for the one who had it; the node is free.
    assert!(left_on_node(&drive).starts_with("broken."), "{}", left_on_node(&drive));
    let other = Said::of(elsewhere(&drive, &["run", "@slow", "--set", "seconds=0"]).output().unwrap());
    assert_eq!(other.code, 0, "{other:?}");
    first.kill().unwrap();
    first.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_problems_are_told_before_the_first_change() {
    let drive = Drive::up().await;
    drive.write("runbooks/both.yml", &SLOW.replace("[extranet]", "[pve, extranet, intranet]").replace("3 }", "0 }"));
    let (status, body) =
        crate::proxmox::call(&drive.ground, "PUT", "/nodes/pve/qemu/101/config", &[("scsi1", "/dev/sdb")]);
    assert_eq!(status, 200, "{body}");
    let (status, body) =
        crate::proxmox::call(&drive.ground, "PUT", "/nodes/pve/qemu/102/config", &[("lock", "backup")]);
    assert_eq!(status, 200, "{body}");
    let before = drive.looks("pve");
    let run = drive.tell(&["run", "@both"]);
    let told: Vec<String> = run.problems().iter().map(|p| format!("{}: {}", p.host, p.what)).collect();
    let want = ["extranet: no checkpoint is possible: scsi1 /dev/sdb: ", "intranet: VM 102 is locked (backup)"];
    assert_eq!(told.len(), want.len(), "{told:?}");
    assert!(told.iter().zip(want).all(|(told, want)| told.starts_with(want)), "{told:?}");
    assert_eq!((run.code, run.end(), run.outcomes().len()), (1, Some(RunEnd::Refused), 0));
    same(&drive.looks("pve"), &before, "after a preflight that refused");

    drive.pull("guest-deaf intranet on").await;
    let run = drive.tell(&["run", "@both"]);
    assert_eq!((run.code, run.problems().len()), (7, 3), "{:?}", run.problems());
    drive.pull("guest-deaf intranet off").await;
    assert!(left_on_node(&drive).contains("No such file"));
}

fn machine_name() -> String {
    let said = Command::new("uname").arg("-n").output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_string()
}
