//! Everything that is held to recordings of a real node: our parsers, and the simulated node.

mod parsers;
mod simulator;
