//! The guest's firewall file `/etc/pve/firewall/VMID.fw`, which no VM snapshot holds: read, put back.

use crate::cmd::{Cmd, Output};

/// What the firewall file was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firewall {
    /// Nobody knows: leave it as it is.
    Leave,
    /// There was none.
    Absent,
    /// Its content.
    File(String),
}

impl From<Option<String>> for Firewall {
    /// As the journal keeps it (`CheckpointTaken.firewall`): `None` is a file that was not there.
    fn from(copy: Option<String>) -> Self {
        copy.map_or(Self::Absent, Self::File)
    }
}

/// Path on the node.
pub fn path(vmid: u32) -> String {
    format!("/etc/pve/firewall/{vmid}.fw")
}

/// Reads the file; its absence is an answer of its own.
pub fn read_cmd(vmid: u32) -> Cmd {
    Cmd::shell_with(r#"if test -e "$1"; then echo there && cat -- "$1"; else echo absent; fi"#, [path(vmid)])
}

/// What [`read_cmd`] printed.
///
/// # Errors
/// What the node said, one line.
pub fn read(output: &Output) -> Result<Option<String>, String> {
    let text = output.stdout.text();
    match text.split_once('\n') {
        Some(("there", content)) if output.ok() && !output.stdout.is_cut() => Ok(Some(content.to_string())),
        Some(("absent", "")) if output.ok() => Ok(None),
        _ => Err(output.stderr.text().lines().next().unwrap_or("the firewall file could not be read").to_string()),
    }
}

/// Puts the file back, or takes it away. The cluster's file system keeps owner and mode itself and refuses to have
/// them set, so this is a plain write and `mv`.
pub fn write_cmd(vmid: u32, content: Option<&str>) -> Cmd {
    match content {
        Some(text) => Cmd::shell_with(r#"cat > "$1.piton" && mv -f -- "$1.piton" "$1""#, [path(vmid)]).stdin(text),
        None => Cmd::shell_with(r#"rm -f -- "$1""#, [path(vmid)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_empty_and_unreadable_are_three_things() {
        assert_eq!(read(&Output::of(0, "absent\n", "")), Ok(None));
        assert_eq!(read(&Output::of(0, "there\n", "")), Ok(Some(String::new())));
        assert_eq!(
            read(&Output::of(0, "there\n[OPTIONS]\n\nenable: 1\n", "")),
            Ok(Some("[OPTIONS]\n\nenable: 1\n".into()))
        );
        assert_eq!(read(&Output::of(1, "there\n", "cat: Permission denied\n")), Err("cat: Permission denied".into()));
        assert!(read(&Output::of(0, "", "")).is_err());
    }
}
