//! The main job, by the real binary on the real lab: look, checkpoint, change, fail, and back as it was.

use crate::drive::{Drive, same};
use crate::ground::Said;
use crate::proxmox::task;
use piton::event::{Event, RunEnd};
use piton::lab::Request;

/// The bridge on the node, files on a guest, the guest's firewall file, and a last step that fails on demand.
const JOB: &str = r#"
runbook: The job
vars: { release: 1, break: false }
sections:
  - section: Node
    hosts: [pve]
    steps:
      - name: bridge
        pve_bridge: { name: vmbr2, cidr: 10.10.0.1/24, ports: [], comment: DMZ }
  - section: Guest
    hosts: [extranet]
    on_failure: rollback
    steps:
      - name: folder
        file: { path: /opt/app, state: directory, mode: "0750" }
      - name: content
        copy: { content: "release {{ release }}\n", dest: /opt/app/content, mode: "0640" }
      - name: nginx page
        copy: { content: "<h1>{{ release }}</h1>\n", dest: /srv/npm/index.html }
      - name: firewall
        hosts: [pve]
        copy: { content: "[OPTIONS]\n\nenable: 1\n# release {{ release }}\n", dest: /etc/pve/firewall/101.fw }
      - name: broken
        command: { cmd: "echo looked; test {{ break }} = false" }
        changed_when: "false"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn look_change_fail_and_back_again() {
    let drive = Drive::up().await;
    drive.write("runbooks/job.yml", JOB);
    assert_eq!(
        drive.ground.ssh("pve", "mkdir -p /etc/pve/firewall; echo '[RULES]' > /etc/pve/firewall/101.fw").code,
        0
    );
    assert_eq!(drive.ground.ssh("extranet", "mkdir /opt/app; echo by hand > /opt/app/content").code, 0);
    let bare = drive.all();

    // A plan changes nothing, not even a time.
    let plan = drive.tell(&["plan", "@job"]);
    assert_eq!((plan.code, plan.err.as_str()), (0, ""));
    for (now, before) in drive.all().iter().zip(&bare) {
        same(now, before, "after a plan");
    }

    // A run takes the checkpoint before the first change of the guest.
    let run = drive.tell(&["run", "@job"]);
    assert_eq!((run.code, run.err.as_str(), run.end()), (0, "", Some(RunEnd::Done)));
    let all = |word: &str| {
        ["bridge on pve", "folder on extranet", "content on extranet", "nginx-page on extranet", "firewall on pve"]
            .map(|step| format!("{step}: {word}"))
            .to_vec()
    };
    let with_last = |mut steps: Vec<String>, word: &str| {
        steps.push(format!("broken on extranet: {word}"));
        steps
    };
    assert_eq!(run.outcomes(), with_last(all("changed"), "ok"));
    let [(guest, name)] = &run.taken()[..] else { panic!("{:?}", run.taken()) };
    assert_eq!(guest, "extranet");
    assert_eq!(drive.snapshots(101), std::slice::from_ref(name));
    assert_eq!(drive.snapshots(102), Vec::<String>::new());
    let kept = drive.ground.layout.snaps("extranet").join(name);
    let kept = crate::drive::files_below(&kept).into_iter().find(|(p, _)| p.ends_with("opt/app/content")).unwrap();
    assert_eq!(kept.1, b"by hand\n");
    assert_eq!(drive.cat("extranet", "/opt/app/content"), "release 1\n");
    let good = drive.all();
    assert!(good[0].beside(&bare[0]).iter().any(|d| d.contains("etc/network/interfaces:")));

    // Again: all is so already, no snapshot, nothing changed. The command only looks.
    let again = drive.tell(&["run", "@job"]);
    assert_eq!((again.code, again.taken()), (0, vec![]));
    assert_eq!(again.outcomes(), with_last(all("ok"), "ok"));
    for (now, before) in drive.all().iter().zip(&good) {
        same(now, before, "after a second run");
    }

    // A step fails: the guest is back as it was, and runs.
    let broken = drive.tell(&["run", "@job", "--set", "release=2", "--set", "break=true"]);
    assert_eq!((broken.code, broken.end()), (3, Some(RunEnd::RolledBack)));
    assert_eq!(broken.taken().len(), 1);
    assert!(broken.find(|e| matches!(e, Event::RolledBack { started: true, .. }).then_some(())).is_some());
    same(&drive.looks("extranet"), &good[1], "after a rollback");
    assert_eq!(drive.cat("pve", "/etc/pve/firewall/101.fw"), "[OPTIONS]\n\nenable: 1\n# release 1\n");
    assert_eq!(drive.snapshots(101).len(), 2);

    // A run is taken back as a whole: guest, firewall file, bridge.
    let back = drive.tell(&["rollback", &run.run(), "--yes"]);
    assert_eq!((back.code, back.err.as_str(), back.end()), (0, "", Some(RunEnd::Done)));
    same(&drive.looks("extranet"), &bare[1], "after the way back");
    same(&drive.looks("intranet"), &bare[2], "after the way back");
    let node = drive.looks("pve").timeless();
    let left = node.beside(&bare[0].timeless());
    // Proxmox writes its network file in its own layout, and keeps in the configuration which snapshot it came from.
    let expected = ["etc/network/interfaces:", "/qemu/101/config:", "/qemu/101/snapshot:"];
    let left: Vec<_> = left.into_iter().filter(|d| !expected.iter().any(|e| d.contains(e))).collect();
    assert_eq!(left, Vec::<String>::new());
    assert!(!drive.cat("pve", "/etc/network/interfaces").contains("vmbr2"));

    // One checkpoint by its name, after a change by hand.
    let once = drive.tell(&["run", "@job", "--set", "release=3"]);
    let [(_, name)] = &once.taken()[..] else { panic!("{:?}", once.taken()) };
    assert_eq!(drive.ground.ssh("extranet", "rm -rf /opt/app; echo x > /root/x").code, 0);
    let back = drive.tell(&["rollback", &format!("extranet/{name}"), "--yes"]);
    assert_eq!((back.code, back.end()), (0, Some(RunEnd::Done)));
    same(&drive.looks("extranet"), &bare[1], "after the way back to a checkpoint");

    // Nobody there to say yes: nothing is done.
    let asked = drive.say(&["rollback", &format!("extranet/{name}")]);
    assert_eq!(asked.code, 2, "{asked:?}");
    assert!(asked.err.contains("--yes"), "{asked:?}");
}

