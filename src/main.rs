//! The program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    // In a host of the lab the same binary stands for `qm`, `systemctl` and others.
    if let Some(code) = piton::lab::faces::run(&args) {
        return code;
    }
    piton::cli::main()
}
