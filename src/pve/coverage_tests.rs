//! One configuration a row; disks and storages as Proxmox writes them.

use super::*;
use serde_json::json;

fn storages() -> Vec<Storage> {
    let of = |id: &str, kind: &str| Storage { id: id.into(), kind: kind.into(), volume_chain: false };
    let mut all = vec![of("local", "dir"), of("tank", "zfspool"), of("thin", "lvmthin"), of("thick", "lvm")];
    all.extend([of("ceph", "rbd"), of("nas", "nfs"), of("bt", "btrfs"), of("lun", "iscsi"), of("odd", "linstor")]);
    all.push(Storage { id: "chain".into(), kind: "dir".into(), volume_chain: true });
    all
}

fn of(config: Value) -> Coverage {
    coverage("web", &config, &storages(), &[])
}

#[test]
fn what_can_be_snapshotted() {
    for (disk, possible) in [
        ("local:100/vm-100-disk-0.qcow2,size=2G", true),
        ("local:100/vm-100-disk-0.raw,size=2G", false),
        ("local:100/vm-100-disk-0.vmdk,size=2G", false),
        ("nas:100/vm-100-disk-0.qcow2", true),
        ("nas:100/vm-100-disk-0.raw", false),
        ("tank:vm-100-disk-0,size=2G", true),
        ("thin:vm-100-disk-0", true),
        ("ceph:vm-100-disk-0", true),
        ("bt:100/vm-100-disk-0.raw", true),
        ("thick:vm-100-disk-0", false),
        ("thick:vm-100-disk-0.qcow2", true),
        ("lun:0.0.1.scsi-1", false),
        ("odd:vm-100-disk-0", true),
        ("/dev/disk/by-id/ata-X,size=2G", false),
        ("gone:vm-100-disk-0", false),
    ] {
        let config = json!({ "scsi0": disk });
        assert_eq!(of(config.clone()).possible, possible, "{disk}");
        assert_eq!(obstacle(&config, &storages()).is_some(), !possible, "{disk}");
    }
}

#[test]
fn the_statement_is_whole() {
    let got = coverage(
        "web",
        &json!({
            "scsi0": "tank:vm-100-disk-0,size=2G",
            "scsi1": "tank:vm-100-disk-1,size=2T,backup=0",
            "ide2": "local:100/vm-100-cloudinit.qcow2,media=cdrom",
            "ide3": "none,media=cdrom",
            "scsihw": "virtio-scsi-single",
            "unused0": "tank:vm-100-disk-9",
            "usb0": "host=1234:5678",
            "memory": 512,
        }),
        &storages(),
        &["tank/appdata".into()],
    );
    assert!(got.possible);
    assert_eq!(
        got.protected,
        [
            "scsi0 tank:vm-100-disk-0",
            "scsi1 tank:vm-100-disk-1",
            "the VM's configuration",
            "the guest's firewall file (copied: no snapshot holds it)",
        ]
    );
    assert_eq!(
        got.unprotected,
        [
            "ide2 local:100/vm-100-cloudinit.qcow2: cloud-init drive, written anew from the configuration",
            "scsi1 is in the snapshot, but in no backup (backup=0)",
            "unused0 tank:vm-100-disk-9: not attached, so not in the snapshot",
            "usb0 host=1234:5678: the state of a passed-through device",
            "dataset tank/appdata of the node (NFS or virtiofs data): no VM snapshot holds it",
            "RAM: the guest is started again after a rollback",
        ]
    );
}

#[test]
fn one_raw_disk_spoils_all() {
    let config = json!({
        "scsi10": "tank:vm-1-disk-9",
        "scsi2": "local:1/vm-1-disk-1.raw",
        "scsi0": "tank:vm-1-disk-0",
        "ide2": "local:iso/x.iso,media=cdrom",
    });
    let why = "scsi2 local:1/vm-1-disk-1.raw: raw on a storage of type dir has no snapshots (qcow2 has)";
    assert_eq!(obstacle(&config, &storages()).as_deref(), Some(why));
    let got = of(config);
    assert!(got.unprotected.contains(&format!("{why}; this makes a snapshot of the whole VM impossible")));
    assert_eq!(got.protected[..2], ["scsi0 tank:vm-1-disk-0", "scsi10 tank:vm-1-disk-9"]);
    assert!(obstacle(&json!({"template": 1}), &storages()).unwrap().contains("template"));
}

#[test]
fn storages_that_go_back_to_the_newest_only() {
    let config = json!({"scsi0": "tank:a", "scsi1": "tank:b", "virtio0": "chain:1/c.qcow2", "sata0": "thin:d"});
    assert_eq!(newest_only(&config, &storages()), ["tank", "chain"]);
    assert!(newest_only(&json!({"scsi0": "local:1/a.qcow2"}), &storages()).is_empty());
}

#[test]
fn the_recorded_list_of_storages_is_read() {
    let data = json!([{"content": "images", "path": "/var/lib/vz", "storage": "local", "type": "dir", "priority": 0}]);
    let got = Storage::list(&data).unwrap();
    assert_eq!(got, [Storage { id: "local".into(), kind: "dir".into(), volume_chain: false }]);
}
