//! From the arguments of the process to its exit code.

use super::{Cli, dispatch, output};
use crate::exit::Exit;
use clap::Parser as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// The whole program.
pub fn main() -> ExitCode {
    catch_unwind(AssertUnwindSafe(start)).unwrap_or_else(|_| {
        output::complain("this is a defect of piton. Please report it, with the lines above and what you typed.");
        ExitCode::from(Exit::Internal.code())
    })
}

fn start() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not errors to clap's exit code; wrong usage is 2, which is bad input here too.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::BadInput.code()));
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("error: no threads or timers can be had from the system: {error}"));
            return ExitCode::from(Exit::Local.code());
        }
    };
    let exit = match runtime.block_on(dispatch(cli)) {
        Ok(exit) => exit,
        Err(stop) => {
            if !stop.message.is_empty() {
                output::complain(&stop.to_string());
            }
            stop.exit
        }
    };
    // A prompt that nobody answered any more must not hold the program up.
    runtime.shutdown_background();
    ExitCode::from(exit.code())
}
