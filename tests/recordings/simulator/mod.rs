//! The simulated node, held to the recordings row by row.
//!
//! The rows run in the order in which they were recorded, against one simulated node. Commands that the recordings do
//! not show, but whose effects they do, are made by the scenes (`api_scenes`, `cli_scenes`). What may differ is in one
//! table (`masks`). Rows that do not pass are listed in `uncovered.txt`, exactly, with a count that only goes down.

mod api;
mod api_scenes;
mod bench;
mod cli;
mod cli_machines;
mod cli_scenes;
mod guests;
mod http;
mod masks;
mod uncovered;
