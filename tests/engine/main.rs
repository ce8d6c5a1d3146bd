//! The engine in process: a small world of hosts behind the transport's trait, a paused clock, chosen ids.

mod faults;
mod policy;
mod resume;
mod steps;
mod world;
