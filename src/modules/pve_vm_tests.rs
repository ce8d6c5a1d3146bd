//! Rows of a real node -> state -> changes.

use super::super::{Decision, bench};
use super::*;
use serde_json::json;

const STOPPED: u64 = 17;
const RUNNING: u64 = 809;

fn decide(vmid: u32, mut params: Value, rows: &[u64]) -> Result<Decision, String> {
    params["vmid"] = vmid.into();
    let cx = Cx { host: "pve1".into(), node: Some("pve1".into()), ..Cx::default() };
    let step = bench::instance("pve_vm", params);
    assert_eq!(step.validate(), []);
    assert_eq!(step.probe(&cx).len(), rows.len());
    let answers: Vec<_> = rows.iter().map(|row| Answer::Api(bench::recorded(*row))).collect();
    step.decide(&cx, &answers).map_err(|e| e.to_string())
}

fn lines(vmid: u32, params: Value, rows: &[u64]) -> Vec<String> {
    let changes = decide(vmid, params, rows).unwrap().changes;
    changes.iter().flat_map(|c| bench::lines(&c.actions)).collect()
}

#[test]
fn state_follows_the_status_of_a_real_node() {
    assert_eq!(lines(110, json!({ "state": "started" }), &[RUNNING]), [""; 0]);
    assert_eq!(
        lines(100, json!({ "state": "started" }), &[STOPPED]),
        ["pvesh create /nodes/{node}/qemu/100/status/start"]
    );
    assert_eq!(lines(100, json!({ "state": "stopped" }), &[STOPPED]), [""; 0]);
    assert_eq!(
        lines(110, json!({ "state": "stopped", "force_after": "2m" }), &[RUNNING]),
        ["pvesh create /nodes/{node}/qemu/110/status/shutdown --timeout 120 --forceStop 1"]
    );
    assert_eq!(
        lines(110, json!({ "state": "reset" }), &[RUNNING]),
        ["pvesh create /nodes/{node}/qemu/110/status/reset"]
    );
    let refused = decide(100, json!({ "state": "reset" }), &[STOPPED]).unwrap_err();
    assert_eq!(refused, "VM 100 is stopped: it cannot be reset");
    assert_eq!(decide(999, json!({ "state": "started" }), &[20]).unwrap_err(), "there is no VM 999 on this node");
}

#[test]
fn a_suspended_vm_is_resumed_by_a_start_and_any_other_lock_refuses() {
    assert_eq!(lines(901, json!({ "state": "started" }), &[304]).len(), 1);
    let cx = Cx { node: Some("pve1".into()), vmid: Some(901), ..Cx::default() };
    let locked = json!({ "status": "stopped", "qmpstatus": "stopped", "lock": "backup" });
    let decide = |params| bench::instance("pve_vm", params).decide(&cx, &[bench::api(locked.clone())]);
    let refused = decide(json!({ "state": "started" })).unwrap_err();
    assert_eq!(refused.to_string(), "VM 901 is locked (backup)");
    assert_eq!(decide(json!({ "state": "stopped" })).unwrap().changes, []);
    let paused = json!({ "status": "running", "qmpstatus": "paused" });
    let step = bench::instance("pve_vm", json!({ "state": "started" }));
    let changes = step.decide(&cx, &[bench::api(paused)]).unwrap().changes;
    assert_eq!(bench::lines(&changes[0].actions), ["pvesh create /nodes/{node}/qemu/901/status/resume"]);
}

