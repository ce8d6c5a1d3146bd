//! A change of a machine's configuration: checked first, then carried out under the machine's lock.

use crate::lab::pve::answer::Refusal;
use crate::lab::pve::conf;
use crate::lab::pve::params::Params;
use crate::lab::pve::schema::{Kind, opt, verify};
use crate::lab::pve::simulator::Simulator;
use crate::lab::pve::storage::{parse_size, size_text};
use crate::lab::pve::vm::{Vm, is_drive, property, split_index, volume_of};
use crate::lab::pve::vmconfig::{kind_of, normalize, takes_effect_at_once, with_mac};
use crate::lab::pve::worker::Console;
use std::collections::BTreeMap;

/// A verified change.
pub struct Update {
    vmid: u32,
    set: BTreeMap<String, String>,
    delete: Vec<String>,
    revert: Vec<String>,
    skip_lock: bool,
    force: bool,
    /// `update VM 100: -cores 1`.
    line: String,
}

/// Words in a comma separated list.
fn words(list: Option<&str>) -> Vec<String> {
    let list = list.unwrap_or_default();
    list.split([',', ';', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The storage and size of a value that asks for a new disk: `vmstore:4,format=qcow2`.
pub fn new_disk(value: &str) -> Option<(&str, &str)> {
    let (storage, what) = volume_of(value).split_once(':')?;
    let is_new =
        what == "cloudinit" || !what.is_empty() && what.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_new.then_some((storage, what))
}

/// That each storage that a drive names exists.
pub fn check_storages(sim: &Simulator, set: &BTreeMap<String, String>) -> Result<(), Refusal> {
    for (_, value) in set.iter().filter(|(key, _)| is_drive(key)) {
        if let Some((storage, _)) = volume_of(value).split_once(':') {
            sim.read(|state| state.storage.get(storage).map(|_| ()))?;
        }
    }
    Ok(())
}

impl Update {
    /// Reads and checks the parameters, in the order of the real code.
    pub fn read(sim: &Simulator, vmid: u32, params: &Params) -> Result<Self, Refusal> {
        let schema = [
            opt("digest", Kind::TextUpTo(64)),
            opt("delete", Kind::Text),
            opt("revert", Kind::Text),
            opt("force", Kind::Bool),
            opt("skiplock", Kind::Bool),
            opt("background_delay", Kind::Int(1)),
            opt("import-working-storage", Kind::Text),
        ];
        verify(params, &schema, kind_of)?;
        let own = |name: &str| schema.iter().any(|param| param.name == name);
        let set: BTreeMap<_, _> = params
            .iter()
            .filter(|(name, _)| !own(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let delete = words(params.get("delete"));
        let revert = words(params.get("revert"));
        if set.is_empty() && delete.is_empty() && revert.is_empty() {
            return Err(Refusal::died("no options specified"));
        }
        for key in &delete {
            if set.contains_key(key) {
                let message = format!("you can't use '-{key}' and -delete {key}' at the same time");
                return Err(Refusal::parameter("delete", message));
            }
            if kind_of(key).is_none() {
                return Err(Refusal::parameter("delete", format!("unknown option '{key}'")));
            }
        }
        if let Some(key) = revert.iter().find(|key| kind_of(key).is_none()) {
            return Err(Refusal::parameter("revert", format!("unknown option '{key}'")));
        }
        check_storages(sim, &set)?;
        let mut said: Vec<_> =
            params.iter().filter(|(name, _)| !["digest", "background_delay"].contains(name)).collect();
        said.sort_by_key(|(name, _)| *name);
        let said: Vec<_> = said
            .into_iter()
            .map(|(name, value)| format!("-{name} {}", if name == "cipassword" { "<hidden>" } else { value }))
            .collect();
        let update = Self {
            vmid,
            set,
            delete,
            revert,
            skip_lock: params.flag("skiplock"),
            force: params.flag("force"),
            line: format!("update VM {vmid}: {}", said.join(" ")),
        };
        let digest = params.get("digest");
        sim.load(vmid, |vm| update.check_machine(vm, digest)).map_err(|why| Refusal::died_with(2, why))??;
        Ok(update)
    }

    fn check_machine(&self, vm: &Vm, digest: Option<&str>) -> Result<(), Refusal> {
        if digest.is_some_and(|digest| digest != conf::digest(vm)) {
            return Err(Refusal::died("checksum mismatch (file change by other user?)"));
        }
        if self.skip_lock { Ok(()) } else { vm.check_lock().map_err(Refusal::died) }
    }

    /// Makes the change. The caller holds the machine's lock.
    pub async fn carry_out(self, sim: &Simulator, console: &mut dyn Console) -> Result<(), Refusal> {
        let vmid = self.vmid;
        sim.load(vmid, |vm| self.check_machine(vm, None)).map_err(|why| Refusal::died_with(2, why))??;
        console.out(self.line.clone());
        let answers = sim.guest_answers(vmid).await;
        let mut failed = BTreeMap::new();
        for key in &self.delete {
            match delete_key(sim, vmid, (key, self.force), answers, console) {
                Ok(Removal::Done) => {}
                Ok(Removal::Unplug) => {
                    tokio::time::sleep(sim.pace.unplug_timeout).await;
                    let message = format!("hotplug problem - error on hot-unplugging device '{key}'\n");
                    failed.insert(key.clone(), message);
                }
                Err(why) => return Err(Refusal::died(why)),
            }
        }
        for key in &self.revert {
            let _ = sim.change(vmid, |vm| {
                vm.pending.remove(key);
                vm.pending_delete.remove(key);
            });
        }
        let mut values = BTreeMap::new();
        for (key, value) in &self.set {
            values.insert(key.clone(), make_value(sim, vmid, (key, value), console).map_err(Refusal::died)?);
        }
        sim.change(vmid, |vm| {
            for (key, value) in values {
                apply(vm, key, value);
            }
        })
        .map_err(Refusal::died)?;
        if failed.is_empty() { Ok(()) } else { Err(Refusal::Invalid { errors: failed, errno: 255 }) }
    }
}

enum Removal {
    Done,
    /// The guest must let go of the device and does not.
    Unplug,
}

/// Takes a key out, or marks it for the next start.
fn delete_key(
    sim: &Simulator,
    vmid: u32,
    (key, force): (&str, bool),
    answers: bool,
    console: &mut dyn Console,
) -> Result<Removal, String> {
    let known = sim.load(vmid, |vm| {
        (vm.config.get(key).cloned(), vm.pending.contains_key(key), vm.is_running(), vm.snapshots.clone())
    })?;
    let (value, pending, running, snapshots) = known;
    if pending {
        sim.change(vmid, |vm| vm.pending.remove(key))?;
    }
    let Some(value) = value else {
        if !pending {
            console.err(format!("cannot delete '{key}' - not set in current configuration!"));
        }
        return Ok(Removal::Done);
    };
    let volume = volume_of(&value).to_owned();
    let (name, index) = split_index(key);
    let disk = is_drive(key) && (property(&value, "media") != Some("cdrom") || volume.contains("-cloudinit"));
    if name == "unused" || disk && (force || volume.contains("-cloudinit")) {
        let held = snapshots.values().any(|config| config.values().any(|value| volume_of(value) == volume));
        if !held {
            sim.edit(|state| state.storage.remove(&volume));
        }
        sim.change(vmid, |vm| vm.config.remove(key))?;
        return Ok(Removal::Done);
    }
    if running && !takes_effect_at_once(key) {
        sim.change(vmid, |vm| vm.pending_delete.insert(key.to_owned()))?;
        return Ok(Removal::Done);
    }
    if running && name == "net" && index.is_some() && !answers {
        sim.change(vmid, |vm| vm.pending_delete.insert(key.to_owned()))?;
        return Ok(Removal::Unplug);
    }
    sim.change(vmid, |vm| vm.remove_key(key))?;
    Ok(Removal::Done)
}

/// Sets a value now or for the next start; a value that is there already clears what was pending.
fn apply(vm: &mut Vm, key: String, value: String) {
    vm.pending_delete.remove(&key);
    if vm.is_running() && !takes_effect_at_once(&key) {
        if vm.config.get(&key) == Some(&value) {
            vm.pending.remove(&key);
        } else {
            vm.pending.insert(key, value);
        }
        return;
    }
    vm.pending.remove(&key);
    if is_drive(&key)
        && let Some(old) = vm.config.get(&key).cloned()
        && volume_of(&old) != volume_of(&value)
        && property(&old, "media") != Some("cdrom")
        && volume_of(&old).contains(':')
    {
        vm.add_unused(volume_of(&old));
    }
    let volume = volume_of(&value).to_owned();
    if is_drive(&key) {
        vm.config.retain(|key, value| !key.starts_with("unused") || *value != volume);
    }
    vm.config.insert(key, value);
}

/// What a value becomes in the configuration: a disk is made, a MAC address made up.
pub fn make_value(
    sim: &Simulator,
    vmid: u32,
    (key, value): (&str, &str),
    console: &mut dyn Console,
) -> Result<String, String> {
    if split_index(key).0 == "net" && split_index(key).1.is_some() {
        let old = sim.load(vmid, |vm| vm.config.get(key).cloned()).ok().flatten();
        let old_mac = old.and_then(|old| old.split(',').next()?.split_once('=').map(|(_, mac)| mac.to_owned()));
        return Ok(with_mac(value, || old_mac.unwrap_or_else(|| sim.ids.mac())));
    }
    if !is_drive(key) {
        return Ok(normalize(key, value));
    }
    if let Some(source) = property(value, "import-from") {
        return Err(if source.starts_with('/') && !std::path::Path::new(source).exists() {
            format!("can't find file '{source}'")
        } else {
            "piton lab: not simulated: import-from".to_owned()
        });
    }
    let Some((storage, what)) = new_disk(value) else {
        let volume = volume_of(value);
        if volume.contains(':') && sim.read(|state| state.storage.volume(volume).is_none()) {
            return Err(format!("volume '{volume}' does not exist"));
        }
        let size = sim.read(|state| state.storage.volume(volume).map(|volume| volume.size));
        return Ok(match size {
            Some(size) if property(value, "size").is_none() && property(value, "media").is_none() => {
                format!("{value},size={}", size_text(size))
            }
            _ => value.to_owned(),
        });
    };
    let format = property(value, "format").unwrap_or(if what == "cloudinit" { "qcow2" } else { "raw" });
    let size = if what == "cloudinit" { 4 << 20 } else { parse_size(what, 1 << 30).unwrap_or(0) };
    let now = sim.now();
    let made = sim.edit(|state| {
        let stem = if what == "cloudinit" {
            format!("vm-{vmid}-cloudinit")
        } else {
            state.storage.free_disk_name(storage, vmid)
        };
        let full = state.levers.full_storages.contains(storage);
        state.storage.allocate((storage, vmid, &format!("{stem}.{format}")), (format, size), full, now)
    });
    let made = made.map_err(|(printed, refusal)| {
        if !printed.is_empty() {
            console.out(printed);
        }
        refusal.to_string()
    })?;
    console.out(made.printed);
    let kept = value.split(',').skip(1).filter(|part| !part.starts_with("format=") && !part.starts_with("size="));
    let mut parts = vec![made.id];
    parts.extend(kept.map(str::to_owned));
    parts.push(if what == "cloudinit" { "media=cdrom".into() } else { format!("size={}", size_text(size)) });
    let value = parts.join(",");
    console.out(format!("{key}: successfully created disk '{value}'"));
    if what == "cloudinit" {
        console.out("generating cloud-init ISO".into());
    }
    Ok(value)
}
