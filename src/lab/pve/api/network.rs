//! `/nodes/N/network`: edits go to `interfaces.new`; a reload moves it over and brings the interfaces up.

use super::call::{Call, Outcome};
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::interfaces::{Interface, Interfaces};
use crate::lab::pve::params::truthy;
use crate::lab::pve::schema::{Kind, Param, opt, req};
use crate::lab::pve::simulator::Simulator;
use serde_json::{Value, json};
use similar::TextDiff;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

const TYPES: &[&str] =
    &["bridge", "bond", "eth", "alias", "vlan", "OVSBridge", "OVSBond", "OVSPort", "OVSIntPort", "vnet", "unknown"];

/// Parameter of the API to option of the file, for those that are copied as they are.
const COPIED: [(&str, &str); 7] = [
    ("gateway", "gateway"),
    ("bridge_vids", "bridge-vids"),
    ("bond_mode", "bond-mode"),
    ("slaves", "bond-slaves"),
    ("bond-primary", "bond-primary"),
    ("bond_xmit_hash_policy", "bond-xmit-hash-policy"),
    ("mtu", "mtu"),
];

fn schema(iface: bool) -> Vec<Param> {
    let mut schema = vec![
        req("type", Kind::Enum(TYPES)),
        opt("autostart", Kind::Bool),
        opt("comments", Kind::TextUpTo(4_096)),
        opt("cidr", Kind::Cidr4),
        opt("address", Kind::Text),
        opt("netmask", Kind::Text),
        opt("gateway", Kind::Text),
        opt("bridge_ports", Kind::Text),
        opt("bridge_vlan_aware", Kind::Bool),
        opt("bridge_vids", Kind::Text),
        opt("bond_mode", Kind::Text),
        opt("bond-primary", Kind::Text),
        opt("bond_xmit_hash_policy", Kind::Text),
        opt("slaves", Kind::Text),
        opt("mtu", Kind::Int(1_280)),
        opt("vlan-id", Kind::Int(1)),
        opt("vlan-raw-device", Kind::Text),
    ];
    schema.push(if iface { req("iface", Kind::Interface) } else { opt("delete", Kind::Text) });
    schema
}

fn files(sim: &Simulator) -> (PathBuf, PathBuf) {
    (sim.network_dir.join("interfaces"), sim.network_dir.join("interfaces.new"))
}

fn disk(path: &std::path::Path, why: &io::Error) -> Refusal {
    Refusal::died(format!("piton lab: {}: {why}", path.display()))
}

/// The pending file if there is one, else the real one.
fn read(sim: &Simulator) -> Result<Interfaces, Refusal> {
    let (current, pending) = files(sim);
    let path = if pending.exists() { pending } else { current };
    fs::read_to_string(&path).map(|text| Interfaces::parse(&text)).map_err(|why| disk(&path, &why))
}

fn stage(call: &Call, interfaces: &Interfaces) -> Outcome {
    let (_, pending) = files(&call.sim);
    fs::write(&pending, interfaces.render()).map_err(|why| disk(&pending, &why))?;
    call.changed("network");
    Ok(Reply::null())
}

fn fields(one: &Interface, priority: usize, active: bool, named: bool) -> Value {
    let mut item = json!({
        "families": ["inet"], "method": one.method, "method6": "manual", "priority": priority, "type": one.kind(),
    });
    let mut put = |key: &str, value: Value| item[key] = value;
    if named {
        put("iface", json!(one.name));
    }
    if active {
        put("active", json!(1));
    }
    if one.autostart {
        put("autostart", json!(1));
    }
    if let Some(address) = one.option("address") {
        put("address", json!(address.split('/').next().unwrap_or_default()));
        put("cidr", json!(address));
        put("netmask", json!(address.split('/').nth(1).unwrap_or_default()));
    }
    if one.option("bridge-ports").is_some() {
        put("bridge_ports", json!(one.ports().join(" ")));
    }
    for (key, option) in [("bridge_stp", "bridge-stp"), ("bridge_fd", "bridge-fd"), ("bond_miimon", "bond-miimon")] {
        if let Some(value) = one.option(option) {
            put(key, json!(value));
        }
    }
    if one.option("bridge-vlan-aware") == Some("yes") {
        put("bridge_vlan_aware", json!(1));
    }
    for (key, option) in COPIED {
        if let Some(value) = one.option(option) {
            put(key, json!(value));
        }
    }
    if !one.comments.is_empty() {
        put("comments", json!(one.comments));
    }
    item
}

