//! `pve_bridge`: a Linux bridge of a node, through the API: staged, then applied by one reload.
//!
//! Proxmox stages network edits in `/etc/network/interfaces.new`; a reload applies whatever is staged, whoever
//! staged it. So nothing is done while somebody else's edits wait there.

use super::cidr::Cidr;
use super::{Action, Answer, Ask, Change, Cx, Diff, Example, Module, ModuleError, Problem, Revert, Undo, ValueChange};
use crate::cmd::{ApiCall, Cmd, Method, Place};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// The step kind.
#[derive(Debug)]
pub struct PveBridge;

/// Whether the bridge shall be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is there and up.
    #[default]
    Present,
    /// It is not there.
    Absent,
}

/// Parameters of `pve_bridge`. What is left out is not touched on a bridge that is there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Name, like vmbr2: a letter, then letters, digits and _, at most 10 in all.
    name: String,
    /// The node's own address on it, with prefix: 10.10.0.1/24. Without one the node is not in that network.
    cidr: Option<String>,
    /// The node's default gateway; only one bridge may have one.
    gateway: Option<String>,
    /// Network cards on it; an empty list makes an isolated switch.
    ports: Option<Vec<String>>,
    /// A remark.
    comment: Option<String>,
    /// Whether it comes up at boot.
    #[serde(default = "yes")]
    autostart: bool,
    /// Whether it knows VLANs.
    vlan_aware: Option<bool>,
    /// Largest packet, 1280 to 65520 bytes.
    mtu: Option<u32>,
    /// present or absent.
    #[serde(default)]
    state: State,
}

fn yes() -> bool {
    true
}

/// How long the target waits for a confirmation before it takes a network change back.
const CONFIRM: Duration = Duration::from_secs(90);
const RELOAD: Duration = Duration::from_secs(120);

/// Prints ports of guests on the bridge, a line with `--`, and what is staged.
const LOOK: &str = r#"for p in /sys/class/net/"$1"/brif/*; do [ -e "$p" ] && echo "${p##*/}"; done
echo --
[ ! -e /etc/network/interfaces.new ] || { diff -u /etc/network/interfaces /etc/network/interfaces.new; [ $? -le 1 ]; }"#;

/// Keys of a bridge in the API that a PUT has to send again, because it drops or resets what it does not get: the
/// address, for one, decides between `static` and `manual` (recordings rows 555 to 562).
const KEYS: [&str; 11] = [
    "autostart",
    "bridge_ports",
    "bridge_vlan_aware",
    "bridge_vids",
    "cidr",
    "cidr6",
    "comments",
    "comments6",
    "gateway",
    "gateway6",
    "mtu",
];

/// What the node says of its network.
#[derive(Debug, Default)]
pub struct Seen {
    /// The bridge, by the API's keys, normalised; `None` if there is none.
    bridge: Option<BTreeMap<String, String>>,
    /// Type of an interface of that name.
    kind: String,
    active: bool,
    /// The other interfaces.
    others: Vec<Map<String, Value>>,
    /// Ports of guests on it.
    guests: Vec<String>,
    /// Somebody's staged edits, as a diff.
    staged: String,
}

