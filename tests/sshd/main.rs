//! The transport against real sshd's: login shells, exit codes, input and output, deadlines, sudo, files.
//!
//! Runs as root: it adds users (`piton-t-...`) and takes them away again.

mod batches;
mod connect;
mod files;
mod fixture;
mod shells;
mod sudo;
