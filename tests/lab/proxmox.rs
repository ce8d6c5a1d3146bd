//! The simulated Proxmox over real guests, reached as a real node's is: by curl on the node, with a ticket from perl.

use crate::ground::{Ground, Said};
use piton::lab::{self, Lever};
use serde_json::Value;
use std::time::{Duration, Instant};

/// One call by the node's curl; HTTP status and body.
pub fn call(ground: &Ground, method: &str, path: &str, params: &[(&str, &str)]) -> (u16, Value) {
    let data: String = params.iter().map(|(k, v)| format!(" --data-urlencode '{k}={v}'")).collect();
    let script = format!(
        "set -e; u=root@pam; t=$(perl -MPVE::AccessControl -e 'print PVE::AccessControl::assemble_ticket(shift)' $u); \
         c=$(perl -MPVE::AccessControl -e 'print PVE::AccessControl::assemble_csrf_prevention_token(shift)' $u); \
         printf 'header = \"Cookie: PVEAuthCookie=%s\"\\nheader = \"CSRFPreventionToken: %s\"\\n' \"$t\" \"$c\" | \
         curl -q -s -w '\\n%{{http_code}}' -K - -X {method}{data} http://127.0.0.1:85/api2/json{path}"
    );
    let said = ground.ssh("pve", &script);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let (body, status) = said.out.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

/// The answers to several questions, as they came.
pub fn get_all(drive: &crate::drive::Drive, paths: &[String]) -> Vec<String> {
    let ask: String = paths
        .iter()
        .map(|path| format!("printf 'header = \"Cookie: PVEAuthCookie=%s\"\n' \"$t\" | curl -q -s -f -K - http://127.0.0.1:85/api2/json{path}; echo;"))
        .collect();
    let script = format!(
        "set -e; t=$(perl -MPVE::AccessControl -e 'print PVE::AccessControl::assemble_ticket(shift)' root@pam); {ask}"
    );
    let lines: Vec<String> = drive.inside("pve", &script).lines().map(String::from).collect();
    assert_eq!(lines.len(), paths.len(), "{lines:#?}");
    lines
}

/// Starts a task and follows it; its exit status.
pub fn task(ground: &Ground, method: &str, path: &str, params: &[(&str, &str)]) -> String {
    let (status, body) = call(ground, method, path, params);
    assert_eq!(status, 200, "{body}");
    let upid = body["data"].as_str().unwrap().to_string();
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let (_, body) = call(ground, "GET", &format!("/nodes/pve/tasks/{upid}/status"), &[]);
        if body["data"]["status"] == "stopped" {
            return body["data"]["exitstatus"].as_str().unwrap().to_string();
        }
        assert!(Instant::now() < end, "task {upid} does not end");
    }
}

