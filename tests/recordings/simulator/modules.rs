//! The `pve_*` step kinds against the simulated node: they change it once, then nothing, and go back.

use piton::cmd::{ApiAnswer, ApiCall, Output, TaskEnd};
use piton::lab::pve::answer::Body;
use piton::lab::pve::{NullHypervisor, Pace, Params, Request, Simulator, State};
use piton::modules::{Action, Answer, Ask, Change, Cx, Decision, Instance, Undo, table};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

struct Node {
    sim: Arc<Simulator>,
    cx: Cx,
    _dir: tempfile::TempDir,
}

impl Node {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let interfaces = "auto lo\niface lo inet loopback\n\niface eno1 inet manual\n\nauto vmbr0\niface vmbr0 inet static\n\t\
                          address 10.10.10.2/24\n\tgateway 10.10.10.1\n\tbridge-ports eno1\n\tbridge-stp off\n\tbridge-fd 0\n";
        std::fs::write(dir.path().join("interfaces"), interfaces).unwrap();
        let none = Duration::ZERO;
        let pace = Pace { start: none, stop: none, shutdown: none, snapshot: none, other: none, ..Pace::default() };
        let sim = Simulator::new(State::default(), Arc::new(NullHypervisor::default()), dir.path()).with_pace(pace);
        let cx = Cx { host: "pve".into(), node: Some("pve".into()), run: "r-1".into(), ..Cx::default() };
        let node = Self { sim: Arc::new(sim), cx, _dir: dir };
        let create = ApiCall::of(piton::cmd::Method::Post, "/nodes/{node}/qemu");
        let create = create.param("vmid", "300").param("name", "small").param("memory", "128");
        assert!(node.call(&create.follow(Duration::from_secs(9))).await.ok());
        node
    }

    async fn call(&self, call: &ApiCall) -> ApiAnswer {
        let path = call.path.replace("{node}", "pve");
        let request = Request::new(call.method.name(), &path, Params::from_pairs(call.params.clone()));
        let response = self.sim.handle(request).await;
        let body = match response.body {
            Body::Json(body) => body,
            _ => Value::Null,
        };
        let mut answer = ApiAnswer { status: response.status, reason: response.reason, body, task: None };
        if call.follow.is_some()
            && let Some(upid) = answer.data().as_str().map(str::to_string)
        {
            let task = self.sim.wait(&upid).await.unwrap();
            answer.task = Some(TaskEnd { upid, exitstatus: task.exit.unwrap(), log: task.log });
        }
        answer
    }

    async fn decide(&self, step: &dyn Instance) -> Result<Decision, String> {
        let mut answers = Vec::new();
        for ask in step.probe(&self.cx) {
            answers.push(match ask {
                Ask::Api(call) => Answer::Api(self.call(&call).await),
                // No ports of guests, and what is staged comes beside the list.
                Ask::Cmd(_) => Answer::Cmd(Output::of(0, "--\n", "")),
            });
        }
        step.decide(&self.cx, &answers).map_err(|e| e.to_string())
    }

    async fn act(&self, actions: &[Action]) {
        for action in actions {
            let Action::Api(call) = action else { panic!("{}", action.line()) };
            let answer = self.call(call).await;
            assert!(answer.ok(), "{}: {}", call.line(), answer.message());
        }
    }

    /// Changes once, then nothing; gives what was changed.
    async fn trip(&self, module: &str, params: Value) -> Vec<Change> {
        let step = table::find(module).unwrap().parse(params).unwrap();
        assert_eq!(step.validate(), []);
        let changes = self.decide(step.as_ref()).await.unwrap().changes;
        assert_ne!(changes, []);
        for change in &changes {
            self.act(&change.actions).await;
        }
        assert_eq!(self.decide(step.as_ref()).await.unwrap().changes, [], "{module} did not converge");
        changes
    }

    async fn take_back(&self, changes: &[Change]) {
        for change in changes.iter().rev() {
            let Undo::Actions(actions) = &change.undo else { panic!("{:?}", change.undo) };
            self.act(actions).await;
        }
    }

    async fn get(&self, path: &str) -> Value {
        self.call(&ApiCall::get(path)).await.data().clone()
    }
}