fn word(value: &Value) -> String {
    match value {
        Value::String(s) => s.trim_end().to_string(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().filter(|p| *p != "none").collect()
}

impl Params {
    fn wanted(&self) -> BTreeMap<&'static str, String> {
        let mut out = BTreeMap::from([("autostart", if self.autostart { "1" } else { "" }.to_string())]);
        let mut set = |key, value: Option<String>| out.extend(value.map(|v| (key, v)));
        set("cidr", self.cidr.clone());
        set("gateway", self.gateway.clone());
        set("bridge_ports", self.ports.as_ref().map(|p| p.join(" ")));
        set("comments", self.comment.as_ref().map(|c| c.trim_end().to_string()));
        set("bridge_vlan_aware", self.vlan_aware.map(|v| if v { "1" } else { "" }.to_string()));
        set("mtu", self.mtu.map(|m| m.to_string()));
        out
    }

    fn path(&self) -> String {
        format!("/nodes/{{node}}/network/{}", self.name)
    }
}

impl Module for PveBridge {
    type Params = Params;
    type State = Seen;

    const NAME: &'static str = "pve_bridge";
    const SUMMARY: &'static str = "a bridge of a node";
    const EXAMPLES: &'static [Example] = &[
        Example {
            name: "the DMZ: a switch without a card, on which the node has an address",
            yaml: "pve_bridge: { name: vmbr2, cidr: 10.10.0.1/24, ports: [], comment: DMZ }\n",
        },
        Example { name: "a bridge that is not needed any more", yaml: "pve_bridge: { name: vmbr99, state: absent }\n" },
    ];

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = Vec::new();
        let name = &params.name;
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !(2..=10).contains(&name.len()) || !starts || !name.chars().all(good) {
            let problem = Problem::at("name", format!("`{name}` cannot be the name of a bridge"));
            out.push(problem.hint("a letter, then letters, digits and _; 2 to 10 in all, like vmbr2"));
        }
        let cidr = params.cidr.as_deref().map(Cidr::parse);
        match &cidr {
            Some(Err(why)) => out.push(Problem::at("cidr", why)),
            Some(Ok(cidr)) if !cidr.is_host() => {
                let problem = Problem::at("cidr", format!("{cidr} is the network itself, or its broadcast address"));
                out.push(problem.hint(format!("the node needs an address in it, like {}", cidr.first())));
            }
            _ => {}
        }
        if let Some(gateway) = &params.gateway {
            match (gateway.parse::<Ipv4Addr>(), &cidr) {
                (Err(_), _) => out.push(Problem::at("gateway", format!("`{gateway}` is not an IPv4 address"))),
                (Ok(_), None) => out.push(Problem::at("gateway", "a gateway needs a `cidr` that it lies in")),
                (Ok(gateway), Some(Ok(cidr))) if !cidr.contains(gateway) => {
                    out.push(Problem::at("gateway", format!("{gateway} does not lie in {cidr}")));
                }
                (Ok(gateway), Some(Ok(cidr))) if cidr.address == gateway => {
                    out.push(Problem::at("gateway", "the gateway is the node itself"));
                }
                _ => {}
            }
        }
        for (at, port) in params.ports.iter().flatten().enumerate() {
            if port.is_empty() || port.len() > 15 || !port.chars().all(|c| good(c) || ".:-".contains(c)) {
                let message = format!("`{port}` cannot be the name of a network card");
                out.push(Problem { at: vec!["ports".into(), at.to_string()], message, hint: None });
            }
        }
        if params.mtu.is_some_and(|m| !(1280..=65520).contains(&m)) {
            out.push(Problem::at("mtu", "`mtu` goes from 1280 to 65520"));
        }
        let has_values = params.cidr.is_some() || params.ports.is_some() || params.comment.is_some();
        if params.state == State::Absent && (has_values || params.gateway.is_some() || params.mtu.is_some()) {
            out.push(Problem::at("state", "what is absent has no address, ports or comment"));
        }
        out
    }

    fn probe(params: &Params, _cx: &Cx) -> Vec<Ask> {
        let look = Cmd::shell_with(LOOK, [params.name.as_str()]).env("LC_ALL", "C").at(Place::Node);
        vec![Ask::Api(ApiCall::get("/nodes/{node}/network")), Ask::Cmd(look)]
    }

    fn read(params: &Params, cx: &Cx, answers: &[Answer]) -> Result<Seen, ModuleError> {
        if cx.node.is_none() || cx.vmid.is_some() {
            let why = format!("{} is not a Proxmox node: it has no bridges", cx.host);
            return Err(ModuleError::refused(why).hint("run the step on the node"));
        }
        let [list, look] = answers else { return Err(ModuleError::unreadable("two answers were expected", "")) };
        let data = list.data("network of the node")?;
        let bad = || ModuleError::unreadable("a list of interfaces was expected", &data.to_string());
        let mut seen = Seen::default();
        for entry in data.as_array().ok_or_else(bad)? {
            let entry = entry.as_object().ok_or_else(bad)?;
            if entry.get("iface").and_then(Value::as_str).ok_or_else(bad)? != params.name {
                seen.others.push(entry.clone());
                continue;
            }
            seen.kind = entry.get("type").map(word).unwrap_or_default();
            seen.active = entry.get("active").map(word).as_deref() == Some("1");
            let values = entry
                .iter()
                .map(|(k, v)| (k.clone(), word(v)))
                .filter(|(k, v)| KEYS.contains(&k.as_str()) && !v.is_empty());
            let mut values: BTreeMap<_, _> = values.collect();
            if let Some(ports) = values.get_mut("bridge_ports") {
                *ports = words(ports).join(" ");
            }
            values
                .retain(|k, v| !v.is_empty() && (v != "0" || !matches!(k.as_str(), "autostart" | "bridge_vlan_aware")));
            seen.bridge = Some(values);
        }
        let text = look.good("staged network edits")?.stdout.text().into_owned();
        let (guests, staged) = text
            .split_once("--\n")
            .ok_or_else(|| ModuleError::unreadable("ports and staged edits were expected", &text))?;
        // Ports of guests: tap100i0, veth100i0, fwpr100p0, fwln100i0 (pve-common Network.pm).
        let of_guest = |p: &&str| ["tap", "veth", "fwpr", "fwln"].iter().any(|k| p.starts_with(k));
        seen.guests = guests.lines().filter(of_guest).map(str::to_string).collect();
        // Beside `data`; only pvedaemon gives it, `pvesh` does not.
        let changes = list.api()?.body.get("changes").map(word).unwrap_or_default();
        seen.staged = if staged.trim().is_empty() { changes } else { staged.trim_end().to_string() };
        Ok(seen)
    }

    fn plan(params: &Params, _cx: &Cx, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
        let name = &params.name;
        if !seen.kind.is_empty() && seen.kind != "bridge" {
            return Err(ModuleError::refused(format!(
                "{name} is there, and is not a Linux bridge but `{}`",
                seen.kind
            )));
        }
        let change = match (params.state, &seen.bridge) {
            (State::Absent, None) => None,
            (State::Absent, Some(old)) => Some(remove(params, seen, old)?),
            (State::Present, old) => {
                conflicts(params, seen)?;
                set(params, seen, old.as_ref())
            }
        };
        if change.is_some() && !seen.staged.is_empty() {
            let why = format!("the node has network edits that are not applied, and not piton's:\n{}", seen.staged);
            let hint = "apply or discard them in the node's Network panel first (`pvesh set` or `pvesh delete /nodes/NODE/network`)";
            return Err(ModuleError::refused(why).hint(hint));
        }
        Ok(change.into_iter().collect())
    }
}

