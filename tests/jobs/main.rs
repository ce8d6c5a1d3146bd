//! Durable steps in process, with real processes of this machine: a binary of their own, for a process that is being
//! started holds the locks of every journal of the tests beside it for a moment.

#[path = "../engine/deadman.rs"]
#[allow(dead_code, reason = "the world of tests/engine is used here in part")]
mod deadman;
mod durable;
#[path = "../engine/world.rs"]
#[allow(dead_code, reason = "the world of tests/engine is used here in part")]
mod world;
