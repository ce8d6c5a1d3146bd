//! The lab's hosts by ssh, as anybody would reach them.

use super::layout::known;
use super::{LabError, Layout};
use std::process::{Output, Stdio};
use tokio::process::Command;

fn ssh(layout: &Layout, host: &str) -> Command {
    let mut command = Command::new("ssh");
    command.arg("-F").arg(layout.ssh_config()).args(["-o", "ConnectTimeout=5"]).arg(host);
    command
}

/// Opens a shell on a host (or runs a command there) with this terminal; its exit status.
///
/// # Errors
/// [`LabError::UnknownHost`], [`LabError::NoLab`], or [`LabError::Io`] if there is no ssh.
pub async fn shell(layout: &Layout, host: &str, command: &[String]) -> Result<i32, LabError> {
    let host = known(host)?;
    layout.read()?;
    let status = ssh(layout, host).args(command).status().await.map_err(LabError::io("starting ssh"))?;
    Ok(status.code().unwrap_or(255))
}

/// Asks a host for its name and checks that it is the one that was meant.
///
/// # Errors
/// [`LabError::Host`] if it does not answer, [`LabError::WrongHost`] if another one does.
pub async fn who_answers(layout: &Layout, host: &str) -> Result<(), LabError> {
    let output: Output = ssh(layout, host)
        .arg("hostname")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(LabError::io("starting ssh"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_string();
        return Err(LabError::Host { name: host.into(), why });
    }
    let answered = String::from_utf8_lossy(&output.stdout).trim().to_string();
    if answered == host { Ok(()) } else { Err(LabError::WrongHost { asked: host.into(), answered }) }
}
