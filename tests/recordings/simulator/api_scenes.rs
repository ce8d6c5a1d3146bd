//! The recorded node of the HTTP recording: how it stood at the start, and what was done to it between the rows.

use super::api::{Names, Row};
use super::bench::{Bench, config_from, machine};
use super::guests::Guests;
use piton::lab::pve::node::Node;
use piton::lab::pve::state::State;
use piton::lab::pve::storage::{Storage, Storages, Volume};
use piton::lab::pve::vm::{Config, Vm};
use serde_json::Value;
use std::time::Duration;

/// The time of the first row.
const BEGIN: u64 = 1_795_326_620;

const INTERFACES: &str = "auto lo\niface lo inet loopback\n\niface eno1 inet manual\n\nauto vmbr0\n\
    iface vmbr0 inet static\n\taddress 10.10.10.2/24\n\tgateway 10.10.10.1\n\tbridge-ports eno1\n\tbridge-stp off\n\
    \tbridge-fd 0\n\nauto vmbr1\niface vmbr1 inet static\n\taddress 10.20.0.1/24\n\tbridge-ports none\n\
    \tbridge-stp off\n\tbridge-fd 0\n\nsource /etc/network/interfaces.d/*\n";

/// The recorded node itself, without machines.
pub fn node() -> Node {
    Node { name: "pve1".into(), booted: BEGIN - 8_315, ..Node::default() }
}

fn body(rows: &[Row], seq: u32) -> &Value {
    &rows.iter().find(|row| row.seq == seq).unwrap().body["data"]
}

/// The node before the first row.
pub fn begin(rows: &[Row]) -> Bench {
    let mut state = State { node: node(), ..State::default() };
    let pending: Value =
        body(rows, 24).as_array().unwrap().iter().map(|item| (item["key"].as_str().unwrap(), &item["value"])).fold(
            Value::Object(serde_json::Map::new()),
            |mut map, (key, value)| {
                map[key] = value.clone();
                map
            },
        );
    let mut web = machine(config_from(&pending), None);
    for snapshot in body(rows, 39).as_array().unwrap().iter().filter(|one| one["name"] != "current") {
        let mut config = web.config.clone();
        config.remove("parent");
        let text = |key: &str| snapshot[key].as_str().map_or_else(|| snapshot[key].to_string(), str::to_owned);
        config.insert("snaptime".into(), text("snaptime"));
        config.remove("description");
        if snapshot["description"] != "" {
            config.insert("description".into(), text("description"));
        }
        if !snapshot["parent"].is_null() {
            config.insert("parent".into(), text("parent"));
        }
        web.snapshots.insert(text("name"), config);
    }
    let mut guest = machine(config_from(body(rows, 25)), Some(BEGIN - 2_385));
    guest.snapshots.insert("booted".into(), config_from(body(rows, 44)));
    let small = machine(config_from(body(rows, 27)), None);
    state.vms.extend([(100, web), (110, guest), (300, small)]);
    state.storage = storages(body(rows, 338));
    state.active_interfaces.extend(["eno1", "vmbr0", "vmbr1"].map(str::to_owned));
    let addresses = vec!["10.10.10.51/24".to_owned(), "fe80::be24:11ff:fe14:164b/64".to_owned()];
    let guests = Guests { addresses, ..Guests::default() };
    guests.files.lock().unwrap().insert("/etc/hostname".into(), "guest1\n".into());
    Bench::new(state, INTERFACES, BEGIN, guests)
}

fn storages(content: &Value) -> Storages {
    let mut local = Storage::dir("local", "/var/lib/vz", "rootdir,backup,iso,vztmpl,images,snippets");
    local.prune = Some("keep-all=1".into());
    let vmstore = Storage::dir("vmstore", "/var/lib/vmstore", "images,snippets,backup,rootdir,iso,vztmpl,import");
    let volumes = content.as_array().unwrap().iter().filter(|item| item["vmid"] != 901).map(|item| {
        let mut volume = Volume::image(
            item["volid"].as_str().unwrap(),
            item["format"].as_str().unwrap(),
            item["size"].as_u64().unwrap(),
            u32::try_from(item["vmid"].as_u64().unwrap()).unwrap(),
            item["ctime"].as_u64().unwrap(),
        );
        item["content"].as_str().unwrap().clone_into(&mut volume.content);
        volume
    });
    Storages { storages: vec![local, vmstore], volumes: volumes.collect() }
}

/// A call that the recording does not show, but whose task or effect it does.
async fn unseen(bench: &Bench, names: &mut Names, method: &str, path: &str, params: &[(&str, &str)]) {
    let path = if path.starts_with("/nodes") { path.to_owned() } else { format!("/nodes/pve1{path}") };
    let response = bench.call(method, &path, params).await;
    assert_eq!(response.status, 200, "{method} {path}: {}", response.reason);
    if let Some(upid) = response.data().as_str() {
        names.unseen.push(upid.to_owned());
    }
}

fn resized(bench: &Bench, gib: u64) {
    bench.set(901, "scsi0", &format!("vmstore:901/vm-901-disk-0.qcow2,size={gib}G"));
    bench.sim.edit(|state| {
        let volume = state.storage.volumes.iter_mut().find(|one| one.id == "vmstore:901/vm-901-disk-0.qcow2").unwrap();
        volume.size = gib << 30;
    });
}

