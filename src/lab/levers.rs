//! Levers: what the lab can be made to do wrong, on purpose.

use super::control::{Reply, Request, ask};
use super::{LabError, Layout};
use serde::{Deserialize, Serialize};

/// A fault to inject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "lever", rename_all = "kebab-case")]
pub enum Lever {
    /// The next task of this type (`qmsnapshot`, `qmstart`, `any`) ends with this text.
    FailTask {
        /// Type as in its UPID.
        kind: String,
        /// Its exit status.
        text: String,
    },
    /// The storage has no room.
    StorageFull {
        /// On or off.
        on: bool,
    },
    /// The host neither answers ssh nor its agent.
    GuestDeaf {
        /// Its name.
        host: String,
        /// On or off.
        on: bool,
    },
    /// Nothing listens for ssh on the host: connections are refused. Its agent answers.
    SshDeaf {
        /// Its name.
        host: String,
        /// On or off.
        on: bool,
    },
    /// Every connection to the host is lost now.
    Cut {
        /// Its name.
        host: String,
    },
    /// Every task takes this much longer.
    SlowTasks {
        /// Milliseconds.
        ms: u64,
    },
}

/// What can be written after `piton lab lever`.
pub const USAGE: &str = "fail-task TYPE TEXT | storage-full on|off | guest-deaf HOST on|off | ssh-deaf HOST on|off | \
                         cut HOST | slow-tasks MS";

impl Lever {
    /// Reads `guest-deaf extranet on` and the like.
    ///
    /// # Errors
    /// [`LabError::Usage`] with all that would be right.
    pub fn parse(words: &[String]) -> Result<Self, LabError> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let wrong = || LabError::Usage { what: format!("`{}` is no lever; there are: {USAGE}", words.join(" ")) };
        let on = |word: &str| match word {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(wrong()),
        };
        match words.as_slice() {
            ["fail-task", kind, text @ ..] if !text.is_empty() => {
                Ok(Self::FailTask { kind: (*kind).into(), text: text.join(" ") })
            }
            ["storage-full", state] => Ok(Self::StorageFull { on: on(state)? }),
            ["guest-deaf", host, state] => Ok(Self::GuestDeaf { host: (*host).into(), on: on(state)? }),
            ["ssh-deaf", host, state] => Ok(Self::SshDeaf { host: (*host).into(), on: on(state)? }),
            ["cut", host] => Ok(Self::Cut { host: (*host).into() }),
            ["slow-tasks", ms] => Ok(Self::SlowTasks { ms: ms.parse().map_err(|_| wrong())? }),
            _ => Err(wrong()),
        }
    }
}

/// Pulls a lever; returns what is to be said about it.
///
/// # Errors
/// As [`ask`].
pub async fn lever(layout: &Layout, lever: Lever) -> Result<String, LabError> {
    match ask(layout, &Request::Lever { lever }).await? {
        Reply::Said(text) => Ok(text),
        _ => Ok("done".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Lever, LabError> {
        Lever::parse(&text.split(' ').map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn levers_are_read_and_wrong_ones_refused() {
        assert_eq!(parse("guest-deaf extranet on").unwrap(), Lever::GuestDeaf { host: "extranet".into(), on: true });
        assert_eq!(parse("ssh-deaf extranet off").unwrap(), Lever::SshDeaf { host: "extranet".into(), on: false });
        let fail = Lever::FailTask { kind: "qmsnapshot".into(), text: "no space left".into() };
        assert_eq!(parse("fail-task qmsnapshot no space left").unwrap(), fail);
        assert_eq!(parse("slow-tasks 300").unwrap(), Lever::SlowTasks { ms: 300 });
        for wrong in ["guest-deaf extranet", "storage-full maybe", "slow-tasks x", "fail-task x", "explode"] {
            assert!(parse(wrong).unwrap_err().to_string().contains("is no lever"), "{wrong}");
        }
    }
}
