//! The names that templates and expressions see on one host.
//!
//! Variables, lowest first: runbook `vars` < inventory `vars` < groups in the order written < host < section and step
//! `vars` < `--set`. Beside them the namespaces `host`, `roles`, `guests`, `inputs`, `secrets` (marks), `out` (what
//! steps registered on this host) and `item` (the loop's current one). Variables may use other names; they are rendered
//! when the scope is built, in the order that they need.

use super::{Program, Step};
use crate::load::inventory::{Host, HostKind, Inventory, Vars};
use crate::load::node::{Kind, Node};
use crate::load::{template, template_names};
use crate::secret;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Builds the scope of a host outside of any step: for screens and reports.
///
/// `out` holds what steps registered on this host; `item` is the loop's current one.
pub fn scope(program: &Program, host: &str, out: &Map<String, Value>, item: Option<&Value>) -> Value {
    Layers::of(program).scope(host, &Vec::new(), &[], out, item)
}

/// Builds the scope of a step on a host: [`scope`] with the step's own `vars` and, in an include, its `inputs`.
pub fn of_step(program: &Program, step: &Step, host: &str, out: &Map<String, Value>, item: Option<&Value>) -> Value {
    Layers::of(program).scope(host, &step.vars, &step.inputs, out, item)
}

/// Everything that scopes are made of, before and after there is a [`Program`].
#[derive(Clone, Copy)]
pub(super) struct Layers<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) vars: &'a Vars,
    pub(super) sets: &'a Map<String, Value>,
    pub(super) inputs: &'a Map<String, Value>,
}

impl<'a> Layers<'a> {
    pub(super) fn of(program: &'a Program) -> Self {
        Self { inventory: &program.inventory, vars: &program.vars, sets: &program.sets, inputs: &program.inputs }
    }

    /// The variables of a host, each from where it wins; `--set` is not among them.
    pub(super) fn merged<'b>(&self, host: &str, step: &'b Vars) -> Vec<(&'b str, &'b Node)>
    where
        'a: 'b,
    {
        let mut merged: Vec<(&str, &Node)> = Vec::new();
        let mut add = |vars: &'b Vars| {
            for (key, node) in vars {
                merged.retain(|(name, _)| *name != key.name);
                merged.push((key.name.as_str(), node));
            }
        };
        add(self.vars);
        add(&self.inventory.vars);
        for group in self.inventory.groups.iter().filter(|g| g.hosts.iter().any(|h| h == host)) {
            add(&group.vars);
        }
        if let Some(host) = self.inventory.host(host) {
            add(&host.vars);
        }
        add(step);
        merged
    }

    pub(super) fn scope(
        &self,
        host: &str,
        step: &Vars,
        layers: &[Vars],
        out: &Map<String, Value>,
        item: Option<&Value>,
    ) -> Value {
        let mut names = Map::new();
        names.insert("host".into(), self.inventory.host(host).map_or(Value::Null, |h| host_value(self.inventory, h)));
        names.insert("roles".into(), roles(self.inventory));
        names.insert("guests".into(), guests(self.inventory));
        names.insert(
            "secrets".into(),
            self.inventory.secrets.iter().map(|s| (s.name.clone(), Value::from(secret::mark(&s.name)))).collect(),
        );
        names.insert("inputs".into(), Value::Object(self.inputs.clone()));
        names.insert("out".into(), Value::Object(out.clone()));
        if let Some(item) = item {
            names.insert("item".into(), item.clone());
        }
        for (name, value) in self.sets {
            names.insert(name.clone(), value.clone());
        }
        let merged: Vec<(&str, &Node)> =
            self.merged(host, step).into_iter().filter(|(name, _)| !self.sets.contains_key(*name)).collect();
        let mut resolver = Resolver { merged: &merged, scope: Value::Object(names), tried: BTreeSet::new() };
        for (name, _) in &merged {
            resolver.resolve(name);
        }
        // Includes see their own inputs; what they were given is rendered with the names of the including file.
        for layer in layers {
            let rendered: Map<String, Value> = layer
                .iter()
                .filter_map(|(k, node)| Some((k.name.clone(), template::render(node, &resolver.scope).ok()?)))
                .collect();
            resolver.set("inputs", Value::Object(rendered));
        }
        if !layers.is_empty() {
            // Variables of the included file may use its inputs; those that are there already stay as they are.
            resolver.tried = merged.iter().map(|(n, _)| (*n).to_string()).filter(|n| resolver.has(n)).collect();
            for (name, _) in &merged {
                resolver.resolve(name);
            }
        }
        resolver.scope
    }
}

