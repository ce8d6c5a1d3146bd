//! The API of the node: one file a resource, plain functions that decide and worker tasks that take time.

mod access;
mod agent;
mod call;
mod cluster;
mod config;
mod create;
mod destroy;
pub mod network;
mod nodes;
mod power;
mod router;
mod snapshot;
mod start;
mod storage;
mod suspend;
mod tasks;
mod update;

pub use call::Call;
pub use router::answer;
