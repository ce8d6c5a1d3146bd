//! The project around a runbook: where inventory, templates and files are found.

use std::path::{Path, PathBuf};

/// The nearest ancestor of the runbook that has a folder `inventory`, `templates` or `runbooks`; the runbook's own folder
/// if there is none.
pub fn of(runbook: &Path) -> PathBuf {
    let absolute = std::path::absolute(runbook).unwrap_or_else(|_| runbook.to_path_buf());
    let own = absolute.parent().unwrap_or(Path::new("/")).to_path_buf();
    own.ancestors()
        .find(|folder| ["inventory", "templates", "runbooks"].iter().any(|name| folder.join(name).is_dir()))
        .map_or(own.clone(), Path::to_path_buf)
}

/// The inventory to use when none is given: `inventory/hosts.yml`, else the only `.yml` file in `inventory`.
///
/// # Errors
/// What is there instead, one line.
pub fn inventory(project: &Path) -> Result<PathBuf, String> {
    let folder = project.join("inventory");
    let usual = folder.join("hosts.yml");
    if usual.is_file() {
        return Ok(usual);
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(&folder)
        .map(|entries| {
            entries
                .filter_map(Result::ok)
                .map(|e| e.path())
                .filter(|p| p.extension().is_some_and(|e| e == "yml" || e == "yaml"))
                .collect()
        })
        .unwrap_or_default();
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err("no inventory is given and the project has none".to_string()),
        many => {
            let names: Vec<_> = many.iter().filter_map(|p| p.file_name()?.to_str()).collect();
            Err(format!("no inventory is given and the project has several: {}", names.join(", ")))
        }
    }
}
