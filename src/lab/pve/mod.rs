//! The simulated Proxmox VE node: one state with three faces (HTTP, `pvesh`, the `qm` family).
//!
//! [`api`] decides and runs worker tasks, [`http`] is its wire, [`cli`] are the commands, which speak HTTP over a
//! unix socket to the one server. Every text is held to recordings of a real node (`tests/recordings`); what no
//! recording backs is refused with "piton lab: not simulated".

pub mod answer;
pub mod api;
pub mod backdoor;
pub mod cli;
pub mod clock;
pub mod conf;
pub mod http;
pub mod hypervisor;
pub mod ids;
pub mod interfaces;
pub mod levers;
mod lines;
pub mod node;
pub mod params;
pub mod running;
pub mod schema;
pub mod simulator;
pub mod state;
pub mod storage;
pub mod task;
pub mod vm;
pub mod vmconfig;
pub mod worker;

pub use answer::{Refusal, Reply, Response};
pub use clock::{Clock, SystemClock};
pub use http::{Listeners, ServeError, serve};
pub use hypervisor::{Exec, GuestError, GuestOutput, Hypervisor, NullHypervisor};
pub use ids::{CountingIds, Ids, SystemIds};
pub use levers::Levers;
pub use params::{Params, Request};
pub use simulator::{Pace, Simulator};
pub use state::State;