fn backup(name: &str, vmid: u32) -> Volume {
    let mut volume = Volume::image(&format!("local:backup/{name}"), "vma", 110_080, vmid, BEGIN);
    volume.used = 110_592;
    volume.content = "backup".into();
    volume.notes = Some("api test api-901b".into());
    volume
}

/// Clones and templates that commands outside this issue made.
fn clones(bench: &Bench) {
    let source = bench.sim.read(|state| state.vms[&901].config.clone());
    let copy = |vmid: u32, disk: &str| {
        let mut config: Config = source.clone();
        config.remove("parent");
        config.insert("scsi0".into(), format!("vmstore:{disk},size=3G"));
        config.insert("name".into(), if vmid == 904 { "full".into() } else { format!("copy-{vmid}") });
        if vmid == 904 {
            config.insert("template".into(), "1".into());
        }
        Vm { config, ..Vm::default() }
    };
    bench.sim.edit(|state| {
        for (vmid, disk) in [
            (902, "902/vm-902-disk-0.qcow2"),
            (904, "904/base-904-disk-0.qcow2"),
            (905, "905/vm-905-disk-0.qcow2"),
            (906, "904/base-904-disk-0.qcow2/906/vm-906-disk-0.qcow2"),
        ] {
            state.vms.insert(vmid, copy(vmid, disk));
            state.storage.volumes.push(Volume::image(&format!("vmstore:{disk}"), "qcow2", 3 << 30, vmid, BEGIN));
        }
    });
}

fn running_backup(bench: &Bench, names: &mut Names) {
    bench.sim.edit(|state| {
        let upid = state.open_task("vzdump", "100", BEGIN + 166);
        let log = [
            "INFO: starting new backup job: vzdump 100 --bwlimit 2048 --node pve1 --compress 0 --mode stop --storage local",
            "INFO: Starting Backup of VM 100 (qemu)",
            "INFO: Backup started at 2026-11-22 05:53:06",
            "INFO: status = stopped",
        ];
        state.task_mut(&upid).unwrap().log = log.map(str::to_owned).to_vec();
        names.unseen.push(upid);
    });
}

/// What happened just before a row.
pub async fn before(bench: &Bench, seq: u32, names: &mut Names) {
    let vm = "/qemu/901";
    match seq {
        57 => {
            unseen(bench, names, "POST", "/qemu/300/status/stop", &[]).await;
            unseen(bench, names, "PUT", "/qemu/300/config", &[("name", "small")]).await;
        }
        77 => unseen(bench, names, "DELETE", "/qemu/902", &[]).await,
        106 => unseen(bench, names, "PUT", "/qemu/901/config", &[("scsi2", "vmstore:1,format=qcow2")]).await,
        131 => unseen(bench, names, "PUT", "/qemu/901/config", &[("delete", "args")]).await,
        // Resizing and moving disks: another issue.
        180 => resized(bench, 2),
        202 => unseen(bench, names, "POST", "/qemu/901/snapshot/one/rollback", &[]).await,
        210 => unseen(bench, names, "POST", "/qemu/999/snapshot/one/rollback", &[]).await,
        265 => unseen(bench, names, "PUT", "/qemu/901/config", &[("revert", "cores,memory")]).await,
        275 => resized(bench, 3),
        293 => unseen(bench, names, "POST", &format!("{vm}/status/shutdown"), &[("timeout", "2")]).await,
        309 => unseen(bench, names, "POST", &format!("{vm}/status/stop"), &[]).await,
        312 => unseen(bench, names, "DELETE", &format!("{vm}/snapshot/liveram"), &[]).await,
        315 => unseen(bench, names, "DELETE", &format!("{vm}/snapshot/live"), &[]).await,
        // Backups: another issue.
        388 => bench.sim.edit(|state| {
            for name in ["05_52_49.vma.zst", "05_52_55.vma", "05_53_09.vma"] {
                state.storage.volumes.push(backup(&format!("vzdump-qemu-901-2026_11_22-{name}"), 901));
            }
        }),
        391 => {
            let path = "/storage/local/content/local:backup/vzdump-qemu-901-2026_11_22-05_52_49.vma.zst";
            unseen(bench, names, "DELETE", path, &[]).await;
        }
        422 => unseen(bench, names, "POST", "/qemu", &[("vmid", "903")]).await,
        // A backup that takes long: its log and its lock, not its work.
        426 => running_backup(bench, names),
        429 => bench.set(100, "lock", "backup"),
        435 => unseen(bench, names, "POST", "/qemu/100/snapshot", &[("snapname", "busy")]).await,
        442 => bench.touch(100, |vm| {
            vm.config.remove("lock");
        }),
        472 => clones(bench),
        547 => unseen(bench, names, "DELETE", "/network", &[]).await,
        574 => unseen(bench, names, "PUT", "/network", &[]).await,
        748 => tokio::time::sleep(Duration::from_secs(4)).await,
        817 => bench.sim.edit(|state| {
            state.storage.volumes.push(backup("vzdump-qemu-100-2026_11_22-05_55_33.vma", 100));
        }),
        822 => unseen(bench, names, "POST", "/qemu", &[("vmid", "907"), ("name", "detached")]).await,
        826 => unseen(bench, names, "DELETE", "/qemu/901", &[("purge", "1")]).await,
        _ => {}
    }
}
