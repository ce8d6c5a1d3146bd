<<<<<<< HEAD
//! Parsers and simulator against the answers of a real node (`tests/fixtures`).

mod parsers;
=======
//! Everything that is held to recordings of a real node: our parsers, and the simulated node.

mod simulator;
>>>>>>> wt-sim