/// What of other interfaces stands against it. Proxmox itself takes a second bridge with the same address
/// (recordings row 543).
fn conflicts(params: &Params, seen: &Seen) -> Result<(), ModuleError> {
    let cidr = params.cidr.as_deref().and_then(|c| Cidr::parse(c).ok());
    for other in &seen.others {
        let get = |key: &str| other.get(key).map(word).unwrap_or_default();
        let name = get("iface");
        if let (Some(cidr), Ok(theirs)) = (cidr, Cidr::parse(&get("cidr")))
            && (cidr.overlaps(theirs))
        {
            return Err(ModuleError::refused(format!("{cidr} meets {theirs} of {name}"))
                .hint("two bridges in one network would break the node's routes"));
        }
        if params.gateway.is_some() && !get("gateway").is_empty() {
            return Err(ModuleError::refused(format!("{name} already has the default gateway {}", get("gateway"))));
        }
        let used = [get("bridge_ports"), get("slaves"), get("ovs_ports")].join(" ");
        if let Some(port) = params.ports.iter().flatten().find(|p| words(&used).contains(&p.as_str())) {
            return Err(ModuleError::refused(format!("{port} is already used by {name}")));
        }
    }
    Ok(())
}

fn reload() -> Action {
    Action::Api(ApiCall::of(Method::Put, "/nodes/{node}/network").follow(RELOAD))
}

