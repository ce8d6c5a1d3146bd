//! Checkpoints on a small model of one node: what is done, in which order, and what each refusal leaves undone.

mod node;

use super::*;
use crate::key::RunId;
use crate::pve::Marker;
use crate::secret::Vault;
use crate::transport::api::NodeApi;
use node::{Fake, Node};
use std::sync::{Arc, Mutex};

const MINE: &str = "piton v1 run=20261123-031500-1a2b section=ufw by=a@b";

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
    let node = Node { earlier: Some(("piton-1a2b-01", MINE)), ..Node::new() };
    let (got, fake) = take_on(node).await;
    assert!(got.unwrap().found);
    assert_eq!(done(&fake), [""; 0]);
    let node = Node { lock: Some(("rollback", 5)), ..Node::new().with(&[("piton-1a2b-01", MINE)]) };
    assert!(back_on(node, &back("piton-1a2b-01")).await.0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_earlier_try_that_comes_first_is_the_checkpoint() {
    let mut node = Node::new();
    node.fails.push(("qmsnapshot", "VM is locked (snapshot)"));
    node.late = Some(("piton-1a2b-01", MINE));
    assert!(take_on(node).await.0.unwrap().found);
    let mut node = Node::new().with(&[("piton-1a2b-01", MINE)]);
    node.fails.push(("qmrollback", "VM is locked (rollback)"));
    let (got, fake) = back_on(node, &back("piton-1a2b-01")).await;
    assert!(got.is_ok());
    assert_eq!(done(&fake)[..2], ["POST /snapshot/piton-1a2b-01/rollback"; 2]);
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
