//! The levers: what a person pulls is what a call, a task and a count then show.

use super::bench::Bench;
use super::guests::Guests;
use piton::lab::pve::levers::FailTask;
use piton::lab::pve::state::State;
use piton::lab::pve::storage::{Storage, Volume};
use piton::lab::pve::vm::Vm;
use piton::lab::pve::{Params, Request};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// A node with machine 110, which has a disk, an agent and a guest that answers.
fn bench() -> Bench {
    let mut state = State::default();
    state.storage.storages.push(Storage::dir("vmstore", "/var/lib/vmstore", "images"));
    state.storage.volumes.push(Volume::image("vmstore:110/vm-110-disk-0.qcow2", "qcow2", 1 << 30, 110, 0));
    let pairs = [("agent", "1"), ("name", "a"), ("scsi0", "vmstore:110/vm-110-disk-0.qcow2,size=1G")];
    let config = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    state.vms.insert(110, Vm { config, ..Vm::default() });
    Bench::new(state, "auto lo\niface lo inet loopback\n", 1_000, Guests::default())
}

const VM: &str = "/nodes/pve/qemu/110";

/// Makes a call and answers how its task ended.
async fn end(bench: &Bench, method: &str, path: &str, params: &[(&str, &str)]) -> (String, Vec<String>) {
    let response = bench.call(method, &format!("{VM}{path}"), params).await;
    let upid = response.data().as_str().unwrap_or_else(|| panic!("{}", response.reason)).to_owned();
    let task = bench.sim.wait(&upid).await.unwrap();
    (task.exit.unwrap(), task.log)
}

async fn running(bench: &Bench) -> bool {
    bench.call("GET", &format!("{VM}/status/current"), &[]).await.data()["status"] == "running"
}

#[tokio::test(start_paused = true)]
async fn the_next_task_of_a_kind_fails_and_nothing_has_happened() {
    let bench = bench();
    let fail = FailTask { kind: Some("qmstart".into()), message: "start failed: QEMU exited with code 1".into() };
    bench.sim.edit(|state| state.levers.fail_tasks.push(fail));
    let (exit, log) = end(&bench, "POST", "/status/start", &[]).await;
    assert_eq!(exit, "start failed: QEMU exited with code 1");
    assert_eq!(log, ["TASK ERROR: start failed: QEMU exited with code 1"]);
    assert!(!running(&bench).await);
    assert_eq!(end(&bench, "POST", "/status/start", &[]).await.0, "OK");
    assert!(running(&bench).await);
    assert_eq!(json!(bench.sim.read(|state| state.changes.clone())), json!({"qmstart": 2}));
}

#[tokio::test(start_paused = true)]
async fn on_a_full_storage_a_snapshot_fails_and_leaves_no_lock() {
    let bench = bench();
    bench.sim.edit(|state| state.levers.full_storages = ["vmstore".to_owned()].into());
    let (exit, log) = end(&bench, "POST", "/snapshot", &[("snapname", "one")]).await;
    let image = "/var/lib/vmstore/images/110/vm-110-disk-0.qcow2";
    assert_eq!(exit, format!("command '/usr/bin/qemu-img snapshot -c one {image}' failed: exit code 1"));
    assert_eq!(log[1], "qemu-img: Could not create snapshot 'one': -28 (No space left on device)");
    let config = bench.call("GET", &format!("{VM}/config"), &[]).await;
    assert_eq!(config.data()["lock"], Value::Null);
    assert_eq!(config.data()["parent"], Value::Null);
    bench.sim.edit(|state| state.levers.full_storages.clear());
    assert_eq!(end(&bench, "POST", "/snapshot", &[("snapname", "one")]).await.0, "OK");
}

#[tokio::test(start_paused = true)]
async fn a_deaf_guest_answers_neither_its_agent_nor_a_shutdown() {
    let bench = bench();
    end(&bench, "POST", "/status/start", &[]).await;
    assert_eq!(bench.call("POST", &format!("{VM}/agent/ping"), &[]).await.status, 200);
    bench.sim.edit(|state| state.levers.deaf_guests = [110].into());
    let ping = bench.call("POST", &format!("{VM}/agent/ping"), &[]).await;
    assert_eq!((ping.status, ping.reason.as_str()), (500, "QEMU guest agent is not running"));
    let (exit, _) = end(&bench, "POST", "/status/shutdown", &[("timeout", "7")]).await;
    assert_eq!(exit, "VM quit/powerdown failed - got timeout");
    assert!(running(&bench).await);
}

#[tokio::test(start_paused = true)]
async fn slow_tasks_take_longer_and_a_stopped_task_lets_go_of_the_machine() {
    let bench = bench();
    bench.sim.edit(|state| state.levers.slow_tasks_ms = 60_000);
    let begun = Instant::now();
    end(&bench, "POST", "/status/start", &[]).await;
    assert!(begun.elapsed() >= Duration::from_secs(60), "{:?}", begun.elapsed());

    let stop = Request::new("POST", &format!("{VM}/status/stop"), Params::default());
    let upid = bench.sim.handle(stop).await.data().as_str().unwrap().to_owned();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let status = bench.call("GET", &format!("/nodes/pve/tasks/{upid}/status"), &[]).await;
    assert_eq!(status.data()["status"], "running");
    assert_eq!(bench.call("DELETE", &format!("/nodes/pve/tasks/{upid}"), &[]).await.status, 200);
    assert_eq!(bench.sim.wait(&upid).await.unwrap().exit.unwrap(), "interrupted by signal");
    assert!(running(&bench).await);
    bench.sim.edit(|state| state.levers.slow_tasks_ms = 0);
    assert_eq!(end(&bench, "POST", "/status/stop", &[]).await.0, "OK");
}

#[tokio::test(start_paused = true)]
async fn two_snapshots_at_once_do_not_mix() {
    let bench = bench();
    let snapshot = |name: &str| {
        let params = Params::from_pairs([("snapname", name)]);
        Request::new("POST", &format!("{VM}/snapshot"), params)
    };
    let (first, second) = tokio::join!(bench.sim.handle(snapshot("aa")), bench.sim.handle(snapshot("bb")));
    let mut ends = Vec::new();
    for response in [first, second] {
        ends.push(bench.sim.wait(response.data().as_str().unwrap()).await.unwrap().exit.unwrap());
    }
    ends.sort();
    assert_eq!(ends, ["OK", "VM is locked (snapshot)"]);
    let list = bench.call("GET", &format!("{VM}/snapshot"), &[]).await;
    assert_eq!(list.data().as_array().unwrap().len(), 2, "one snapshot and current");
}
