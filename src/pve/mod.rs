//! All knowledge of Proxmox VE, pure: how API calls become commands on the node and their outputs answers again,
//! tasks, snapshots, what a snapshot covers, config values, host network files. Doing is in `transport::api` and
//! `checkpoint`.

pub mod agent;
pub mod carrier;
pub mod config;
pub mod coverage;
pub mod curl;
pub mod encode;
pub mod error;
pub mod interfaces;
pub mod pvesh;
pub mod snapshot;
pub mod task;
pub mod ticket;
pub mod upid;

pub use carrier::{Carrier, NodeProbe};
pub use error::PveError;
pub use snapshot::{Marker, Snapshot, SnapshotList};
pub use upid::Upid;
