//! (soon)

pub mod operator;
