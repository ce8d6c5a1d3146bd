//! Carries a program out: probe, plan, checkpoint, write down, apply, probe again.
//!
//! ```text
//!            +-- asking --> lines --> transport, pve      (questions: may be repeated)
//! run -> preflight --> needs, lease                          (before anything; tells all problems at once)
//! run -> task +-- guard  --> checkpoint                    (before the first change of a guest in a section)
//!            +-- acting --> lines --> transport, pve      (each action written down before it is sent)
//!            `-- recorder --> state, journal, sinks       (every fact is an event)
//! back <- run (on_failure), rollback (from a journal)
//! ```
//!
//! Nothing here decides *what* to change: modules do, as pure functions. Nothing here prints.

mod acting;
mod asking;
mod attempt;
mod back;
pub mod cancel;
pub mod clock;
pub mod connect;
mod deadman;
mod follow;
mod guard;
mod job;
mod job_script;
mod ladder;
pub mod lease;
pub mod lease_file;
mod lines;
mod looking;
mod needs;
pub mod operator;
mod out;
mod patience;
mod plan;
mod preflight;
mod prepare;
mod recorder;
mod revert;
mod revert_script;
mod run;
mod sending;
mod settle;
mod task;
mod trouble;

pub use plan::plan;
pub use run::{Ending, Words, resume, rollback_checkpoint, rollback_run, run};
pub use trouble::Trouble;

use crate::compile::Program;
use crate::event::Sink;
use crate::exit::Exit;
use crate::journal::{RunDir, StateDir};
use crate::key::RunId;
use crate::secret::Vault;
use crate::state::RunState;
use crate::transport::Connect;
use cancel::Cancel;
use clock::Clock;
use lines::Lines;
use operator::Operator;
use recorder::Recorder;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};

/// What an engine needs from outside.
pub struct Parts {
    /// What to carry out.
    pub program: Arc<Program>,
    /// Makes connections.
    pub connect: Arc<dyn Connect>,
    /// Values of secrets.
    pub vault: Arc<Vault>,
    /// Who answers questions.
    pub operator: Arc<dyn Operator>,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    /// The operator's wish to stop.
    pub cancel: Cancel,
    /// Screens and reports.
    pub sinks: Vec<Arc<dyn Sink>>,
    /// How it is done.
    pub options: Options,
}

/// How a program is carried out.
#[derive(Debug, Clone)]
pub struct Options {
    /// Identity of the run.
    pub run: RunId,
    /// Folder of the run; `None` for a plan, which leaves nothing behind.
    pub dir: Option<RunDir>,
    /// Hosts of a step that run side by side.
    pub forks: usize,
    /// Ask before each step.
    pub step: bool,
    /// How long a line that was lost in mid-run is waited for.
    pub patience: Duration,
    /// `user@machine`.
    pub operator: String,
    /// Checkpoints kept of a guest after a run that went well.
    pub keep: usize,
    /// Where other runs are kept: tells whose checkpoints may go. `None`: none may.
    pub state: Option<StateDir>,
    /// `--set` and inputs as given, for the journal.
    pub vars: Value,
    /// Leases of nodes, for this long; `None` takes none.
    pub lease: Option<lease::Terms>,
    /// Look at everything that the run needs before the first change.
    pub preflight: bool,
}

/// True once the checkpoint of a section and guest was seen to; a lock each, so that others wait for it.
type Guards = BTreeMap<(usize, String), Arc<Mutex<bool>>>;

/// One run or plan under way.
pub struct Engine {
    program: Arc<Program>,
    lines: Lines,
    vault: Arc<Vault>,
    recorder: Arc<Recorder>,
    operator: Arc<dyn Operator>,
    cancel: Cancel,
    clock: Arc<dyn Clock>,
    options: Options,
    forks: Arc<Semaphore>,
    /// What was known of the run when it was resumed; empty for a new one.
    before: RunState,
    /// What the operator said of steps that may have run.
    words: Words,
    /// What steps registered, by host.
    outs: Mutex<BTreeMap<String, Map<String, Value>>>,
    /// Hosts and users whose old jobs were seen to.
    swept: Mutex<BTreeSet<(String, Option<String>)>>,
    /// Checkpoints already seen to, by section and guest.
    guards: Mutex<Guards>,
    /// For connections beside those of the run.
    connect: Arc<dyn Connect>,
    leases: lease::Leases,
    /// Set if the run was not begun: the code that says why.
    refused: OnceLock<Exit>,
}

impl Engine {
    fn new(parts: Parts, recorder: Arc<Recorder>, before: RunState, words: Words) -> Self {
        let Parts { program, connect, vault, operator, clock, cancel, options, .. } = parts;
        Self {
            lines: Lines::new(
                connect.clone(),
                program.inventory.clone(),
                vault.clone(),
                recorder.clone(),
                (cancel.clone(), options.patience),
            ),
            vault,
            forks: Arc::new(Semaphore::new(options.forks.max(1))),
            program,
            recorder,
            operator,
            cancel,
            clock,
            options,
            before,
            words,
            outs: Mutex::default(),
            swept: Mutex::default(),
            guards: Mutex::default(),
            connect,
            leases: lease::Leases::default(),
            refused: OnceLock::new(),
        }
    }
}
