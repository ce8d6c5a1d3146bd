//! The command line, seen from outside.
mod check;
mod program;
mod robust;
