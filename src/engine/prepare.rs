//! From a step as written to one that can be asked about: scope, condition, items, parameters, local files.

use super::Engine;
use super::asking::Asker;
use super::trouble::Trouble;
use crate::compile::{Step, scope};
use crate::load::template;
use crate::modules::{Cx, GuestRef, Instance, LocalBody};
use serde_json::{Map, Value};

/// A step on a host, ready.
#[derive(Debug)]
pub struct Prepared {
    /// Module with parameters.
    pub instance: Box<dyn Instance>,
    /// What the module may know.
    pub cx: Cx,
    /// Who asks and acts.
    pub asker: Asker,
    /// `confirm_within:` of the step.
    pub confirm_within: Option<crate::load::confirm::ConfirmWithin>,
}

/// One item of a step: all of it if it has no loop.
#[derive(Debug, Clone)]
pub struct Item {
    /// Position; `None` without a loop.
    pub index: Option<usize>,
    /// Value; `None` without a loop.
    pub value: Option<Value>,
}

impl Item {
    /// What is shown beside the step's name.
    pub fn label(&self) -> Option<String> {
        self.value.as_ref().map(|v| match v {
            Value::String(text) => text.clone(),
            Value::Object(map) => match map.get("name") {
                Some(Value::String(name)) => name.clone(),
                _ => v.to_string(),
            },
            other => other.to_string(),
        })
    }
}

impl Engine {
    /// What the step's texts and expressions see, with `extra` registered beside what earlier steps left.
    pub(super) async fn scope(
        &self,
        step: &Step,
        host: &str,
        item: Option<&Value>,
        extra: Option<(&str, &Value)>,
    ) -> Value {
        let outs = self.outs.lock().await;
        let mut out = outs.get(host).cloned().unwrap_or_default();
        drop(outs);
        if let Some((name, value)) = extra {
            out.insert(name.to_string(), value.clone());
        }
        scope::of_step(&self.program, step, host, &out, item)
    }

    /// Is the step due on this host?
    ///
    /// # Errors
    /// An expression without a value.
    pub(super) async fn due(&self, step: &Step, host: &str, item: Option<&Value>) -> Result<Option<String>, String> {
        let Some(when) = &step.when else { return Ok(None) };
        let scope = self.scope(step, host, item, None).await;
        match when.holds(&scope) {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(format!("when: {} is false", when.text))),
            Err(error) => Err(self.pointed(when.span, "when", &error.to_string())),
        }
    }

    /// The items of the step's loop, or the step itself.
    ///
    /// # Errors
    /// A loop that is no list.
    pub(super) async fn items(&self, step: &Step, host: &str) -> Result<Vec<Item>, String> {
        let Some(each) = &step.each else { return Ok(vec![Item { index: None, value: None }]) };
        let scope = self.scope(step, host, None, None).await;
        let values = step.items(&scope).map_err(|why| self.pointed(each.span, "loop", &why))?;
        Ok(values.into_iter().enumerate().map(|(i, value)| Item { index: Some(i), value }).collect())
    }

    /// Renders and parses the parameters and reads the local files.
    ///
    /// # Errors
    /// One line with the place.
    pub(super) async fn prepare(&self, step: &Step, host: &str, item: Option<&Value>) -> Result<Prepared, Trouble> {
        let scope = self.scope(step, host, item, None).await;
        let mut value = template::render(&step.params, &scope).map_err(|d| {
            let span = d.span.unwrap_or(step.params.span);
            Trouble::Failed(self.pointed(span, &step.name, &d.message))
        })?;
        if step.module.name() == "assert" {
            self.evaluate_assert(step, &scope, &mut value)?;
        }
        let instance = step.module.parse(value).map_err(|error| {
            let span = step.params.at(&error.at).span;
            Trouble::Failed(self.pointed(span, &step.name, &error.message))
        })?;
        if let Some(problem) = instance.validate().first() {
            let span = step.params.at(&problem.at).span;
            return Err(Trouble::Failed(self.pointed(span, &step.name, &problem.message)));
        }
        let mut cx = self.cx(host);
        for want in instance.local_files() {
            let mut file = self.program.load_file(&want, &scope).map_err(|e| Trouble::Failed(e.to_string()))?;
            self.conceal(&mut file.body);
            cx.files.push(file);
        }
        let confirm_within = step.confirm_within.clone();
        Ok(Prepared { instance, cx, asker: self.asker(step, host), confirm_within })
    }

    /// A local file that holds a secret's value compares with what a host sends back, where it stands as a mark.
    fn conceal(&self, body: &mut LocalBody) {
        match body {
            LocalBody::Inline(bytes) => *bytes = self.vault.conceal(bytes),
            LocalBody::Tree(files) => files.iter_mut().for_each(|(_, file)| self.conceal(&mut file.body)),
            LocalBody::Large { .. } | LocalBody::Missing => {}
        }
    }

    /// `assert` gets the truth of its expressions with its parameters: modules have no scope.
    fn evaluate_assert(&self, step: &Step, scope: &Value, value: &mut Value) -> Result<(), Trouble> {
        let Some(map) = value.as_object_mut() else { return Ok(()) };
        let texts: Vec<String> = match map.get("that") {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) => items.iter().filter_map(|i| i.as_str().map(str::to_string)).collect(),
            _ => return Ok(()),
        };
        let span = step.params.at(&["that".to_string()]).span;
        let mut results = Vec::new();
        for text in texts {
            let expr = crate::load::expr::Expr { text: text.clone(), span };
            let holds = expr.holds(scope).map_err(|e| Trouble::Failed(self.pointed(span, "assert", &e.to_string())))?;
            results.push(Value::Bool(holds));
        }
        map.insert("results".into(), results.into());
        Ok(())
    }

    fn cx(&self, host: &str) -> Cx {
        let inventory = &self.program.inventory;
        let this = inventory.host(host);
        let guests = inventory
            .hosts
            .iter()
            .filter_map(|h| {
                let node = inventory.node_of(&h.name)?.to_string();
                Some(GuestRef { name: h.name.clone(), node, vmid: h.vmid()? })
            })
            .collect();
        Cx {
            host: host.to_string(),
            address: this.map_or_else(|| host.to_string(), |h| h.address.clone()),
            node: inventory.node_of(host).map(str::to_string),
            vmid: this.and_then(crate::load::inventory::Host::vmid),
            guests,
            files: Vec::new(),
            run: self.options.run.0.clone(),
        }
    }

    fn asker(&self, step: &Step, host: &str) -> Asker {
        let default = self.program.inventory.host(host).is_some_and(|h| h.r#become);
        let becomes = step.r#become.unwrap_or(default);
        Asker { host: host.to_string(), user: becomes.then(|| step.become_user.clone()), patient: true }
    }

    fn pointed(&self, span: crate::load::source::Span, what: &str, why: &str) -> String {
        format!("{}: {what}: {why}", self.program.sources.place(span))
    }

    /// Keeps what a step registered.
    pub(super) async fn keep(&self, step: &Step, hosts: &[String], out: &Value) {
        let Some(name) = &step.register else { return };
        let mut outs = self.outs.lock().await;
        for host in hosts {
            outs.entry(host.clone()).or_insert_with(Map::new).insert(name.clone(), out.clone());
        }
    }
}
