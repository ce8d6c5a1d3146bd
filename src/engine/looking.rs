//! Looking at a host: what a module asks and decides, once or until it likes what it sees.

use super::Engine;
use super::asking::Asker;
use super::attempt::Attempt;
use super::prepare::Prepared;
use super::revert;
use super::trouble::Trouble;
use crate::event::Event;
use crate::key::TaskKey;
use crate::modules::{Action, Change, Decision, Undo, Verdict};
use serde_json::Map;
use tokio::time::Instant;

impl Engine {
    /// One look, or looks until the step likes what it sees.
    pub(super) async fn look_until(&self, task: &TaskKey, prepared: &Prepared) -> Result<Attempt, Trouble> {
        let poll = prepared.instance.poll();
        // Who waits for a host by looking at it has patience of his own.
        let asker = Asker { patient: poll.is_none(), ..prepared.asker.clone() };
        if let Some(poll) = poll {
            self.pause(poll.first).await?;
        }
        let begun = Instant::now();
        loop {
            let seen = self.decide_as(prepared, &asker).await;
            let (failed, facts) = match seen {
                Ok(decision) => match decision.verdict {
                    Verdict::Holds => return Ok(Attempt { facts: decision.facts, ..Attempt::default() }),
                    Verdict::Fails(why) => (why, decision.facts),
                },
                // A host that reboots while somebody waits for it is what waiting is for.
                Err(Trouble::Unreachable(why)) if poll.is_some() => (why, Map::new()),
                Err(other) => return Err(other),
            };
            let Some(poll) = poll else {
                return Ok(Attempt { failed: Some(failed), facts, ..Attempt::default() });
            };
            if begun.elapsed() + poll.every > poll.at_most {
                let why = format!("{failed} (waited {})", crate::load::duration::shown(begun.elapsed()));
                return Ok(Attempt { failed: Some(why), facts, ..Attempt::default() });
            }
            self.recorder.progress(Event::Waiting { host: task.host.clone(), what: failed });
            self.pause(poll.every).await?;
        }
    }

    /// Asks the module's questions and lets it decide.
    ///
    /// # Errors
    /// [`Trouble`]; nothing was changed.
    pub(super) async fn decide(&self, prepared: &Prepared) -> Result<Decision, Trouble> {
        self.decide_as(prepared, &prepared.asker).await
    }

    pub(super) async fn decide_as(&self, prepared: &Prepared, asker: &Asker) -> Result<Decision, Trouble> {
        let asks = prepared.instance.probe(&prepared.cx);
        let answers = self.ask(asker, &asks).await?;
        let mut decision = prepared.instance.decide(&prepared.cx, &answers)?;
        revert::cover(&mut decision.changes, prepared.confirm_within.as_ref()).map_err(Trouble::Failed)?;
        let inventory = &self.program.inventory;
        let node = prepared.cx.node.as_deref().and_then(|n| inventory.api_name(n));
        for change in &mut decision.changes {
            if let Some(name) = node {
                name_node(change, name);
            }
        }
        Ok(decision)
    }
}

/// Calls are shown and written down with the name of the node, so that they can be typed as they stand.
fn name_node(change: &mut Change, name: &str) {
    let undo = match &mut change.undo {
        Undo::Actions(actions) => actions.as_mut_slice(),
        _ => &mut [],
    };
    for action in change.actions.iter_mut().chain(undo) {
        if let Action::Api(call) = action {
            call.path = call.path.replace("{node}", name);
        }
    }
}
