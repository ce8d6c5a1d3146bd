//! Checkpoints on a small model of one node: what is done, in which order, and what each refusal leaves undone.

use super::*;
use crate::cmd::{Cmd, Output};
use crate::key::RunId;
use crate::modules::{FetchFile, PutFile, PutTree};
use crate::pve::Marker;
use crate::secret::Vault;
use crate::transport::api::NodeApi;
use crate::transport::{Batch, Boxed, Remote, TransportError};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MINE: &str = "piton v1 run=20261123-031500-1a2b section=ufw by=a@b";

/// The node: one VM 102.
struct Node {
    snapshots: Vec<(String, String)>,
    parent: Option<String>,
    running: bool,
    config: Value,
    storage: &'static str,
    firewall: Option<String>,
    /// Exit status of the next tasks of this kind.
    fails: Vec<(&'static str, &'static str)>,
    /// A snapshot task ends well and leaves nothing.
    lies: bool,
    /// The line is lost at this call.
    cut_at: Option<&'static str>,
    done: Vec<String>,
    last: String,
    /// A lock that goes away after so many looks.
    lock: Option<(&'static str, u32)>,
}

struct Fake(Mutex<Node>);

impl Node {
    fn new() -> Self {
        Self {
            snapshots: Vec::new(),
            parent: None,
            running: true,
            config: json!({"scsi0": "tank:vm-102-disk-0", "name": "intranet"}),
            storage: "lvmthin",
            firewall: Some("[OPTIONS]\n\nenable: 1\n".into()),
            fails: Vec::new(),
            lies: false,
            cut_at: None,
            done: Vec::new(),
            last: "OK".into(),
            lock: None,
        }
    }

    fn with(mut self, names: &[(&str, &str)]) -> Self {
        self.snapshots = names.iter().map(|(n, d)| ((*n).to_string(), (*d).to_string())).collect();
        self.parent = self.snapshots.last().map(|(n, _)| n.clone());
        self
    }

    fn list(&self) -> Value {
        let mut rows: Vec<Value> = Vec::new();
        for (i, (name, description)) in self.snapshots.iter().enumerate() {
            let mut row = json!({"name": name, "snaptime": 100 + i, "vmstate": 0, "description": description});
            if i > 0 {
                row["parent"] = json!(self.snapshots[i - 1].0);
            }
            rows.push(row);
        }
        let mut current = json!({"name": "current", "running": u8::from(self.running), "description": "You are here!"});
        if let Some(parent) = &self.parent {
            current["parent"] = json!(parent);
        }
        rows.push(current);
        json!(rows)
    }

    fn get(&mut self, path: &str) -> Value {
        match path {
            "/nodes/pve/qemu/102/config" => {
                let mut config = self.config.clone();
                if let Some((lock, looks)) = self.lock.take() {
                    config["lock"] = json!(lock);
                    self.lock = looks.checked_sub(1).map(|n| (lock, n));
                }
                config
            }
            "/nodes/pve/qemu/102/status/current" => {
                json!({"status": if self.running { "running" } else { "stopped" }, "vmid": 102})
            }
            "/nodes/pve/qemu/102/snapshot" => self.list(),
            "/storage" => json!([{"storage": "tank", "type": self.storage}]),
            _ if path.contains("/status") => json!({"status": "stopped", "exitstatus": self.last}),
            _ if path.contains("/log") => json!([{"n": 1, "t": "TASK OK"}]),
            other => panic!("{other}"),
        }
    }

    fn act(&mut self, method: &str, path: &str, params: &[(String, String)]) -> Value {
        let what = path.trim_start_matches("/nodes/pve/qemu/102");
        self.done.push(format!("{method} {what}"));
        let name = what.split('/').nth(2).unwrap_or_default().to_string();
        let param = |key: &str| params.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()).unwrap_or_default();
        let kind = match (method, what) {
            ("POST", "/snapshot") => "qmsnapshot",
            ("POST", "/status/start") => "qmstart",
            ("DELETE", _) => "qmdelsnapshot",
            _ => "qmrollback",
        };
        self.last = "OK".into();
        if let Some(at) = self.fails.iter().position(|(k, _)| *k == kind) {
            self.last = self.fails.remove(at).1.to_string();
        } else {
            match kind {
                "qmsnapshot" if !self.lies => {
                    self.snapshots.push((param("snapname"), param("description")));
                    self.parent = Some(param("snapname"));
                }
                "qmstart" => self.running = true,
                "qmdelsnapshot" => self.snapshots.retain(|(n, _)| *n != name),
                "qmrollback" if !self.lies => {
                    self.parent = Some(name);
                    self.running = false;
                }
                _ => {}
            }
        }
        json!(format!("UPID:pve:0000402A:000CBD83:6B0282B9:{kind}:102:root@pam:"))
    }
}

