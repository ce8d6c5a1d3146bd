//! The program as a person meets it: arguments in, exact text and exit code out. No host is contacted.

mod builder;
mod check;
mod commands;
mod completions;
mod explain;
mod help;
mod modules;
mod program;
mod report;
mod robust;
mod runs;
mod screen;
mod terminal;
mod wrong;
