//! The configuration that our `ssh` runs with, and the folder of its control socket.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A socket path has to stay below 108 bytes, and ssh adds up to 17 of its own while it sets the socket up.
const LONGEST_FOLDER: usize = 55;

/// Our settings first, because in ssh the first value wins; then the inventory's, the user's and the system's
/// files; last our defaults for what none of them sets. An unknown host key is an error unless they say otherwise.
///
/// # Errors
/// A text if the path cannot be written in such a file.
pub fn text(inventory: Option<&Path>, idle: u32) -> Result<String, String> {
    let mut out = format!(
        "BatchMode yes\nConnectTimeout 10\nServerAliveInterval 2\nServerAliveCountMax 3\nControlPersist {idle}\n\
         ClearAllForwardings yes\nForwardX11 no\nPermitLocalCommand no\nLogLevel INFO\n"
    );
    if let Some(path) = inventory {
        let path = std::path::absolute(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let text = path.to_str().filter(|p| !p.contains(['"', '\n']));
        let text = text.ok_or_else(|| format!("{}: not a path that ssh can read", path.display()))?;
        if !path.is_file() {
            return Err(format!("the ssh configuration {text} does not exist"));
        }
        out.push_str(&format!("Include \"{text}\"\n"));
    }
    out.push_str("Include ~/.ssh/config\nInclude /etc/ssh/ssh_config\nStrictHostKeyChecking yes\n");
    Ok(out)
}

/// An owner-only folder with a short path.
///
/// # Errors
/// The system's.
pub fn control_folder() -> std::io::Result<TempDir> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let short = |dir: &PathBuf| dir.is_absolute() && dir.as_os_str().len() + "/piton-XXXXXX".len() < LONGEST_FOLDER;
    let ours = std::fs::Permissions::from_mode(0o700);
    let place = |dir: &Path| tempfile::Builder::new().prefix("piton-").permissions(ours.clone()).tempdir_in(dir);
    if let Some(folder) = runtime.filter(short).and_then(|dir| place(&dir).ok()) {
        return Ok(folder);
    }
    place(Path::new("/tmp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_come_first_and_the_host_key_default_last() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = text(Some(file.path()), 10).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "BatchMode yes");
        assert_eq!(lines[lines.len() - 4], format!("Include \"{}\"", file.path().display()));
        assert_eq!(
            lines[lines.len() - 3..],
            ["Include ~/.ssh/config", "Include /etc/ssh/ssh_config", "StrictHostKeyChecking yes"]
        );
    }

    #[test]
    fn a_missing_file_is_said() {
        assert_eq!(text(Some(Path::new("/no/x")), 1).unwrap_err(), "the ssh configuration /no/x does not exist");
    }

    #[test]
    fn the_folder_is_ours_alone_and_short() {
        let folder = control_folder().unwrap();
        assert_eq!(folder.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(folder.path().as_os_str().len() < LONGEST_FOLDER);
    }
}
