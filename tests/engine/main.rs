//! The engine in process: a small world of hosts behind the transport's trait, a paused clock, chosen ids.

mod confirm;
mod deadman;
mod faults;
mod lease;
mod policy;
mod preflight;
mod resume;
mod steps;
mod world;
