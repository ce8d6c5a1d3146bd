//! Rows of a real node -> state -> changes.

use super::super::bench;
use super::*;
use crate::cmd::Output;
use serde_json::json;

const LIST: u64 = 529;
const WITH_VMBR2: u64 = 553;

fn with(params: Value, list: Answer, look: &str) -> Result<Vec<Change>, String> {
    let cx = Cx { host: "pve1".into(), node: Some("pve1".into()), ..Cx::default() };
    let step = bench::instance("pve_bridge", params);
    assert_eq!(step.validate(), []);
    assert_eq!(step.probe(&cx).len(), 2);
    let answers = [list, Answer::Cmd(Output::of(0, look, ""))];
    step.decide(&cx, &answers).map(|d| d.changes).map_err(|e| e.to_string())
}

fn decide(params: Value, row: u64) -> Result<Vec<Change>, String> {
    with(params, Answer::Api(bench::recorded(row)), "--\n")
}

fn undo(change: &Change) -> Vec<String> {
    match &change.undo {
        Undo::Actions(actions) => bench::lines(actions),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bridge_is_staged_and_applied_and_its_undo_removes_it() {
    let changes =
        decide(json!({ "name": "vmbr2", "cidr": "10.10.0.1/24", "ports": [], "comment": "DMZ" }), LIST).unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(
        bench::lines(&changes[0].actions),
        [
            "pvesh create /nodes/{node}/network --iface vmbr2 --type bridge --autostart 1 --cidr 10.10.0.1/24 --comments DMZ",
            "pvesh set /nodes/{node}/network"
        ]
    );
    assert_eq!(undo(&changes[0]), ["pvesh delete /nodes/{node}/network/vmbr2", "pvesh set /nodes/{node}/network"]);
    assert_eq!(changes[0].confirm_within, Some(Duration::from_secs(90)));
    let revert = changes[0].revert.clone().unwrap();
    assert_eq!(revert.files, ["/etc/network/interfaces", "/etc/network/interfaces.new"]);
    assert_eq!(revert.after, [["ifreload", "-a"]]);
}

#[test]
fn after_the_reload_nothing_is_left_to_do() {
    let params = json!({ "name": "vmbr2", "ports": [], "comment": "lab net\nsecond line" });
    assert_eq!(decide(params, WITH_VMBR2), Ok(vec![]));
    let whole = json!({ "name": "vmbr0", "cidr": "10.10.10.2/24", "gateway": "10.10.10.1", "ports": ["eno1"] });
    assert_eq!(decide(whole, WITH_VMBR2), Ok(vec![]));
    assert_eq!(decide(json!({ "name": "vmbr0" }), WITH_VMBR2), Ok(vec![]));
}

#[test]
fn a_change_sends_what_stays_too_because_the_api_would_drop_it() {
    let changes = decide(json!({ "name": "vmbr0", "comment": "WAN", "mtu": 1400 }), LIST).unwrap();
    assert_eq!(
        bench::lines(&changes[0].actions)[0],
        "pvesh set /nodes/{node}/network/vmbr0 --type bridge --autostart 1 --bridge_ports eno1 --cidr 10.10.10.2/24 \
         --comments WAN --gateway 10.10.10.1 --mtu 1400"
    );
    assert_eq!(
        undo(&changes[0])[0],
        "pvesh set /nodes/{node}/network/vmbr0 --type bridge --autostart 1 --bridge_ports eno1 --cidr 10.10.10.2/24 \
         --gateway 10.10.10.1 --delete comments,mtu"
    );
    let values = vec![ValueChange::new("comments", None, Some("WAN")), ValueChange::new("mtu", None, Some("1400"))];
    assert_eq!(changes[0].diff, Diff::Values(values));
    let off = decide(json!({ "name": "vmbr1", "autostart": false }), LIST).unwrap();
    assert!(bench::lines(&off[0].actions)[0].ends_with("--cidr 10.20.0.1/24 --delete autostart"));
}

#[test]
fn a_bridge_that_is_down_is_brought_up() {
    let mut list = bench::recorded(WITH_VMBR2);
    let entries = list.body["data"].as_array_mut().unwrap();
    entries.iter_mut().find(|e| e["iface"] == "vmbr2").unwrap().as_object_mut().unwrap().remove("active");
    let changes = with(json!({ "name": "vmbr2" }), Answer::Api(list), "--\n").unwrap();
    assert_eq!((changes[0].what.as_str(), changes[0].actions.len()), ("bring the bridge vmbr2 up", 1));
}

#[test]
fn removing_gives_back_what_was_there_and_never_cuts_the_node_off() {
    assert_eq!(decide(json!({ "name": "vmbr9", "state": "absent" }), LIST), Ok(vec![]));
    let changes = decide(json!({ "name": "vmbr2", "state": "absent" }), WITH_VMBR2).unwrap();
    assert_eq!(
        undo(&changes[0])[0],
        "pvesh create /nodes/{node}/network --iface vmbr2 --type bridge --autostart 1 --comments 'lab net\nsecond line'"
    );
    let error = decide(json!({ "name": "vmbr0", "state": "absent" }), LIST).unwrap_err();
    assert_eq!(error, "vmbr0 has the node's default gateway 10.10.10.1: without it the node is cut off");
    let list = Answer::Api(bench::recorded(LIST));
    let error = with(json!({ "name": "vmbr1", "state": "absent" }), list, "eno2\ntap101i0\n--\n").unwrap_err();
    assert_eq!(error, "running guests hang on vmbr1: tap101i0");
}

#[test]
fn staged_edits_of_others_are_never_applied_in_passing() {
    let new = json!({ "name": "vmbr2" });
    let list = || bench::recorded(LIST);
    let error = with(new.clone(), Answer::Api(list()), "--\n+auto vmbr7\n").unwrap_err();
    assert!(error.ends_with(":\n+auto vmbr7"), "{error}");
    let mut changed = list();
    changed.body["changes"] = "--- a\n+++ b\n+auto vmbr8\n".into();
    let error = with(new, Answer::Api(changed.clone()), "--\n").unwrap_err();
    assert!(error.ends_with("+auto vmbr8"), "{error}");
    // Nothing to do: nothing would be applied.
    assert_eq!(with(json!({ "name": "vmbr1" }), Answer::Api(changed), "--\n"), Ok(vec![]));
}

#[test]
fn what_would_break_the_node_is_refused() {
    let error = |params| decide(params, LIST).unwrap_err();
    assert_eq!(error(json!({ "name": "vmbr2", "cidr": "10.20.0.9/24" })), "10.20.0.9/24 meets 10.20.0.1/24 of vmbr1");
    assert_eq!(
        error(json!({ "name": "vmbr2", "cidr": "10.30.0.1/24", "gateway": "10.30.0.254" })),
        "vmbr0 already has the default gateway 10.10.10.1"
    );
    assert_eq!(error(json!({ "name": "vmbr2", "ports": ["eno1"] })), "eno1 is already used by vmbr0");
    assert_eq!(error(json!({ "name": "eno1" })), "eno1 is there, and is not a Linux bridge but `eth`");
    let guest = Cx { node: Some("pve1".into()), vmid: Some(101), host: "web".into(), ..Cx::default() };
    let error = bench::instance("pve_bridge", json!({ "name": "vmbr2" })).decide(&guest, &[]).unwrap_err();
    assert_eq!(error.to_string(), "web is not a Proxmox node: it has no bridges");
}

#[test]
fn wrong_parameters_are_found_before_any_host() {
    let wrong = |v| bench::problems("pve_bridge", v);
    for name in ["v", "2br", "vmbr-2", "vmbr1234567", "vm br"] {
        assert_eq!(wrong(json!({ "name": name })), [format!("`{name}` cannot be the name of a bridge")]);
    }
    assert_eq!(wrong(json!({ "name": "vmbr2", "cidr": "10.30.0.999/24" })).len(), 1);
    assert_eq!(
        wrong(json!({ "name": "vmbr2", "cidr": "10.30.0.0/24" })),
        ["10.30.0.0/24 is the network itself, or its broadcast address"]
    );
    assert_eq!(
        wrong(json!({ "name": "vmbr2", "cidr": "10.30.0.1/24", "gateway": "10.31.0.1" })),
        ["10.31.0.1 does not lie in 10.30.0.1/24"]
    );
    assert_eq!(wrong(json!({ "name": "vmbr2", "mtu": 100 })), ["`mtu` goes from 1280 to 65520"]);
    assert_eq!(
        wrong(json!({ "name": "vmbr2", "state": "absent", "ports": [] })),
        ["what is absent has no address, ports or comment"]
    );
}

#[test]
fn the_look_works_in_a_real_shell() {
    let Ask::Cmd(cmd) =
        PveBridge::probe(&bench::params::<PveBridge>(json!({ "name": "vmbr2" })), &Cx::default()).remove(1)
    else {
        panic!()
    };
    let output = bench::run(&cmd);
    assert!(output.ok(), "{}", output.stderr.text());
    assert!(output.stdout.text().starts_with("--\n"));
}
