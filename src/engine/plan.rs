//! Plan mode: what a run would do, asked of the hosts as they are, changing nothing.

use super::prepare::{Item, Prepared};
use super::recorder::Recorder;
use super::trouble::Trouble;
use super::{Engine, Parts, Words};
use crate::checkpoint;
use crate::compile::{CheckpointMode, Step};
use crate::event::{Event, Forecast};
use crate::key::TaskKey;
use crate::modules::{Change, Nature};
use crate::state::RunState;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a plan saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planned {
    /// Tasks that would change something.
    pub changes: usize,
    /// Tasks that would fail as things are.
    pub failures: usize,
    /// Hosts that did not answer.
    pub unreachable: usize,
}

/// What is known half way through a plan.
#[derive(Default)]
struct Sofar {
    /// Hosts on which an earlier step would change something: what comes after was asked of the state before it.
    pending: BTreeSet<String>,
    /// Guests that would have their checkpoint already, by section.
    guarded: BTreeSet<(usize, String)>,
    /// Hosts that did not answer, with the reason.
    deaf: BTreeSet<String>,
    planned: Planned,
}

/// Plans the program: only `Forecasted`, `Covered`, `Connected` and `Warning` events come.
///
/// # Errors
/// None that come from a journal: a plan writes none.
pub async fn plan(parts: Parts) -> Planned {
    let recorder = Arc::new(Recorder::new(None, parts.sinks.clone(), parts.clock.clone()));
    let engine = Engine::new(parts, recorder, RunState::default(), Words::new());
    let mut sofar = Sofar::default();
    for index in 0..engine.program.sections.len() {
        let section = &engine.program.sections[index];
        engine.recorder.progress(Event::SectionStarted {
            index,
            section: section.name.clone(),
            hosts: section.steps.iter().flat_map(|s| s.hosts.clone()).collect::<BTreeSet<_>>().into_iter().collect(),
        });
        for step in &section.steps {
            let hosts = if step.run_once { &step.hosts[..1.min(step.hosts.len())] } else { &step.hosts[..] };
            for host in hosts {
                engine.plan_step(index, step, host, &mut sofar).await;
            }
        }
    }
    engine.lines.close().await;
    sofar.planned
}

impl Engine {
    async fn plan_step(&self, section: usize, step: &Step, host: &str, sofar: &mut Sofar) {
        let key = |index| TaskKey { step: step.key.clone(), host: host.to_string(), item: index };
        if let Some(why) = &step.left_out {
            self.keep(step, &step_hosts(step, host), &super::out::skipped()).await;
            return self.say(step, (key(None), None), Forecast::Skipped(why.clone()), None);
        }
        if step.each.is_none() {
            match self.due(step, host, None).await {
                Ok(None) => {}
                Ok(Some(why)) => {
                    self.keep(step, &step_hosts(step, host), &super::out::skipped()).await;
                    return self.say(step, (key(None), None), Forecast::Skipped(why), None);
                }
                Err(why) => return self.say(step, (key(None), None), Forecast::CannotKnow(later(&why)), None),
            }
        }
        let items = match self.items(step, host).await {
            Ok(items) => items,
            Err(why) => return self.say(step, (key(None), None), Forecast::CannotKnow(later(&why)), None),
        };
        let mut changed = Some(false);
        for item in items {
            let (forecast, guest) = self.forecast(step, host, &item, sofar).await;
            changed = match &forecast {
                Forecast::WillChange(_) | Forecast::AlwaysRuns(_) => Some(true),
                Forecast::CannotKnow(_) | Forecast::WouldFail(_) => None,
                _ => changed,
            };
            match &forecast {
                Forecast::WillChange(_) | Forecast::AlwaysRuns(_) => sofar.planned.changes += 1,
                Forecast::WouldFail(_) => sofar.planned.failures += 1,
                _ => {}
            }
            let checkpoint = match guest {
                Some(guest) if self.program.sections[section].checkpoint != CheckpointMode::Never => {
                    let new = sofar.guarded.insert((section, guest.name.clone()));
                    // What it holds does not change from one section to the next.
                    if new && sofar.guarded.iter().filter(|(_, name)| *name == guest.name).count() == 1 {
                        self.say_coverage(&guest).await;
                    }
                    new.then_some(guest.name)
                }
                _ => None,
            };
            self.say(step, (key(item.index), item.label()), forecast, checkpoint);
        }
        // Later conditions may ask whether this changed; nothing else of its result is known before it runs.
        if let Some(changed) = changed {
            self.keep(step, &step_hosts(step, host), &json!({"changed": changed})).await;
        }
    }

