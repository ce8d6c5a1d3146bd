//! Names that templates and expressions use, checked before anything runs.

use super::scope::Layers;
use crate::load::inventory::Vars;
use crate::load::suggest;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What steps register, for the checks of `out.x`.
#[derive(Debug, Clone, Default)]
pub struct Registered {
    /// Name to hosts that have it by now.
    pub by_now: BTreeMap<String, Vec<String>>,
    /// Every name that any step registers.
    pub ever: Vec<String>,
}

/// What is known when one step is checked for one host.
pub struct Names<'a> {
    pub(super) layers: Layers<'a>,
    pub(super) host: &'a str,
    pub(super) step: &'a Vars,
    pub(super) registered: &'a Registered,
    /// What the step itself registers: its `until`, `changed_when` and `failed_when` may use it.
    pub(super) own: Option<&'a str>,
    /// True inside of a loop.
    pub(super) item: bool,
    /// In the `vars:` of inventory and runbook any registered name may be used.
    pub(super) anytime: bool,
    /// The scope without `out`.
    pub(super) scope: &'a Value,
}

/// A name that is not defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undefined {
    pub(super) code: &'static str,
    /// One line.
    pub(super) message: String,
    /// What to write instead.
    pub(super) hint: Option<String>,
}

fn undefined(message: String, hint: Option<String>) -> Undefined {
    Undefined { code: "P0404", message, hint }
}