#[test]
fn only_keys_that_differ_are_sent_with_the_digest_that_was_read() {
    let rows = [STOPPED, 27, 28];
    let same = json!({ "config": { "memory": 128, "kvm": false, "agent": "enabled=1", "net0": "virtio,bridge=vmbr0" }, "delete": ["tags"] });
    assert_eq!(lines(300, same, &rows), [""; 0]);
    let params = json!({
        "config": { "memory": 256, "onboot": true, "tags": ["b", "a"], "net0": "virtio,bridge=vmbr1" }, "delete": ["vga"]
    });
    let decision = decide(300, params, &rows).unwrap();
    let change = &decision.changes[0];
    assert_eq!(
        bench::lines(&change.actions),
        ["pvesh set /nodes/{node}/qemu/300/config --memory 256 --net0 virtio=BC:24:11:95:1E:45,bridge=vmbr1 --onboot 1 \
          --tags 'b;a' --delete vga --digest a20a69fca0515027e9c5033dc03d763fe399c941"
            .replace("--memory 256 --net0", "--memory 256 --onboot 1 --tags 'b;a' --net0")
            .replace("vmbr1 --onboot 1 --tags 'b;a' --delete", "vmbr1 --delete")]
    );
    let Undo::Actions(undo) = &change.undo else { panic!() };
    assert_eq!(
        bench::lines(undo),
        [
            "pvesh set /nodes/{node}/qemu/300/config --memory 128 --net0 virtio=BC:24:11:95:1E:45,bridge=vmbr0 --vga serial0 \
          --delete onboot,tags"
        ]
    );
    let values = vec![
        ValueChange::new("memory", Some("128"), Some("256")),
        ValueChange::new("onboot", None, Some("1")),
        ValueChange::new("tags", None, Some("b;a")),
        ValueChange::new(
            "net0",
            Some("virtio=BC:24:11:95:1E:45,bridge=vmbr0"),
            Some("virtio=BC:24:11:95:1E:45,bridge=vmbr1"),
        ),
        ValueChange::new("vga", Some("serial0"), None),
    ];
    assert_eq!(change.diff, Diff::Values(values));
}

#[test]
fn after_the_put_nothing_is_left_to_do() {
    let params = json!({ "config": { "name": "api-901b", "tags": "b;a", "cores": 1 } });
    assert_eq!(lines(901, params.clone(), &[STOPPED, 90, 28]).len(), 1);
    assert_eq!(lines(901, params, &[STOPPED, 94, 28]), [""; 0]);
}

#[test]
fn what_is_pending_is_said_and_not_called_done() {
    // Row 263: memory 128 runs, 160 is pending. The configuration with it merged in, as GET config gives it.
    let mut config = bench::recorded(94);
    config.body["data"]["memory"] = "160".into();
    let answers =
        [RUNNING, 0, 263].map(|row| Answer::Api(if row == 0 { config.clone() } else { bench::recorded(row) }));
    let cx = Cx { node: Some("pve1".into()), vmid: Some(901), ..Cx::default() };
    let step = bench::instance("pve_vm", json!({ "config": { "memory": 160 } }));
    let decision = step.decide(&cx, &answers).unwrap();
    assert_eq!(decision.changes, []);
    assert_eq!(decision.notes, ["memory of VM 901 is still `128`; it is `160` once the VM was stopped and started"]);
    assert_eq!(
        (&decision.facts["needs_restart"], &decision.facts["pending"]),
        (&json!(true), &json!(["cores", "memory"]))
    );
}

#[test]
fn stop_comes_before_and_start_after_the_configuration() {
    let order = |state: &str, status| {
        let changes =
            decide(300, json!({ "state": state, "config": { "memory": 256 } }), &[status, 27, 28]).unwrap().changes;
        changes.iter().map(|c| c.what.split(' ').next().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(order("stopped", RUNNING), ["shut", "configure"]);
    assert_eq!(order("started", STOPPED), ["configure", "start"]);
}

#[test]
fn wrong_parameters_are_found_before_any_host() {
    let wrong = |v| bench::problems("pve_vm", v);
    assert_eq!(wrong(json!({})), ["`state`, `config` or `delete` is needed"]);
    assert_eq!(wrong(json!({ "vmid": 12, "state": "started" })), ["VMIDs go from 100 to 999999999"]);
    assert_eq!(wrong(json!({ "config": { "scsi0": "local:10" } })), ["`scsi0` is a disk: a slip here would lose data"]);
    assert_eq!(wrong(json!({ "delete": ["unused0"] })), ["`unused0` is a disk: a slip here would lose data"]);
    assert_eq!(wrong(json!({ "config": { "memory": {} } })), ["`memory` needs a text, a number, a boolean or a list"]);
    assert_eq!(wrong(json!({ "config": { "a": 1 }, "delete": ["a"] })), ["`a` is set and deleted at the same time"]);
    assert_eq!(wrong(json!({ "config": { "digest": "x" } })), ["`digest` is not a key of the configuration"]);
}
