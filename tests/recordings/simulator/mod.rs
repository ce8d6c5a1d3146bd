//! The simulated node, held to the recordings row by row.

mod http;
mod modules;