impl Names<'_> {
    /// Why a name cannot be used here; `None` if it can.
    pub fn problem(&self, path: &[String]) -> Option<Undefined> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "out" => self.out(rest),
            "item" if self.item => None,
            "item" => Some(undefined(
                "`item` is only there in a step with `loop:`".to_string(),
                Some("add `loop:`, or use the value itself".to_string()),
            )),
            "facts" => Some(undefined(
                "`facts` are not gathered by this version".to_string(),
                Some("run a command with `register: x` and use `out.x.stdout`".to_string()),
            )),
            "host" | "roles" | "guests" | "secrets" | "inputs" => self.walk(first, rest),
            name if self.is_variable(name) => self.walk(first, rest),
            name => Some(self.unknown(name)),
        }
    }

    /// True if the value is only known while running.
    pub fn is_dynamic(&self, path: &[String]) -> bool {
        match path.first().map(String::as_str) {
            None => false,
            Some("out" | "item") => true,
            Some(first) => {
                let map = self.scope.as_object();
                !map.is_some_and(|m| m.contains_key(first))
            }
        }
    }

    fn is_variable(&self, name: &str) -> bool {
        self.layers.sets.contains_key(name) || self.layers.merged(self.host, self.step).iter().any(|(n, _)| *n == name)
    }

    fn out(&self, rest: &[String]) -> Option<Undefined> {
        let name = rest.first()?;
        if self.own == Some(name) {
            return None;
        }
        match self.registered.by_now.get(name) {
            Some(hosts) if self.anytime || hosts.iter().any(|h| h == self.host) => None,
            Some(hosts) => Some(Undefined {
                code: "P0405",
                message: format!(
                    "`out.{name}` is not there on `{}`: it is registered on {}",
                    self.host,
                    hosts.join(", ")
                ),
                hint: Some("register it with `run_once: true` to have it on all hosts".to_string()),
            }),
            None if self.anytime && self.registered.ever.contains(name) => None,
            None if self.registered.ever.contains(name) => Some(Undefined {
                code: "P0405",
                message: format!("`out.{name}` is registered by a later step"),
                hint: Some("move that step up, or this one down".to_string()),
            }),
            None => Some(Undefined {
                code: "P0405",
                message: format!("no step registers `{name}`"),
                hint: suggest::hint(name, self.registered.ever.iter().map(String::as_str), "registered")
                    .or(Some(format!("give the step whose result you mean `register: {name}`"))),
            }),
        }
    }

    fn walk(&self, first: &str, rest: &[String]) -> Option<Undefined> {
        let mut value = self.scope.get(first)?;
        let mut seen = first.to_string();
        for key in rest {
            let next = match value {
                Value::Object(map) => match map.get(key) {
                    Some(next) => next,
                    None => return Some(self.missing(&seen, key, map)),
                },
                Value::Array(items) => key.parse::<usize>().ok().and_then(|i| items.get(i))?,
                _ => return None,
            };
            seen = format!("{seen}.{key}");
            value = next;
        }
        None
    }

    fn missing(&self, seen: &str, key: &str, map: &Map<String, Value>) -> Undefined {
        let known = map.keys().map(String::as_str);
        let hint = suggest::hint(
            key,
            known,
            if matches!(seen, "secrets" | "roles" | "guests" | "inputs") { seen } else { "it has" },
        );
        let (what, hint) = match seen {
            "secrets" => (
                format!("there is no secret `{key}`"),
                hint.or(Some("say in the inventory under `secrets:` where it comes from".to_string())),
            ),
            "roles" => {
                (format!("the inventory has no role `{key}`"), hint.or(Some("define it under `roles:`".to_string())))
            }
            "guests" => (format!("the inventory has no guest `{key}`"), hint),
            "inputs" => (format!("there is no input `{key}`"), hint.or(Some("declare it under `inputs:`".to_string()))),
            "host" if matches!(key, "vmid" | "node" | "role" | "user" | "port" | "datasets") => (
                format!("the host `{}` has no `{key}`", self.host),
                Some(format!("give it one in the inventory, or ask `host.{key} is defined`")),
            ),
            "host" => (
                format!("`host` has no `{key}`"),
                if self.is_variable(key) {
                    Some(format!("variables stand by themselves: write `{key}`"))
                } else {
                    hint
                },
            ),
            _ => (format!("`{seen}` has no `{key}`"), hint),
        };
        undefined(what, hint)
    }

    fn unknown(&self, name: &str) -> Undefined {
        if self.registered.ever.iter().any(|r| r == name) {
            return undefined(
                format!("`{name}` is not defined"),
                Some(format!("what a step registered is read as `out.{name}`")),
            );
        }
        if self.layers.inputs.contains_key(name) {
            return undefined(format!("`{name}` is not defined"), Some(format!("inputs are read as `inputs.{name}`")));
        }
        if self.layers.inventory.secrets.iter().any(|s| s.name == name) {
            return undefined(
                format!("`{name}` is not defined"),
                Some(format!("secrets are read as `secrets.{name}`")),
            );
        }
        if let ("result", Some(own)) = (name, self.own) {
            return undefined(
                format!("`{name}` is not defined"),
                Some(format!("the result of this step is `out.{own}`")),
            );
        }
        let instead = match name {
            "inventory_hostname" | "ansible_hostname" | "hostname" => Some("write `host.name`"),
            "ansible_host" => Some("write `host.address`"),
            "hostvars" | "groups" | "group_names" | "ansible_facts" | "play_hosts" => {
                Some("Ansible's own variables are not there: see `piton vars`")
            }
            "result" => Some("give the step `register: x` and write `out.x`"),
            _ => None,
        };
        if let Some(instead) = instead {
            return undefined(format!("`{name}` is not defined"), Some(instead.to_string()));
        }
        let elsewhere: Vec<&str> = self
            .layers
            .inventory
            .hosts
            .iter()
            .map(|h| h.name.as_str())
            .filter(|h| self.layers.merged(h, self.step).iter().any(|(n, _)| *n == name))
            .collect();
        if !elsewhere.is_empty() {
            return undefined(
                format!("`{name}` is not set for the host `{}`", self.host),
                Some(format!(
                    "it is set for {} only: give a default under the runbook's `vars:`",
                    elsewhere.join(", ")
                )),
            );
        }
        let merged = self.layers.merged(self.host, self.step);
        let known: Vec<&str> = merged
            .iter()
            .map(|(n, _)| *n)
            .chain(self.layers.sets.keys().map(String::as_str))
            .chain(["host", "roles", "guests", "out", "secrets", "inputs"])
            .collect();
        let hint = suggest::nearest(name, known).map(|n| format!("did you mean `{n}`?"));
        undefined(
            format!("`{name}` is not defined"),
            hint.or(Some("set it under `vars:`; `piton vars` lists what there is".to_string())),
        )
    }
}