/// `GET network`; what is pending stands beside it as a diff.
pub fn list(call: &Call) -> Outcome {
    let kinds: &'static [&'static str] = &[
        "bridge",
        "bond",
        "eth",
        "alias",
        "vlan",
        "OVSBridge",
        "OVSBond",
        "OVSPort",
        "OVSIntPort",
        "vnet",
        "any_bridge",
        "any_local_bridge",
        "include_sdn",
    ];
    call.verify(&[opt("type", Kind::Enum(kinds))])?;
    let asked = call.params.get("type");
    let wanted = |one: &Interface| match asked {
        None | Some("include_sdn") => true,
        Some("any_bridge" | "any_local_bridge") => one.kind() == "bridge",
        Some(kind) => one.kind() == kind,
    };
    let interfaces = read(&call.sim)?;
    let active = call.sim.read(|state| state.active_interfaces.clone());
    let list: Vec<Value> = interfaces
        .list
        .iter()
        .enumerate()
        .filter(|(_, one)| one.name != "lo" && wanted(one))
        .map(|(at, one)| fields(one, at + 2, active.contains(&one.name), true))
        .collect();
    let (current, pending) = files(&call.sim);
    let mut beside = Vec::new();
    if let (Ok(old), Ok(new)) = (fs::read_to_string(current), fs::read_to_string(pending)) {
        let diff = TextDiff::from_lines(&old, &new)
            .unified_diff()
            .header("/etc/network/interfaces", "/etc/network/interfaces.new")
            .to_string();
        beside.push(("changes", json!(diff)));
    }
    Ok(Reply::Data(Value::Array(list), beside))
}

fn absent() -> Refusal {
    Refusal::parameter("iface", "interface does not exist")
}

/// `GET network/IFACE`.
pub fn get(call: &Call, name: &str) -> Outcome {
    call.verify(&[])?;
    let interfaces = read(&call.sim)?;
    let active = call.sim.read(|state| state.active_interfaces.contains(name));
    let at = interfaces.list.iter().position(|one| one.name == name).ok_or_else(absent)?;
    Ok(Reply::data(fields(&interfaces.list[at], at + 2, active, false)))
}

/// Puts the parameters into an interface.
fn fill(call: &Call, one: &mut Interface) {
    let params = &call.params;
    let kind = params.get("type").unwrap_or("bridge");
    one.kind = Some(kind.to_owned());
    if let Some(autostart) = params.get("autostart") {
        one.autostart = truthy(autostart);
    }
    let whole = params.get("cidr").map(str::to_owned).or_else(|| {
        let address = params.get("address")?;
        Some(format!("{address}/{}", params.get("netmask").unwrap_or("24")))
    });
    one.method = if whole.is_some() { "static" } else { "manual" }.to_owned();
    if let Some(whole) = whole {
        one.set("address", &whole);
    }
    for (key, option) in COPIED {
        if let Some(value) = params.get(key) {
            one.set(option, value);
        }
    }
    if kind == "bridge" {
        let ports = params.get("bridge_ports").map(|ports| if ports.is_empty() { "none" } else { ports });
        if ports.is_some() || one.option("bridge-ports").is_none() {
            one.set("bridge-ports", ports.unwrap_or("none"));
        }
        for (option, value) in [("bridge-stp", "off"), ("bridge-fd", "0")] {
            if one.option(option).is_none() {
                one.set(option, value);
            }
        }
        match params.get("bridge_vlan_aware").map(truthy) {
            Some(true) => {
                one.set("bridge-vlan-aware", "yes");
                if one.option("bridge-vids").is_none() {
                    one.set("bridge-vids", "2-4094");
                }
            }
            Some(false) => {
                one.remove("bridge-vlan-aware");
                one.remove("bridge-vids");
            }
            None => {}
        }
    } else if kind == "bond" {
        for (option, value) in [("bond-miimon", "100"), ("bond-mode", "balance-rr")] {
            if one.option(option).is_none() {
                one.set(option, value);
            }
        }
    }
    if let Some(comments) = params.get("comments") {
        one.comments = comments.lines().map(|line| format!("{line}\n")).collect();
    }
}

/// That gateway and ports are free and there.
fn check(call: &Call, interfaces: &Interfaces, name: &str) -> Result<(), Refusal> {
    let others = || interfaces.list.iter().filter(|one| one.name != name);
    if call.params.get("gateway").is_some()
        && let Some(other) = others().find(|one| one.option("gateway").is_some())
    {
        let message = format!("Default gateway already exists on interface '{}'.", other.name);
        return Err(Refusal::parameter("gateway", message));
    }
    for port in call.params.get("bridge_ports").unwrap_or_default().split_whitespace() {
        if let Some(other) = others().find(|one| one.ports().contains(&port)) {
            let message = format!("{port} is already used on interface '{}'.", other.name);
            return Err(Refusal::parameter("bridge_ports", message));
        }
        if interfaces.get(port).is_none() {
            return Err(Refusal::died(format!("bridge '{name}' - unable to find bridge port '{port}'")));
        }
    }
    Ok(())
}

