//! Commit-confirm on real sshd: what is confirmed leaves nothing behind, what cuts the line is taken back by the host.

use crate::drive::{Drive, Told, same};
use crate::ground::{processes, until};
use piton::event::{Event, RunEnd};

const BRIDGE: &str = r"
runbook: A bridge
sections:
  - section: Node
    hosts: [pve]
    steps:
      - name: bridge
        pve_bridge: { name: vmbr9, cidr: 10.99.0.1/24, ports: [], comment: new }
";

/// sshd is told to listen elsewhere: the line that stands goes on, a new one does not come up.
const SSHD: &str = r#"
runbook: sshd moves away
sections:
  - section: Guest
    hosts: [extranet]
    checkpoint: never
    steps:
      - name: port
        command: { cmd: "sed -i 's/^Port .*/Port 1/' /etc/ssh/sshd_config; rm /etc/motd; echo x > /etc/new; systemctl restart ssh; CUT" }
        confirm_within: { time: 6s, files: [/etc/ssh/sshd_config, /etc/motd, /etc/new], after: systemctl restart ssh }
"#;

fn reverts(told: &Told) -> Vec<&'static str> {
    let word = |e: &Event| match e {
        Event::RevertArmed { .. } => Some("armed"),
        Event::RevertDropped { .. } => Some("dropped"),
        Event::RevertConfirmed { .. } => Some("confirmed"),
        Event::RevertFired { failed: None, .. } => Some("fired"),
        Event::RevertFired { .. } => Some("failed"),
        _ => None,
    };
    told.events.iter().filter_map(|e| word(&e.event)).collect()
}

#[track_caller]
fn nothing_left(drive: &Drive, told: &Told, host: &str) {
    assert_eq!(drive.ground.ssh(host, "ls -A /var/lib/piton 2>&1").code, 2, "{host}");
    let run = told.run();
    until("no process of a revert is left", || !processes().iter().any(|(_, line)| line.contains(&run)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_is_confirmed_over_a_new_connection_and_nothing_is_left() {
    let drive = Drive::up().await;
    drive.write("runbooks/bridge.yml", BRIDGE);
    let plan = drive.say(&["plan", "@bridge"]);
    assert!(plan.out.contains("reverts by itself unless confirmed within 1m 30s"), "{}", plan.out);
    let run = drive.tell(&["run", "@bridge"]);
    assert_eq!((run.code, run.outcomes()), (0, vec!["bridge on pve: changed".to_string()]), "{}", run.why());
    assert_eq!(reverts(&run), ["armed", "confirmed"]);
    let connected = |e: &&piton::event::Stamped| matches!(&e.event, Event::Connected { host, .. } if host == "pve");
    assert_eq!(run.events.iter().filter(connected).count(), 2);
    assert!(drive.cat("pve", "/etc/network/interfaces").contains("vmbr9"));
    nothing_left(&drive, &run, "pve");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_whose_reload_fails_is_taken_back_at_once() {
    let drive = Drive::up().await;
    drive.write("runbooks/bridge.yml", BRIDGE);
    let before = drive.looks("pve").timeless();
    drive.pull("fail-task srvreload it broke").await;
    let run = drive.tell(&["run", "@bridge"]);
    assert_eq!((run.code, run.end()), (10, Some(RunEnd::Reverted)), "{}", run.why());
    assert!(run.why().starts_with("reverted: create the bridge vmbr9: "), "{}", run.why());
    assert_eq!(reverts(&run), ["armed", "fired"]);
    same(&drive.looks("pve").timeless(), &before, "the node");
    assert_eq!(drive.ground.ssh("pve", "ls /etc/network/interfaces.new 2>&1").code, 2);
    nothing_left(&drive, &run, "pve");
    // Once nothing fails the same run goes on and is confirmed.
    let again = drive.tell(&["resume", &run.run()]);
    assert_eq!((again.code, reverts(&again)), (0, vec!["armed", "confirmed"]), "{}", again.why());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_shuts_the_door_is_taken_back_and_never_called_success() {
    // Once with the line still there, once with every connection killed too.
    for cut in ["true", "pkill -9 sshd"] {
        let drive = Drive::up().await;
        drive.write("runbooks/sshd.yml", &SSHD.replace("CUT", cut));
        let before = drive.looks("extranet");
        let run = drive.tell(&["run", "@sshd"]);
        assert_eq!((run.code, run.end()), (10, Some(RunEnd::Reverted)), "{cut}: {}", run.why());
        assert_eq!((reverts(&run), run.outcomes()), (vec!["armed", "fired"], vec!["port on extranet: failed".into()]));
        assert!(run.why().starts_with("reverted: "), "{}", run.why());
        let (now, mut was) = (drive.looks("extranet"), before);
        // The folders that a file was put back into have another time, nothing else has.
        for folder in ["etc", "etc/ssh", "var/lib"] {
            let time = now.0.get(folder).cloned().unwrap_or_default();
            let strip = |t: &str| {
                t.split(' ').enumerate().filter(|(i, _)| *i != 2).map(|(_, w)| w.to_string()).collect::<Vec<_>>()
            };
            assert_eq!(strip(&time), strip(&was.0[folder]), "{folder}");
            was.0.insert(folder.to_string(), time);
        }
        same(&now, &was, cut);
        nothing_left(&drive, &run, "extranet");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_step_that_writes_a_file_can_ask_for_it() {
    let drive = Drive::up().await;
    let book = "runbook: One file\nhosts: [extranet]\nsteps:\n  - name: file\n    copy: { content: \"new\\n\", dest: /etc/new }\n    confirm_within: 30s\n";
    drive.write("runbooks/file.yml", book);
    let run = drive.tell(&["run", "@file"]);
    assert_eq!((run.code, reverts(&run)), (0, vec!["armed", "confirmed"]), "{}", run.why());
    assert_eq!(drive.cat("extranet", "/etc/new"), "new\n");
    nothing_left(&drive, &run, "extranet");
    // What cannot be relied on is not begun.
    drive.write(
        "runbooks/file.yml",
        &book.replace("new\\n", "newer\\n").replace("30s", "{ time: 30s, after: no-such-tool }"),
    );
    let run = drive.tell(&["run", "@file"]);
    assert_eq!((run.code, reverts(&run)), (1, vec!["armed", "dropped"]), "{}", run.why());
    assert!(run.why().contains("the revert needs the program no-such-tool, which is not here"), "{}", run.why());
    assert_eq!(drive.cat("extranet", "/etc/new"), "new\n");
    nothing_left(&drive, &run, "extranet");
}
