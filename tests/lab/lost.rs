//! Lines that are lost in mid-run, on real sshd: they are opened anew, and nothing is done twice.

use crate::drive::{Drive, Told, events};
use crate::ground::until;
use piton::event::Event;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A run under way, its output in a file.
pub struct Running {
    child: Child,
    out: std::path::PathBuf,
}

impl Running {
    pub fn start(drive: &Drive, name: &str, args: &[&str]) -> Self {
        let out = drive.project().join(format!("{name}.out"));
        let file = std::fs::File::create(&out).unwrap();
        let mut command = drive.command(&[args, &["--format", "json"]].concat());
        Self { child: command.stdout(file).stderr(Stdio::inherit()).spawn().unwrap(), out }
    }

    /// The whole lines that were printed so far.
    pub fn text(&self) -> String {
        let text = std::fs::read_to_string(&self.out).unwrap();
        text.rfind('\n').map_or(String::new(), |end| text[..=end].to_string())
    }

    pub fn says(&self, words: &str) {
        until(words, || self.text().contains(words));
    }

    pub fn end(mut self) -> Told {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        Told { code, events: events(&self.text()), err: String::new() }
    }

    pub fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// As if the machine had died.
    pub fn kill(mut self) -> Told {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Told { code: -1, events: events(&self.text()), err: String::new() }
    }
}

const GUARDED: &str = r#"
runbook: A change of a guest
sections:
  - section: Guest
    hosts: [extranet]
    steps:
      - name: file
        copy: { content: "one\n", dest: /opt/file }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_proxmox_task_is_followed_over_a_new_line_and_not_started_again() {
    let drive = Drive::up().await;
    drive.write("runbooks/guarded.yml", GUARDED);
    drive.pull("slow-tasks 3000").await;
    let run = Running::start(&drive, "guarded", &["run", "@guarded"]);
    run.says("checkpoint_started");
    until("the task runs", || {
        let (_, tasks) = crate::proxmox::call(&drive.ground, "GET", "/nodes/pve/tasks?source=active", &[]);
        tasks["data"].as_array().is_some_and(|t| t.iter().any(|t| t["type"] == "qmsnapshot"))
    });
    drive.pull("cut pve").await;
    let told = run.end();
    assert_eq!((told.code, told.outcomes()), (0, vec!["file on extranet: changed".to_string()]), "{told:?}");
    assert!(told.find(|e| matches!(e, Event::Disconnected { host, .. } if host == "pve").then_some(())).is_some());
    assert_eq!((told.taken().len(), drive.snapshots(101).len()), (1, 1));
    let (_, tasks) = crate::proxmox::call(&drive.ground, "GET", "/nodes/pve/tasks", &[]);
    let made = tasks["data"].as_array().unwrap().iter().filter(|t| t["type"] == "qmsnapshot").count();
    assert_eq!(made, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_away_for_a_while_is_waited_for() {
    let drive = Drive::up().await;
    let book = r#"
runbook: Two steps
vars: { x: a }
sections:
  - section: S
    hosts: [extranet]
    checkpoint: never
    steps:
      - { name: first, command: { cmd: "sleep 2; touch /opt/{{ x }}", creates: "/opt/{{ x }}" } }
      - { name: second, copy: { content: "{{ x }}", dest: /opt/second } }
"#;
    drive.write("runbooks/two.yml", book);
    let run = Running::start(&drive, "two", &["run", "@two"]);
    run.says("action_started");
    // Frozen: it takes connections and says nothing.
    drive.pull("guest-deaf extranet on").await;
    let end = Instant::now() + Duration::from_secs(60);
    while !run.text().contains("trying again in 1 s") {
        assert!(Instant::now() < end, "{}", run.text());
        std::thread::sleep(Duration::from_millis(50));
    }
    drive.pull("guest-deaf extranet off").await;
    let told = run.end();
    let all = ["first on extranet: changed", "second on extranet: changed"].map(String::from).to_vec();
    assert_eq!((told.code, told.outcomes()), (0, all), "{told:?}");
    assert_eq!(drive.cat("extranet", "/opt/second"), "a");
}
