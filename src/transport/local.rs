//! `connection: local` and what runs here: the same loop over a shell on this machine.

use super::channel::{Channel, Dial, Settings};
use super::host::Host;
use super::{Boxed, TransportError};
use std::process::Stdio;
use tokio::process::Command;

/// This machine as a host. Commands start in the home folder, as they do over ssh.
pub type LocalRemote = Host<LocalDial>;

/// Starts shells on this machine.
pub struct LocalDial {
    name: String,
}

impl LocalRemote {
    /// This machine under an inventory name; `become_password` is the mark of the sudo password.
    ///
    /// # Errors
    /// [`TransportError::Local`] if no shell can be started.
    pub async fn start(
        name: impl Into<String>,
        become_password: Option<String>,
        settings: Settings,
    ) -> Result<Self, TransportError> {
        Self::open(LocalDial { name: name.into() }, settings, become_password).await
    }
}

impl Dial for LocalDial {
    fn host(&self) -> &str {
        &self.name
    }

    fn via(&self) -> &'static str {
        "local"
    }

    fn dial<'a>(&'a self, exec: &'a str) -> Boxed<'a, Result<Channel, TransportError>> {
        Box::pin(async move {
            let fail = |e: &dyn std::fmt::Display| TransportError::Local {
                what: "a shell cannot be started on this machine".into(),
                why: e.to_string(),
            };
            let mut command = Command::new("/bin/sh");
            command.args(["-c", exec]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            // Ctrl-C in our terminal is for us to hear.
            command.process_group(0);
            if let Some(home) = std::env::var_os("HOME").filter(|h| std::path::Path::new(h).is_dir()) {
                command.current_dir(home);
            }
            let mut child = command.spawn().map_err(|e| fail(&e))?;
            match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
                (Some(stdin), Some(stdout), Some(stderr)) => Ok(Channel {
                    stdin: Box::new(stdin),
                    stdout: Box::new(stdout),
                    stderr: Box::new(stderr),
                    keep: Box::new(child),
                }),
                _ => Err(fail(&"its streams are missing")),
            }
        })
    }

    fn why_lost(&self) -> String {
        "the shell ended".into()
    }

    fn hang_up(&self) -> Boxed<'_, ()> {
        Box::pin(async {})
    }
}