struct Resolver<'a> {
    merged: &'a [(&'a str, &'a Node)],
    scope: Value,
    tried: BTreeSet<String>,
}

impl Resolver<'_> {
    fn set(&mut self, name: &str, value: Value) {
        if let Value::Object(map) = &mut self.scope {
            map.insert(name.to_string(), value);
        }
    }

    fn has(&self, name: &str) -> bool {
        self.scope.get(name).is_some()
    }

    /// A variable that cannot be rendered yet (it uses `out` of a later step) stays undefined.
    fn resolve(&mut self, name: &str) {
        if !self.tried.insert(name.to_string()) {
            return;
        }
        let Some((_, node)) = self.merged.iter().find(|(n, _)| *n == name) else { return };
        for used in variables_in(node) {
            self.resolve(&used);
        }
        if let Ok(value) = template::render(node, &self.scope) {
            self.set(name, value);
        }
    }
}

/// First names of everything that the templates in a tree use.
pub(super) fn variables_in(node: &Node) -> Vec<String> {
    let mut found = Vec::new();
    walk(node, &mut |text| {
        if let Ok(names) = template_names::names(text) {
            found.extend(names.names.into_iter().filter_map(|n| n.path.into_iter().next()));
        }
    });
    found
}

/// Every text of a tree.
pub(super) fn walk(node: &Node, each: &mut dyn FnMut(&str)) {
    match &node.kind {
        Kind::Str(text, _) => each(text),
        Kind::Seq(items) => items.iter().for_each(|n| walk(n, each)),
        Kind::Map(entries) => entries.iter().for_each(|(_, n)| walk(n, each)),
        _ => {}
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.to_string(), value.into());
    }
}

/// The namespace `host`: only what this host has, so that asking for more is an error.
fn host_value(inventory: &Inventory, host: &Host) -> Value {
    let mut map = Map::new();
    put(&mut map, "name", Some(host.name.clone()));
    put(&mut map, "address", Some(host.address.clone()));
    let kind = match &host.kind {
        HostKind::Node { .. } => "node",
        HostKind::Guest { .. } => "guest",
        HostKind::Other => "host",
    };
    put(&mut map, "kind", Some(kind));
    put(&mut map, "vmid", host.vmid());
    put(&mut map, "node", inventory.node_of(&host.name));
    put(&mut map, "role", host.role.clone());
    put(&mut map, "user", host.user.clone());
    put(&mut map, "port", host.port);
    put(&mut map, "become", Some(host.r#become));
    put(&mut map, "datasets", (!host.datasets.is_empty()).then(|| host.datasets.clone()));
    let groups: Vec<&str> =
        inventory.groups.iter().filter(|g| g.hosts.contains(&host.name)).map(|g| g.name.as_str()).collect();
    map.insert("groups".into(), json!(groups));
    Value::Object(map)
}

fn roles(inventory: &Inventory) -> Value {
    inventory
        .roles
        .iter()
        .map(|role| {
            let mut map = Map::new();
            put(&mut map, "bridge", Some(role.bridge.clone()));
            put(&mut map, "cidr", role.cidr.clone());
            put(&mut map, "gateway", role.gateway.clone());
            put(&mut map, "node_address", role.node_address.clone());
            put(&mut map, "port", role.port.clone());
            (role.name.clone(), Value::Object(map))
        })
        .collect()
}

fn guests(inventory: &Inventory) -> Value {
    inventory
        .hosts
        .iter()
        .filter_map(|host| {
            let HostKind::Guest { node, vmid } = &host.kind else { return None };
            let mut map = Map::new();
            put(&mut map, "vmid", Some(*vmid));
            put(&mut map, "node", Some(node.clone()));
            put(&mut map, "address", Some(host.address.clone()));
            put(&mut map, "role", host.role.clone());
            Some((host.name.clone(), Value::Object(map)))
        })
        .collect()
}