#[tokio::test]
async fn a_bridge_comes_changes_and_goes() {
    let node = Node::new().await;
    let before = node.get("/nodes/{node}/network").await;
    let made = json!({ "name": "vmbr2", "cidr": "10.77.0.1/24", "ports": [], "comment": "DMZ" });
    let made = node.trip("pve_bridge", made).await;
    let middle = node.get("/nodes/{node}/network/vmbr2").await;
    let changed = node.trip("pve_bridge", json!({ "name": "vmbr2", "comment": "other", "mtu": 1400 })).await;
    let now = node.get("/nodes/{node}/network/vmbr2").await;
    assert_eq!((&now["cidr"], &now["method"]), (&json!("10.77.0.1/24"), &json!("static")));
    node.take_back(&changed).await;
    assert_eq!(node.get("/nodes/{node}/network/vmbr2").await, middle);
    let gone = node.trip("pve_bridge", json!({ "name": "vmbr2", "state": "absent" })).await;
    node.take_back(&gone).await;
    assert_eq!(node.get("/nodes/{node}/network/vmbr2").await["cidr"], "10.77.0.1/24");
    node.take_back(&made).await;
    assert_eq!(node.get("/nodes/{node}/network").await.as_array().unwrap().len(), before.as_array().unwrap().len());
}

#[tokio::test]
async fn staged_edits_of_somebody_else_stop_a_bridge() {
    let node = Node::new().await;
    let other = ApiCall::of(piton::cmd::Method::Post, "/nodes/{node}/network").param("iface", "vmbr7");
    let answer = node.call(&other.param("type", "bridge")).await;
    assert!(answer.ok(), "{}", answer.message());
    let step = table::find("pve_bridge").unwrap().parse(json!({ "name": "vmbr2" })).unwrap();
    let error = node.decide(step.as_ref()).await.unwrap_err();
    assert!(error.starts_with("the node has network edits that are not applied") && error.contains("vmbr7"), "{error}");
}

#[tokio::test]
async fn a_vm_is_configured_started_stopped_and_snapshotted() {
    let node = Node::new().await;
    let old = node.get("/nodes/{node}/qemu/300/config").await;
    let config = json!({ "memory": 256, "onboot": true, "tags": ["web", "dmz"], "net0": "virtio,bridge=vmbr0" });
    let configured = node.trip("pve_vm", json!({ "vmid": 300, "config": config })).await;
    node.take_back(&configured).await;
    let back = node.get("/nodes/{node}/qemu/300/config").await;
    assert_eq!((&back["memory"], back.get("tags"), back.get("net0")), (&old["memory"], None, None));
    let started = node.trip("pve_vm", json!({ "vmid": 300, "state": "started", "force_after": "1s" })).await;
    node.trip("pve_snapshot", json!({ "vmid": 300, "name": "one", "description": "a b" })).await;
    let taken = node.trip("pve_snapshot", json!({ "vmid": 300, "name": "two" })).await;
    node.take_back(&taken).await;
    node.trip("pve_snapshot", json!({ "vmid": 300, "name": "one", "state": "absent" })).await;
    node.take_back(&started).await;
    assert_eq!(node.get("/nodes/{node}/qemu/300/status/current").await["status"], "stopped");
}

#[tokio::test]
async fn memory_of_a_running_vm_is_said_to_wait_for_a_restart() {
    let node = Node::new().await;
    node.trip("pve_vm", json!({ "vmid": 300, "state": "started" })).await;
    let params = json!({ "vmid": 300, "config": { "memory": 160 } });
    node.trip("pve_vm", params.clone()).await;
    let step = table::find("pve_vm").unwrap().parse(params).unwrap();
    let decision = node.decide(step.as_ref()).await.unwrap();
    assert_eq!(decision.notes, ["memory of VM 300 is still `128`; it is `160` once the VM was stopped and started"]);
}
