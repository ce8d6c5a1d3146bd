//! The command line, seen from outside.
mod check;