fn decoded(text: &str) -> Vec<(String, String)> {
    let un = |t: &str| crate::pve::encode::unescape(t).into_owned();
    text.split('&').filter_map(|p| p.split_once('=')).map(|(k, v)| (un(k), un(v))).collect()
}

impl Fake {
    fn answer(&self, cmd: &Cmd) -> Result<Output, TransportError> {
        let mut node = self.0.lock().unwrap();
        if cmd.argv[0] == "perl" {
            return Ok(Output::of(0, "piton-ticket 1\nnode pve\nticket PVE:root@pam:1::ab\ncsrf 1:ab\n", ""));
        }
        if cmd.argv[0] == "sh" {
            let text = &cmd.argv[2];
            let is_file = cmd.argv.get(4).is_some_and(|p| p == "/etc/pve/firewall/102.fw");
            return Ok(match text.split(' ').next().unwrap() {
                "echo" => Output::of(0, "uid 0\nhas curl\nhas perl\nhas pvedaemon\n", ""),
                "if" if is_file => match &node.firewall {
                    Some(content) => Output::of(0, &format!("there\n{content}"), ""),
                    None => Output::of(0, "absent\n", ""),
                },
                "cat" if is_file => {
                    node.firewall = cmd.stdin.clone();
                    Output::of(0, "", "")
                }
                "rm" if is_file => {
                    node.firewall = None;
                    Output::of(0, "", "")
                }
                other => panic!("{other}"),
            });
        }
        let config = cmd.stdin.clone().unwrap();
        let nonce = config.split("write-out = \"\\n").nth(1).unwrap().split(' ').next().unwrap().to_string();
        let mut out = String::new();
        for block in config.split("next\n") {
            let value = |key: &str| block.lines().find_map(|l| l.strip_prefix(key)?.strip_suffix('"'));
            let url = value("url = \"http://127.0.0.1:85/api2/json").unwrap();
            let path = url.split('?').next().unwrap();
            let method = value("request = \"").unwrap_or("GET");
            if node.cut_at.is_some_and(|at| format!("{method} {path}").contains(at)) {
                return Err(TransportError::Lost { host: "pve".into(), why: "cut".into() });
            }
            let data: Vec<String> = block
                .lines()
                .filter_map(|l| l.strip_prefix("data-raw = \"")?.strip_suffix('"'))
                .map(str::to_string)
                .collect();
            let data = match method {
                "GET" => node.get(path),
                _ => node.act(method, path, &decoded(&data.join("&"))),
            };
            out.push_str(&format!("HTTP/1.1 200 OK\r\n\r\n{}\n{nonce} 0 9 \n", json!({ "data": data })));
        }
        Ok(Output::of(0, &out, ""))
    }
}

impl Remote for Fake {
    fn name(&self) -> &'static str {
        "pve"
    }

    fn via(&self) -> &'static str {
        "fake"
    }

    fn run(&self, batch: Batch) -> Boxed<'_, Vec<Result<Output, TransportError>>> {
        let out = batch.cmds.iter().map(|cmd| self.answer(cmd)).collect();
        Box::pin(async move { out })
    }

    fn put<'a>(&'a self, _: &'a PutFile) -> Boxed<'a, Result<(), TransportError>> {
        unreachable!()
    }

    fn put_tree<'a>(&'a self, _: &'a PutTree) -> Boxed<'a, Result<(), TransportError>> {
        unreachable!()
    }

    fn fetch<'a>(&'a self, _: &'a FetchFile) -> Boxed<'a, Result<(), TransportError>> {
        unreachable!()
    }

    fn cancel(&self, _: Duration) -> Boxed<'_, ()> {
        unreachable!()
    }

    fn close(&self) -> Boxed<'_, ()> {
        unreachable!()
    }
}

async fn api(node: Node) -> (NodeApi, Arc<Fake>) {
    let fake = Arc::new(Fake(Mutex::new(node)));
    (NodeApi::open(fake.clone(), Arc::new(Vault::default()), "pve", None).await.unwrap(), fake)
}

fn guest() -> GuestRef {
    GuestRef::new("intranet", 102)
}

fn plan() -> NewCheckpoint {
    let marker = Marker { run: RunId("20261123-031500-1a2b".into()), section: "ufw".into(), by: "a@b".into() };
    NewCheckpoint { name: "piton-1a2b-01".into(), marker }
}

fn back(name: &str) -> GoBack {
    GoBack { name: name.into(), firewall: Firewall::File("old\n".into()), start: true }
}

