//! The simulated node of the recordings, with a clock that the test owns.

use super::guests::Guests;
use piton::lab::pve::state::State;
use piton::lab::pve::vm::{Config, Run, Vm};
use piton::lab::pve::vmconfig::to_json;
use piton::lab::pve::{Clock, CountingIds, Params, Request, Response, Simulator};
use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::time::Instant;

/// The test's paused clock, from the day of the recording on.
struct PausedClock {
    begun: Instant,
    base: u64,
}

impl Clock for PausedClock {
    fn unix(&self) -> u64 {
        self.base + self.begun.elapsed().as_secs()
    }
}

/// The node and what belongs to it.
pub struct Bench {
    pub sim: Arc<Simulator>,
    pub dir: TempDir,
}

impl Bench {
    /// A node with a state, an `/etc/network/interfaces`, and a clock that begins at `base`.
    pub fn new(state: State, interfaces: &str, base: u64, guests: Guests) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("interfaces"), interfaces).unwrap();
        let clock = PausedClock { begun: Instant::now(), base };
        let sim = Simulator::new(state, Arc::new(guests), dir.path())
            .with_clock(Arc::new(clock))
            .with_ids(Arc::new(CountingIds::default()));
        Self { sim: Arc::new(sim), dir }
    }

    /// A call with a valid ticket; waits for the task that it starts.
    pub async fn call(&self, method: &str, path: &str, params: &[(&str, &str)]) -> Response {
        let params = Params::from_pairs(params.iter().copied());
        let response = self.sim.handle(Request::new(method, path, params)).await;
        if let Some(upid) = response.data().as_str() {
            self.sim.wait(upid).await;
        }
        response
    }

    /// Changes a machine behind the node's back: what a command that is not simulated did.
    pub fn touch(&self, vmid: u32, change: impl FnOnce(&mut Vm)) {
        self.sim.edit(|state| change(state.vms.get_mut(&vmid).unwrap()));
    }

    /// Sets one key of a machine behind the node's back.
    pub fn set(&self, vmid: u32, key: &str, value: &str) {
        self.touch(vmid, |vm| {
            vm.config.insert(key.into(), value.into());
        });
    }
}

/// A configuration from what the API answered for it.
pub fn config_from(data: &Value) -> Config {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let map = data.as_object().unwrap().iter();
    map.filter(|(key, _)| *key != "digest").map(|(key, value)| (key.clone(), text(value))).collect()
}

/// A machine with such a configuration.
pub fn machine(config: Config, running_since: Option<u64>) -> Vm {
    assert!(!to_json(&config).is_empty());
    Vm { config, run: running_since.map(|since| Run { pid: 12_236, since, paused: false }), ..Vm::default() }
}

/// The rows of a recording.
pub fn rows<T: for<'a> Deserialize<'a>>(name: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
