//! Events for people and programs: plain lines, a live display, JSON lines, and reports of whole runs.
//!
//! Everything folds events into a [`view::RunView`]; nothing here contacts a host or decides anything. Whatever a host
//! said passes [`clean`] before it is shown.

pub mod clean;
pub mod clock;
pub mod diff;
mod fold;
pub mod html;
pub mod json;
pub mod lines;
pub mod markdown;
pub mod paint;
pub mod plan;
pub mod progress;
pub mod screen;
pub mod summary;
pub mod text;
pub mod view;