/// `POST network`.
pub fn create(call: &Call) -> Outcome {
    call.verify(&schema(true))?;
    let name = call.params.get("iface").unwrap_or_default();
    let mut interfaces = read(&call.sim)?;
    if interfaces.get(name).is_some() {
        return Err(Refusal::parameter("iface", "interface already exists"));
    }
    check(call, &interfaces, name)?;
    let mut one = Interface { name: name.to_owned(), ..Interface::default() };
    fill(call, &mut one);
    interfaces.list.push(one);
    stage(call, &interfaces)
}

/// `PUT network/IFACE`: the parameters are laid over what is there, the type too.
pub fn update(call: &Call, name: &str) -> Outcome {
    call.verify(&schema(false))?;
    let mut interfaces = read(&call.sim)?;
    if interfaces.get(name).is_none() {
        return Err(absent());
    }
    check(call, &interfaces, name)?;
    let one = interfaces.get_mut(name).ok_or_else(absent)?;
    fill(call, one);
    for key in call.params.get("delete").unwrap_or_default().split([',', ' ']).filter(|key| !key.is_empty()) {
        match key {
            "comments" => one.comments.clear(),
            "cidr" | "address" => {
                one.remove("address");
                "manual".clone_into(&mut one.method);
            }
            "bridge_vlan_aware" => {
                one.remove("bridge-vlan-aware");
                one.remove("bridge-vids");
            }
            other => one.remove(&other.replace('_', "-")),
        }
    }
    stage(call, &interfaces)
}

/// `DELETE network/IFACE`.
pub fn delete(call: &Call, name: &str) -> Outcome {
    call.verify(&[])?;
    let mut interfaces = read(&call.sim)?;
    if interfaces.get(name).is_none() {
        return Err(absent());
    }
    interfaces.list.retain(|one| one.name != name);
    stage(call, &interfaces)
}

/// `DELETE network`: drops what is pending; nothing pending is no error.
pub fn revert(call: &Call) -> Outcome {
    call.verify(&[])?;
    let (_, pending) = files(&call.sim);
    match fs::remove_file(&pending) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(disk(&pending, &why)),
        Ok(()) => {
            call.changed("network-revert");
            Ok(Reply::null())
        }
        Err(_) => Ok(Reply::null()),
    }
}

/// `PUT network`: a task.
pub fn reload(call: &Call) -> Outcome {
    call.verify(&[opt("skip_frr", Kind::Bool), opt("regenerate-frr", Kind::Bool)])?;
    Ok(Reply::data(call.sim.fork("srvreload", "networking", |worker| async move {
        let sim = worker.sim.clone();
        let (current, pending) = files(&sim);
        if pending.exists() {
            fs::rename(&pending, &current).map_err(|why| disk(&pending, &why).to_string())?;
        }
        sim.take(sim.pace.other).await;
        let (printed, failed) = bring_up(&sim).map_err(|why| why.to_string())?;
        for line in printed {
            worker.say(line);
        }
        if failed { Err("command 'ifreload -a' failed: exit code 1".to_owned()) } else { Ok(()) }
    })))
}

/// What `ifreload -a` does here: notes which interfaces are up now. What it prints, and whether it failed.
///
/// # Errors
/// The file cannot be read.
pub fn bring_up(sim: &Simulator) -> Result<(Vec<String>, bool), Refusal> {
    let interfaces = current(sim)?;
    let (was_up, vlan_aware) = sim.read(|state| (state.active_interfaces.clone(), state.node.vlan_aware));
    let mut printed = interfaces.warnings(&was_up);
    let refused = interfaces.list.iter().filter(|one| !vlan_aware && one.option("bridge-vlan-aware") == Some("yes"));
    let refused: Vec<String> = refused
        .map(|one| {
            let name = &one.name;
            format!(
                "{name} : error: {name}: netlink: cannot create bridge or set attributes: operation failed with \
                 'Operation not supported' (95) "
            )
        })
        .collect();
    let failed = !refused.is_empty();
    printed.extend(refused);
    let up = interfaces.list.iter().filter(|one| one.autostart || one.kind() == "eth").map(|one| one.name.clone());
    sim.edit(|state| state.active_interfaces = up.collect());
    Ok((printed, failed))
}

/// What `ifreload -s` does: only the warnings.
///
/// # Errors
/// The file cannot be read.
pub fn check_syntax(sim: &Simulator) -> Result<(Vec<String>, bool), Refusal> {
    current(sim).map(|interfaces| (interfaces.warnings(&BTreeSet::new()), false))
}

fn current(sim: &Simulator) -> Result<Interfaces, Refusal> {
    let (current, _) = files(sim);
    fs::read_to_string(&current).map(|text| Interfaces::parse(&text)).map_err(|why| disk(&current, &why))
}