fn silent(_: &str) {}

async fn take_on(node: Node) -> (Result<Taken, CheckpointError>, Arc<Fake>) {
    let (api, fake) = api(node).await;
    (take(&api, &guest(), &plan(), &silent).await, fake)
}

async fn back_on(node: Node, plan: &GoBack) -> (Result<Back, CheckpointError>, Arc<Fake>) {
    let (api, fake) = api(node).await;
    (rollback(&api, &guest(), plan, &silent).await, fake)
}

fn done(fake: &Arc<Fake>) -> Vec<String> {
    fake.0.lock().unwrap().done.clone()
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_is_taken_and_seen_with_the_firewall_file() {
    let (got, fake) = take_on(Node::new()).await;
    let expected = Taken {
        name: "piton-1a2b-01".into(),
        firewall: Some("[OPTIONS]\n\nenable: 1\n".into()),
        running: true,
        found: false,
        warnings: String::new(),
    };
    assert_eq!(got.unwrap(), expected);
    assert_eq!(fake.0.lock().unwrap().snapshots, [("piton-1a2b-01".to_string(), MINE.to_string())]);
    let (api, _) = api(Node::new().with(&[("piton-1a2b-01", MINE)])).await;
    let again = take(&api, &guest(), &plan(), &silent).await.unwrap();
    assert!(again.found);
}

#[tokio::test(start_paused = true)]
async fn what_stands_against_a_checkpoint_is_found_before_anything_is_done() {
    let locked = Node { lock: Some(("backup", 1)), ..Node::new() };
    let stuck = Node { lock: Some(("snapshot", 1000)), ..Node::new() };
    let mut raw = Node::new();
    raw.storage = "dir";
    for (node, why) in [
        (locked, "intranet is locked (backup): wait for the task"),
        (stuck, "intranet is locked (snapshot)"),
        (raw, "no snapshot of intranet is possible: scsi0 tank:vm-102-disk-0: raw on a storage of type dir"),
        (Node::new().with(&[("piton-1a2b-01", "by hand")]), "has a snapshot `piton-1a2b-01` already"),
    ] {
        let (got, fake) = take_on(node).await;
        let text = got.unwrap_err().to_string();
        assert!(text.contains(why), "{text}");
        assert_eq!(done(&fake), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_try_that_still_runs_is_waited_for() {
    let node = Node { lock: Some(("snapshot", 5)), ..Node::new().with(&[("piton-1a2b-01", MINE)]) };
    assert!(take_on(node).await.0.unwrap().found);
    let node = Node { lock: Some(("rollback", 5)), ..Node::new().with(&[("piton-1a2b-01", MINE)]) };
    assert!(back_on(node, &back("piton-1a2b-01")).await.0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_claimed_unseen() {
    let mut liar = Node::new();
    liar.lies = true;
    let got = take_on(liar).await.0.unwrap_err();
    assert!(matches!(&got, CheckpointError::NotSeen { .. }) && !got.is_unknown(), "{got}");
    let mut failing = Node::new();
    failing.fails.push(("qmsnapshot", "VM is locked (backup)"));
    let got = take_on(failing).await.0.unwrap_err().to_string();
    assert_eq!(got, "snapshot piton-1a2b-01 of intranet failed: VM is locked (backup)");
    let mut cut = Node::new();
    cut.cut_at = Some("POST /nodes/pve/qemu/102/snapshot");
    assert!(take_on(cut).await.0.unwrap_err().is_unknown());
    let mut cut = Node::new();
    cut.cut_at = Some("/tasks/");
    let got = take_on(cut).await.0.unwrap_err();
    assert!(got.is_unknown() && got.to_string().contains("UPID:pve:"), "{got}");
    let mut cut = Node::new();
    cut.cut_at = Some("GET /nodes/pve/qemu/102/config");
    assert!(!take_on(cut).await.0.unwrap_err().is_unknown());
}

#[tokio::test(start_paused = true)]
async fn a_rollback_gives_disks_firewall_file_and_running_state_back_and_may_be_repeated() {
    let node = Node::new().with(&[("piton-1a2b-01", MINE), ("by-hand", "later")]);
    let (api, fake) = api(node).await;
    let got = rollback(&api, &guest(), &back("piton-1a2b-01"), &silent).await.unwrap();
    let name = "piton-1a2b-01".to_string();
    assert_eq!(got, Back { name: name.clone(), dropped: vec![], started: true, firewall_restored: true });
    assert_eq!(done(&fake), ["POST /snapshot/piton-1a2b-01/rollback", "POST /status/start"]);
    assert_eq!(fake.0.lock().unwrap().firewall.as_deref(), Some("old\n"));
    assert!(fake.0.lock().unwrap().running);
    let again = rollback(&api, &guest(), &back("piton-1a2b-01"), &silent).await.unwrap();
    assert_eq!(again, Back { name, dropped: vec![], started: true, firewall_restored: false });
    let absent = GoBack { firewall: Firewall::Absent, start: false, ..back("piton-1a2b-01") };
    let got = rollback(&api, &guest(), &absent, &silent).await.unwrap();
    assert!(!got.started && got.firewall_restored);
    let node = fake.0.lock().unwrap();
    assert_eq!((&node.firewall, node.running), (&None, false));
}

#[tokio::test(start_paused = true)]
async fn on_zfs_our_newer_ones_go_first_and_foreign_ones_are_never_touched() {
    let ours = [("piton-1a2b-01", MINE), ("piton-1a2b-02", MINE), ("piton-1a2b-03", MINE)];
    let mut node = Node::new().with(&ours);
    node.storage = "zfspool";
    let (got, fake) = back_on(node, &back("piton-1a2b-01")).await;
    assert_eq!(got.unwrap().dropped, ["piton-1a2b-03", "piton-1a2b-02"]);
    assert_eq!(
        done(&fake)[..3],
        ["DELETE /snapshot/piton-1a2b-03", "DELETE /snapshot/piton-1a2b-02", "POST /snapshot/piton-1a2b-01/rollback"]
    );
    let mut node = Node::new().with(&[ours[0], ("by-hand", "later"), ours[2]]);
    node.storage = "zfspool";
    let (got, fake) = back_on(node, &back("piton-1a2b-01")).await;
    assert!(matches!(got.unwrap_err(), CheckpointError::Blocked { blockers, .. } if blockers == ["by-hand"]));
    assert_eq!(done(&fake), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_is_not_whole_says_so() {
    let node = || Node::new().with(&[("piton-1a2b-01", MINE), ("by-hand", "x")]);
    for name in ["by-hand", "piton-1a2b-09"] {
        let (got, fake) = back_on(node(), &back(name)).await;
        assert!(matches!(got.unwrap_err(), CheckpointError::Missing { .. }));
        assert_eq!(done(&fake), [""; 0]);
    }
    let mut failing = node();
    failing.fails.push(("qmrollback", "can't rollback, 'x' is not most recent snapshot"));
    let (got, fake) = back_on(failing, &back("piton-1a2b-01")).await;
    let text = got.unwrap_err().to_string();
    assert!(text.ends_with("is not most recent snapshot; it runs, as it was"), "{text}");
    assert!(fake.0.lock().unwrap().running);
    let liar = Node { lies: true, ..node() };
    let text = back_on(liar, &back("piton-1a2b-01")).await.0.unwrap_err().to_string();
    assert!(text.contains("ended well, but the guest's present state comes from \"by-hand\""), "{text}");
    let mut failing = node();
    failing.fails.push(("qmstart", "no bridge"));
    let text = back_on(failing, &back("piton-1a2b-01")).await.0.unwrap_err().to_string();
    assert!(
        text.contains("is back at `piton-1a2b-01`, but it does not run: start of intranet failed: no bridge"),
        "{text}"
    );
    assert!(text.contains("`qm start 102`"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn only_ours_are_dropped() {
    let (api, fake) =
        api(Node::new().with(&[("piton-1a2b-01", MINE), ("by-hand", "x"), ("piton-9999-01", MINE)])).await;
    let names: Vec<String> = ["piton-1a2b-01", "by-hand", "piton-9999-01", "gone"].map(str::to_string).into();
    assert_eq!(drop_snapshots(&api, &guest(), &names, &silent).await.unwrap(), ["piton-1a2b-01"]);
    assert_eq!(done(&fake), ["DELETE /snapshot/piton-1a2b-01"]);
}

#[tokio::test]
async fn coverage_and_lists_of_several_guests_are_one_round_trip_each() {
    let (api, _) = api(Node::new().with(&[("piton-1a2b-01", MINE)])).await;
    let got = coverages(&api, &[(guest(), vec!["tank/data".into()])]).await.remove(0).unwrap();
    assert!(got.possible && got.unprotected.iter().any(|u| u.contains("tank/data")));
    assert_eq!(lists(&api, &[guest()]).await.remove(0).unwrap().ours().count(), 1);
    let none = NoCheckpoints { host: "pve".into(), why: "a node is not snapshotted".into() };
    assert!(!none.coverage().await.unwrap().possible);
    let error = none.take(&plan(), &silent).await.unwrap_err().to_string();
    assert_eq!(error, "pve has no checkpoints: a node is not snapshotted");
}
