//! The command faces: `qm`, `pvesh`, `pvesm`, `pveversion`, `pvenode`, `ifreload`.
//!
//! The piton binary under another name. Each turns its arguments into API calls to the one server of the lab, over a
//! unix socket, and prints what the real tool prints. Exit statuses are those of the recordings, leftover errnos too.

mod args;
mod caller;
mod display;
mod ifreload;
mod pvenode;
mod pvesh;
mod pvesh_usage;
mod pvesm;
mod pveversion;
mod qm;
mod qm_commands;
mod qm_display;
mod qm_guest;
mod qm_run;
mod table;
mod usage;

pub use caller::{CallError, Caller, DirectCaller, SocketCaller};

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Where the server listens if `PITON_LAB_SOCKET` does not say otherwise.
pub const DEFAULT_SOCKET: &str = "/run/piton-lab/pve.sock";

/// Names that the binary answers to.
pub const NAMES: [&str; 6] = ["qm", "pvesh", "pvesm", "pveversion", "pvenode", "ifreload"];

/// What a command printed and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Printed {
    /// Exit status.
    pub code: u8,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Printed {
    /// Standard output and success.
    pub fn out(text: impl Into<String>) -> Self {
        Self { out: text.into(), ..Self::default() }
    }

    /// Standard error and an exit status.
    pub fn failed(code: u8, text: impl Into<String>) -> Self {
        Self { code, err: text.into(), ..Self::default() }
    }

    /// What no recording backs.
    pub fn not_simulated(what: &str) -> Self {
        Self::failed(127, format!("piton lab: not simulated: {what}\n"))
    }
}

/// Runs one command of a name in [`NAMES`].
pub async fn run(name: &str, args: &[String], stdin: &[u8], caller: &dyn Caller) -> Printed {
    let result = match name {
        "qm" => qm::run(args, stdin, caller).await,
        "pvesh" => pvesh::run(args, caller).await,
        "pvesm" => pvesm::run(args, caller).await,
        "pveversion" => pveversion::run(args, caller).await,
        "pvenode" => pvenode::run(args, caller).await,
        "ifreload" => ifreload::run(args, caller).await,
        other => Ok(Printed::not_simulated(other)),
    };
    result.unwrap_or_else(|why| Printed::failed(127, format!("{why}\n")))
}

/// Takes over if the binary was called by one of [`NAMES`]; `argv0` may be a path.
pub fn main_for(argv0: &str, args: &[String]) -> Option<ExitCode> {
    let name = argv0.rsplit('/').next().filter(|name| NAMES.contains(name))?;
    let socket = std::env::var_os("PITON_LAB_SOCKET").map_or_else(|| PathBuf::from(DEFAULT_SOCKET), PathBuf::from);
    let mut stdin = Vec::new();
    if args.iter().any(|arg| arg.trim_start_matches('-').starts_with("pass-stdin")) {
        let _ = std::io::stdin().lock().read_to_end(&mut stdin);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            eprintln!("piton lab: {why}");
            return Some(ExitCode::from(127));
        }
    };
    let printed = runtime.block_on(run(name, args, &stdin, &SocketCaller::new(socket)));
    // A reader that has gone away is no failure of the command.
    let _ = std::io::stdout().lock().write_all(printed.out.as_bytes());
    let _ = std::io::stderr().lock().write_all(printed.err.as_bytes());
    Some(ExitCode::from(printed.code))
}
