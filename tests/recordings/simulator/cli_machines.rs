//! The machines of the command line recording, as its rows show them.

use piton::lab::pve::vm::{Config, Run, Vm};

fn config(text: &str) -> Config {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| line.trim().split_once(": ").unwrap()).map(|(key, value)| (key.into(), value.into())).collect()
}

/// A process.
pub fn running(pid: u32, since: u64) -> Option<Run> {
    Some(Run { pid, since, paused: false })
}

/// 300: QEMU without a guest system.
pub fn small(run: Option<Run>) -> Vm {
    let config = config(
        "agent: 1
        boot: order=scsi0;net0
        cores: 1
        kvm: 0
        memory: 128
        meta: creation-qemu=10.0.2,ctime=1795322439
        name: small
        net0: virtio=BC:24:11:95:1E:45,bridge=vmbr0
        ostype: l26
        scsi0: vmstore:300/vm-300-disk-0.qcow2,size=64M
        scsihw: virtio-scsi-pci
        serial0: socket
        smbios1: uuid=3570f8be-b09d-4404-8578-cb1cbbc219c2
        vga: serial0
        vmgenid: bce1a811-15bc-47f7-b8a4-37f4267b5a73",
    );
    Vm { config, run, ..Vm::default() }
}

/// 110: a guest with a system and an agent.
pub fn guest(run: Option<Run>) -> Vm {
    let config = config(
        "agent: 1
        boot: order=scsi0
        ciuser: root
        cores: 1
        ide2: vmstore:110/vm-110-cloudinit.qcow2,media=cdrom
        kvm: 0
        memory: 512
        name: guest1
        net0: virtio=BC:24:11:14:16:4B,bridge=vmbr0
        ostype: l26
        scsi0: vmstore:110/vm-110-disk-0.qcow2,size=2G
        scsihw: virtio-scsi-single
        serial0: socket
        smbios1: uuid=c2e72863-3623-41fc-aebd-f46c0924c925
        vga: serial0
        vmgenid: 7c1e6125-e094-4b19-a20b-73bc397454e9",
    );
    Vm { config, run, ..Vm::default() }
}

/// 302 and others: nothing but what a failing start needs.
pub fn bare(pairs: &[(&str, &str)]) -> Vm {
    let config = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    Vm { config, ..Vm::default() }
}