    async fn forecast(
        &self,
        step: &Step,
        host: &str,
        item: &Item,
        sofar: &mut Sofar,
    ) -> (Forecast, Option<crate::modules::GuestRef>) {
        if step.each.is_some() {
            match self.due(step, host, item.value.as_ref()).await {
                Ok(None) => {}
                Ok(Some(why)) => return (Forecast::Skipped(why), None),
                Err(why) => return (Forecast::CannotKnow(later(&why)), None),
            }
        }
        let prepared = match self.prepare(step, host, item.value.as_ref()).await {
            Ok(prepared) => prepared,
            Err(trouble) => return (Forecast::CannotKnow(later(&trouble.to_string())), None),
        };
        if prepared.instance.nature() == Nature::Looks {
            return (Forecast::CannotKnow("it only looks, when its turn comes".into()), None);
        }
        if sofar.deaf.contains(host) {
            return (Forecast::CannotKnow(format!("{host} does not answer")), None);
        }
        match self.decide(&prepared).await {
            Ok(decision) if decision.changes.is_empty() => {
                for text in decision.notes {
                    self.recorder.progress(Event::Warning { text });
                }
                (Forecast::AlreadySo, None)
            }
            Ok(decision) => {
                sofar.pending.insert(host.to_string());
                let guest = Self::guarded_guest(step, &prepared, &decision.changes);
                let changes = if step.no_log { super::attempt::hidden(&decision.changes) } else { decision.changes };
                (kind(&prepared, changes), guest)
            }
            Err(Trouble::Unreachable(why)) => {
                sofar.deaf.insert(host.to_string());
                sofar.planned.unreachable += 1;
                (Forecast::WouldFail(why), None)
            }
            Err(trouble) if sofar.pending.contains(host) => {
                let why = format!("as things are now: {trouble}; a step before it may change that");
                (Forecast::CannotKnow(why), None)
            }
            Err(trouble) => (Forecast::WouldFail(trouble.to_string()), None),
        }
    }

    async fn say_coverage(&self, guest: &crate::modules::GuestRef) {
        let datasets = self.program.inventory.host(&guest.name).map(|h| h.datasets.clone()).unwrap_or_default();
        let coverage = match self.lines.node(&guest.node).await {
            Ok(api) => {
                let at = checkpoint::GuestRef::new(&guest.name, guest.vmid);
                let coverage = checkpoint::coverages(&api, &[(at, datasets)]).await.pop();
                coverage.map_or_else(|| Err("no answer".to_string()), |c| c.map_err(|e| e.to_string()))
            }
            Err(trouble) => Err(trouble.to_string()),
        };
        self.recorder.progress(match coverage {
            Ok(coverage) => Event::Covered { coverage },
            Err(why) => {
                Event::Warning { text: format!("what a checkpoint of {} would hold is not known: {why}", guest.name) }
            }
        });
    }

    fn say(
        &self,
        step: &Step,
        (task, label): (TaskKey, Option<String>),
        forecast: Forecast,
        checkpoint: Option<String>,
    ) {
        self.recorder.progress(Event::Forecasted {
            task,
            name: step.name.clone(),
            label,
            module: step.module.name().to_string(),
            forecast,
            checkpoint,
        });
    }
}

fn kind(prepared: &Prepared, changes: Vec<Change>) -> Forecast {
    match prepared.instance.nature() {
        Nature::AlwaysRuns => Forecast::AlwaysRuns(changes),
        _ => Forecast::WillChange(changes),
    }
}

fn step_hosts(step: &Step, host: &str) -> Vec<String> {
    if step.run_once { step.hosts.clone() } else { vec![host.to_string()] }
}

fn later(why: &str) -> String {
    format!("it depends on what a step before it finds: {why}")
}