/// POST or PUT of a bridge with these values.
fn send(method: Method, params: &Params, values: &BTreeMap<String, String>, delete: &[&str]) -> Action {
    let mut call = match method {
        Method::Post => ApiCall::of(method, "/nodes/{node}/network").param("iface", &params.name),
        _ => ApiCall::of(method, params.path()),
    };
    call = call.param("type", "bridge");
    for (key, value) in values.iter().filter(|(_, v)| !v.is_empty()) {
        call = call.param(key, value);
    }
    if !delete.is_empty() {
        call = call.param("delete", delete.join(","));
    }
    Action::Api(call)
}

fn set(params: &Params, seen: &Seen, old: Option<&BTreeMap<String, String>>) -> Option<Change> {
    let name = &params.name;
    let empty = BTreeMap::new();
    let before = old.unwrap_or(&empty);
    let mut after = before.clone();
    let mut values = Vec::new();
    for (key, wanted) in params.wanted() {
        let now = before.get(key).map(String::as_str).unwrap_or_default();
        let same = if key == "bridge_ports" { sorted(now) == sorted(&wanted) } else { now == wanted };
        if !same {
            let shown = |text: &str| (!text.is_empty()).then(|| text.to_string());
            values.push(ValueChange::new(key, shown(now).as_deref(), shown(&wanted).as_deref()));
        }
        if wanted.is_empty() {
            after.remove(key)
        } else {
            after.insert(key.to_string(), wanted)
        };
    }
    let gone = |from: &BTreeMap<String, String>, to: &BTreeMap<String, String>| {
        from.keys().filter(|k| !to.contains_key(*k)).cloned().collect::<Vec<_>>()
    };
    let put = |from: &BTreeMap<String, String>, to: &BTreeMap<String, String>| {
        let gone = gone(from, to);
        send(Method::Put, params, to, &gone.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let (what, actions, undo) = if old.is_none() {
        let undo = vec![Action::Api(ApiCall::of(Method::Delete, params.path())), reload()];
        (
            format!("create the bridge {name}"),
            vec![send(Method::Post, params, &after, &[]), reload()],
            Undo::Actions(undo),
        )
    } else if !values.is_empty() {
        let undo = vec![put(&after, before), reload()];
        (format!("change the bridge {name}"), vec![put(before, &after), reload()], Undo::Actions(undo))
    } else if params.autostart && !seen.active {
        (format!("bring the bridge {name} up"), vec![reload()], Undo::Nothing)
    } else {
        return None;
    };
    let change = Change::new(what, actions, undo).diff(Diff::Values(values));
    Some(revertible(change))
}

/// The node's configuration as it is before, with nothing staged beside it (staged edits of others are refused), and
/// brought up as Proxmox itself does it (pve-manager, `PVE::API2::Network` `reload_network_changes`).
fn revertible(mut change: Change) -> Change {
    change.confirm_within = Some(CONFIRM);
    change.revert = Some(Revert {
        files: ["/etc/network/interfaces", "/etc/network/interfaces.new"].map(String::from).to_vec(),
        after: vec![["ifreload", "-a"].map(String::from).to_vec()],
    });
    change
}

fn sorted(ports: &str) -> Vec<&str> {
    let mut ports = words(ports);
    ports.sort_unstable();
    ports
}

fn remove(params: &Params, seen: &Seen, old: &BTreeMap<String, String>) -> Result<Change, ModuleError> {
    let name = &params.name;
    if let Some(gateway) = old.get("gateway") {
        let why = format!("{name} has the node's default gateway {gateway}: without it the node is cut off");
        return Err(ModuleError::refused(why));
    }
    if !seen.guests.is_empty() {
        let why = format!("running guests hang on {name}: {}", seen.guests.join(", "));
        return Err(ModuleError::refused(why).hint("move their network cards to another bridge first"));
    }
    let actions = vec![Action::Api(ApiCall::of(Method::Delete, params.path())), reload()];
    let undo = vec![send(Method::Post, params, old, &[]), reload()];
    let values = old.iter().map(|(k, v)| ValueChange::new(k, Some(v), None)).collect();
    let change = Change::new(format!("remove the bridge {name}"), actions, Undo::Actions(undo));
    Ok(revertible(change.diff(Diff::Values(values))))
}

#[cfg(test)]
#[path = "pve_bridge_tests.rs"]
mod tests;
