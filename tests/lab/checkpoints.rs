//! Checkpoints over real ssh, the node's curl and the simulated Proxmox: what was there comes back.

use crate::ground::{Ground, Said};
use piton::checkpoint::{CheckpointError, Firewall, GoBack, GuestRef, NewCheckpoint, drop_snapshots, rollback, take};
use piton::key::RunId;
use piton::lab::{self, Lever};
use piton::pve::Marker;
use piton::secret::Vault;
use piton::transport::api::NodeApi;
use piton::transport::{Settings, SshRemote, SshTarget};
use std::sync::{Arc, Mutex};

const NAME: &str = "piton-1a2b-01";

async fn api(ground: &Ground) -> NodeApi {
    let vault = Arc::new(Vault::default());
    let target = SshTarget {
        name: "pve".into(),
        address: "pve".into(),
        user: None,
        port: None,
        config: Some(ground.layout.ssh_config()),
        become_password: None,
        jump: None,
    };
    let spill = ground.dir().join("spill");
    std::fs::create_dir_all(&spill).unwrap();
    let remote = SshRemote::connect(target, Settings::new(spill, vault.clone())).await.unwrap();
    let api = NodeApi::open(Arc::new(remote), vault, "pve", None).await.unwrap();
    assert_eq!((api.carrier(), api.why_slow()), ("api", None));
    api
}

fn guest() -> GuestRef {
    GuestRef::new("intranet", 102)
}

fn plan() -> NewCheckpoint {
    let run = RunId("20261123-031500-1a2b".into());
    NewCheckpoint { name: NAME.into(), marker: Marker { run, section: "Pare-feu à 2".into(), by: "a@b".into() } }
}

fn silent(_: &str) {}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_comes_back_with_its_files_its_firewall_and_running() {
    let ground = Ground::up().await;
    let api = api(&ground).await;
    assert_eq!(ground.ssh("intranet", "echo before > /etc/state").code, 0);
    let firewall = "/etc/pve/firewall/102.fw";
    let content = "[OPTIONS]\n\nenable: 1\n";
    assert_eq!(ground.ssh("pve", &format!("printf '{}' > {firewall}", content.escape_default())).code, 0);

    let log = Mutex::new(Vec::new());
    let taken = take(&api, &guest(), &plan(), &|line| log.lock().unwrap().push(line.to_string())).await.unwrap();
    assert_eq!((taken.firewall.as_deref(), taken.running, taken.found), (Some(content), true, false));
    assert_eq!(log.lock().unwrap().last().unwrap(), "TASK OK");
    assert!(take(&api, &guest(), &plan(), &silent).await.unwrap().found);

    assert_eq!(ground.ssh("intranet", "echo after > /etc/state; echo new > /etc/more").code, 0);
    assert_eq!(ground.ssh("pve", &format!("rm {firewall}")).code, 0);
    let back = GoBack { name: NAME.into(), firewall: taken.firewall.into(), start: taken.running };
    let got = rollback(&api, &guest(), &back, &silent).await.unwrap();
    assert!(got.started && got.firewall_restored && got.dropped.is_empty(), "{got:?}");
    assert_eq!(ground.ssh("intranet", "cat /etc/state; test -e /etc/more"), Said::is(1, "before\n", ""));
    assert_eq!(ground.ssh("pve", &format!("cat {firewall}")).out, content);
    // None of ours is left beside it.
    assert_eq!(ground.ssh("pve", "ls /etc/pve/firewall").out, "102.fw\n");

    assert_eq!(drop_snapshots(&api, &guest(), &[NAME.into()], &silent).await.unwrap(), [NAME]);
    let gone = rollback(&api, &guest(), &back, &silent).await.unwrap_err();
    assert!(matches!(gone, CheckpointError::Missing { .. }), "{gone}");
    lab::down(&ground.layout).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fails_is_told_with_its_own_words() {
    let ground = Ground::up().await;
    let api = api(&ground).await;
    let lever = Lever::FailTask { kind: "qmsnapshot".into(), text: "no space left".into() };
    lab::lever(&ground.layout, lever).await.unwrap();
    let error = take(&api, &guest(), &plan(), &silent).await.unwrap_err();
    assert!(!error.is_unknown());
    assert_eq!(error.to_string(), "snapshot piton-1a2b-01 of intranet failed: no space left");
    assert!(!take(&api, &guest(), &plan(), &silent).await.unwrap().found);
    lab::down(&ground.layout).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_cut_under_a_snapshot_is_unknown_and_a_second_try_finds_it() {
    let ground = Ground::up().await;
    let first = api(&ground).await;
    lab::lever(&ground.layout, Lever::SlowTasks { ms: 1500 }).await.unwrap();
    let layout = ground.layout.clone();
    let cut = tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        lab::lever(&layout, Lever::Cut { host: "pve".into() }).await.unwrap()
    });
    let error = take(&first, &guest(), &plan(), &silent).await.unwrap_err();
    cut.await.unwrap();
    assert!(error.is_unknown(), "{error}");
    assert!(error.to_string().contains("UPID:pve:"), "{error}");
    let second = api(&ground).await;
    let taken = take(&second, &guest(), &plan(), &silent).await.unwrap();
    assert!(taken.found, "the first task was not found but done again");
    lab::lever(&ground.layout, Lever::SlowTasks { ms: 0 }).await.unwrap();
    let back = GoBack { name: NAME.into(), firewall: Firewall::Absent, start: true };
    assert!(rollback(&second, &guest(), &back, &silent).await.unwrap().started);
    lab::down(&ground.layout).await.unwrap();
}
