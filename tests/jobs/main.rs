//! Durable steps in process, with real processes of this machine: a binary of their own, for a process that is being
//! started holds the locks of every journal of the tests beside it for a moment.

// The engine's own world is used here in part only.
#[path = "../engine/deadman.rs"]
#[allow(dead_code)]
mod deadman;
mod durable;
#[path = "../engine/world.rs"]
#[allow(dead_code)]
mod world;
