//! Durable steps on real sshd: the line is cut, piton is killed, and the job runs once, to its end, all of it seen.

use crate::drive::{Drive, Told};
use crate::ground::until;
use crate::lost::Running;
use piton::event::{Event, Outcome};
use serde_json::Value;

/// Five seconds of lines on both streams, a count, and a code; a secret by the environment and one by standard input.
const BOOK: &str = r#"
runbook: A long command
vars: { code: 0 }
sections:
  - section: Long
    hosts: [extranet]
    checkpoint: never
    steps:
      - name: long
        command:
          cmd: |
            echo run >>/root/count; cat
            for i in 1 2 3 4 5 6 7 8 9 10; do echo "out $i"; echo "err $i" >&2; sleep 0.5; done
            echo "$WORD"; exit {{ code }}
          env: { WORD: from-env }
          stdin: "from stdin\n"
        durable: true
        register: long
      - name: after
        command: echo after >>/root/count
"#;

fn numbered(word: &str) -> String {
    (1..=10).map(|i| format!("{word} {i}")).collect::<Vec<_>>().join("\n")
}

/// What the step registered.
fn registered(told: &Told) -> (Outcome, Value) {
    told.find(|e| match e {
        Event::TaskEnded { task, outcome, out, .. } if task.step.0.ends_with("long") => {
            Some((outcome.clone(), out.clone()))
        }
        _ => None,
    })
    .unwrap_or_else(|| panic!("no end: {told:?}"))
}

#[track_caller]
fn is_whole(drive: &Drive, told: &Told, rc: i32) {
    let (outcome, out) = registered(told);
    assert_eq!(outcome.word(), if rc == 0 { "changed" } else { "failed" }, "{outcome:?}");
    assert_eq!(out["stdout"], format!("from stdin\n{}\nfrom-env", numbered("out")));
    assert_eq!((&out["stderr"], &out["rc"]), (&Value::from(numbered("err")), &Value::from(rc)));
    let after = if rc == 0 { "run\nafter\n" } else { "run\n" };
    assert_eq!(drive.cat("extranet", "/root/count"), after, "it ran once");
    nothing_left(drive);
}

/// Neither folder nor process.
#[track_caller]
fn nothing_left(drive: &Drive) {
    let said =
        drive.ground.ssh("extranet", "ls -a /var/lib/piton 2>/dev/null; ps ax -o args= | grep '[s]leep 0.5'; true");
    assert_eq!((said.code, said.out.as_str()), (0, ""));
}

fn live(told: &Told) -> Vec<String> {
    let line = |e: &piton::event::Stamped| match &e.event {
        Event::Output { err: false, line, .. } => Some(line.clone()),
        _ => None,
    };
    told.events.iter().filter_map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_line_in_the_middle_of_a_job_changes_nothing_about_it() {
    let drive = Drive::up().await;
    drive.write("runbooks/long.yml", BOOK);
    let run = Running::start(&drive, "cut", &["run", "@long"]);
    run.says("\"out 3\"");
    drive.pull("cut extranet").await;
    run.says("\"out 6\"");
    drive.pull("cut extranet").await;
    let told = run.end();
    assert_eq!(told.code, 0, "{told:?}");
    is_whole(&drive, &told, 0);
    assert_eq!(live(&told).join("\n"), format!("from stdin\n{}\nfrom-env", numbered("out")), "each line once");
    let lost = told.events.iter().filter(|e| matches!(e.event, Event::Disconnected { .. })).count();
    assert_eq!(lost, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_piton_finds_its_job_again() {
    let drive = Drive::up().await;
    drive.write("runbooks/long.yml", BOOK);
    for (mark, code) in [("\"out 3\"", 0), ("job_started", 7)] {
        drive.ground.ssh("extranet", "rm -f /root/count");
        let run = Running::start(&drive, "killed", &["run", "@long", "--set", &format!("code={code}")]);
        run.says(mark);
        let told = run.kill();
        let resumed = drive.tell(&["resume", &told.run()]);
        assert_eq!(resumed.code, i32::from(code != 0), "{resumed:?}");
        is_whole(&drive, &resumed, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_vanished_is_unknown_and_a_word_settles_it() {
    let drive = Drive::up().await;
    drive.write("runbooks/long.yml", BOOK);
    let run = Running::start(&drive, "vanished", &["run", "@long"]);
    run.says("\"out 2\"");
    let told = run.kill();
    // As a restart of the host does it.
    let kill = "kill -s KILL -- -$(cut -d' ' -f1 /var/lib/piton/jobs/*/who)";
    assert_eq!(drive.ground.ssh("extranet", kill).code, 0);
    let resumed = drive.tell(&["resume", &told.run()]);
    assert_eq!(resumed.code, 4, "{resumed:?}");
    assert!(resumed.why().contains("vanished: the host was restarted, or somebody killed it"), "{}", resumed.why());
    let key = resumed.find(|e| match e {
        Event::TaskEnded { task, .. } => Some(task.step.0.clone()),
        _ => None,
    });
    let done = drive.tell(&["resume", &told.run(), "--redo", &key.unwrap()]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(drive.cat("extranet", "/root/count"), "run\nrun\nafter\n");
    nothing_left(&drive);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_ctrl_c_and_the_timeout_end_the_job() {
    let drive = Drive::up().await;
    drive.write("runbooks/long.yml", &BOOK.replace("durable: true", "durable: true\n        timeout: 1s"));
    let told = drive.tell(&["run", "@long"]);
    assert_eq!((told.code, told.why().contains("not done in time")), (1, true), "{told:?}");
    nothing_left(&drive);
    drive.write("runbooks/long.yml", BOOK);
    let run = Running::start(&drive, "killed", &["run", "@long"]);
    run.says("\"out 2\"");
    run.signal("INT");
    run.says("\"count\":1");
    run.signal("INT");
    let told = run.end();
    assert_eq!(told.code, 5, "{told:?}");
    until("all is gone", || drive.ground.ssh("extranet", "ls /var/lib/piton 2>/dev/null").out.is_empty());
    nothing_left(&drive);
}