/// One file on a guest.
const FILE: &str = r#"
runbook: One file
vars: { text: one, policy: stop }
sections:
  - section: File
    hosts: [extranet]
    checkpoint: CHECKPOINT
    on_failure: ON_FAILURE
    steps:
      - name: file
        copy: { content: "{{ text }}\n", dest: /opt/file }
      - name: end
        command: { cmd: "test {{ text }} != bad" }
        changed_when: "false"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn no_checkpoint_no_change() {
    let drive = Drive::up().await;
    let book = |checkpoint: &str, failure: &str| {
        drive.write("runbooks/file.yml", &FILE.replace("CHECKPOINT", checkpoint).replace("ON_FAILURE", failure));
    };
    book("auto", "stop");
    let before = drive.looks("extranet");
    for (lever, off, said) in [
        ("storage-full on", "storage-full off", "no checkpoint of extranet, so nothing was changed"),
        ("fail-task qmsnapshot the disk is on fire", "storage-full off", "the disk is on fire"),
    ] {
        drive.pull(lever).await;
        let run = drive.tell(&["run", "@file"]);
        assert_eq!((run.code, run.outcomes()), (1, vec!["file on extranet: failed".to_string()]), "{lever}");
        assert!(run.why().contains(said), "{}", run.why());
        assert!(run.find(|e| matches!(e, Event::ActionStarted { .. }).then_some(())).is_none());
        same(&drive.looks("extranet"), &before, lever);
        assert_eq!(drive.snapshots(101), Vec::<String>::new());
        drive.pull(off).await;
    }

    // `never`: no snapshot, and the way back is the undo.
    book("never", "rollback");
    let run = drive.tell(&["run", "@file"]);
    assert_eq!((run.code, run.taken()), (0, vec![]));
    assert_eq!(drive.cat("extranet", "/opt/file"), "one\n");
    let run = drive.tell(&["run", "@file", "--set", "text=bad"]);
    assert_eq!((run.code, run.taken()), (3, vec![]));
    assert_eq!(drive.cat("extranet", "/opt/file"), "one\n");
    assert_eq!(drive.snapshots(101), Vec::<String>::new());

    // `ask` with nobody there stops.
    book("auto", "ask");
    let run = drive.tell(&["run", "@file", "--set", "text=bad"]);
    assert_eq!((run.code, run.end(), run.taken().len()), (1, Some(RunEnd::Failed), 1));
    assert_eq!(drive.cat("extranet", "/opt/file"), "bad\n");

    // A guest that does not run.
    let before = drive.looks("pve");
    drive.ground.ask(Request::Stop { host: "extranet".into() }).await;
    let run = drive.tell(&["run", "@file", "--set", "text=two"]);
    assert_eq!((run.code, run.outcomes(), run.problems().len()), (7, vec![], 1), "{}", run.err);
    same(&drive.looks("pve"), &before, "the guest is stopped");
    drive.ground.ask(Request::Start { host: "extranet".into() }).await;
    assert_eq!(drive.cat("extranet", "/opt/file"), "bad\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_exactly_this() {
    let drive = Drive::up().await;
    drive.write("runbooks/file.yml", &FILE.replace("CHECKPOINT", "auto").replace("ON_FAILURE", "rollback"));
    let masked = |said: Said| {
        let last = drive.state().join("runs");
        let mut runs: Vec<_> = std::fs::read_dir(&last).unwrap().map(|e| e.unwrap().file_name()).collect();
        runs.sort();
        let run = runs.last().unwrap().to_str().unwrap();
        let text = said.out.replace(run, "RUN").replace(&format!("-{}-", run.rsplit('-').next().unwrap()), "-ID-");
        let text = text.replace(&drive.state().display().to_string(), "STATE");
        let text = text.replace(&drive.ground.dir().display().to_string(), "LAB");
        let time = regex_lite::Regex::new(r" ?\((\d+m )?\d+(\.\d+)?m?s\)").unwrap();
        (said.code, time.replace_all(&text, "").into_owned(), said.err)
    };
    let run = masked(drive.say(&["run", "@file"]));
    assert_eq!(run, (0, GOOD.to_string(), String::new()));
    let run = masked(drive.say(&["run", "@file", "--set", "text=bad"]));
    assert_eq!(run, (3, BAD.to_string(), String::new()));
}

const GOOD: &str = r#"run RUN: One file
  runbooks/file.yml with LAB/inventory.yml
  lab: simulated Proxmox
  hosts: extranet

== File (extranet)
  snapshot extranet  piton-ID-01
  changed  extranet  file
      create /opt/file
        --- /opt/file (no such file)
        +++ /opt/file
        @@ -0,0 +1 @@
        +one
  ok       extranet  end

  host        ok  changed  skipped  failed
  extranet     1        1        0       0
Result: done
  checkpoint: extranet piton-ID-01, before "File"
  to go back: piton rollback RUN
  journal: STATE/runs/RUN/journal.jsonl
  report:  STATE/runs/RUN/report.html
"#;
const BAD: &str = r#"run RUN: One file
  runbooks/file.yml with LAB/inventory.yml
  lab: simulated Proxmox
  hosts: extranet

== File (extranet)
  snapshot extranet  piton-ID-01
  changed  extranet  file
      change the content of /opt/file
        --- /opt/file
        +++ /opt/file
        @@ -1 +1 @@
        -one
        +bad
  failed   extranet  end
      run `test bad != bad`: exit status 1
      $ sh -c 'test bad != bad'
      exit 1
  rollback extranet  to piton-ID-01 ...
  back     extranet  as it was at piton-ID-01, and runs again

  host        ok  changed  skipped  failed
  extranet     0        1        0       1
Result: a step failed, and every guest changed in its section is back as it was
  checkpoint: extranet piton-ID-01, before "File"; the guest is back at it
  journal: STATE/runs/RUN/journal.jsonl
  report:  STATE/runs/RUN/report.html
"#;

#[tokio::test(flavor = "multi_thread")]
async fn only_old_checkpoints_of_pitons_own_go() {
    let drive = Drive::up().await;
    drive.write("runbooks/file.yml", &FILE.replace("CHECKPOINT", "auto").replace("ON_FAILURE", "stop"));
    let by_hand = |name: &str| {
        assert_eq!(task(&drive.ground, "POST", "/nodes/pve/qemu/101/snapshot", &[("snapname", name)]), "OK");
    };
    by_hand("mine");
    // It looks like one of piton's, and is none: its description says nothing.
    by_hand("piton-beef-01");
    let mut names = Vec::new();
    for text in ["a", "b", "c", "d"] {
        let run = drive.tell(&["run", "@file", "--keep", "2", "--set", &format!("text={text}")]);
        assert_eq!(run.code, 0);
        names.extend(run.taken().into_iter().map(|t| t.1));
    }
    assert_eq!(names.len(), 4);
    let mut left = drive.snapshots(101);
    left.sort();
    let mut want = vec!["mine".to_string(), "piton-beef-01".to_string(), names[2].clone(), names[3].clone()];
    want.sort();
    assert_eq!(left, want);
    // That of a failed run stays, and does not count.
    let bad = drive.tell(&["run", "@file", "--keep", "2", "--set", "text=bad"]);
    assert_eq!(bad.code, 1);
    let kept = bad.taken()[0].1.clone();
    for text in ["e", "f", "g"] {
        assert_eq!(drive.tell(&["run", "@file", "--keep", "1", "--set", &format!("text={text}")]).code, 0);
    }
    let left = drive.snapshots(101);
    assert!(left.contains(&kept) && left.contains(&"mine".to_string()) && left.contains(&"piton-beef-01".to_string()));
    assert_eq!(left.len(), 4, "{left:?}");
}

/// The node stops the guest, then fails: the checkpoint brings the guest back and starts it. Starting it once more as
/// the undo of the stop would fail, and the way back with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_its_node_stopped_comes_back_by_its_checkpoint_alone() {
    let drive = Drive::up().await;
    let text = "runbook: Stop\nsections:\n  - section: Stop\n    hosts: [pve]\n    on_failure: rollback\n    steps:\n      \
                - name: stop\n        pve_vm: { guest: extranet, state: stopped }\n      \
                - name: broken\n        assert: { that: 1 == 2 }\n";
    drive.write("runbooks/stop.yml", text);
    let run = drive.tell(&["run", "@stop"]);
    assert_eq!((run.code, run.end()), (3, Some(RunEnd::RolledBack)));
    assert_eq!(run.outcomes(), ["stop on pve: changed", "broken on pve: failed"]);
    let undone = run.find(|e| if let Event::UndoStarted { what, .. } = e { Some(what.clone()) } else { None });
    assert_eq!(undone, None);
    assert_eq!(drive.ground.ssh("extranet", "true").code, 0);
}
