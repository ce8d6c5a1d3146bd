//! piton: agentless runbooks for Proxmox VE over SSH. Every change has a way back, and nothing is claimed unseen.
//!
//! Loose files are vocabulary; folders are stages in the order of the data (`load -> compile -> engine -> journal,
//! report`) and services that stages call (`modules flows pve checkpoint transport`); `lab` is the practice ground.
//! Deciding is a plain `fn`, doing is an `async fn`: only `engine transport checkpoint lab cli` contain `async`.
//! `tests/architecture.rs` holds the arrows between folders to a table.

pub mod checkpoint;
pub mod cli;
pub mod cmd;
pub mod compile;
pub mod engine;
pub mod event;
pub mod exit;
pub mod flows;
pub mod journal;
pub mod key;
pub mod lab;
pub mod load;
pub mod modules;
pub mod pve;
pub mod report;
pub mod secret;
pub mod state;
pub mod transport;