const VM: &str = "/nodes/pve/qemu/101";

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_and_a_rollback_by_the_api_restore_the_guest_really() {
    let ground = Ground::up().await;
    assert_eq!(ground.ssh("extranet", "echo good > /etc/app.conf").code, 0);
    assert_eq!(
        task(&ground, "POST", &format!("{VM}/snapshot"), &[("snapname", "s1"), ("description", "a b\nc")]),
        "OK"
    );
    assert_eq!(ground.ssh("extranet", "echo bad > /etc/app.conf; echo x > /root/new").code, 0);
    assert_eq!(task(&ground, "POST", &format!("{VM}/snapshot/s1/rollback"), &[]), "OK");
    assert_eq!(call(&ground, "GET", &format!("{VM}/status/current"), &[]).1["data"]["status"], "stopped");
    assert_eq!(ground.ssh("extranet", "true").code, 255);
    assert_eq!(task(&ground, "POST", &format!("{VM}/status/start"), &[]), "OK");
    crate::ground::until("extranet answers", || ground.ssh("extranet", "true").code == 0);
    assert_eq!(ground.ssh("extranet", "cat /etc/app.conf; ls /root/new"), {
        Said::is(2, "good\n", "ls: cannot access '/root/new': No such file or directory\n")
    });
    let (_, list) = call(&ground, "GET", &format!("{VM}/snapshot"), &[]);
    let names: Vec<_> = list["data"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["s1", "current"]);
    assert_eq!(task(&ground, "DELETE", &format!("{VM}/snapshot/s1"), &[]), "OK");
    assert!(!ground.layout.snaps("extranet").join("s1").exists());
    lab::down(&ground.layout).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_of_a_guest_is_in_the_guest() {
    let ground = Ground::up().await;
    let params = [("command", "sh"), ("command", "-c"), ("command", "cat /etc/hostname; exit 3")];
    let (status, body) = call(&ground, "POST", &format!("{VM}/agent/exec"), &params);
    assert_eq!(status, 200, "{body}");
    let pid = body["data"]["pid"].as_u64().unwrap();
    let path = format!("{VM}/agent/exec-status?pid={pid}");
    let end = Instant::now() + Duration::from_secs(5);
    let done = loop {
        let data = call(&ground, "GET", &path, &[]).1["data"].clone();
        if data["exited"] == 1 {
            break data;
        }
        assert!(Instant::now() < end, "{data}");
    };
    assert_eq!((&done["exitcode"], &done["out-data"]), (&3.into(), &"extranet\n".into()));
    lab::lever(&ground.layout, Lever::GuestDeaf { host: "extranet".into(), on: true }).await.unwrap();
    assert_eq!(call(&ground, "POST", &format!("{VM}/agent/ping"), &[]).0, 500);
    lab::lever(&ground.layout, Lever::GuestDeaf { host: "extranet".into(), on: false }).await.unwrap();
    assert_eq!(call(&ground, "POST", &format!("{VM}/agent/ping"), &[]).0, 200);
    lab::down(&ground.layout).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn levers_reach_the_simulated_node() {
    let ground = Ground::up().await;
    let pull = async |words: &str| {
        let words: Vec<String> = words.split(' ').map(String::from).collect();
        lab::lever(&ground.layout, Lever::parse(&words).unwrap()).await.unwrap()
    };
    let snapshot = |name: &str| task(&ground, "POST", &format!("{VM}/snapshot"), &[("snapname", name)]);
    pull("fail-task qmsnapshot the disk is on fire").await;
    assert_eq!(snapshot("one"), "the disk is on fire");
    assert_eq!(snapshot("two"), "OK");
    pull("storage-full on").await;
    assert_ne!(snapshot("three"), "OK");
    pull("storage-full off").await;
    pull("slow-tasks 700").await;
    let begun = Instant::now();
    assert_eq!(snapshot("four"), "OK");
    assert!(begun.elapsed() > Duration::from_millis(700));
    lab::down(&ground.layout).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_of_the_node_is_its_own_file() {
    let ground = Ground::up().await;
    let params = [("iface", "vmbr2"), ("type", "bridge"), ("cidr", "10.10.0.1/24"), ("autostart", "1")];
    assert_eq!(call(&ground, "POST", "/nodes/pve/network", &params).0, 200);
    assert_eq!(
        ground.ssh("pve", "grep -c vmbr2 /etc/network/interfaces.new /etc/network/interfaces").out.lines().last(),
        Some("/etc/network/interfaces:0")
    );
    assert_eq!(task(&ground, "PUT", "/nodes/pve/network", &[]), "OK");
    let said = ground
        .ssh("pve", "sed -n '/^auto vmbr2/,/^$/p' /etc/network/interfaces; ls /etc/network/interfaces.new 2>/dev/null");
    assert_eq!(
        said.out,
        "auto vmbr2\niface vmbr2 inet static\n\taddress 10.10.0.1/24\n\tbridge-ports none\n\tbridge-stp off\n\tbridge-fd 0\n\n"
    );
    assert_eq!(ground.ssh("extranet", "ls /etc/network/interfaces").code, 2);
    lab::down(&ground.layout).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_s_own_commands_speak_to_the_same_node() {
    let ground = Ground::up().await;
    let said = ground
        .ssh("pve", "qm snapshot 102 before && qm guest exec 102 -- sh -c 'echo bad > /etc/app.conf' | grep exitcode");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.ends_with("   \"exitcode\" : 0,\n"), "{said:?}");
    assert_eq!(ground.ssh("intranet", "cat /etc/app.conf").out, "bad\n");
    assert_eq!(ground.ssh("pve", "qm rollback 102 before; qm status 102").out.lines().last(), Some("status: stopped"));
    assert_eq!(ground.ssh("pve", "qm start 102; qm status 102").out.lines().last(), Some("status: running"));
    crate::ground::until("intranet answers", || ground.ssh("intranet", "true").code == 0);
    assert_eq!(ground.ssh("intranet", "ls /etc/app.conf").code, 2);
    let (_, list) = call(&ground, "GET", "/nodes/pve/qemu/102/snapshot", &[]);
    assert_eq!(list["data"][0]["name"], "before");
    assert_eq!(ground.ssh("pve", "vzdump 102"), Said::is(127, "", "piton lab: vzdump is not simulated\n"));
    assert_eq!(ground.ssh("intranet", "qm list").code, 127);
    lab::down(&ground.layout).await.unwrap();
}
